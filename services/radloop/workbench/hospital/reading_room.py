"""The reading room as any other program meets it: the worklist's public JSON API, and simulated readers who use it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from radloop.kit.errors import Permanent, Transient
from radloop.standards.codes import PNEUMONIA
from radloop.workbench.hospital.readers import Opinion, Radiologist

_FINDING = {"system": PNEUMONIA.system, "value": PNEUMONIA.value, "display": PNEUMONIA.display}
_TRIES = 5
_PATIENCE = 30.0
_UNCOVERED = 5.0


@dataclass(frozen=True)
class Given:
    """An answer that the reader gave and the page took.

    `hidden` says that the AI was not on the screen; `machine` is what it says of the case (present, absent, or empty: nothing),
    looked up after the answer where it was hidden. `followed` says that the reader thought otherwise and took the screen's word.
    `seconds` are simulated.
    """

    reader: str
    accession: str
    case_id: str
    kind: str
    opinion: Opinion
    request_id: str
    hidden: bool
    machine: str
    followed: bool
    seconds: float


class ReadingRoom:
    """The worklist's HTTP door. Every call may raise Transient (it is away) or Permanent (never as it is)."""

    def __init__(self, address: str) -> None:
        """Connect at the first call; `address` is host:port."""
        self._http = httpx.Client(base_url=f"http://{address}", timeout=30)

    def __enter__(self) -> Self:
        """Return the room."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave."""
        self.close()

    def close(self) -> None:
        """Leave."""
        self._http.close()

    def rows(self, view: str) -> list[dict[str, Any]]:
        """Return a list in its order: reading, reviews or done."""
        found: list[dict[str, Any]] = self._get("/api/rows", {"view": view})["rows"]
        return found

    def serving(self) -> Mapping[str, Any]:
        """Return which version speaks on the list."""
        return self._get("/api/serving", {})

    def find(self, accession: str) -> tuple[str, ...]:
        """Return the cases of an accession number."""
        return tuple(self._get("/api/find", {"accession": accession})["case_ids"])

    def screen(self, case: str, request: str = "") -> Mapping[str, Any] | None:
        """Return a case as it may be shown, None while the page does not know it."""
        answer = self._ask("GET", f"/api/cases/{case}", params={"request": request})
        return None if answer.status_code == httpx.codes.NOT_FOUND else self._read(answer)

    def open(self, case: str, body: Mapping[str, object]) -> str:
        """Open a case; return why not, empty where it was done."""
        return self._command(f"/api/cases/{case}/open", body)

    def verdict(self, case: str, body: Mapping[str, object]) -> str:
        """Give a verdict; return why it was refused, empty where it was taken."""
        return self._command(f"/api/cases/{case}/verdicts", body)

    def _command(self, path: str, body: Mapping[str, object]) -> str:
        answer = self._ask("POST", path, json=body)
        if answer.status_code == httpx.codes.CONFLICT:
            return str(answer.json().get("reason") or "refused")
        return "" if self._read(answer)["done"] else "refused"

    def _get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        return self._read(self._ask("GET", path, params=params))

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise Transient("the worklist says: not at the moment")
        if not answer.is_success:
            raise Permanent(f"the worklist answered {answer.status_code}")
        body: dict[str, Any] = answer.json()
        return body

    def _ask(self, method: str, path: str, **what: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **what)
        except httpx.TransportError as away:
            raise Transient("the worklist does not answer") from away


class Desk:
    """One reader at one screen. What is given is counted here, by the reader, not by the platform."""

    def __init__(self, reader: Radiologist, room: ReadingRoom) -> None:
        """Sit down; nothing is asked yet."""
        self.reader = reader
        self._room = room
        self.given: list[Given] = []

    def answer(self, case: str, request: str = "", look: Callable[[float], object] | None = None) -> Given:
        """Open a case, look at it and say what is there; where the screen was replaced meanwhile, look again.

        `look` waits while the reader looks, until so many simulated seconds after the case was taken up; without it the seconds are
        only stated, not spent.
        """
        screen = self._await_screen(case, request)
        accession = screen["accession"]
        self._room.open(case, {"command_id": str(uuid4()), "reader": self.reader.name, **_shown(screen, request)})
        seconds = self.reader.seconds(accession, review=bool(request))
        if look is not None:
            look(seconds)
        refused = ""
        for _ in range(_TRIES):
            screen = self._await_screen(case, request)
            thought = self.reader.reads(accession, machine(screen))
            kind = _kind(screen, thought.opinion)
            refused = self._room.verdict(case, {
                "verdict_id": str(uuid4()), "reader": self.reader.name, "kind": kind, "seconds_spent": round(seconds, 1),
                "answers": [{"code": _FINDING, "value": thought.opinion}], **_shown(screen, request),
            })
            if not refused:
                hidden = not screen["ai_shown"]
                said = self._uncovered(case, request) if hidden and request else machine(screen)
                given = Given(
                    self.reader.name, accession, case, kind, thought.opinion, request, hidden, said, thought.followed, seconds,
                )
                self.given.append(given)
                return given
            time.sleep(0.1)
        raise Permanent(f"the verdict was refused {_TRIES} times: {refused}")

    def _uncovered(self, case: str, request: str) -> str:
        """Return what the model says of a case whose answer is given: it is shown as soon as the page has heard of that."""
        deadline = time.monotonic() + _UNCOVERED
        while time.monotonic() < deadline:
            try:
                screen = self._room.screen(case, request)
            except Transient:  # the answer is given: only the look afterwards has to be taken again
                screen = None
            if screen is not None and screen["ai_shown"]:
                return machine(screen)
            time.sleep(0.05)
        return ""

    def _await_screen(self, case: str, request: str) -> Mapping[str, Any]:
        """Return the screen once the page knows the case and the request: events travel while we ask."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            screen = self._room.screen(case, request)
            if screen is not None and (not request or (screen["row"]["request_id"] == request and _asked(screen))):
                return screen
            time.sleep(0.1)
        raise Permanent("the page does not show the case that was asked about")


def machine(screen: Mapping[str, Any]) -> str:
    """Return what a screen says the model says: present, absent, or empty where it shows nothing."""
    if not screen["ai_shown"]:
        return ""
    return next((str(one["answer"]) for one in screen["row"]["said"]), "")


def _asked(screen: Mapping[str, Any]) -> bool:
    """Say whether the page has heard of the request: until then it shows nothing of an earlier study's reading."""
    row = screen["row"]
    return bool(row["asked"] and (row["ai_hidden"] or screen["ai_shown"]))


def _shown(screen: Mapping[str, Any], request: str) -> dict[str, object]:
    row = screen["row"]
    return {
        "revision": row["revision"], "prediction_id": row["prediction_id"], "ai_shown": screen["ai_shown"], "request_id": request,
    }


def _kind(screen: Mapping[str, Any], opinion: Opinion) -> str:
    """Name the answer as the page's keys do: accept (A), reject (R) a finding that is not there, edit (E), cannot say (C)."""
    if opinion == "cannot-say":
        return "cannot-say"
    said = machine(screen)
    if said == opinion:
        return "accept"
    return "reject" if said == "present" else "refine"
