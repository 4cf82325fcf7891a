"""One exchange over HTTP, bounded in time and size, and what came of it in the words of kit.errors.

No diagnostics are repeated: a server may quote the patient in them. Codes and element paths say enough.
"""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

import httpx

from radloop.kit.errors import Permanent, Transient
from radloop.publishing.adapters.away import BELIEVED_S

ANSWER_LIMIT: Final = 16 * 1024 * 1024

_BUSY: Final = frozenset({408, 423, 425, 429})
"""Time-outs, locks and limits: not the message's fault. It waits."""
_FORBIDDEN: Final = frozenset({401, 403})
"""Credentials, or what they allow: it waits until somebody has put that right."""
_CONFLICTS: Final = frozenset({409, 412})
_OUTCOME_CODE: Final = re.compile(r"[a-z][a-z-]{1,40}")
_ELEMENT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]]{0,100}")
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_AWAY: Final = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict)


class Deadline:
    """Cuts an exchange off when its time is over, whatever the other side is doing."""

    def __init__(self, who: str, seconds: float) -> None:
        self._late = f"{who} did not answer within {seconds:g} s"
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._sockets: list[socket.socket] = []
        self._over = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Begin to count."""
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Raise Transient where the time was over, also where what came until then looks whole."""
        self._timer.cancel()
        if self._over:
            raise Transient(self._late) from error

    def watch(self, event: str, info: dict[str, Any]) -> None:
        """Note a connection as httpx makes it (its `trace` extension); one made too late is cut at once."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._sockets.append(info["return_value"].get_extra_info("socket"))
            if self._over:
                self._cut()

    def _cut(self) -> None:
        with self._lock:
            self._over = True
            for one in self._sockets:
                with suppress(OSError):
                    # Of TCP alone: a TLS socket that takes leave changes under the thread that is reading from it.
                    socket.socket.shutdown(one, socket.SHUT_RDWR)


def whole(client: httpx.Client, who: str, limit_s: float, method: str, path: str, **given: Any) -> httpx.Response:
    """Ask, and return the answer with its body, at most ANSWER_LIMIT bytes; raise Transient or Permanent where there is none."""
    content = bytearray()
    with (
        Deadline(who, limit_s) as deadline, translated(who),
        client.stream(method, path, extensions={"trace": deadline.watch}, **given) as answer,
    ):
        coding = answer.headers.get("Content-Encoding", "identity")
        if coding != "identity":
            raise Transient(f"{who} packed its answer, though it was asked not to")
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > ANSWER_LIMIT:
                raise Transient(f"{who} answered with more than {ANSWER_LIMIT >> 20} MB")
    return httpx.Response(answer.status_code, headers=answer.headers, content=bytes(content), request=answer.request)


@contextmanager
def translated(who: str) -> Iterator[None]:
    """Turn every exception of httpx into one of ours."""
    try:
        yield
    except httpx.LocalProtocolError as wrong:
        raise Permanent(f"{who} cannot be sent this: {type(wrong).__name__}") from wrong
    except _AWAY as away:
        raise Transient(f"{who} is away: {type(away).__name__}") from away


def conflict(status: int) -> bool:
    """Whether a write rested on a version that is no longer the current one, or on a condition that no longer holds."""
    return status in _CONFLICTS


def unwelcome(answer: httpx.Response) -> None:
    """Raise Transient or Permanent for an answer that is not a success."""
    asked = answer.headers.get("Retry-After", "")
    after = min(float(asked), BELIEVED_S) if _SECONDS.fullmatch(asked) else None
    judge(answer.status_code, outcome(answer), after)


def judge(status: int, said: str = "", after: float | None = None) -> None:
    """Raise Transient or Permanent for a status that is not a success; the reason says what to do."""
    if httpx.codes.is_success(status):
        return
    told = f"the EHR answered {status}{said}"
    if status in _FORBIDDEN:
        raise Transient(f"{told}: look at RADLOOP_PUBLISHING_EHR_TOKEN, and at what it may do there", after)
    if httpx.codes.is_redirect(status):
        raise Transient(f"{told}, which is not followed: set RADLOOP_PUBLISHING_EHR to where its FHIR base really is", after)
    if not httpx.codes.is_client_error(status) or status in _BUSY | _CONFLICTS:
        raise Transient(told, after)
    raise Permanent(f"{told}: it is not sent again as it is; put right what refuses it there")


def outcome(answer: httpx.Response) -> str:
    """Say what an OperationOutcome says, by codes and element paths alone; empty where there is none."""
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        return ""
    if not isinstance(body, dict) or body.get("resourceType") != "OperationOutcome":
        return ""
    said = []
    for issue in objects(body.get("issue"))[:5]:
        code = str(issue.get("code", ""))
        named = issue.get("expression") or issue.get("location")
        places = [str(place) for place in named] if isinstance(named, list) else []
        shown = [place for place in places if _ELEMENT.fullmatch(place)]
        if _OUTCOME_CODE.fullmatch(code):
            said.append(code + (f" at {', '.join(shown)}" if shown else ""))
    return f": {'; '.join(said)}" if said else ""


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of what should be a list of them: a peer's JSON may be of any shape."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
