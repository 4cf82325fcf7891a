"""What the EHR client makes of a server's answers, at the one seam that httpx has."""

import inspect
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from radloop.kit.errors import Misconfigured, Permanent, RadloopError, Transient
from radloop.publishing.adapters.fhir import Ehr
from radloop.publishing.adapters.http import translated, unwelcome
from radloop.standards.fhir.values import Identifier, Named

BODY = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [
    {"resource": {"resourceType": "Device", "id": "d", "identifier": [{"value": "d"}], "status": "active"}},
    {"resource": {"resourceType": "DiagnosticReport", "id": "r", "identifier": [{"value": "r"}], "status": "partial"}},
    {"resource": {"resourceType": "Provenance", "id": "v", "target": [{"reference": "DiagnosticReport/r"}]}},
]}).encode()


class Server:
    """A FHIR server of a page: keeps resources, counts writes; may choose ids itself, lack transactions, or be odd."""

    def __init__(self, *, client_ids: bool = True, transactions: bool = False) -> None:
        self.able = {"client_ids": client_ids, "transactions": transactions}
        self.kept: dict[str, dict[str, Any]] = {}
        self.writes: list[httpx.Request] = []
        self.odd: Callable[[httpx.Request], httpx.Response | None] = lambda _: None

    def ehr(self) -> Ehr:
        """A client of this server."""
        return Ehr("http://ehr.test/fhir", transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as R4 asks."""
        path = request.url.path.removeprefix("/fhir").strip("/")
        if path == "metadata":
            interaction = [{"code": "transaction"}] if self.able["transactions"] else []
            return httpx.Response(200, json={"resourceType": "CapabilityStatement", "rest": [{
                "mode": "server", "interaction": interaction,
                "resource": [{"type": "DiagnosticReport", "updateCreate": self.able["client_ids"]}],
            }]})
        if (odd := self.odd(request)) is not None:
            return odd
        if path.endswith("_search"):
            kind = path.partition("/")[0]
            wanted = httpx.QueryParams(request.content.decode())
            value = (wanted.get("identifier") or wanted.get("_tag")).partition("|")[2]
            found = [one for one in self.kept.values() if one["resourceType"] == kind and one["ours"] == value]
            return httpx.Response(200, json={"resourceType": "Bundle", "entry": [
                {"resource": {k: v for k, v in one.items() if k != "ours"}} for one in found]})
        if request.method == "GET":
            found_one = self.kept.get(path)
            if found_one is None:
                return httpx.Response(404)
            return httpx.Response(200, json={k: v for k, v in found_one.items() if k != "ours"},
                                  headers={"ETag": f'W/"{found_one["meta"]["versionId"]}"'})
        self.writes.append(request)
        body = json.loads(request.content)
        if request.method == "POST" and not path:
            for entry in body["entry"]:
                self.keep(entry["request"]["url"], entry["resource"])
        elif request.method == "POST":
            name = f"{path}/server-{len(self.kept)}"
            value = httpx.QueryParams(request.headers["If-None-Exist"]).multi_items()[0][1].partition("|")[2]
            self.keep(name, {**body, "id": name.partition("/")[2], "ours": value})
        else:
            self.keep(path, body)
        return httpx.Response(201)

    def keep(self, name: str, resource: dict[str, Any]) -> None:
        """Store the next version."""
        before = self.kept.get(name, {})
        version = int(before.get("meta", {}).get("versionId", 0)) + 1
        self.kept[name] = {"ours": before.get("ours", ""), **resource, "meta": {"versionId": str(version)}}


@pytest.mark.parametrize(("client_ids", "transactions", "requests"), [(True, True, 1), (True, False, 3), (False, False, 3)])
def test_a_retry_changes_nothing(client_ids: bool, transactions: bool, requests: int) -> None:
    """Whatever the server can do, the same delivery again writes nothing and names the same resources."""
    server = Server(client_ids=client_ids, transactions=transactions)
    first, again = server.ehr().put(BODY), server.ehr().put(BODY)
    assert (first.written, again.written) == (3, 0)
    assert first.resources == again.resources
    assert first.resources[0].startswith("DiagnosticReport/")
    assert len(server.writes) == requests


def test_where_the_server_chooses_ids_references_follow_them() -> None:
    """A reference to our own resource names the id that the server gave it."""
    server = Server(client_ids=False)
    server.ehr().put(BODY)
    provenance = next(one for name, one in server.kept.items() if name.startswith("Provenance/"))
    assert f"{provenance['target'][0]['reference']}" in server.kept


@pytest.mark.parametrize("client_ids", [True, False])
def test_a_change_rests_on_the_version_that_was_read(client_ids: bool) -> None:
    """An update says If-Match, and only what differs is written."""
    server = Server(client_ids=client_ids)
    server.ehr().put(BODY)
    server.writes.clear()
    sent = server.ehr().put(BODY.replace(b"partial", b"entered-in-error"))
    assert sent.written == 1
    assert [write.headers["If-Match"] for write in server.writes] == ['W/"1"']


def test_a_write_that_was_overtaken_is_looked_at_again() -> None:
    """412 means that somebody else was quicker: read again, then write on what stands now."""
    server = Server()
    refused: list[bool] = []

    def once(request: httpx.Request) -> httpx.Response | None:
        if request.method == "PUT" and not refused:
            refused.append(True)
            return httpx.Response(412)
        return None

    server.odd = once
    assert server.ehr().put(BODY).written == 3


def test_endless_conflicts_wait_like_any_other_trouble() -> None:
    """A resource that somebody keeps changing is Transient, never an endless loop."""
    server = Server()
    server.odd = lambda request: httpx.Response(412) if request.method == "PUT" else None
    with pytest.raises(Transient):
        server.ehr().put(BODY)


@pytest.mark.parametrize("status", [401, 403, 408, 423, 425, 429, 500, 502, 503, 504])
def test_a_server_that_is_busy_or_locked_is_transient(status: int) -> None:
    """Nothing that the message could mend is ever given up."""
    with pytest.raises(Transient) as raised:
        unwelcome(httpx.Response(status, headers={"Retry-After": "7"}))
    assert raised.value.after == 7.0


@pytest.mark.parametrize("status", [301, 400, 404, 405, 413, 415, 422])
def test_a_refusal_is_permanent_and_repeats_no_diagnostics(status: int) -> None:
    """The reason has the outcome's codes and places; a server may quote the patient in its diagnostics."""
    said = {"resourceType": "OperationOutcome", "issue": [
        {"severity": "error", "code": "invalid", "diagnostics": "Jane Doe", "expression": ["Observation.status", "x('Doe')"]}]}
    with pytest.raises(Permanent) as raised:
        unwelcome(httpx.Response(status, json=said))
    assert raised.value.reason == f"the EHR answered {status}: invalid at Observation.status"


def test_every_exception_of_httpx_is_translated() -> None:
    """Nothing of the vendor's leaks: a new exception class without a translation fails here."""
    kinds = [kind for _, kind in inspect.getmembers(httpx, inspect.isclass)
             if issubclass(kind, Exception) and kind.__module__.startswith("httpx")]
    assert len(kinds) > 20
    for kind in kinds:
        error = kind.__new__(kind)
        with pytest.raises(RadloopError), translated("the EHR"):
            raise error


@pytest.mark.parametrize(("kind", "becomes"), [
    (httpx.ConnectError, Transient), (httpx.ReadTimeout, Transient), (httpx.PoolTimeout, Transient),
    (httpx.RemoteProtocolError, Transient), (httpx.LocalProtocolError, Permanent), (httpx.UnsupportedProtocol, Transient),
])
def test_an_exception_says_what_the_caller_can_do(kind: type[httpx.TransportError], becomes: type[RadloopError]) -> None:
    """Away, or an address that somebody must put right, is Transient; what cannot be sent is Permanent."""
    with pytest.raises(becomes), translated("the EHR"):
        raise kind("x")


@pytest.mark.parametrize(("found", "patient", "expected"), [
    ([], "", ""), ([{"id": "a"}], "", "a"), ([{"id": "a"}, {"id": "b"}], "", ""),
    ([{"id": "a", "subject": {"reference": "Patient/p"}}], "p", "a"),
    ([{"id": "a", "subject": {"reference": "Patient/q"}}], "p", ""),
])
def test_what_is_the_ehrs_own_is_found_only_when_it_is_plain(found: list[dict[str, Any]], patient: str, expected: str) -> None:
    """None, several, or one of another patient's is not found; and the identifier never stands in a URL."""
    server = Server()

    def search(request: httpx.Request) -> httpx.Response:
        assert "A1" not in str(request.url)
        return httpx.Response(200, json={"entry": [{"resource": {"resourceType": "ServiceRequest", **one}} for one in found]})

    server.odd = search
    assert server.ehr().find(Named("ServiceRequest", (Identifier("urn:oid:1", "A1"),)), patient) == expected


def test_an_address_that_is_none_is_refused_at_the_start() -> None:
    """A wrong setting stops the start, not the first delivery."""
    with pytest.raises(Misconfigured):
        Ehr("ehr.hospital/fhir")
