"""The commands all rooms share, over real gRPC and a real Postgres."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from examples.shared import CASE, READER, SITE

from radloop.events.wire import Wire
from radloop.kit import rpc
from radloop.kit.admin import Admin
from radloop.kit.clock import SystemClock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Command, Decision, Record, on
from radloop.kit.runner import Runner
from radloop.kit.store import Store
from radloop.kit.tables import Table
from radloop.v1 import admin_service_pb2 as pb
from radloop.v1 import admin_service_pb2_grpc as stubs


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A state for tests."""

    key: str
    value: int = 0


@dataclass(frozen=True, kw_only=True)
class Add(Command):
    """Add one, unless the world is broken."""

    name: str = "Doe^Jane"


WORLD: dict[str, Exception | None] = {"wrong": None}


def add(command: Add, tally: Tally | None) -> Decision[Tally]:
    """Add one."""
    if WORLD["wrong"]:
        raise WORLD["wrong"]
    tally = tally or Tally(key=command.subject)
    return Record(replace(tally, value=tally.value + 1))


@dataclass
class Here:
    """A runner and a client of its admin service."""

    runner: Runner
    stub: stubs.AdminServiceStub

    def value(self) -> int:
        """Return the tally."""
        with self.runner.store.begin() as work:
            tally = work.load(Tally, (CASE,))
        return tally.value if tally else 0


@pytest.fixture
def here(database: str, tmp_path: Path) -> Iterator[Here]:
    """Serve one room's admin service."""
    (tmp_path / "0001_room.sql").write_text("create table tally (key text primary key, value integer not null);")
    store = Store(database, "triage", {Tally: Table(Tally, "tally", "key")})
    store.migrate(tmp_path)
    store.open()
    runner = Runner(store, (on(Add, add, keeps=Tally),), Wire(), SystemClock())
    server, port = rpc.server("127.0.0.1:0", (Admin(runner, lambda: ["starting"]).register,))
    with rpc.channel(f"127.0.0.1:{port}") as channel:
        yield Here(runner, stubs.AdminServiceStub(channel))
    server.stop(0).wait()
    store.close()
    WORLD["wrong"] = None


def told() -> Add:
    """Build a command."""
    return Add(id="a", subject=CASE, site=SITE, at=datetime(2026, 3, 2, tzinfo=UTC), actor=READER)


def test_a_quarantined_input_is_listed_retried_once_and_traced(here: Here) -> None:
    """Kept with reason, attempts and bytes; after the repair it has one effect, however often it is retried."""
    WORLD["wrong"] = ZeroDivisionError("Doe^Jane")
    here.runner.submit(told())
    WORLD["wrong"] = None
    [item] = here.stub.ListQuarantine(pb.ListQuarantineRequest()).items
    assert (item.reason, item.attempts, item.state) == ("ZeroDivisionError in add", 5, "waiting")
    assert b"Doe^Jane" in item.payload
    assert here.stub.RetryQuarantined(pb.RetryQuarantinedRequest(id=item.id)).outcome == "recorded"
    assert here.value() == 1
    with pytest.raises(grpc.RpcError) as refused:
        here.stub.RetryQuarantined(pb.RetryQuarantinedRequest(id=item.id))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    facts = here.stub.Trace(pb.TraceRequest(case_id=CASE)).entries
    assert {(fact.kind, fact.what) for fact in facts} == {("heard", "Add"), ("quarantined", "Add")}


def test_a_retry_while_a_dependency_is_away_loses_nothing(here: Here) -> None:
    """The row goes on waiting, and says so."""
    WORLD["wrong"] = Permanent("never")
    here.runner.submit(told())
    WORLD["wrong"] = Transient("the archive is away")
    [item] = here.stub.ListQuarantine(pb.ListQuarantineRequest()).items
    with pytest.raises(grpc.RpcError) as refused:
        here.stub.RetryQuarantined(pb.RetryQuarantinedRequest(id=item.id))
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert len(here.stub.ListQuarantine(pb.ListQuarantineRequest()).items) == 1


def test_what_is_discarded_stays_on_record(here: Here) -> None:
    """It is no longer listed among what waits, and keeps both reasons."""
    WORLD["wrong"] = Permanent("never")
    here.runner.submit(told())
    [item] = here.stub.ListQuarantine(pb.ListQuarantineRequest()).items
    here.stub.DiscardQuarantined(pb.DiscardQuarantinedRequest(id=item.id, reason="sent again by hand"))
    assert not here.stub.ListQuarantine(pb.ListQuarantineRequest()).items
    [kept] = here.stub.ListQuarantine(pb.ListQuarantineRequest(include_settled=True)).items
    assert (kept.state, kept.reason) == ("discarded", "never - discarded: sent again by hand")


def test_status_tells_readiness_and_backlog(here: Here) -> None:
    """What is waiting, by table, and why it is not ready."""
    status = here.stub.Status(pb.StatusRequest())
    assert (status.room, status.ready, list(status.reasons), status.fuse_open) == ("triage", False, ["starting"], False)
    assert set(status.backlog) == {"outbox", "parked", "quarantine", "delivery", "timer", "job"}


def test_an_unforeseen_error_is_logged_without_its_message(here: Here, caplog: pytest.LogCaptureFixture) -> None:
    """The message may repeat a patient's data; the places are enough to find the code."""
    WORLD["wrong"] = ZeroDivisionError("Doe^Jane")
    with caplog.at_level(logging.DEBUG):
        here.runner.submit(told())
    assert any("add" in str(record.__dict__.get("where")) for record in caplog.records)
    assert not any("Doe" in str(record.__dict__) for record in caplog.records)
