"""The HL7 door: an MLLP server in a thread of its own; the only place where asyncio lives in this room.

Messages of one connection are answered one after the other, in order; those of different connections side by side in
a bounded pool. What the callable returns is the answer. Where it raises, the connection is closed without one, so
that the sender keeps its message and sends it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from radloop.kit.errors import Misconfigured
from radloop.standards.hl7.mllp import DEFAULT_LIMIT, Broken, Deframer, frame

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

CHUNK: Final = 65_536
STARTING: Final = 10.0


@dataclass(frozen=True)
class Limits:
    """What senders may take up: bytes of a message, seconds of silence, connections at once, messages at once.

    So many of them at once may hold a message of more than `share_bytes`; the others are not read from until one of these is answered.
    """

    message_bytes: int = DEFAULT_LIMIT
    idle_seconds: float = 300.0
    connections: int = 64
    workers: int = 8
    share_bytes: int = 1024 * 1024
    large_at_once: int = 4


class MllpServer:
    """Listens from `start` to `stop`; hands each message to `handle` and each broken one to `broken`.

    `broken` keeps what never became a message and returns what to answer, None for nothing; after the connection is
    gone its answer has nowhere to go.
    """

    def __init__(
        self,
        host: str,
        port: int,
        handle: Callable[[bytes], bytes],
        broken: Callable[[Broken], bytes | None],
        limits: Limits | None = None,
    ) -> None:
        """Remember what to do; nothing is opened yet. Port 0 takes a free one."""
        self._host, self._port = host, port
        self._handle, self._broken = handle, broken
        self._limits = limits or Limits()
        self._pool = ThreadPoolExecutor(self._limits.workers, thread_name_prefix="hl7")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="mllp", daemon=True)
        self._ready = threading.Event()
        self._failure: OSError | None = None
        self._closing = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        self._large = asyncio.Semaphore(self._limits.large_at_once)

    @property
    def port(self) -> int:
        """The port it listens at; that of the settings before `start`."""
        return self._port

    def start(self) -> None:
        """Listen; raise Misconfigured where the address cannot be had."""
        self._thread.start()
        if not self._ready.wait(STARTING) or self._failure:
            reason = f"the HL7 door cannot listen on {self._host}:{self._port}; free the port or set another"
            raise Misconfigured(reason) from self._failure
        log.info("listening", extra={"door": "hl7", "port": self._port})

    def stop(self, grace: float = 5.0) -> None:
        """Accept nothing more, answer what is being worked on for at most `grace` seconds, close."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(grace)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        """Be the thread."""
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        """Listen until told to stop."""
        try:
            server = await asyncio.start_server(self._accept, self._host, self._port, limit=CHUNK)
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._closing.wait()
        server.close()
        if self._open:
            await asyncio.wait(self._open)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first byte to its close."""
        task = asyncio.current_task()
        if task is None or len(self._open) >= self._limits.connections or self._closing.is_set():
            log.warning("connection refused", extra={"reason": "too many connections"})
            writer.close()
            return
        self._open.add(task)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, TimeoutError) as error:
            log.info("connection lost", extra={"reason": type(error).__name__})
        finally:
            self._open.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read, hand over, answer; until the peer closes, falls silent, or we stop."""
        deframer, large = Deframer(self._limits.message_bytes), False
        try:
            while data := await self._read(reader):
                for item in deframer.feed(data):
                    if not await self._answer(item, writer):
                        return
                if large and deframer.held <= self._limits.share_bytes:
                    self._large.release()
                    large = False
                elif not large and deframer.held > self._limits.share_bytes:
                    await asyncio.wait_for(self._large.acquire(), self._limits.idle_seconds)
                    large = True
            for item in deframer.close():
                await self._call(item)
        finally:
            if large:
                self._large.release()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        """The next bytes; none where the peer closed, was silent for too long, or we are stopping."""
        reading = asyncio.ensure_future(reader.read(CHUNK))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait(
                {reading, closing},
                timeout=self._limits.idle_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            return reading.result() if reading.done() else b""
        finally:
            reading.cancel()
            closing.cancel()

    async def _answer(self, item: bytes | Broken, writer: asyncio.StreamWriter) -> bool:
        """Hand over one message and send its answer; False where the sender must try again."""
        answer = await self._call(item)
        if answer is None:
            return isinstance(item, Broken)
        writer.write(frame(answer))
        await asyncio.wait_for(writer.drain(), self._limits.idle_seconds)
        return True

    async def _call(self, item: bytes | Broken) -> bytes | None:
        """Run it in the pool; None where it raised, which is said in the log by the name of the error alone."""
        future = self._loop.run_in_executor(self._pool, self._act, item)
        await asyncio.wait({future})
        if error := future.exception():
            log.error("message not answered", extra={"reason": type(error).__name__})
            return None
        return future.result()

    def _act(self, item: bytes | Broken) -> bytes | None:
        """In the pool: a whole message is handled, a broken one kept."""
        return self._handle(item) if isinstance(item, bytes) else self._broken(item)
