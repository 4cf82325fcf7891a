"""An EHR that answers what it should not, on a real socket: whatever it does, one report stands when it is honest again."""

import gzip
import json
import time
from datetime import UTC, datetime

import pytest

from radloop.kit.clock import ManualClock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Deliver
from radloop.publishing.adapters.away import PATIENCE
from radloop.publishing.adapters.ehr import EhrReceiver
from radloop.publishing.adapters.fhir import Ehr
from radloop.publishing.adapters.http import ANSWER_LIMIT
from radloop.publishing.handlers import LOOK_UP
from radloop.standards.fhir.lookup import Lookup
from radloop.standards.fhir.values import Identifier, Named
from tests.adapters.fhir_server import BODY
from tests.integration.publishing.far_ends import Lie, Line, LyingEhr, http

STEP_S = 0.4
BOUND_S = 2 * PATIENCE * STEP_S
"""A read and a write, each with its whole patience; what a test machine adds is less than the rest."""
REPORT = Deliver(key="k", receiver="ehr", subject="c", kind="report", body=BODY, content_type="x")
ASKED = Lookup(
    patient=Named("Patient", (Identifier("urn:oid:1", "M1", "MR"),)), orders=(Named("ServiceRequest", (Identifier("urn:oid:2", "A1"),)),),
    study=Named("ImagingStudy", (Identifier("urn:dicom:uid", "urn:oid:1.2"),)),
)
LOOK = Deliver(key="l", receiver="ehr", subject="c", kind=LOOK_UP, body=ASKED.write(), content_type="x")
LOGIN = b"<!DOCTYPE html><html><title>Please sign in</title></html>"
STRANGER = json.dumps({"resourceType": "Patient", "id": "p-9", "name": [{"family": "Doe"}]}).encode()
FAILED = json.dumps(
    {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception", "diagnostics": "Doe"}]}).encode()


def half_an_answer(line: Line) -> None:
    """A length is promised, and the line closed before it is there."""
    line.send(http(200, b"{", content_length="400"))


def slow_headers(line: Line) -> None:
    """A header that goes on and on, a byte at a time."""
    line.trickle(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 10_000)


def slow_body(line: Line) -> None:
    """A body that goes on and on, a byte at a time, and would be whole wherever the line is closed."""
    line.send(http(200, content_length=""))
    line.trickle(b" " * 10_000)


def hundred_megabytes(line: Line) -> None:
    """More than anybody asked for."""
    line.send(http(200, content_length=str(100 * 1024 * 1024)))
    for _ in range(1600):
        line.send(b" " * 65_536)


LIES: dict[str, Lie] = {
    "500": http(500, FAILED), "429": http(429, retry_after="7"), "412": http(412), "302": http(302, location="/fhir/elsewhere"),
    "200 with a login page": http(200, LOGIN, content_type="text/html"), "200 with a stranger's resource": http(200, STRANGER),
    "200 with an error": http(200, FAILED), "JSON of another shape": http(200, b'{"resourceType": "Bundle", "entry": 7, "rest": 7}'),
    "a list": http(200, b"[1]"), "JSON without a bottom": http(200, b"[" * 200_000),
    "packed": http(200, gzip.compress(b" " * 50_000_000), content_encoding="gzip"),
    "no HTTP": b"MSH|^~\\&|garbage\r\n\r\n", "hangs up": b"", "half an answer": half_an_answer,
    "never answers": lambda line: line.hang(), "slow headers": slow_headers, "slow body": slow_body, "100 MB": hundred_megabytes,
}
SLOW = ("never answers", "slow headers", "slow body")
"""Told at two stages and not at all five: each takes its time."""
STAGES = (("metadata", True), ("read", True), ("write", True), ("search", False), ("write", False))
TOLD = [(stage, ids, lie) for stage, ids in STAGES for lie in LIES if lie not in SLOW or (stage, ids) in {("read", True), ("write", False)}]
HARMLESS = {("write", "JSON of another shape"), ("search", "JSON of another shape")}
"""A Bundle whose entries are none names nothing, and fails nothing."""


def receiver(server: LyingEhr) -> EhrReceiver:
    """The real receiver, in a hurry."""
    return EhrReceiver(Ehr(server.url, timeout=STEP_S), LOOK_UP, ManualClock(datetime(2026, 3, 2, tzinfo=UTC)))


def lied_to(ehr: EhrReceiver, delivery: Deliver, server: LyingEhr) -> Transient:
    """Send while it lies; the delivery waits, in time, with a reason that repeats no name, and readiness says why."""
    began = time.monotonic()
    with pytest.raises(Transient) as raised:
        ehr.send(delivery)
    assert time.monotonic() - began < BOUND_S
    assert raised.value.reason
    assert "Doe" not in raised.value.reason
    assert ehr.ready() == raised.value.reason
    server.lie = None
    return raised.value


@pytest.mark.parametrize(("stage", "client_ids", "lie"), TOLD)
def test_whatever_an_ehr_answers_one_report_stands_when_it_is_honest_again(stage: str, client_ids: bool, lie: str) -> None:
    """A report that was not taken waits, whichever question the lie answered; it is sent again, and stands once."""
    with LyingEhr(client_ids=client_ids) as server:
        ehr = receiver(server)
        server.lie, server.at = LIES[lie], stage
        if (stage, lie) not in HARMLESS:
            lied_to(ehr, REPORT, server)
        server.lie = None
        answer = ehr.send(REPORT)
        assert answer.outcome == "delivered"
        assert json.loads(answer.body)[0].startswith("DiagnosticReport/")
        assert server.honest.versions("DiagnosticReport") == [1]
        assert ehr.ready() == ""


@pytest.mark.parametrize("lie", ["500", "200 with a login page", "200 with a stranger's resource", "half an answer", "hangs up"])
@pytest.mark.parametrize("client_ids", [True, False])
def test_an_ehr_that_did_it_and_says_otherwise_has_one_version(client_ids: bool, lie: str) -> None:
    """The write was done and its answer lost or wrong: the next try sees that it stands, and writes no second one."""
    with LyingEhr(client_ids=client_ids) as server:
        ehr = receiver(server)
        server.lie, server.at, server.after = LIES[lie], "write", True
        lied_to(ehr, REPORT, server)
        assert ehr.send(REPORT).outcome == "delivered"
        assert server.honest.versions("DiagnosticReport") == [1]


@pytest.mark.parametrize("lie", [lie for lie in LIES if ("search", lie) not in HARMLESS])
def test_a_lie_to_a_look_up_is_never_taken_for_nothing_found(lie: str) -> None:
    """What the EHR has is asked for again: a report without its patient's reference is not the fault of a login page."""
    with LyingEhr() as server:
        ehr = receiver(server)
        server.lie, server.at = LIES[lie], "search"
        lied_to(ehr, LOOK, server)
        assert Lookup.read(ehr.send(LOOK).body).bare == ASKED


@pytest.mark.parametrize("client_ids", [True, False])
def test_a_bare_201_is_an_answer(client_ids: bool) -> None:
    """Neither Location nor body, as `return=minimal` allows: what was written is found again where its id is not known."""
    with LyingEhr(client_ids=client_ids) as server:
        server.lie, server.at, server.after = http(201), "write", True
        ehr = receiver(server)
        assert ehr.send(REPORT).outcome == "delivered"
        assert ehr.send(REPORT).outcome == "delivered"
        assert server.honest.versions("DiagnosticReport") == [1]


def test_an_id_in_the_location_is_believed() -> None:
    """A server whose search lags behind its writes is not asked for what it has just told."""
    with LyingEhr(client_ids=False) as server:
        server.lie, server.at = http(201, location="http://ehr/fhir/Device/d-7/_history/1"), "write"
        ehr = receiver(server)
        with pytest.raises(Transient, match="does not show the DiagnosticReport"):
            ehr.send(REPORT)


@pytest.mark.parametrize(("status", "told"), [("412 Precondition Failed", Transient), ("422 Unprocessable", Permanent), ("503", Transient)])
def test_a_transaction_that_failed_in_a_part_is_not_delivered(status: str, told: type[Exception]) -> None:
    """A 200 around a refusal is a refusal; around a conflict it is looked at again."""
    parts = {"resourceType": "Bundle", "type": "transaction-response", "entry": [
        {"response": {"status": "201 Created"}}, {"response": {"status": status}}]}
    with LyingEhr() as server:
        server.lie, server.at = http(200, json.dumps(parts).encode()), "write"
        with pytest.raises(told):
            receiver(server).send(REPORT)


@pytest.mark.parametrize("status", [400, 405, 413, 422])
def test_a_refusal_of_the_report_is_final_and_says_what_to_do(status: int) -> None:
    """It would be refused again: somebody must look, and nothing stands."""
    with LyingEhr() as server:
        server.lie, server.at = http(status, FAILED), "write"
        with pytest.raises(Permanent, match=f"answered {status}: exception: it is not sent again as it is; put right"):
            receiver(server).send(REPORT)
        assert server.honest.versions("DiagnosticReport") == []


def test_what_is_no_fhir_server_is_away_and_named() -> None:
    """A wrong address keeps every report waiting; none is given up for it."""
    with LyingEhr() as server:
        server.lie, server.at = http(404, LOGIN), "metadata"
        assert "RADLOOP_PUBLISHING_EHR" in lied_to(receiver(server), REPORT, server).reason


def test_a_pause_that_is_asked_for_is_kept() -> None:
    """Retry-After is for the delivery that was turned away."""
    with LyingEhr() as server:
        server.lie, server.at = LIES["429"], "write"
        assert lied_to(receiver(server), REPORT, server).after == 7.0


def test_a_redirect_is_not_followed() -> None:
    """A report, and the token that goes with it, reach no address that nobody configured."""
    with LyingEhr() as server, LyingEhr() as elsewhere:
        server.lie, server.at = http(307, location=f"{elsewhere.url}/"), "write"
        lied_to(receiver(server), REPORT, server)
        assert elsewhere.lines == []


def test_a_huge_answer_is_read_to_its_bound_and_no_further() -> None:
    """What a line holds on its way comes on top."""
    with LyingEhr() as server:
        server.lie, server.at = hundred_megabytes, "read"
        assert "more than 16 MB" in lied_to(receiver(server), REPORT, server).reason
        assert max(line.sent for line in server.lines) < ANSWER_LIMIT + 16 * 1024 * 1024


def test_a_lasting_conflict_waits_after_a_few_tries() -> None:
    """412 for ever is no endless loop: it is asked a few times, then waits like any other trouble."""
    with LyingEhr() as server:
        server.lie, server.at = LIES["412"], "write"
        lied_to(receiver(server), REPORT, server)
        assert server.asked < 20
