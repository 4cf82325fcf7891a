"""Each promise of the kit, broken on purpose in a copy: the test that is named for it must go red, or it guards nothing."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KIT, TESTS = "services/radloop/kit", "tests/integration/kit"


@dataclass(frozen=True)
class Broken:
    """One change to one file of the kit, and the test that must notice."""

    promise: str
    file: str
    old: str
    new: str
    test: str


SAMPLES = (
    Broken(
        "the offset is committed after the transaction", "consumer.py",
        "            if polled:\n                self._settle_all(self._kafka, polled)\n",
        "            if polled:\n                self._note_settled(polled)\n"
        "                self._commit(self._kafka)\n"
        "                self._settle_all(self._kafka, polled)\n",
        "test_kit_courses.py::test_what_was_not_settled_when_a_process_died_is_heard_by_the_next",
    ),
    Broken(
        "nothing is published before its transaction is committed", "store.py",
        "        self._said.append((event_id, message))\n",
        "        self._said.append((event_id, message))\n"
        "        apart = psycopg.connect(self.cursor.connection.info.dsn, autocommit=True)\n"
        '        apart.execute(SQL("set search_path = {}").format(Identifier(self._room)))\n'
        "        ours, self.cursor = self.cursor, apart.cursor()\n"
        "        self.finish()\n"
        "        self.cursor = ours\n",
        "test_promises.py::test_a_decision_that_is_not_kept_says_nothing",
    ),
    Broken(
        "an input is claimed before it is handled", "store.py",
        "        return self.cursor.fetchone() is not None\n\n    def settled(",
        "        return True\n\n    def settled(",
        "test_runner.py::test_the_same_command_twice_has_one_effect_and_the_same_answer",
    ),
    Broken(
        "an input is claimed before it is handled together with others", "store.py",
        "        return [unit for unit in units if (unit.route.name, unit.arrived.seen.id) in taken]",
        "        return list(units)",
        "test_together.py::test_what_was_settled_before_has_no_second_effect",
    ),
    Broken(
        "nothing is delivered inside a transaction", "deliveries.py",
        "                if not work.cursor.rowcount:\n",
        "                self._receivers[delivery.receiver].send(delivery)\n                if not work.cursor.rowcount:\n",
        "test_promises.py::test_no_receiver_is_asked_inside_a_transaction",
    ),
    Broken(
        "the outbox is never polled by the last id", "outbox.py",
        '            "sent_at is null and (topic',
        '            "id > coalesce((select max(id) from outbox where sent_at is not null), 0) and (topic',
        "test_promises.py::test_what_is_committed_late_under_a_smaller_id_is_sent_too",
    ),
    Broken(
        "a key is locked before it is decided on", "store.py",
        '        self.cursor.execute(\n            "select pg_advisory_xact_lock',
        '        return\n        self.cursor.execute(\n            "select pg_advisory_xact_lock',
        "test_promises.py::test_two_inputs_of_one_key_never_decide_at_once",
    ),
    Broken(
        "one instance alone relays", "leader.py",
        "or pg_try_advisory_lock(hashtextextended(%s, 2))", "or length(%s) > 0",
        "test_promises.py::test_one_instance_alone_does_what_one_must_do",
    ),
    Broken(
        "whoever has no lock does not lead", "leader.py",
        "        return bool(row and row[0])", "        return row is not None",
        "test_promises.py::test_one_instance_alone_does_what_one_must_do",
    ),
    Broken(
        "an inbox remembers longer than anybody can repeat", "retention.py",
        "    if not kept.topic <= kept.outbox < kept.inbox:", "    if not kept.topic <= kept.outbox <= kept.inbox:",
        "test_retention.py::test_a_retention_that_would_let_repeats_through_is_refused",
    ),
    Broken(
        "what was never sent is never pruned", "outbox.py",
        'where created_at < %s and sent_at is not null"', 'where created_at < %s"',
        "test_store_contract.py::test_only_what_was_sent_is_pruned[postgres]",
    ),
    Broken(
        "a copy is the same byte for byte", "outbox.py",
        "to_char(created_at at time zone", "to_char(coalesce(sent_at, created_at) at time zone",
        "test_store_contract.py::test_a_copy_is_the_same_byte_for_byte[postgres]",
    ),
    Broken(
        "what is repeated goes before what is new of its case", "outbox.py",
        "and not exists (select from outbox before where before.again", "and not exists (select from outbox before where false",
        "test_store_contract.py::test_what_is_to_be_repeated_goes_before_what_is_new_of_its_case[postgres]",
    ),
    Broken(
        "what was never taken is not marked as sent", "relay.py",
        "            if future.succeeded():\n", "            if future:\n",
        "test_kit_courses.py::test_what_a_broker_refuses_holds_back_what_was_said_after_it",
    ),
    Broken(
        "one event of each key is under way at a time", "relay.py",
        "            failed = len(taken) < len(queues)\n", "            failed = not taken\n",
        "test_kit_courses.py::test_what_a_broker_refuses_holds_back_what_was_said_after_it",
    ),
    Broken(
        "what a broker may have lost is sent again", "relay.py",
        "                self._send_again()\n", "",
        "test_kit_courses.py::test_what_the_broker_lost_is_sent_again",
    ),
    Broken(
        "a mark does not move the window of what is sent again", "relay.py",
        "self._send(events, mark=False)", "self._send(events)",
        "test_kit_courses.py::test_a_relay_killed_while_it_sends_again_sends_all_of_it_again",
    ),
    Broken(
        "an inbox remembers for longer than an outbox keeps", "pruning.py",
        "        gone = self._outbox.prune(now - timedelta(days=self._retention.outbox))\n"
        "        gone += prune_inbox(self._store, now - self._retention.horizon - SKEW)",
        "        gone = self._outbox.prune(now - self._retention.horizon - SKEW)\n"
        "        gone += prune_inbox(self._store, now - timedelta(days=self._retention.outbox))",
        "test_retention.py::test_whatever_is_left_to_repeat_has_no_second_effect",
    ),
    Broken(
        "a batch is kept whole or not at all", "runner.py",
        "        with work.without_waiting():\n            for unit in claimed:\n",
        "        with work.without_waiting():\n            for unit in claimed:\n                work.cursor.connection.commit()\n",
        "test_together.py::test_where_one_fails_nothing_is_kept_and_nothing_is_counted",
    ),
    Broken(
        "a consumer reads back after an outage", "consumer.py",
        "            if found is not None and found.offset < at:", "            if found is not None and found.offset < 0:",
        "test_kit_courses.py::test_what_is_committed_at_a_broker_that_lost_its_tail_hides_nothing",
    ),
    Broken(
        "a consumer reads back from its last commit, however long ago", "consumer.py",
        "            return min(datetime.fromisoformat(told.metadata), self._opened_at) if told else self._opened_at\n",
        "            return self._opened_at\n",
        "test_kit_courses.py::test_it_hides_nothing_from_a_consumer_that_was_killed_before_its_next_look",
    ),
    Broken(
        "what may have ended the process is counted wherever it comes", "consumer.py",
        "            self._careful_to[partition] = min(at + MOST, ends[partition])\n",
        "            self._careful_to.setdefault(partition, 0)\n",
        "test_kit_courses.py::test_it_is_counted_behind_whatever_is_read_again_on_coming_up",
    ),
    Broken(
        "no more is in hand than is counted when a process dies", "consumer.py",
        "        most = max(1, MOST - self._settled_count)", "        most = MOST",
        "test_kit_courses.py::test_no_more_is_in_hand_than_is_counted_when_a_process_dies",
    ),
    Broken(
        "what was settled is committed where nothing more comes", "consumer.py",
        "if self._settled and (not polled or self._is_due()):", "if self._settled and polled and self._is_due():",
        "test_kit_courses.py::test_offsets_are_committed_a_while_after_they_are_settled_and_where_nothing_more_comes",
    ),
    Broken(
        "what is parked is overtaken by nothing of its key", "store.py",
        '        self.cursor.execute("select from parked where keys && %s::text[] limit 1", (keys,))',
        '        self.cursor.execute("select from parked where keys = %s::text[] limit 0", (keys,))',
        "test_together.py::test_a_batch_with_a_parked_key_is_settled_one_by_one",
    ),
    Broken(
        "nothing is claimed past what is parked", "store.py",
        'SQL("where not exists (select from parked where route = %s', 'SQL("where true or not exists (select from parked where route = %s',
        "test_store_contract.py::test_nothing_is_claimed_past_what_is_parked[postgres]",
    ),
    Broken(
        "an input that ends its process is counted before it runs alone", "runner.py",
        'attempts = self.store.attempt(route.name, arrived.seen.id, "started") if arrived.careful else 0\n', "attempts = 0\n",
        "test_kit_courses.py::test_an_input_that_ends_its_process_again_and_again_is_quarantined",
    ),
    Broken(
        "an input that ends its process is counted before it runs", "store.py",
        "            if tried is None:\n                connection.execute(",
        "            if tried is not None:\n                connection.execute(",
        "test_together.py::test_what_was_in_hand_when_a_process_died_goes_together_once",
    ),
)


def run(services: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests of the kit on these sources, until one fails."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "-o", "timeout=100",
         *(f"{TESTS}/{test}" for test in tests)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(services)}, capture_output=True, text=True, check=False, timeout=300,
    )


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.promise.replace(" ", "-"))
def test_a_broken_promise_is_noticed(sample: Broken, tmp_path: Path) -> None:
    """The named test fails on the change, by what it asserts and not because the change does not even run."""
    shutil.copytree(ROOT / "services", tmp_path / "services", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    file = tmp_path / KIT / sample.file
    text = file.read_text()
    assert text.count(sample.old) == 1, f"{sample.file} has changed: the sample breaks nothing any more"
    file.write_text(text.replace(sample.old, sample.new))
    ended = run(tmp_path / "services", sample.test)
    assert ended.returncode == 1, f"nothing noticed:\n{ended.stdout[-2000:]}"
    assert re.search(r"^(FAILED) .*" + re.escape(sample.test.rpartition("::")[2]), ended.stdout, re.MULTILINE), ended.stdout[-3000:]
    not_run = "SyntaxError|ImportError|NameError|AttributeError|IndentationError|KeyError|TypeError"
    assert not re.search(rf"^E +({not_run})", ended.stdout, re.MULTILINE)


def test_every_named_test_passes_where_nothing_is_broken() -> None:
    """What fails anyway, or is not there, guards nothing."""
    ended = run(ROOT / "services", *dict.fromkeys(sample.test for sample in SAMPLES))
    assert ended.returncode == 0, ended.stdout[-3000:]
