"""What httpx raises and what a FHIR server answers, in the words of kit.errors.

No diagnostics are repeated: a server may quote the patient in them. Codes and element paths say enough.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from radloop.kit.errors import Permanent, Transient

_BUSY: Final = frozenset({401, 403, 408, 423, 425, 429})
"""Not the message's fault: credentials, time-outs, locks, limits. It waits until somebody has put that right."""
_CONFLICTS: Final = frozenset({409, 412})
_OUTCOME_CODE: Final = re.compile(r"[a-z][a-z-]{1,40}")
_ELEMENT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]]{0,100}")
_AWAY: Final = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict)


@contextmanager
def translated(who: str) -> Iterator[None]:
    """Turn every exception of httpx into one of ours."""
    try:
        yield
    except httpx.LocalProtocolError as wrong:
        raise Permanent(f"{who} cannot be sent this: {type(wrong).__name__}") from wrong
    except _AWAY as away:
        raise Transient(f"{who} is away: {type(away).__name__}") from away


def conflict(answer: httpx.Response) -> bool:
    """Whether a write rested on a version that is no longer the current one, or on a condition that no longer holds."""
    return answer.status_code in _CONFLICTS


def unwelcome(answer: httpx.Response) -> None:
    """Raise Transient or Permanent for an answer that is not a success."""
    status = answer.status_code
    if answer.is_success:
        return
    said = f"the EHR answered {status}{outcome(answer)}"
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status in _BUSY | _CONFLICTS:
        after = answer.headers.get("Retry-After", "")
        raise Transient(said, after=float(after) if after.isdigit() else None)
    raise Permanent(said)


def outcome(answer: httpx.Response) -> str:
    """Say what an OperationOutcome says, by codes and element paths alone; empty where there is none."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    if not isinstance(body, dict) or body.get("resourceType") != "OperationOutcome":
        return ""
    said = []
    for issue in body.get("issue", [])[:5]:
        code = str(issue.get("code", ""))
        places = [str(place) for place in (issue.get("expression") or issue.get("location") or [])]
        shown = [place for place in places if _ELEMENT.fullmatch(place)]
        if _OUTCOME_CODE.fullmatch(code):
            said.append(code + (f" at {', '.join(shown)}" if shown else ""))
    return f": {'; '.join(said)}" if said else ""
