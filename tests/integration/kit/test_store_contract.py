"""One set of expectations over the store in memory and the real Postgres, so that what is tried on the one is true of the other."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from adapters import memory_store
from adapters.memory_store import MemoryLeader, MemoryOutbox, MemoryParking, MemoryStore, MemoryWork
from conftest import wait_until
from examples.echo import Book, Spoke
from examples.shared import CASE, READER, SITE, ordered

from radloop.events.wire import Wire
from radloop.kit import outbox
from radloop.kit.clock import SystemClock
from radloop.kit.codec import Message
from radloop.kit.errors import Transient
from radloop.kit.flow import Arrived, At, Command, Deliver, Due, Outcome, Record, StartJob, on
from radloop.kit.leader import Leader
from radloop.kit.outbox import Outbox
from radloop.kit.parking import Parking
from radloop.kit.runner import Runner
from radloop.kit.store import Store, Unit, Work
from radloop.kit.tables import Table

ROUTE = on(Command, lambda seen, book: Record(book), keeps=Book, answers=Spoke, name="hear")
EARLIER = datetime(2020, 1, 1, tzinfo=UTC)


class Interrupted(BaseException):
    """Something that nobody foresees."""


@dataclass
class Here:
    """A store of either kind, with what works on it."""

    store: Any
    outbox: Any
    parking: Any
    prune_inbox: Any
    leader: Any

    def say(self, name: str, key: str = CASE) -> None:
        """Put an event into the outbox."""
        with self.store.begin() as work:
            work.enqueue(name, Message(topic="order-recorded", key=key, headers={"ce_id": name}, value=name.encode()))

    def claim(self, name: str, *keys: str, route: str = "hear") -> bool:
        """Take an inbox row in a transaction of its own."""
        with self.store.begin() as work:
            work.lock(keys or (CASE,))
            return bool(work.claim(route, arrived(name), keys or (CASE,)))

    def waiting(self) -> list[str]:
        """Return the keys of what is to be sent first."""
        return [said.headers["ce_id"] for said in self.outbox.waiting(("study-backfilled",), bulk=False)]


@pytest.fixture(params=["memory", "postgres"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Here]:
    """A store of each kind."""
    if request.param == "memory":
        twin = MemoryStore("hearing", SystemClock())
        parking: Any = MemoryParking(Runner(twin, (ROUTE,), Wire(), SystemClock()))  # type: ignore[arg-type]
        yield Here(twin, MemoryOutbox(twin), parking, memory_store.prune_inbox, MemoryLeader)
        return
    (tmp_path / "0001_room.sql").write_text("create table book (key text primary key, heard jsonb not null);")
    store = Store(request.getfixturevalue("database"), "hearing", {Book: Table(Book, "book", "key")})
    store.migrate(tmp_path)
    store.open()
    parking = Parking(Runner(store, (ROUTE,), Wire(), SystemClock()))
    yield Here(store, Outbox(store), parking, outbox.prune_inbox, Leader)
    store.close()


def arrived(name: str, subject: str = CASE) -> Arrived:
    """Build an input on its way."""
    seen = Command(id=name, subject=subject, site=SITE, at=EARLIER, actor=READER)
    return Arrived(seen=seen, payload=b"{}", source="door:reader", type_name="Command", headers={"traceparent": ""})


def unit(name: str, key: str = CASE) -> Unit:
    """Build one of a batch."""
    return Unit(ROUTE, arrived(name, key), None, (key,))


@pytest.mark.parametrize(("real", "twin", "absent"), [
    (Work, MemoryWork, set()), (Outbox, MemoryOutbox, set()), (Leader, MemoryLeader, set()),
    (Store, MemoryStore, {"dedicated", "migrate"}),  # a session's connection and tables: a leader's, and Postgres's alone
])
def test_the_twin_can_be_asked_all_that_the_real_one_can(real: type, twin: type, absent: set[str]) -> None:
    """Each public method is there and takes the same arguments: what is added to the one is missed at the other."""
    for name, method in inspect.getmembers(real, inspect.isfunction):
        if not name.startswith("_") and name not in absent:
            asked, offered = inspect.signature(method).parameters, inspect.signature(getattr(twin, name)).parameters
            assert list(asked) == list(offered), name


def test_an_input_is_claimed_once_by_each_route(here: Here) -> None:
    """A second claim is refused, another route's is not."""
    assert here.claim("a")
    assert not here.claim("a")
    assert here.claim("a", route="other")


def test_of_a_batch_those_are_claimed_that_are_new(here: Here) -> None:
    """The others were settled before, alone or in a batch."""
    here.claim("a")
    with here.store.begin() as work:
        assert [one.arrived.seen.id for one in work.claim_all([unit("a"), unit("b", "other-case")])] == ["b"]
    assert not here.claim("b", "other-case")


def test_what_ends_in_an_exception_leaves_nothing(here: Here) -> None:
    """Claim, state, event, delivery, timer, job and quarantine are kept together or not at all."""
    with pytest.raises(Interrupted), here.store.begin() as work:
        keep_everything(work, interrupted=True)
    assert set(here.store.backlog().values()) == {0}
    with here.store.begin() as work:
        assert work.load(Book, (CASE,)) is None
    assert here.claim("a")


def test_what_ends_well_is_kept_whole(here: Here) -> None:
    """One of each, and the state; the same event or delivery again is the same row."""
    for _ in range(2):
        with here.store.begin() as work:
            keep_everything(work)
    assert here.store.backlog() == {"outbox": 1, "parked": 0, "quarantine": 2, "delivery": 1, "timer": 1, "job": 1, "repeat": 0}
    with here.store.begin() as work:
        assert work.load(Book, (CASE,)) == Book(key=CASE, heard=("a",))


def keep_everything(work: Any, *, interrupted: bool = False) -> None:
    """Write into every table, and be interrupted at the end where that is asked for."""
    work.take("hear", arrived("a"), CASE)
    work.save(Book, (CASE,), Book(key=CASE, heard=("a",)))
    work.enqueue("said", Wire().encode(ordered("said"), "test"))
    work.deliver("hear", Deliver(key="d", receiver="ehr", subject=CASE, kind="k", body=b"", content_type="x"))
    work.set_timer(CASE, SITE, At(EARLIER, "ring"))
    work.start_job(CASE, SITE, StartJob(job_id="j", name="count", spec="{}"))
    work.bury("hear", arrived("a"), "never")
    if interrupted:
        raise Interrupted


def test_a_timer_is_set_to_the_instant_it_was_set_to_last(here: Here) -> None:
    """Set anew it is not set to the old instant; cancelled it is not set at all."""
    later = EARLIER + timedelta(days=1)
    old, new = (Due(id="t", subject=CASE, site=SITE, at=when, name="ring") for when in (EARLIER, later))
    with here.store.begin() as work:
        work.set_timer(CASE, SITE, At(EARLIER, "ring"))
        work.set_timer(CASE, SITE, At(later, "ring"))
        assert (work.is_set(old), work.is_set(new)) == (False, True)
        work.set_timer(CASE, SITE, At(None, "ring"))
        assert not work.is_set(new)


def test_how_an_input_was_settled_is_told_again(here: Here) -> None:
    """Kind, reason and answer, marked as a repeat; what was never settled has none."""
    assert here.store.settled(ROUTE, "a") is None
    with here.store.begin() as work:
        work.take("hear", arrived("a"), CASE)
        work.settle("hear", "a", Outcome(kind="skipped", reason="late", answer=Spoke(revision=3)))
    assert here.store.settled(ROUTE, "a") == Outcome(kind="skipped", reason="late", answer=Spoke(revision=3), repeated=True)


def test_attempts_are_counted_taken_back_and_forgotten(here: Here) -> None:
    """Each input of each route has a count of its own."""
    assert [here.store.attempt("hear", "a", "KeyError") for _ in range(3)] == [1, 2, 3]
    here.store.uncount("hear", "a")
    assert (here.store.attempt("hear", "a", "KeyError"), here.store.attempt("other", "a", "KeyError")) == (3, 1)
    with here.store.begin() as work:
        work.forget_attempts(("hear", "a"))
    assert here.store.attempt("hear", "a", "KeyError") == 1


def test_of_a_batch_first_attempts_are_counted_together_or_not_at_all(here: Here) -> None:
    """Where any was tried before none is counted; taken back, all are as if they had never been tried, but for what was tried since."""
    assert here.store.attempt_first([unit("a"), unit("b")])
    assert not here.store.attempt_first([unit("b"), unit("c")])
    assert here.store.attempt("hear", "b", "KeyError") == 2
    here.store.uncount_first([unit("a"), unit("b")])
    assert here.store.attempt_first([unit("a"), unit("c")])
    assert here.store.attempt("hear", "b", "KeyError") == 3


def test_nothing_is_claimed_past_what_is_parked(here: Here) -> None:
    """Later inputs of any of its keys wait, for that route; it itself does not wait for what came after it."""
    here.store.park("hear", ("a-case", "b-case"), arrived("first"), "away")
    here.store.park("hear", ("b-case",), arrived("second"), "behind")
    assert not here.claim("third", "b-case")
    assert not here.claim("second", "b-case")
    assert here.claim("third", "b-case", route="other")
    assert here.claim("third", "c-case")
    assert here.claim("first", "a-case", "b-case")


def test_a_batch_with_something_parked_is_refused(here: Here) -> None:
    """Of whichever route: each of it must be looked at alone."""
    here.store.park("other", (CASE,), arrived("first"), "away")
    with pytest.raises(Transient), here.store.begin() as work:
        work.claim_all([unit("a", "other-case"), unit("b")])
    assert here.claim("a", "other-case")


def test_the_head_of_each_key_is_tried_and_the_rest_waits(here: Here) -> None:
    """Parked twice it waits once; put off it is not due; let go it lets the next one forward."""
    here.store.park("hear", (CASE,), arrived("a"), "away")
    here.store.park("hear", (CASE,), arrived("a"), "still away")
    here.store.park("hear", (CASE,), arrived("b"), "behind")
    here.store.park("other", (CASE,), arrived("b"), "away")
    assert here.store.backlog()["parked"] == 3
    due = list(here.parking._due())
    assert [(row[1], row[2], row[5]) for row in due] == [("Command", "door:reader", 0)] * 2
    here.parking._put_off(due[0][0], 60)
    assert [row[0] for row in here.parking._due()] == [due[1][0]]
    here.parking._let_go(due[0][0])
    assert len(list(here.parking._due())) == 2


def test_a_quarantined_item_is_reopened_once(here: Here) -> None:
    """Its claim is given back, but not the claim of what has succeeded meanwhile."""
    with here.store.begin() as work:
        work.take("hear", arrived("a"), CASE)
        work.bury("hear", arrived("a"), "never")
        work.settle("hear", "a", Outcome(kind="rejected", reason="never"))
    item = item_of(here)
    with here.store.begin() as work:
        assert work.reopen(item, "hear", "a")
        assert not work.reopen(item, "hear", "a")
    assert here.claim("a")


def item_of(here: Here) -> Any:
    """Return the id of the one quarantined item."""
    if isinstance(here.store, MemoryStore):
        return next(iter(here.store.tables.quarantine))
    with here.store.connection() as connection:
        return connection.execute("select id from quarantine").fetchone()[0]


def test_what_waits_in_the_outbox_waits_in_order_until_it_is_marked(here: Here) -> None:
    """Oldest first; bulk topics' events apart."""
    for name in ("a", "b", "c"):
        here.say(name)
    assert here.waiting() == ["a", "b", "c"]
    assert here.outbox.waiting(("order-recorded",), bulk=False) == ()
    assert [one.headers["ce_id"] for one in here.outbox.waiting(("order-recorded",), bulk=True)] == ["a", "b", "c"]
    here.outbox.mark_sent([here.outbox.waiting((), bulk=False)[1].id])
    assert here.waiting() == ["a", "c"]


def test_what_is_to_be_repeated_goes_before_what_is_new_of_its_case(here: Here) -> None:
    """A new event of a case waits for those that are sent again; only what was sent can be."""
    here.say("a", "x")
    here.outbox.mark_sent([one.id for one in here.outbox.waiting((), bulk=False)])
    here.say("b", "x")
    here.say("c", "y")
    assert here.outbox.repeat(EARLIER, case="y") == here.outbox.repeat(EARLIER, topic="study-completed") == 0
    assert here.outbox.repeat(EARLIER, case="x", topic="order-recorded") == 1
    assert (here.waiting(), [one.headers["ce_id"] for one in here.outbox.to_repeat()]) == (["c"], ["a"])
    here.outbox.mark_sent([one.id for one in here.outbox.to_repeat()])
    assert (here.waiting(), here.outbox.to_repeat()) == (["b", "c"], ())
    assert here.store.backlog()["repeat"] == 0


def test_of_what_is_to_be_repeated_that_goes_first_for_which_something_new_waits(here: Here) -> None:
    """A long replay holds a case that moves on for as long as its own repeats take, and not for everybody's."""
    for name, key in (("a", "x"), ("b", "y"), ("c", "y")):
        here.say(name, key)
    here.outbox.mark_sent([one.id for one in here.outbox.waiting((), bulk=False)])
    here.say("new", "y")
    here.outbox.repeat(EARLIER)
    assert [one.headers["ce_id"] for one in here.outbox.to_repeat()] == ["b", "c"]
    here.outbox.mark_sent([one.id for one in here.outbox.to_repeat()])
    assert (here.waiting(), [one.headers["ce_id"] for one in here.outbox.to_repeat()]) == (["new"], ["a"])


def test_a_copy_is_the_same_byte_for_byte(here: Here) -> None:
    """Waiting, sent, read again or repeated: id, key, headers and value are the same."""
    here.say("a")
    first = here.outbox.waiting((), bulk=False)
    here.outbox.mark_sent([first[0].id])
    assert here.outbox.read(here.outbox.sent_lately(60)) == first
    here.outbox.repeat(EARLIER)
    assert here.outbox.to_repeat() == first
    assert set(first[0].headers) == {"ce_id", "ce_recordedtime"}
    assert datetime.fromisoformat(first[0].headers["ce_recordedtime"]).tzinfo is not None


def test_only_what_was_sent_is_pruned(here: Here) -> None:
    """By age; what waits, for the first time or again, stays."""
    for name in ("sent", "again", "new"):
        here.say(name)
    sent = [one.id for one in here.outbox.waiting((), bulk=False)]
    here.outbox.mark_sent(sent[:2])
    here.outbox.repeat(EARLIER)
    here.outbox.mark_sent(sent[:1])
    future = SystemClock().now() + timedelta(days=1)
    assert (here.outbox.prune(EARLIER), here.outbox.prune(future), here.outbox.prune(future)) == (0, 1, 0)
    assert [one.headers["ce_id"] for one in here.outbox.read(sent)] == ["again", "new"]


def test_a_pruned_inbox_forgets_what_is_old(here: Here) -> None:
    """And nothing younger: then the same input is a new one."""
    here.claim("a")
    assert here.prune_inbox(here.store, EARLIER) == 0
    assert not here.claim("a")
    assert here.prune_inbox(here.store, SystemClock().now() + timedelta(days=1)) == 1
    assert here.claim("a")


def test_one_leader_of_a_name_holds_until_it_lets_go(here: Here) -> None:
    """Another waits, one of another name does not; whoever holds goes on holding."""
    first, second, other = (here.leader(here.store, name) for name in ("relay", "relay", "timers"))
    try:
        assert [one.holds() for one in (first, second, other, first)] == [True, False, True, True]
        first.let_go()
        wait_until(second.holds, 10)  # a server notices a little later that a session has ended
    finally:
        for one in (first, second, other):
            one.let_go()


def test_a_batch_reads_ahead_and_loads_what_it_saved_last(here: Here) -> None:
    """What is loaded after a save in the same transaction is what was saved, read ahead or not."""
    with here.store.begin() as work:
        work.save(Book, ("x",), Book(key="x", heard=("1",)))
    with here.store.begin() as work:
        work.read_ahead([unit("a", "x"), unit("b", "y")])
        with work.without_waiting():
            assert (work.load(Book, ("x",)), work.load(Book, ("y",))) == (Book(key="x", heard=("1",)), None)
            work.save(Book, ("x",), Book(key="x", heard=("1", "2")))
            assert work.load(Book, ("x",)) == Book(key="x", heard=("1", "2"))


def test_what_a_batch_saves_last_is_kept_and_seen_by_whoever_reads_the_table(here: Here) -> None:
    """It is written together at the end, but never later than a load that may depend on it."""
    with here.store.begin() as work:
        work.read_ahead([unit("a", "x"), unit("b", "y")])
        work.save(Book, ("x",), Book(key="x", heard=("1",)))
        work.save(Book, ("x",), Book(key="x", heard=("1", "2")))
        work.save(Book, ("y",), Book(key="y", heard=("3",)))
        work.load(Book, ("z",))  # not read ahead: it is read now, after what was saved
        work.save(Book, ("y",), Book(key="y", heard=("3", "4")))
    with here.store.begin() as work:
        assert work.load(Book, ("x",)) == Book(key="x", heard=("1", "2"))
        assert work.load(Book, ("y",)) == Book(key="y", heard=("3", "4"))
