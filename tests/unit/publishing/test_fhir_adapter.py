"""What the EHR client makes of a server's answers, at the one seam that httpx has."""

import inspect
from typing import Any

import httpx
import pytest

from radloop.kit.errors import Misconfigured, Permanent, RadloopError, Transient
from radloop.publishing.adapters.fhir import Ehr
from radloop.publishing.adapters.http import BELIEVED_S, translated, unwelcome
from radloop.standards.fhir.values import Identifier, Named
from tests.adapters.fhir_server import BODY, Server, bundle


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


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 408, 423, 425, 429, 500, 502, 503, 504, 999])
def test_what_is_not_the_messages_fault_is_transient(status: int) -> None:
    """Busy, locked, moved or closed to us: a report is never given up for what somebody can put right."""
    with pytest.raises(Transient) as raised:
        unwelcome(httpx.Response(status, headers={"Retry-After": "7"}))
    assert raised.value.after == 7.0


@pytest.mark.parametrize(("status", "setting"), [(302, "PUBLISHING_EHR to"), (401, "EHR_TOKEN"), (403, "EHR_TOKEN")])
def test_what_somebody_must_put_right_names_the_setting(status: int, setting: str) -> None:
    """The reason says what to do."""
    with pytest.raises(Transient, match=setting):
        unwelcome(httpx.Response(status))


@pytest.mark.parametrize(("asked", "pause"), [
    ("7", 7.0), ("86400", BELIEVED_S), ("9" * 400, None), ("²", None), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None),
])
def test_a_retry_after_is_believed_within_reason(asked: str, pause: float | None) -> None:
    """An EHR may ask for minutes, not for a day; what is no number of seconds leaves our own pause."""
    with pytest.raises(Transient) as raised:
        unwelcome(httpx.Response(429, headers={"Retry-After": asked.encode("latin-1")}))
    assert raised.value.after == pause


@pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422])
def test_a_refusal_is_permanent_and_repeats_no_diagnostics(status: int) -> None:
    """The reason has the outcome's codes and places; a server may quote the patient in its diagnostics."""
    said = {"resourceType": "OperationOutcome", "issue": [
        {"severity": "error", "code": "invalid", "diagnostics": "Jane Doe", "expression": ["Observation.status", "x('Doe')"]}]}
    with pytest.raises(Permanent) as raised:
        unwelcome(httpx.Response(status, json=said))
    assert raised.value.reason.startswith(f"the EHR answered {status}: invalid at Observation.status: it is not sent again")


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
        return bundle(*({"resourceType": "ServiceRequest", **one} for one in found))

    server.odd = search
    assert server.ehr().find(Named("ServiceRequest", (Identifier("urn:oid:1", "A1"),)), patient) == expected


@pytest.mark.parametrize(("by_number", "expected"), [(["b"], "b"), (["c"], ""), ([], ""), (["a", "b"], "")])
def test_orders_that_share_an_accession_number_are_told_apart_by_their_own(by_number: list[str], expected: str) -> None:
    """Only what bears both numbers is meant; where they contradict each other nothing is."""
    server = Server()

    def search(request: httpx.Request) -> httpx.Response:
        ids = ["a", "b"] if b"ACC" in request.content else by_number
        return bundle(*({"resourceType": "ServiceRequest", "id": one} for one in ids))

    server.odd = search
    named = Named("ServiceRequest", (Identifier("urn:oid:1", "ACC"), Identifier("urn:oid:2", "PL")))
    assert server.ehr().find(named) == expected


def test_a_number_with_a_comma_is_one_number() -> None:
    """What separates the values of a search is escaped: another patient's order is never found by a part of a number."""
    server = Server()
    asked: list[str] = []

    def search(request: httpx.Request) -> httpx.Response:
        asked.append(httpx.QueryParams(request.content.decode())["identifier"])
        return bundle()

    server.odd = search
    server.ehr().find(Named("ServiceRequest", (Identifier("urn:oid:1", "A,1|2$\\"),)))
    assert asked == ["urn:oid:1|A\\,1\\|2\\$\\\\"]


def test_an_address_that_is_none_is_refused_at_the_start() -> None:
    """A wrong setting stops the start, not the first delivery."""
    with pytest.raises(Misconfigured):
        Ehr("ehr.hospital/fhir")
