"""The EHR over FHIR R4 REST: find what is its own, write what is ours, change nothing on a retry.

hl7.org/fhir/R4/http.html: update as create (3.1.0.4.1), If-Match (3.1.0.5), conditional create (3.1.0.7.1), transaction
(3.1.0.11). Identifiers are searched for by POST, so that none stands in a URL that someone logs.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from radloop.kit.errors import Misconfigured, Permanent, Transient
from radloop.kit.telemetry import traceparent
from radloop.publishing.adapters.http import conflict, translated, unwelcome
from radloop.standards.fhir.lookup import Lookup
from radloop.standards.fhir.results import CONTENT_TYPE, resources_of
from radloop.standards.fhir.values import OWN_IDENTIFIERS, Named

CONFLICTS: Final = 3
"""How often a write that somebody else overtook is made again at once, before it waits like any other."""

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
        headers = {"Accept": CONTENT_TYPE}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(base_url=base_url.rstrip("/"), headers=headers, timeout=timeout, transport=transport)
        self._capability: Capability | None = None

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def capability(self) -> Capability:
        """Ask once what the server can do. Raises Transient while it is away."""
        if self._capability is None:
            said = self._request("GET", "/metadata")
            rest: Json = next((rest for rest in said.get("rest", []) if rest.get("mode") == "server"), {})
            reports: Json = next((one for one in rest.get("resource", []) if one.get("type") == "DiagnosticReport"), {})
            does = {one.get("code") for one in rest.get("interaction", [])}
            self._capability = Capability(bool(reports.get("updateCreate")), "transaction" in does)
        return self._capability

    def find(self, named: Named, patient: str = "") -> str:
        """Return the EHR's id of what is its own, empty where none, or more than one, bears the identifiers.

        What belongs to another patient than the one given (the EHR's id) is not what was meant.
        """
        for identifier in named.identifiers:
            query = {"identifier": f"{identifier.system}|{identifier.value}", "_count": "2"}
            found = self._search(named.type, query)
            if len(found) == 1:
                subject = found[0].get("subject", {}).get("reference", "")
                if patient and subject and subject.rpartition("/")[2] != patient:
                    return ""
                return str(found[0]["id"])
            if found:
                return ""
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
            written = self._send("POST", "", bundle)
        else:
            written = all(
                self._send("PUT", f"/{resource['resourceType']}/{was.id}", resource, etag=was.etag)
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
                raise Permanent(f"the EHR has more than one {kind} of ours for one case")
            if not found:
                if not self._send("POST", f"/{kind}", said, if_none_exist=str(httpx.QueryParams(query))):
                    return None
                written += 1
                found = self._search(kind, query)
                if not found:
                    raise Transient(f"the EHR does not show the {kind} that it took", after=1.0)
            elif not _same(said, found[0]):
                version = found[0].get("meta", {}).get("versionId", "")
                body = {**said, "id": found[0]["id"]}
                etag = f'W/"{version}"' if version else ""
                if not self._send("PUT", f"/{kind}/{found[0]['id']}", body, etag=etag):
                    return None
                written += 1
            theirs[f"{kind}/{resource['id']}"] = f"{kind}/{found[0]['id']}"
        return Sent(tuple(sorted(theirs.values(), key=_report_first)), written)

    def _entry(self, resource: Json, was: _Standing) -> Json:
        name = f"{resource['resourceType']}/{was.id}"
        request = {"method": "PUT", "url": name} | ({"ifMatch": was.etag} if was.etag else {})
        return {"fullUrl": str(self._http.base_url.join(name)), "resource": resource, "request": request}

    def _read(self, resource: Json) -> _Standing:
        answer = self._answer("GET", f"/{resource['resourceType']}/{resource['id']}")
        if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
            return _Standing(resource["id"])
        found = _json(answer)
        etag = answer.headers.get("ETag", "")
        if not etag and (version := found.get("meta", {}).get("versionId")):
            etag = f'W/"{version}"'
        return _Standing(resource["id"], etag, found)

    def _search(self, kind: str, query: dict[str, str]) -> list[Json]:
        bundle = self._request("POST", f"/{kind}/_search", form=query)
        return [
            entry["resource"] for entry in bundle.get("entry", [])
            if entry.get("resource", {}).get("resourceType") == kind
            and entry.get("search", {}).get("mode", "match") == "match"
        ]

    def _send(self, method: str, path: str, resource: Json, *, etag: str = "", if_none_exist: str = "") -> bool:
        """Write; False where the version it rests on is no longer the current one."""
        headers = {"Content-Type": CONTENT_TYPE, "Prefer": "return=minimal"}
        headers |= {"If-Match": etag} if etag else {}
        headers |= {"If-None-Exist": if_none_exist} if if_none_exist else {}
        content = json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()
        answer = self._answer(method, path, content=content, headers=headers)
        if conflict(answer):
            return False
        unwelcome(answer)
        return True

    def _request(self, method: str, path: str, form: dict[str, str] | None = None) -> Json:
        return _json(self._answer(method, path, data=form))

    def _answer(self, method: str, path: str, **given: Any) -> httpx.Response:
        headers = dict(given.pop("headers", {}))
        if parent := traceparent():
            headers["traceparent"] = parent
        with translated("the EHR"):
            return self._http.request(method, path or "/", headers=headers, **given)


def _json(answer: httpx.Response) -> Json:
    """Read a resource from an answer. Raises as `unwelcome` does, and Transient for what is no JSON object."""
    unwelcome(answer)
    try:
        said = answer.json()
    except ValueError as wrong:
        raise Transient("the EHR answered something that is not JSON") from wrong
    if not isinstance(said, dict):
        raise Transient("the EHR answered something that is not a resource")
    return said


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
