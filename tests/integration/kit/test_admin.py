"""The commands all rooms share, over real gRPC and a real Postgres."""

import contextlib
import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import wait_until
from examples.shared import CASE, READER, SITE
from prometheus_client import REGISTRY

from radloop.events.wire import Wire
from radloop.kit import admin as admin_module
from radloop.kit import codec, rpc, telemetry
from radloop.kit.admin import Admin
from radloop.kit.clock import SystemClock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Command, Decision, Record, Skip, on
from radloop.kit.fuse import FUSE_AFTER
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


WORLD: dict[str, BaseException | None] = {"wrong": None}
GATE = threading.Event()


def add(command: Add, tally: Tally | None) -> Decision[Tally]:
    """Add one."""
    if WORLD["wrong"]:
        raise WORLD["wrong"]
    GATE.wait(30)
    tally = tally or Tally(key=command.subject)
    if command.name == "older" and tally.value:
        return Skip("superseded by a newer one")
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
    GATE.set()
    server, port = rpc.server("127.0.0.1:0", (Admin(runner, lambda: ["starting"]).register,))
    with rpc.channel(f"127.0.0.1:{port}") as channel:
        yield Here(runner, stubs.AdminServiceStub(channel))
    server.stop(0).wait()
    store.close()
    WORLD["wrong"] = None


def told(identity: str = "a", subject: str = CASE, name: str = "Doe^Jane") -> Add:
    """Build a command."""
    return Add(id=identity, subject=subject, site=SITE, at=datetime(2026, 3, 2, tzinfo=UTC), actor=READER, name=name)


def waiting(here: Here, **asked: Any) -> list[pb.QuarantinedItem]:
    """Return what is listed."""
    return list(here.stub.ListQuarantine(pb.ListQuarantineRequest(**asked)).items)


def bury(here: Here, *commands: Add) -> list[pb.QuarantinedItem]:
    """Have commands refused for good, one after another, and return what waits, oldest first."""
    WORLD["wrong"] = Permanent("never")
    for command in commands or (told(),):
        here.runner.submit(command)
    WORLD["wrong"] = None
    return waiting(here, oldest_first=True)


def retry(here: Here, item: str) -> str:
    """Retry, and return how it went, in words."""
    try:
        return str(here.stub.RetryQuarantined(pb.RetryQuarantinedRequest(id=item)).outcome)
    except grpc.RpcError as refused:
        return f"{refused.code().name}: {refused.details()}"  # type: ignore[attr-defined]  # a call is both


def test_a_quarantined_input_is_listed_retried_once_and_traced(here: Here) -> None:
    """Kept with reason, attempts and bytes; after the repair it has one effect, however often it is retried."""
    WORLD["wrong"] = ZeroDivisionError("Doe^Jane")
    here.runner.submit(told())
    WORLD["wrong"] = None
    [item] = here.stub.ListQuarantine(pb.ListQuarantineRequest()).items
    assert (item.reason, item.attempts, item.state) == ("ZeroDivisionError in add", 5, "waiting")
    assert item.payload == b"", "a list never carries the bytes"
    [whole] = waiting(here, id_prefix=item.id, include_payload=True)
    assert b"Doe^Jane" in whole.payload
    assert (item.payload_bytes, whole.payload_sha256) == (len(whole.payload), hashlib.sha256(whole.payload).hexdigest())
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


def test_what_was_settled_is_refused_in_words(here: Here) -> None:
    """Who comes second hears what the first has done; an id that is none is no error of ours."""
    first, second = bury(here, told("a"), told("b"))
    here.stub.DiscardQuarantined(pb.DiscardQuarantinedRequest(id=first.id, reason="a test"))
    assert retry(here, first.id) == "INVALID_ARGUMENT: it was discarded already"
    assert retry(here, second.id) == "recorded"
    assert retry(here, second.id) == "INVALID_ARGUMENT: it was retried already"
    assert retry(here, str(uuid.uuid4())) == "INVALID_ARGUMENT: nothing of that id is in quarantine"
    assert retry(here, "12'; --") == "INVALID_ARGUMENT: that is no id of an item in quarantine"


def test_a_retry_of_what_was_overtaken_is_skipped_and_says_why(here: Here) -> None:
    """The handler decides on the state as it is now, and who retried hears the reason; the item is done with."""
    [item] = bury(here, told("a", name="older"))
    here.runner.submit(told("b"))
    assert retry(here, item.id) == "skipped: superseded by a newer one"
    assert (here.value(), waiting(here)) == (1, [])


def test_what_fails_again_waits_again(here: Here) -> None:
    """A new row with the new reason; the old one is done with."""
    [item] = bury(here)
    WORLD["wrong"] = Permanent("not even now")
    assert retry(here, item.id) == "quarantined: not even now"
    [again] = waiting(here)
    assert (again.reason, again.input_id) == ("not even now", item.input_id)
    assert again.id != item.id


def test_two_who_retry_at_once_have_one_effect(here: Here) -> None:
    """The second waits for the first, then is told that the matter is settled."""
    [item] = bury(here)
    GATE.clear()

    def second_waits() -> bool:
        with here.runner.store.connection() as connection:
            return connection.execute("select from pg_locks where locktype = 'advisory' and not granted").fetchone() is not None

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(retry, here, item.id) for _ in range(2)]
        wait_until(second_waits, 20)
        GATE.set()
        outcomes = sorted(one.result() for one in both)
    assert outcomes == ["recorded", "skipped: somebody else has settled it meanwhile"]
    assert (here.value(), waiting(here)) == (1, [])


def test_two_who_retry_what_fails_again_make_one_new_row(here: Here) -> None:
    """The second, who looked before the first was done, does not take the first one's new claim for the old one."""
    [item] = bury(here)
    WORLD["wrong"] = Permanent("still never")
    arrived = here.runner.read("Add", "door:reader", {}, codec.encode(told()))
    outcomes = [here.runner.retry(uuid.UUID(item.id), "add", arrived).reason for _ in range(2)]
    assert outcomes == ["still never", "somebody else has settled it meanwhile"]
    assert [one.reason for one in waiting(here)] == ["still never"]


def test_a_process_that_dies_in_a_retry_loses_nothing(here: Here) -> None:
    """Claim, effect and the item's end are one transaction: dead in the middle, the item waits and its claim stands."""
    [item] = bury(here)
    WORLD["wrong"] = KeyboardInterrupt()
    arrived = here.runner.read("Add", "door:reader", {}, codec.encode(told()))
    with pytest.raises(KeyboardInterrupt):
        here.runner.retry(uuid.UUID(item.id), "add", arrived)
    WORLD["wrong"] = None
    assert here.runner.submit(told()).kind == "quarantined", "a repeat at the door still gets the stored answer"
    assert [one.id for one in waiting(here)] == [item.id]
    assert retry(here, item.id) == "recorded"
    assert here.value() == 1


def unread(here: Here, payload: bytes, type_name: str = "Add") -> pb.QuarantinedItem:
    """Have bytes kept that were no input when they came."""
    here.runner.quarantine_unread("door:reader", {"ce_type": type_name}, payload, "this room has no route for it")
    return waiting(here)[0]


def test_what_could_not_be_read_is_taken_after_the_upgrade(here: Here) -> None:
    """The stored bytes are read anew by what the room knows now; its handler runs once."""
    item = unread(here, codec.encode(told()))
    assert retry(here, item.id) == "recorded"
    assert (here.value(), waiting(here)) == (1, [])


def test_a_kill_before_the_mark_closes_the_row_the_next_time(here: Here) -> None:
    """Settled already, by a retry that died before its last line or by a repeat: nothing happens twice, and the row is done with."""
    item = unread(here, codec.encode(told()))
    here.runner.submit(told())
    assert retry(here, item.id) == "recorded"
    assert (here.value(), waiting(here)) == (1, [])


@pytest.mark.parametrize(("payload", "type_name"), [
    (b"{}", "Add"), (b"", "Later"), (codec.encode(told("")), "Add"), (codec.encode(told("x" * 600)), "Add"),
])
def test_what_still_cannot_be_read_goes_on_waiting(here: Here, payload: bytes, type_name: str) -> None:
    """An unknown type, bytes that fit nothing, an identity that would be confused with others: refused, and kept."""
    item = unread(here, payload, type_name)
    assert retry(here, item.id).startswith("INVALID_ARGUMENT: it still cannot be taken: ")
    assert [one.id for one in waiting(here)] == [item.id]


def test_an_input_of_several_routes_is_retried_for_the_one_that_failed(here: Here) -> None:
    """What another route made of it is neither done again nor told as the outcome."""
    heard: list[str] = []

    def count(command: Add, tally: Tally | None) -> Decision[Tally]:
        heard.append(command.id)
        return Skip("counted")

    here.runner.routes = (on(Add, add, keeps=Tally), on(Add, count, keeps=Tally, name="count"))
    [item] = bury(here)
    assert retry(here, item.id) == "recorded"
    assert (here.value(), heard) == (1, ["a"])


def test_a_route_that_looks_at_the_world_first_is_retried_too(here: Here) -> None:
    """It looks again, and is not put off with the answer it gave before."""
    here.runner.routes = (on(Add, add, keeps=Tally, observe=lambda command: command),)
    [item] = bury(here)
    assert retry(here, item.id) == "recorded"
    assert here.value() == 1


def test_an_upgrade_that_renamed_a_route_hides_nothing(here: Here) -> None:
    """Whatever hears such an input takes it; where nothing does any more, it goes on waiting."""
    [item] = bury(here)
    here.runner.routes = ()
    assert retry(here, item.id) == "INVALID_ARGUMENT: it still cannot be taken: no route of this room hears it"
    here.runner.routes = (on(Add, add, keeps=Tally, name="add-up"),)
    assert retry(here, item.id) == "recorded"
    assert (here.value(), waiting(here)) == (1, [])


def test_a_list_is_bounded_whatever_is_asked(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the room allows, page after page in either order, and bytes only of one that was named."""
    monkeypatch.setattr(admin_module, "MOST", 2)
    every = [one.id for one in bury(here, *(told(f"c{number}") for number in range(2)))]
    WORLD["wrong"] = Permanent("never")
    for number in range(2, 5):
        here.runner.submit(told(f"c{number}"))
    first = waiting(here, limit=10_000, oldest_first=True)
    second = waiting(here, limit=10_000, oldest_first=True, after_id=first[-1].id)
    third = waiting(here, limit=10_000, oldest_first=True, after_id=second[-1].id)
    assert [one.input_id for one in (*first, *second, *third)] == ["c0", "c1", "c2", "c3", "c4"]
    assert [one.id for one in first] == every
    assert [one.input_id for one in waiting(here, after_id=second[-1].id)] == ["c2", "c1"]
    assert [one.id for one in waiting(here, id_prefix=every[0][:13])] == [every[0]]
    assert waiting(here, id_prefix="%") == []
    with pytest.raises(grpc.RpcError, match="id_prefix"):
        waiting(here, include_payload=True)


def test_bytes_too_many_for_an_answer_are_told_so(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence instead of an answer that no line carries."""
    [item] = bury(here)
    monkeypatch.setattr(admin_module, "PAYLOAD_BYTES", 10)
    with pytest.raises(grpc.RpcError, match="too many for one answer"):
        waiting(here, id_prefix=item.id, include_payload=True)


def test_an_open_fuse_tells_what_opened_it_and_a_success_closes_it(here: Here) -> None:
    """Since when, by which errors in which routes, when it tries next; a metric shows it, and a restart begins at 0."""
    WORLD["wrong"] = ZeroDivisionError("Doe^Jane")
    for number in range(FUSE_AFTER):
        with contextlib.suppress(Transient):
            here.runner.submit(told(f"c{number}", subject=f"case-{number}"))
    status = here.stub.Status(pb.StatusRequest())
    assert status.fuse_open
    assert list(status.blown.causes) == ["ZeroDivisionError in add"]
    assert "Doe" not in str(status)
    assert status.blown.since.seconds <= time.time() < status.blown.next_try.seconds + 1
    assert REGISTRY.get_sample_value("radloop_fuse_open") == 1
    here.runner.fuse.mend()
    closed = here.stub.Status(pb.StatusRequest())
    assert not closed.fuse_open
    assert not closed.HasField("blown")
    assert REGISTRY.get_sample_value("radloop_fuse_open") == 0
    here.runner.fuse.blow("a", "x")
    telemetry.gauge("radloop_fuse_open", 1)
    Runner(here.runner.store, (), Wire(), SystemClock())
    assert REGISTRY.get_sample_value("radloop_fuse_open") == 0


def test_status_tells_readiness_and_backlog(here: Here) -> None:
    """What is waiting, by table, and why it is not ready."""
    status = here.stub.Status(pb.StatusRequest())
    assert (status.room, status.ready, list(status.reasons), status.fuse_open) == ("triage", False, ["starting"], False)
    assert set(status.backlog) == {"outbox", "parked", "quarantine", "delivery", "timer", "job", "repeat"}


def test_an_unforeseen_error_is_logged_without_its_message(here: Here, caplog: pytest.LogCaptureFixture) -> None:
    """The message may repeat a patient's data; the places are enough to find the code."""
    WORLD["wrong"] = ZeroDivisionError("Doe^Jane")
    with caplog.at_level(logging.DEBUG):
        here.runner.submit(told())
    assert any("add" in str(record.__dict__.get("where")) for record in caplog.records)
    assert not any("Doe" in str(record.__dict__) for record in caplog.records)
