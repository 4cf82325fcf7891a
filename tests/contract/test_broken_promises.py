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
        "            if polled:\n                self._commit(self._kafka, polled)\n"
        "                self._settle_all(self._kafka, polled)\n",
        "test_workers.py::test_what_a_stopping_consumer_has_not_begun_is_read_again",
    ),
    Broken(
        "nothing is published before its transaction is committed", "store.py",
        '        self.cursor.execute(\n            "insert into outbox (event_id, topic, key, headers, value)',
        "        apart = psycopg.connect(self.cursor.connection.info.dsn, autocommit=True)\n"
        '        apart.execute(SQL("set search_path = {}").format(Identifier(self._room)))\n'
        '        apart.execute(\n            "insert into outbox (event_id, topic, key, headers, value)',
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
        "the outbox is pruned before the inbox", "pruning.py",
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
        "        if self._cut_at is None or self._clock.now() - self._cut_at > BACK:", "        if self._clock.now():",
        "test_promises.py::test_after_an_outage_what_is_committed_is_not_believed",
    ),
    Broken(
        "what is parked is overtaken by nothing of its key", "store.py",
        '        self.cursor.execute("select from parked where keys && %s::text[] limit 1", (keys,))',
        '        self.cursor.execute("select from parked where keys = %s::text[] limit 0", (keys,))',
        "test_together.py::test_a_batch_with_a_parked_key_is_settled_one_by_one",
    ),
    Broken(
        "an input that ends its process is counted before it runs", "store.py",
        "            if tried is None:\n                connection.execute(",
        "            if tried is not None:\n                connection.execute(",
        "test_together.py::test_what_was_in_hand_when_a_process_died_goes_together_once",
    ),
)


def run(services: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Run a test of the kit on these sources."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "-o", "timeout=100", f"{TESTS}/{test}"],
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
    assert not re.search(r"^E +(SyntaxError|ImportError|NameError|AttributeError|IndentationError)", ended.stdout, re.MULTILINE)


def test_every_named_test_is_there() -> None:
    """A sample that names a test which has gone would pass for the wrong reason: pytest fails where it finds nothing."""
    for sample in SAMPLES:
        module, _, name = sample.test.partition("::")
        assert f"def {name}(" in (ROOT / TESTS / module).read_text(), sample.test
