"""The EHR over FHIR R4 REST: find what is its own, write what is ours, change nothing on a retry.

hl7.org/fhir/R4/http.html: update as create (3.1.0.4.1), If-Match (3.1.0.5), conditional create (3.1.0.7.1), transaction
(3.1.0.11). Identifiers are searched for by POST, so that none stands in a URL that someone logs.
"""

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from radloop.kit.errors import Misconfigured, Permanent, Transient
from radloop.kit.telemetry import traceparent
from radloop.publishing.adapters.away import PATIENCE
from radloop.publishing.adapters.http import conflict, judge, objects, outcome, unwelcome, whole
from radloop.standards.fhir.lookup import Lookup
from radloop.standards.fhir.results import CONTENT_TYPE, resources_of
from radloop.standards.fhir.values import OWN_IDENTIFIERS, Named

CONFLICTS: Final = 3
"""How often a write that somebody else overtook is made again at once, before it waits like any other."""
ALIKE: Final = "10"
"""How many of the EHR's own are looked at where an identifier is not the only one's."""
_ID: Final = re.compile(r"[A-Za-z0-9.\-_]{1,255}")
"""An id as servers make them: R4 allows 64 characters, some take more."""
_FAILED: Final = frozenset({"error", "fatal"})
_LOCATION: Final = re.compile(r"(?:^|/)([A-Za-z]+)/([A-Za-z0-9.\-_]{1,255})(?:/_history/[^/]*)?$")

Json = dict[str, Any]


@dataclass(frozen=True)
class Capability:
    """What the EHR's CapabilityStatement promises: ids of the client's choosing, and transactions."""

    client_ids: bool
    transactions: bool


@dataclass(frozen=True)
class Sent:
    """What stands at the EHR now: resources as `Type/id`, the report first, and how many had to be written."""

    resources: tuple[str, ...]
    written: int


@dataclass(frozen=True)
class _Standing:
    """A resource as the EHR has it: its id there and its ETag; the ETag is empty where there is none."""

    id: str
    etag: str = ""
    resource: Json | None = None


class Ehr:
    """A FHIR R4 server that is the hospital's record."""

    def __init__(self, base_url: str, *, token: str = "", timeout: float = 10.0,
                 transport: httpx.BaseTransport | None = None) -> None:
        if httpx.URL(base_url).scheme not in {"http", "https"}:
            raise Misconfigured("the EHR's address must be an http or https URL")
        headers = {"Accept": CONTENT_TYPE, "Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(base_url=base_url.rstrip("/"), headers=headers, timeout=timeout, transport=transport,
                                  limits=httpx.Limits(max_keepalive_connections=0))
        self._limit_s = PATIENCE * timeout
        self._capability: Capability | None = None

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def capability(self) -> Capability:
        """Ask once what the server can do. Raises Transient while it is away, or is no FHIR server at all."""
        if self._capability is None:
            try:
                said = self._request("GET", "/metadata", "CapabilityStatement")
            except Permanent as wrong:
                raise Transient(f"no FHIR server is at RADLOOP_PUBLISHING_EHR: /metadata says {wrong.reason}") from wrong
            rest: Json = next((rest for rest in objects(said.get("rest")) if rest.get("mode") == "server"), {})
            reports: Json = next((one for one in objects(rest.get("resource")) if one.get("type") == "DiagnosticReport"), {})
            does = {str(one.get("code")) for one in objects(rest.get("interaction"))}
            self._capability = Capability(bool(reports.get("updateCreate")), "transaction" in does)
        return self._capability

    def find(self, named: Named, patient: str = "") -> str:
        """Return the EHR's id of what is its own, empty where none, or more than one, bears the identifiers.

        What several bear is told apart by the next identifier. What belongs to another patient than the one given (the
        EHR's id) is not what was meant.
        """
        among: set[str] = set()
        for identifier in named.identifiers:
            found = self._search(named.type, {"identifier": f"{identifier.system}|{_escaped(identifier.value)}", "_count": ALIKE})
            ids = {str(one["id"]) for one in found if not patient or _subject(one) in {"", patient}}
            if (found and not ids) or (among and ids and not ids & among):
                return ""
            among = (ids & among or ids) or among
            if len(among) == 1:
                return among.pop()
        return ""

    def look_up(self, asked: Lookup) -> Lookup:
        """Fill in the ids of what the EHR knows; orders and studies of another patient are not what was meant."""
        patient = self.find(asked.patient)
        return Lookup(
            patient=replace(asked.patient, id=patient),
            orders=tuple(replace(order, id=self.find(order, patient)) for order in asked.orders),
            study=replace(asked.study, id=self.find(asked.study, patient)),
        )

    def put(self, body: bytes) -> Sent:
        """Make the resources of a transaction Bundle stand at the EHR; what stands there already is left alone.

        Raises Transient while the EHR is away or busy, Permanent where it refuses what was sent.
        """
        try:
            resources = resources_of(body)
        except ValueError as wrong:
            raise Permanent(str(wrong)) from wrong
        for _ in range(CONFLICTS):
            sent = self._write(resources)
            if sent is not None:
                return sent
        raise Transient("somebody else keeps changing the same resource")

    def _write(self, resources: tuple[Json, ...]) -> Sent | None:
        """Write what differs; None where somebody else was quicker and it must be looked at again."""
        able = self.capability()
        if not able.client_ids:
            return self._write_by_search(resources)
        standing = [(resource, self._read(resource)) for resource in resources]
        differing = [(resource, was) for resource, was in standing if not _same(resource, was.resource)]
        names = tuple(sorted((f"{one['resourceType']}/{one['id']}" for one in resources), key=_report_first))
        if not differing:
            return Sent(names, 0)
        if able.transactions and len(differing) > 1:
            entries = [self._entry(resource, was) for resource, was in differing]
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            written = self._send("POST", "", bundle) is not None
        else:
            written = all(
                self._send("PUT", f"/{resource['resourceType']}/{was.id}", resource, etag=was.etag) is not None
                for resource, was in differing
            )
        return Sent(names, len(differing)) if written else None

    def _write_by_search(self, resources: tuple[Json, ...]) -> Sent | None:
        """Where the server chooses ids: search by our identifier, update what is found, else create on condition."""
        theirs: dict[str, str] = {}
        written = 0
        for resource in resources:
            kind = str(resource["resourceType"])
            query = _own_query(resource)
            said = _renamed({key: value for key, value in resource.items() if key != "id"}, theirs)
            found = self._search(kind, query)
            if len(found) > 1:
                raise Permanent(f"the EHR has more than one {kind} of ours for one case: delete all but one there")
            name = str(found[0]["id"]) if found else ""
            if not found:
                answer = self._send("POST", f"/{kind}", said, if_none_exist=str(httpx.QueryParams(query)))
                if answer is None:
                    return None
                written += 1
                name = _created(answer, kind) or next((str(one["id"]) for one in self._search(kind, query)), "")
                if not name:
                    raise Transient(f"the EHR does not show the {kind} that it took", after=1.0)
            elif not _same(said, found[0]):
                if self._send("PUT", f"/{kind}/{name}", {**said, "id": name}, etag=_version(found[0])) is None:
                    return None
                written += 1
            theirs[f"{kind}/{resource['id']}"] = f"{kind}/{name}"
        return Sent(tuple(sorted(theirs.values(), key=_report_first)), written)

    def _entry(self, resource: Json, was: _Standing) -> Json:
        name = f"{resource['resourceType']}/{was.id}"
        request = {"method": "PUT", "url": name} | ({"ifMatch": was.etag} if was.etag else {})
        return {"fullUrl": str(self._http.base_url.join(name)), "resource": resource, "request": request}

    def _read(self, resource: Json) -> _Standing:
        answer = self._answer("GET", f"/{resource['resourceType']}/{resource['id']}")
        if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
            return _Standing(resource["id"])
        found = _json(answer, str(resource["resourceType"]))
        if found.get("id") != resource["id"]:
            raise Transient("the EHR answered with another resource than the one that was asked for")
        return _Standing(resource["id"], answer.headers.get("ETag", "") or _version(found), found)

    def _search(self, kind: str, query: dict[str, str]) -> list[Json]:
        bundle = self._request("POST", f"/{kind}/_search", "Bundle", form=query)
        matches = [entry for entry in objects(bundle.get("entry")) if _object(entry.get("search")).get("mode", "match") == "match"]
        resources = (_object(entry.get("resource")) for entry in matches)
        return [one for one in resources if one.get("resourceType") == kind and _ID.fullmatch(str(one.get("id", "")))]

    def _send(self, method: str, path: str, resource: Json, *, etag: str = "", if_none_exist: str = "") -> httpx.Response | None:
        """Write; None where the version it rests on is no longer the current one."""
        headers = {"Content-Type": CONTENT_TYPE, "Prefer": "return=minimal"}
        headers |= {"If-Match": etag} if etag else {}
        headers |= {"If-None-Exist": if_none_exist} if if_none_exist else {}
        content = json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()
        answer = self._answer(method, path, content=content, headers=headers)
        if conflict(answer.status_code):
            return None
        unwelcome(answer)
        return answer if _taken(answer, resource) else None

    def _request(self, method: str, path: str, kind: str, form: dict[str, str] | None = None) -> Json:
        return _json(self._answer(method, path, data=form), kind)

    def _answer(self, method: str, path: str, **given: Any) -> httpx.Response:
        headers = dict(given.pop("headers", {}))
        if parent := traceparent():
            headers["traceparent"] = parent
        return whole(self._http, "the EHR", self._limit_s, method, path or "/", headers=headers, **given)


def _json(answer: httpx.Response, *kinds: str) -> Json:
    """Read a resource of one of these types from an answer. Raises as `unwelcome` does, and Transient for anything else.

    Whoever stands in the EHR's place (a proxy's login page, another service) may be gone at the next try.
    """
    unwelcome(answer)
    try:
        said = _object(answer.json())
    except (ValueError, RecursionError) as wrong:
        raise Transient("the EHR answered something that is not JSON: is something else in its place?") from wrong
    if said.get("resourceType") not in kinds:
        raise Transient(f"the EHR answered with something else than the {kinds[0]} that was asked for")
    return said


def _taken(answer: httpx.Response, resource: Json) -> bool:
    """Whether the answer to a write says that it was done: False for a conflict within a transaction.

    It may be empty, as was asked for. If not, it is the resource, an outcome, or what became of each part; a page that
    something else put in the EHR's place is no such thing, and the next try will see whether the resource stands.
    """
    if not answer.content.strip():
        return True
    said = _json(answer, str(resource["resourceType"]), "OperationOutcome")
    other = said["resourceType"] == resource["resourceType"] and resource.get("id") not in {None, said.get("id")}
    if other or any(issue.get("severity") in _FAILED for issue in objects(said.get("issue"))):
        raise Transient(f"the EHR answered a write with {answer.status_code}, and with another resource or an error{outcome(answer)}")
    parts = [str(_object(entry.get("response")).get("status", "")) for entry in objects(said.get("entry"))]
    statuses = [int(part[:3]) for part in parts if part[:3].isdecimal()]
    if any(conflict(status) for status in statuses):
        return False
    for status in statuses:
        judge(status, " to a part of the transaction")
    return True


def _created(answer: httpx.Response, kind: str) -> str:
    """Return the id that the server chose, from its Location; empty where it does not say."""
    found = _LOCATION.search(answer.headers.get("Location", ""))
    return found[2] if found and found[1] == kind else ""


def _version(found: Json) -> str:
    version = _object(found.get("meta")).get("versionId")
    return f'W/"{version}"' if version else ""


def _subject(found: Json) -> str:
    return str(_object(found.get("subject")).get("reference", "")).rpartition("/")[2]


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _escaped(value: str) -> str:
    """A value as a search token: what separates tokens stands for itself (hl7.org/fhir/R4/search.html#escaping)."""
    return re.sub(r"([\\$,|])", r"\\\1", value)


def _own_query(resource: Json) -> dict[str, str]:
    """How one of ours is found again: by identifier, or by tag where R4 gives the type no identifier."""
    name = "identifier" if resource.get("identifier") else "_tag"
    return {name: f"{OWN_IDENTIFIERS}|{resource['id']}"}


def _same(ours: Json, theirs: Json | None) -> bool:
    """Whether the EHR has what we would write: all but what a server adds, and however it writes references."""
    return theirs is not None and _comparable(ours) == _comparable(theirs)


def _comparable(resource: Json) -> Json:
    kept = {key: value for key, value in resource.items() if key not in {"meta", "text", "id"}}
    return {key: _relative(value) for key, value in kept.items()}


def _relative(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "/".join(inner.split("/")[-2:]) if key == "reference" and isinstance(inner, str) else _relative(inner)
            for key, inner in value.items()
        }
    return [_relative(one) for one in value] if isinstance(value, list) else value


def _renamed(value: Any, theirs: dict[str, str]) -> Any:
    """Refer to our own resources by the ids that the server gave them."""
    if isinstance(value, dict):
        return {
            key: theirs.get(inner, inner) if key == "reference" and isinstance(inner, str) else _renamed(inner, theirs)
            for key, inner in value.items()
        }
    return [_renamed(one, theirs) for one in value] if isinstance(value, list) else value


def _report_first(name: str) -> tuple[bool, str]:
    return (not name.startswith("DiagnosticReport/"), name)
