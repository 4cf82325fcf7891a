"""The page's door: static files, a JSON API and server-sent events (Starlette on uvicorn, in a thread of its own).

The API is public: other programs (a PACS that opens a case, simulated readers) use what the page uses. Bodies are JSON,
times are ISO 8601 in UTC. A door's answer to a command is `{"done": true, "reason": ""}`, or with status 409 (refused, and
why, in words for the reader), 400 (no such command as it is written), 404, 415 or 503 (a dependency is away: send the same
again). Commands carry an id that the sender makes: sent twice, they are done once and answered alike.

    GET  /api/serving                                 which model version speaks, since when: mode production, canary, shadow, none
    GET  /api/rows?view=reading|reviews|done          {"at", "rows": [Row]} in order (see domain/screen.py for the fields)
    GET  /api/find?accession=A                        {"case_ids": []}
    GET  /api/cases/{case}?request=R                  Screen; with an audit request unanswered, without what the model said
    GET  /api/cases/{case}/images/{sop}/{frame}?longest=N           header of a frame: rows, columns, window, inverted, ...
    GET  /api/cases/{case}/images/{sop}/{frame}/pixels?longest=N    its pixels, unsigned 16 bits, little endian, row by row
    GET  /api/cases/{case}/evidence?request=R&system=S&value=V      {"rows", "columns", "values": [[0..1]], ...}
    POST /api/cases/{case}/open       {"command_id", "reader", "revision", "prediction_id", "ai_shown", "request_id"}: who looks
         (at most 64 characters) and what was on the screen, which must be something that was there to be shown
    POST /api/cases/{case}/verdicts   the same with "verdict_id" for "command_id", and "kind" (accept, reject, refine,
         cannot-say), "answers": [{"code": {"system", "value", "display"}, "value": present|absent|cannot-say}],
         "seconds_spent"
    POST /api/cases/{case}/verdicts/{verdict}/take-back   {"command_id", "reader"}
    POST /api/cases/{case}/undo       {"command_id", "reader"}: the reordering
    GET  /api/events                                  server-sent: event "changed", data {"case_ids": []} (empty: anything)

There is no login yet. The door listens on loopback unless it is told otherwise, and answers only to host names it knows.
"""

import asyncio
import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeVar, get_args

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radloop.events.common import Actor, Code, actor_named
from radloop.events.reading import FindingAnswer
from radloop.kit import codec
from radloop.kit.errors import Misconfigured, Permanent, Transient
from radloop.kit.settings import host_and_port
from radloop.worklist.domain.screen import View
from radloop.worklist.ports import Done, Image, Page, Shown, VerdictGiven

log = logging.getLogger(__name__)
T = TypeVar("T")

PAGE: Final = Path(str(files("radloop.worklist.adapters"))) / "page"
LARGEST_BODY: Final = 64 * 1024
KEEP_ALIVE_S: Final = 15.0
CONNECTIONS: Final = 1_000
STREAMS: Final = 200
"""Pages that hear of changes at once; one more is told to come again."""
NAMED: Final = 500
"""So many cases are named in one change to a page that reads slowly; of more it is told that anything may have changed."""
KINDS: Final = frozenset({"accept", "reject", "refine", "cannot-say"})
VALUES: Final = frozenset({"present", "absent", "cannot-say"})
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # an address may hold an accession number
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",  # what patients' images and names are shown with stays out of every cache
}


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The body of a command."""

    command_id: str
    reader: str
    revision: int = 0
    prediction_id: str = ""
    ai_shown: bool = False
    request_id: str = ""


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """The body of a verdict."""

    verdict_id: str
    reader: str
    kind: str
    answers: tuple[FindingAnswer, ...]
    revision: int
    seconds_spent: float
    prediction_id: str = ""
    ai_shown: bool = False
    request_id: str = ""


class _Guarded:
    """Puts our headers on every answer; refuses a command that a foreign page could send without asking the browser."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                kept = [(name, value) for name, value in message["headers"] if name.decode() not in _HEADERS]
                message = {**message, "headers": [*kept, *ours]}
            await send(message)

        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            await _missing()(scope, receive, dressed)  # no name of ours holds it, and no database takes it
            return
        if scope["type"] == "http" and scope["method"] == "POST":
            kind = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip()
            if kind != b"application/json":
                await _json(Done(done=False, reason="a command's content-type is application/json"), 415)(scope, receive, dressed)
                return
        await self._app(scope, receive, dressed)


def _json(value: object, status: int = 200) -> Response:
    return Response(codec.encode(value), status, media_type="application/json")


def _missing() -> Response:
    return _json(Done(done=False, reason="there is no such thing"), 404)


def _settled(done: Done) -> Response:
    return _json(done, 200 if done.done else 409)


class PageServer:
    """The door, open between `start` and `stop`; port 0 picks a free one (see `port`)."""

    def __init__(self, page: Page, address: str, hosts: Sequence[str] = ()) -> None:
        """Listen on host:port; `hosts` are further names by which readers' browsers may ask for it."""
        host, port = host_and_port(address)
        self._page = page
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host.strip("[]"), port), family=family)
        except OSError as taken:
            raise Misconfigured(f"cannot listen on {address}: {taken.strerror}") from taken
        self.port: int = self._socket.getsockname()[1]
        self._closing = threading.Event()
        self._streams = 0
        self._server = uvicorn.Server(uvicorn.Config(
            self._app(["127.0.0.1", "localhost", "::1", host, *hosts]), log_config=None, access_log=False, lifespan="off",
            server_header=False, timeout_graceful_shutdown=2, limit_concurrency=CONNECTIONS,
        ))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="page", daemon=True)

    def start(self) -> None:
        """Open the door."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the answers in hand, end the event streams, close."""
        self._closing.set()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._socket.close()

    def _app(self, hosts: list[str]) -> ASGIApp:
        case = "/api/cases/{case}"
        image = case + "/images/{sop}/{frame:int}"
        return Starlette(
            routes=[
                Route("/", self._index),
                Route("/api/serving", self._door(self._serving)),
                Route("/api/rows", self._door(self._rows)),
                Route("/api/find", self._door(self._find)),
                Route("/api/events", self._events),
                Route(case, self._door(self._screen)),
                Route(image, self._door(self._image)),
                Route(image + "/pixels", self._door(self._pixels)),
                Route(case + "/evidence", self._door(self._evidence)),
                Route(case + "/open", self._command(self._open), methods=["POST"]),
                Route(case + "/undo", self._command(self._undo), methods=["POST"]),
                Route(case + "/verdicts", self._command(self._verdict), methods=["POST"]),
                Route(case + "/verdicts/{verdict}/take-back", self._command(self._take_back), methods=["POST"]),
                Mount("/page", StaticFiles(directory=PAGE)),
            ],
            middleware=[Middleware(_Guarded), Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        )

    def _door(self, answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def ask(request: Request) -> Response:
            return await run_in_threadpool(_translated, answer, request)
        return ask

    def _command(self, answer: Callable[[Request, bytes], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def ask(request: Request) -> Response:
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    return _json(Done(done=False, reason="too long for a command"), 413)
            return await run_in_threadpool(_translated, answer, request, body)
        return ask

    async def _index(self, _: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    def _serving(self, _: Request) -> Response:
        return _json(self._page.serving())

    def _rows(self, request: Request) -> Response:
        view = request.query_params.get("view", "reading")
        if view not in get_args(View):
            return _missing()
        return _json({"at": self._page.now(), "rows": self._page.rows(view)})  # type: ignore[arg-type]  # checked above

    def _find(self, request: Request) -> Response:
        return _json({"case_ids": self._page.find(request.query_params.get("accession", ""))})

    def _screen(self, request: Request) -> Response:
        screen = self._page.screen(request.path_params["case"], request.query_params.get("request", ""))
        return _missing() if screen is None else _json(screen)

    def _image(self, request: Request) -> Response:
        image = self._frame(request)
        return _missing() if image is None else _json(replace(image, pixels=b""))

    def _pixels(self, request: Request) -> Response:
        image = self._frame(request)
        return _missing() if image is None else Response(image.pixels, media_type="application/octet-stream")

    def _frame(self, request: Request) -> Image | None:
        asked = request.path_params
        longest = request.query_params.get("longest", "2048")
        if not longest.isdigit() or not 64 <= int(longest) <= 4096:
            raise Permanent("longest is between 64 and 4096")
        return self._page.image(asked["case"], asked["sop"], asked["frame"], int(longest))

    def _evidence(self, request: Request) -> Response:
        asked = request.query_params
        code = Code(system=asked.get("system", ""), value=asked.get("value", ""))
        evidence = self._page.evidence(request.path_params["case"], asked.get("request", ""), code)
        return _missing() if evidence is None else _json(evidence)

    def _open(self, request: Request, body: bytes) -> Response:
        asked = _read(_Asked, body)
        shown = _shown(request.path_params["case"], asked)
        return _settled(self._page.open_case(asked.command_id, _reader(asked.reader), shown))

    def _undo(self, request: Request, body: bytes) -> Response:
        asked = _read(_Asked, body)
        return _settled(self._page.undo_reordering(asked.command_id, _reader(asked.reader), request.path_params["case"]))

    def _take_back(self, request: Request, body: bytes) -> Response:
        asked, named = _read(_Asked, body), request.path_params
        return _settled(self._page.take_back(asked.command_id, _reader(asked.reader), named["case"], named["verdict"]))

    def _verdict(self, request: Request, body: bytes) -> Response:
        try:
            verdict = _verdict_of(request.path_params["case"], body)
        except Permanent as wrong:
            self._page.quarantine(body, wrong.reason)
            raise
        return _settled(self._page.record_verdict(verdict))

    async def _events(self, request: Request) -> Response:
        if self._streams >= STREAMS:
            return _json(Done(done=False, reason="too many pages are listening"), 503)
        return StreamingResponse(self._changes(request), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _changes(self, request: Request) -> AsyncIterator[str]:
        """Yield what changed, many small changes in one: the page asks for the rows again anyway."""
        loop, changed, told = asyncio.get_running_loop(), set[str](), asyncio.Event()

        def note(cases: Sequence[str]) -> None:
            changed.update(cases or ("",))
            if len(changed) > NAMED:
                changed.clear()
                changed.add("")
            told.set()

        self._streams += 1
        end = self._page.listen(lambda cases: _call(loop, note, cases))
        waited = 0.0
        try:
            yield "retry: 1000\n: the list as it changes\n\n"
            while not self._closing.is_set() and not await request.is_disconnected():
                try:
                    await asyncio.wait_for(told.wait(), 0.5)
                except TimeoutError:
                    waited += 0.5
                    if waited >= KEEP_ALIVE_S:
                        waited = 0.0
                        yield ": still here\n\n"
                    continue
                await asyncio.sleep(0.05)  # let a burst become one event
                told.clear()
                cases = [] if "" in changed else sorted(changed)
                changed.clear()
                yield f"event: changed\ndata: {json.dumps({'case_ids': cases})}\n\n"
        finally:
            self._streams -= 1
            end()


def _call(loop: asyncio.AbstractEventLoop, note: Callable[[Sequence[str]], None], cases: Sequence[str]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(note, cases)


def _translated(answer: Callable[..., Response], *asked: object) -> Response:
    """Answer, with our errors as statuses."""
    try:
        return answer(*asked)
    except Transient as away:
        log.warning("the page must wait", extra={"reason": away.reason})
        return _json(Done(done=False, reason=f"not possible at the moment ({away.reason})"), 503)
    except Permanent as never:
        return _json(Done(done=False, reason=never.reason), 400)


def _read(kind: type[T], body: bytes) -> T:
    return codec.decode(kind, body)


def _reader(name: str) -> Actor:
    return actor_named("reader", name)


def _shown(case_id: str, asked: _Asked | _Answer) -> Shown:
    """Return what was on the screen; raise Permanent where it contradicts itself: it decides whether an answer counts as blind."""
    if asked.ai_shown != bool(asked.prediction_id):
        raise Permanent("ai_shown says that a reading was on the screen, and prediction_id says which: give both or neither")
    return Shown(
        case_id=case_id, revision=asked.revision, prediction_id=asked.prediction_id, ai_shown=asked.ai_shown,
        request_id=asked.request_id,
    )


def _verdict_of(case_id: str, body: bytes) -> VerdictGiven:
    """Read a verdict; raise Permanent for what is none."""
    asked = _read(_Answer, body)
    if asked.kind not in KINDS or not asked.answers or {one.value for one in asked.answers} - VALUES:
        raise Permanent("a verdict is accept, reject, refine or cannot-say, and answers present, absent or cannot-say")
    if not asked.verdict_id or not 0 <= asked.seconds_spent < float("inf"):
        raise Permanent("a verdict has an id and the seconds it took")
    return VerdictGiven(
        verdict_id=asked.verdict_id, reader=_reader(asked.reader), kind=asked.kind, answers=asked.answers, shown=_shown(case_id, asked),
        seconds_spent=asked.seconds_spent,
    )
