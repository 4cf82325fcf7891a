"""Deliveries that a receiver refused for good: kept, looked at, given back and given up, over real gRPC and a real Postgres."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from examples.diary import CLOCK, Diary, Here, command, order
from examples.shared import CASE, SITE

from radloop.events.wire import Wire
from radloop.kit import rpc
from radloop.kit.admin import Admin
from radloop.kit.deliveries import Check, Deliveries
from radloop.kit.errors import Transient
from radloop.kit.store import Work
from radloop.v1 import admin_service_pb2 as pb
from radloop.v1 import admin_service_pb2_grpc as stubs

CHECK = Check(
    keeps=Diary, superseded=lambda _, diary: "closed" if diary and diary.closed else None, alike=(frozenset({"report", "correction"}),),
)


@dataclass
class House:
    """A room, a client of its admin service, and a worker of deliveries that is not started."""

    room: Here
    stub: stubs.AdminServiceStub
    deliveries: Deliveries

    def play(self) -> None:
        """Send what waits until nothing does, one turn after another."""
        def ended() -> bool:
            self.deliveries._turn()
            return self.room.count("delivery", "state = 'waiting'") == 0

        wait_until(ended, 20)

    def waiting(self) -> list[pb.QuarantinedItem]:
        """Return what waits in quarantine, oldest first."""
        return list(self.stub.ListQuarantine(pb.ListQuarantineRequest(oldest_first=True)).items)

    def retry(self, item: pb.QuarantinedItem) -> str:
        """Retry one, and return how it went."""
        return str(self.stub.RetryQuarantined(pb.RetryQuarantinedRequest(id=item.id)).outcome)

    def quarantined(self, *words: str) -> list[pb.QuarantinedItem]:
        """Owe these, send them, and return what is in quarantine then."""
        self.room.runner.submit(command("a", *words))
        self.play()
        return self.waiting()

    def states(self) -> list[tuple[str, str]]:
        """Return the deliveries, in order, and their states."""
        with self.room.store.connection() as connection:
            return connection.execute("select key, state from delivery order by id").fetchall()


@pytest.fixture
def house(database: str, tmp_path: Path) -> Iterator[House]:
    """Serve one room's admin service; no broker is needed."""
    room = Here(database, "127.0.0.1:1", tmp_path / "m", "diary")
    deliveries = Deliveries(room.runner, {"ehr": room.world}, CHECK, CLOCK, SITE)
    server, port = rpc.server("127.0.0.1:0", (Admin(room.runner, list).register,))
    with rpc.channel(f"127.0.0.1:{port}") as channel:
        yield House(room, stubs.AdminServiceStub(channel), deliveries)
    server.stop(0).wait()
    deliveries.stop()
    room.stop()


def test_a_refused_delivery_waits_in_quarantine(house: House) -> None:
    """With receiver, case, kind, key, bytes, reason and tries; the backlog counts it, and the room was told."""
    [item] = house.quarantined("one", "never")
    assert (item.source, item.type, item.subject, item.input_id) == ("delivery:ehr", "report", CASE, "a-never")
    assert (item.reason, item.attempts, item.state) == ("the receiver refuses it for good", 1, "waiting")
    [whole] = house.stub.ListQuarantine(pb.ListQuarantineRequest(id_prefix=item.id, include_payload=True)).items
    assert whole.payload == b"never"
    assert house.stub.Status(pb.StatusRequest()).backlog["quarantine"] == 1
    assert house.room.lines() == ("said", "one delivered", "never quarantined")


def test_a_receiver_with_a_bug_has_five_attempts_each_time(house: House) -> None:
    """The fifth unforeseen error puts it into quarantine; given back it has five again, under one key."""
    [item] = house.quarantined("bug")
    assert (item.reason, item.attempts) == ("ZeroDivisionError in the receiver", 5)
    house.retry(item)
    house.play()
    assert house.room.world.sent == [b"bug"] * 10
    assert [one.attempts for one in house.waiting()] == [5]


def test_a_delivery_given_back_after_repair_is_sent_and_answered_once_more(house: House) -> None:
    """The same bytes under the same key; the room hears the second answer although it heard the first."""
    [item] = house.quarantined("never")
    house.room.world.refuses = False
    assert house.retry(item) == "waiting: it is sent again, unless a newer one has overtaken it"
    house.play()
    assert house.room.world.sent == [b"never", b"never"]
    assert house.room.lines() == ("said", "never quarantined", "never delivered")
    assert house.states() == [("a-never", "delivered")]
    assert house.waiting() == []


def test_a_delivery_that_is_refused_again_waits_again(house: House) -> None:
    """Each return is answered, and each refusal is a row of its own."""
    [item] = house.quarantined("never")
    house.retry(item)
    house.play()
    [again] = house.waiting()
    assert again.id != item.id
    assert house.room.lines() == ("said", "never quarantined", "never quarantined")
    house.room.world.refuses = False
    house.retry(again)
    house.play()
    assert house.room.lines()[-1] == "never delivered"


def test_nothing_older_is_sent_after_a_newer_one(house: House) -> None:
    """What was delivered while it was in quarantine has overtaken it, and the room is told so."""
    [item] = house.quarantined("never", "two")
    house.room.world.refuses = False
    house.retry(item)
    house.play()
    assert house.room.world.sent == [b"never", b"two"]
    assert house.room.lines()[-1] == "never superseded"
    assert house.states() == [("a-never", "superseded"), ("a-two", "delivered")]


def test_not_even_a_correction_is_sent_after_a_newer_one(house: House) -> None:
    """What always goes has been said better meanwhile; kinds that write the same resource count as one."""
    [item] = house.quarantined("never", "correction")
    with house.room.store.connection() as connection:
        connection.execute("update delivery set kind = 'correction' where key = 'a-correction'")
        connection.execute("update delivery set input = input || '{\"always\": true}' where key = 'a-never'")
    house.room.world.refuses = False
    house.retry(item)
    house.play()
    assert house.room.world.sent == [b"never", b"correction"]


def test_another_kind_overtakes_nothing(house: House) -> None:
    """What says something else, to the same receiver about the same case, takes nobody's place."""
    [item] = house.quarantined("never", "two")
    with house.room.store.connection() as connection:
        connection.execute("update delivery set kind = 'look-up' where key = 'a-two'")
    house.room.world.refuses = False
    house.retry(item)
    house.play()
    assert house.room.world.sent == [b"never", b"two", b"never"]


def test_a_newer_one_on_its_way_has_overtaken_too(house: House) -> None:
    """It may have arrived, though its answer has not: the older one is not sent behind it."""
    [item] = house.quarantined("never")
    house.room.world.away.add("ehr")
    house.room.runner.submit(command("b", "two"))
    wait_until(lambda: bool(house.deliveries._turn()) and house.room.count("delivery", "key = 'b-two' and tries > 0") == 1, 10)
    house.room.world.refuses = False
    house.retry(item)
    wait_until(lambda: bool(house.deliveries._turn()) and dict(house.states())["a-never"] == "superseded", 10)
    house.room.world.away.clear()
    house.play()
    assert b"never" not in house.room.world.sent[1:]


def test_one_that_comes_back_goes_before_what_waits_behind_it(house: House) -> None:
    """Nothing newer was tried yet: both are sent, in order, also where a worker had the newer one in hand already."""
    [item] = house.quarantined("never")
    house.room.runner.submit(command("b", "two"))
    [newer] = house.deliveries._lease("ehr", [0])
    house.room.world.refuses = False
    house.retry(item)
    house.deliveries._send(*newer)
    assert house.room.world.sent == [b"never"]
    house.play()
    assert house.room.world.sent == [b"never", b"never", b"two"]


def test_one_that_comes_back_is_held_against_its_case_as_it_is_now(house: House) -> None:
    """Closed meanwhile: superseded, not sent."""
    [item] = house.quarantined("never")
    house.room.runner.submit(command("b", "close"))
    house.room.world.refuses = False
    house.retry(item)
    house.play()
    assert house.room.world.sent == [b"never"]
    assert house.room.lines()[-1] == "never superseded"


def test_several_given_back_go_in_their_order(house: House) -> None:
    """Whichever is given back first."""
    older, newer = house.quarantined("never", "never-mind")
    house.room.world.refuses = False
    assert {house.retry(newer), house.retry(older)} == {"waiting: it is sent again, unless a newer one has overtaken it"}
    house.play()
    assert house.room.world.sent[2:] == [b"never", b"never-mind"]


def test_two_who_give_back_at_once_have_it_sent_once(house: House) -> None:
    """One of them hears that the matter is settled."""
    [item] = house.quarantined("never")
    house.room.world.refuses = False

    def outcome(_: int) -> str:
        try:
            return house.retry(item)
        except Exception as refused:  # noqa: BLE001 - what the second hears, however it came too late
            return str(refused)

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(outcome, range(4)))
    house.play()
    assert sum(one.startswith("waiting") for one in outcomes) == 1
    assert house.room.world.sent == [b"never", b"never"]


def test_a_delivery_given_up_is_not_sent_and_says_so(house: House) -> None:
    """The row stays, with both reasons; nobody can give it back."""
    [item] = house.quarantined("never")
    house.stub.DiscardQuarantined(pb.DiscardQuarantinedRequest(id=item.id, reason="told by telephone"))
    assert house.states() == [("a-never", "discarded")]
    with pytest.raises(Exception, match="it was discarded already"):
        house.retry(item)
    facts = house.stub.Trace(pb.TraceRequest(case_id=CASE)).entries
    assert "discarded: quarantined: the receiver refuses it for good - discarded: told by telephone" in {one.detail for one in facts}


def test_a_kill_before_the_commit_keeps_neither_answer_nor_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are one transaction: asked again with the same bytes, the room hears one answer, and there is one row."""
    bury, calls = Work.bury, []

    def dying(self: Any, *args: Any) -> None:
        calls.append("dying")
        if len(calls) == 1:
            raise Transient("killed here")
        bury(self, *args)

    monkeypatch.setattr("radloop.kit.store.Work.bury", dying)
    house.room.runner.submit(command("a", "never"))
    wait_until(lambda: bool(house.deliveries._turn()) and bool(calls), 10)
    wait_until(lambda: all(one.done() for one in house.deliveries._in_hand["ehr"].values()), 10)
    assert (house.room.lines(), house.waiting(), house.states()) == (("said",), [], [("a-never", "waiting")])
    with house.room.store.connection() as connection:
        connection.execute("update delivery set leased_until = now()")
    house.play()
    assert house.room.world.sent == [b"never", b"never"]
    assert house.room.lines() == ("said", "never quarantined")
    assert len(house.waiting()) == 1


def test_an_answer_that_was_kept_already_ends_its_row(house: House) -> None:
    """The row of an answer that is known is ended, and the room does not hear it twice."""
    [item] = house.quarantined("never")
    house.retry(item)
    house.play()
    with house.room.store.connection() as connection:
        connection.execute("update delivery set state = 'waiting', leased_until = null")
        connection.execute("update quarantine set state = 'retried'")
    house.play()
    assert house.room.lines() == ("said", "never quarantined", "never quarantined")
    assert (house.states(), len(house.waiting())) == ([("a-never", "quarantined")], 1)


def test_a_stalled_worker_does_not_end_what_came_back_meanwhile(house: House) -> None:
    """An answer of the round before changes nothing of this one."""
    house.room.runner.submit(command("a", "never"))
    [stalled] = house.deliveries._lease("ehr", [0])
    with house.room.store.connection() as connection:
        connection.execute("update delivery set leased_until = null")
    house.play()
    [item] = house.waiting()
    house.retry(item)
    house.deliveries._send(*stalled)
    assert house.room.world.sent == [b"never"]
    assert house.states() == [("a-never", "waiting")]
    assert house.room.lines() == ("said", "never quarantined")


def test_what_is_being_sent_is_not_taken_again_though_its_lease_ran_out(house: House) -> None:
    """The store was away for longer than a lease, the receiver slow for as long: one hand sends it, and once."""
    house.room.runner.submit(command("a", "never"))
    [sending] = house.deliveries._lease("ehr")
    with house.room.store.connection() as connection:
        connection.execute("update delivery set leased_until = now() - interval '1 second'")
    assert house.deliveries._lease("ehr", [sending[0]]) == []
    assert [row[0] for row in house.deliveries._lease("ehr")] == [sending[0]]


def test_an_event_that_could_not_be_read_is_heard_after_the_upgrade(house: House) -> None:
    """Its handler runs through the same inbox: the event that comes again by its topic is a repeat."""
    event = order(CASE, 1)
    message = Wire().encode(event, "ingestion")
    house.room.runner.quarantine_unread("topic:order-recorded", message.headers, message.value, "unknown type")
    [item] = house.waiting()
    assert house.retry(item) == "recorded"
    arrived = house.room.runner.read("", "topic:order-recorded", message.headers, message.value)
    assert house.room.runner.settle(arrived).repeated
    assert (house.room.lines(), house.waiting()) == (("order 1",), [])


def test_what_was_refused_before_the_upgrade_can_be_given_back_too(house: House) -> None:
    """The migration puts into quarantine what receivers refused while nobody could list it; the bytes are what they were."""
    [item] = house.quarantined("never")
    body = bytes(range(256))
    with house.room.store.connection() as connection:
        connection.execute("truncate quarantine")
        connection.execute("alter table delivery drop column round")
        connection.execute("delete from migration where name like '0004%'")
        stored = connection.execute("select input from delivery").fetchone()
        assert stored
        connection.execute(
            "update delivery set input = input || jsonb_build_object('body', %s::text)", (base64.urlsafe_b64encode(body).decode(),))
    house.room.store.migrate()
    [kept] = house.waiting()
    assert (kept.source, kept.type, kept.input_id, kept.reason, kept.attempts) == (
        item.source, item.type, item.input_id, item.reason, item.attempts)
    house.retry(kept)
    house.play()
    assert house.room.world.sent[-1] == body
