"""Images as a model wants them: uncompressed ones in the reader's own thread, compressed ones in processes of their own.

Uncompressed little-endian values are a view on the bytes: numpy does the rest in some 30 ms of a large radiograph, and a way to
another process and back would be the longest part of a small one. All else needs a decoder written in C, or inflates to what
nobody can foresee: a decoder that crashes or hangs on a bad file takes neither the room nor another reading with it. Its file is
tried once more, in a fresh process and with no other such file beside it, and then refused.

A reader has one image decoded at a time, although it has several: a STAT then waits for one image of each decoder at worst.
"""

import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from radloop.inference.adapters.decoder import ASKED, READY, Asked
from radloop.inference.ports import Files
from radloop.kit.errors import Transient
from radloop.standards.dicom.decode import is_plain
from radloop.standards.dicom.errors import BadTag, DicomError, MissingTag, NotDicom, Undecodable, Unfit
from radloop.standards.dicom.pixels import prepare_file
from radloop.standards.package import Preparation

log = logging.getLogger(__name__)

DEADLINE_S: Final = 30.0
"""For one image, at each of its two tries: the largest radiographs take two seconds on an old processor."""
_START_S: Final = 60.0
_CLOSE_S: Final = 5.0
_GRACE_S: Final = 2.0
"""A decoder ends itself when its time is over; so much later it is ended."""
_LARGEST_HEADER: Final = 65_536
_KINDS: Final = {kind.__name__: kind for kind in (BadTag, MissingTag, NotDicom, Undecodable, Unfit)}


class Decoders:
    """Some decoder processes, each at one image at a time; with a `count` of 0 everything is done in the reader's thread."""

    def __init__(
        self, files: Files, count: int, deadline_s: float = DEADLINE_S, module: str = "radloop.inference.adapters.decoder",
    ) -> None:
        self._files, self._count, self._deadline, self._module = files, count, deadline_s, module
        self._free = threading.Condition()
        self._idle: list[_Decoder | None] = [None] * count
        self._busy = set[_Decoder]()
        self._alone = threading.Lock()
        self._closing = False

    def start(self) -> None:
        """Begin to start the decoders, so that the first compressed image finds them warm; wait for none of them."""
        with self._free, suppress(Transient):  # who needs one that could not be started tries again
            for place, known in enumerate(self._idle):
                self._idle[place] = known or _Decoder(self._module)

    def stop(self) -> None:
        """Let images in hand be finished for a moment, then end every decoder."""
        with self._free:
            self._closing = True
            self._free.notify_all()
            self._free.wait_for(lambda: not self._busy, _CLOSE_S)
            for busy in self._busy:
                busy.kill()  # its reader sees the connection break
            for idle in self._idle:
                if idle is not None:
                    idle.close()

    def prepare(
        self, sha256: str, preparation: Preparation, orientations: Collection[str] = (), frame: int = 1,
    ) -> NDArray[np.float32]:
        """Return an image in the model's terms; see `ports.Preparer`."""
        return self.prepare_bytes(self._files.get(sha256), preparation, orientations, frame)

    def prepare_bytes(
        self, file: bytes, preparation: Preparation, orientations: Collection[str] = (), frame: int = 1,
    ) -> NDArray[np.float32]:
        """Return an image at hand, kept nowhere, in the model's terms."""
        if not self._count or is_plain(file):
            return prepare_file(file, frame, preparation, orientations)
        asked = Asked(preparation, tuple(orientations), frame, self._deadline)
        try:
            with self._a_decoder() as decoder:
                return decoder.prepare(file, asked)
        except _EndedError as first:
            log.warning("a decoder ended over an image: it is tried once more, alone", extra={"how": first.how, "bytes": len(file)})
        with self._alone:
            try:
                with self._fresh_decoder() as decoder:
                    return decoder.prepare(file, asked)
            except _EndedError as again:
                raise Undecodable("PixelData", f"ends its decoder ({again.how})") from again

    @contextmanager
    def _a_decoder(self) -> Iterator["_Decoder"]:
        """Lend the first free decoder; one that ended leaves its place to a new one."""
        with self._free:
            self._free.wait_for(lambda: self._idle or self._closing)
            self._refuse_when_closing()
            decoder = self._idle.pop()
        try:
            decoder = decoder or _Decoder(self._module)
            with self._watched(decoder):
                yield decoder
        finally:
            with self._free:
                if decoder is not None and self._closing:
                    decoder.close()
                self._idle.append(None if decoder is None or decoder.closed else decoder)
                self._free.notify()

    @contextmanager
    def _fresh_decoder(self) -> Iterator["_Decoder"]:
        with self._free:
            self._refuse_when_closing()
        decoder = _Decoder(self._module)
        try:
            with self._watched(decoder):
                yield decoder
        finally:
            decoder.close()

    @contextmanager
    def _watched(self, decoder: "_Decoder") -> Iterator[None]:
        """Count a decoder as busy; one that the closing ended says nothing about its image."""
        with self._free:
            self._busy.add(decoder)
        answered = False
        try:
            yield
            answered = True
        except DicomError:
            answered = True
            raise
        except _EndedError:
            self._refuse_when_closing()
            raise
        finally:
            if not answered:  # its answer may still be on the way, and must not be taken for that to the next image
                decoder.close()
            with self._free:
                self._busy.discard(decoder)
                self._free.notify_all()

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise Transient("closing: the image is read by the next process", after=1.0)


class _EndedError(Exception):
    """A decoder came to its end over an image."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class _Decoder:
    """One process and the connection to it."""

    def __init__(self, module: str) -> None:
        try:
            self._ours, theirs = Pipe()
        except OSError as failed:
            raise Transient(f"no decoder can be started: {failed.strerror}", after=5.0) from failed
        # Passwords are in the settings: a decoder that a hostile file took over is to find none.
        known = {name: value for name, value in os.environ.items() if not name.startswith("RADLOOP_")}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
                (sys.executable, "-m", module, str(theirs.fileno())), pass_fds=(theirs.fileno(),), env=known,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        except OSError as failed:
            self._ours.close()
            raise Transient(f"no decoder can be started: {failed.strerror}", after=5.0) from failed
        finally:
            theirs.close()
        self._ready = self._late = self.closed = False

    def prepare(self, file: bytes, asked: Asked) -> NDArray[np.float32]:
        """Return the image; raise DicomError where it is refused, _EndedError where the process did not survive it."""
        self._await_start()
        overdue = threading.Timer(asked.seconds + _GRACE_S, self._give_up)
        overdue.daemon = True
        overdue.start()
        try:
            self._ours.send_bytes(ASKED.dump_json(asked))
            self._ours.send_bytes(file)
            told: dict[str, Any] = json.loads(self._ours.recv_bytes(_LARGEST_HEADER))
            # A decoder that a file took over may say anything: no more of it is taken than was asked for.
            shape = asked.preparation.channels, asked.preparation.rows, asked.preparation.columns
            pixels = self._ours.recv_bytes(4 * math.prod(shape))
            if "refused" not in told:
                return np.frombuffer(pixels, "<f4").reshape(shape)
            refused = _KINDS[told["refused"]](told["keyword"], told["problem"])
        except (EOFError, OSError) as gone:
            raise _EndedError(self._how_it_ended(asked.seconds)) from gone
        except (ValueError, KeyError, TypeError) as nonsense:
            raise _EndedError("its answer makes no sense") from nonsense
        finally:
            overdue.cancel()
        raise refused

    def kill(self) -> None:
        """End the process, whatever it is at; who waits for its answer sees the connection break."""
        self._process.kill()

    def close(self) -> None:
        """End the process and give back what it held; only for who has it in hand."""
        self.kill()
        self._process.wait()
        self._ours.close()
        self.closed = True

    def _give_up(self) -> None:
        self._late = True
        self.kill()

    def _await_start(self) -> None:
        """Return once it has loaded its libraries. One that cannot says nothing about any image."""
        if self._ready:
            return
        try:
            self._ready = self._ours.poll(_START_S) and self._ours.recv_bytes(_LARGEST_HEADER) == READY
        except (EOFError, OSError) as gone:
            self.close()
            raise Transient(f"a decoder does not start (exit {self._process.returncode})", after=5.0) from gone
        if not self._ready:
            self.close()
            raise Transient(f"a decoder does not start within {_START_S:.0f} s", after=5.0)

    def _how_it_ended(self, seconds: float) -> str:
        """Return why the connection broke: that its time was over, the signal, the exit status."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        status = self._process.returncode
        if self._late or status == -signal.SIGALRM:
            return f"not done in {seconds:g} s"
        if status is None:  # it runs on, and said more than could be taken
            return "its answer makes no sense"
        return signal.Signals(-status).name if status < 0 else f"exit {status}"
