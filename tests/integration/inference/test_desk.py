"""The desk over a real Postgres: who holds a reading keeps it, and who dies with one in hand loses it soon."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pydantic import SecretStr
from tests.examples.shared import CASE, completed

from radloop import inference
from radloop.events.prediction import PredictionFailed
from radloop.events.wire import Wire
from radloop.inference.adapters.postgres import REPOSITORIES, StoredDesk
from radloop.inference.config import Settings
from radloop.inference.domain.case import reading_id
from radloop.inference.main import build
from radloop.kit.flow import Arrived
from radloop.kit.store import Store

ANY = 10


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """Open the room's schema, with one reading wanted."""
    opened = Store(database, "inference", REPOSITORIES)
    opened.open()
    opened.migrate(Path(inference.__file__).parent / "migrations")
    with opened.connection() as connection:
        connection.execute(
            "insert into reading (reading_id, case_id, site, role, revision, rank, arrived_at)"
            " values ('reading-1', 'case-1', 'site-1', 'serving', 1, 0, %s)", (datetime(2026, 1, 1, tzinfo=UTC),),
        )
    yield opened
    opened.close()


def pass_by(store: Store, seconds: float) -> None:
    """Let so much time go by for every lease."""
    with store.connection() as connection:
        connection.execute("update reading set leased_until = leased_until - make_interval(secs => %s)", (seconds,))


def test_a_reading_is_held_while_its_lease_is_renewed_and_taken_up_soon_after(store: Store) -> None:
    """A reader that was killed keeps nobody's STAT for longer than a lease; its death is counted."""
    here, there = StoredDesk(store), StoredDesk(store)
    held = here.take(ANY)
    assert held
    for _ in range(3):
        pass_by(store, 10)
        assert there.take(ANY) is None
        here.renew([held.reading_id])
    pass_by(store, 16)
    taken_up = there.take(ANY)
    assert taken_up
    assert (taken_up.reading_id, taken_up.takes) == ("reading-1", 2)


def test_a_reading_in_hand_is_not_taken_again_by_its_own_process(store: Store) -> None:
    """Its lease ran out while the store was away; another process may take it, this one is still at it."""
    desk = StoredDesk(store)
    held = desk.take(ANY)
    assert held
    pass_by(store, 16)
    assert desk.take(ANY, [held.reading_id]) is None
    assert StoredDesk(store).take(ANY)


def test_what_was_given_back_or_ended_is_not_leased_by_a_late_sign_of_life(store: Store) -> None:
    """The sign of life may have been under way when its reading was let go."""
    desk = StoredDesk(store)
    held = desk.take(ANY)
    assert held
    desk.give_back(held, 0)
    desk.renew([held.reading_id])
    again = desk.take(ANY)
    assert again
    desk.end(again, "recorded")
    desk.renew([again.reading_id])
    assert desk.take(ANY) is None
    assert sum(desk.counts()["done"].values()) == 1


def test_more_of_a_rank_are_taken_beside_the_first_but_none_that_was_begun_before(store: Store) -> None:
    """Those that arrived first, up to the most, never one in other hands, of another rank, or that was in hand when a process died."""
    with store.connection() as connection:
        connection.cursor().executemany(
            "insert into reading (reading_id, case_id, site, role, revision, rank, arrived_at, takes)"
            " values (%s, %s, 'site-1', 'serving', 1, %s, %s, %s)",
            [
                (f"reading-{number}", f"case-{number}", rank, datetime(2026, 1, number, tzinfo=UTC), takes)
                for number, rank, takes in ((2, 0, 0), (3, 0, 1), (4, 1, 0), (5, 0, 0), (6, 0, 0), (7, 0, 0))
            ],
        )
    here = StoredDesk(store)
    first = here.take(ANY)
    assert first is not None
    beside = here.take_beside(first, 2, ["reading-2"])
    assert sorted(one.reading_id for one in beside) == ["reading-5", "reading-6"]
    assert {one.takes for one in beside} == {1}
    assert [one.reading_id for one in StoredDesk(store).take_beside(first, 9)] == ["reading-2", "reading-7"]
    here.end_all([(one, "recorded") for one in beside])
    here.end_all([])
    with store.connection() as connection:
        ended = connection.execute("select reading_id, outcome from reading where ended_at is not null order by 1").fetchall()
    assert ended == [("reading-5", "recorded"), ("reading-6", "recorded")]


def test_what_was_given_back_late_or_twice_is_not_taken_from_whoever_has_it(store: Store) -> None:
    """The store was away, so its reader could say so only now: the next one has it, or nobody, and no take is uncounted twice."""
    here, there = StoredDesk(store), StoredDesk(store)
    late = here.take(ANY)
    pass_by(store, 16)
    held = there.take(ANY)
    assert late and held
    here.give_back(late, 0)
    assert here.take(ANY) is None
    there.give_back(held, 0)
    there.give_back(held, 0)
    again = here.take(ANY)
    assert again
    assert again.takes == held.takes
    there.give_back(again, 60)
    here.hurry()  # which forgets how often it was put back
    now = there.take(ANY)
    assert now
    for stale in (late, held, again):
        here.give_back(stale, 0)
    assert here.take(ANY) is None


@pytest.mark.parametrize(("ended", "failed"), [(None, 1), ("recorded", 0), ("rejected", 0), ("quarantined", 1)])
def test_a_reading_is_said_to_have_failed_only_where_it_has_no_answer(
    database: str, tmp_path: Path, ended: str | None, failed: int,
) -> None:
    """Its end may not have reached the queue, as often as it was taken: what it said stands, and nothing else is said."""
    room = build(Settings(
        postgres=SecretStr(database), kafka="127.0.0.1:1", blobs=str(tmp_path), triton="127.0.0.1:1", model_repository=str(tmp_path),
    ))
    runner = room.runner()
    runner.caught_up.set()
    readers = room.furnish(runner).parts[-1]
    runner.settle(Arrived(seen=completed(), payload=b"", source="topic:study", type_name="StudyCompleted", headers={}))
    with runner.store.connection() as connection:
        connection.execute("update reading set takes = 5 where role = 'serving'")
        connection.execute("update reading set ended_at = now() where role = 'shadow'")
        answers = [(reading_id(CASE, "shadow", 1), "recorded"), (reading_id(CASE, "serving", 2), "recorded")]
        if ended:
            answers.append((reading_id(CASE, "serving", 1), ended))
        connection.cursor().executemany(
            "insert into inbox (route, input_id, key, type, outcome) values ('record_reading', %s, %s, 'ReadStudy', %s)",
            [(reading, CASE, outcome) for reading, outcome in answers],
        )
    readers._turn()
    with runner.store.connection() as connection:
        said = connection.execute("select headers, value from outbox").fetchall()
        left = connection.execute("select count(*) from reading where ended_at is null").fetchone()
    runner.store.close()
    assert [type(Wire().decode(headers, bytes(value))) for headers, value in said] == [PredictionFailed] * failed
    assert left == (0,)
