"""The kit's small parts: clock, fuse, blobs, settings, back-off, health, naming by cause."""

import json
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from examples.shared import READER, SITE, ordered
from hypothesis import given
from hypothesis import strategies as st

from radloop.kit.blobs import Folder
from radloop.kit.clock import ManualClock
from radloop.kit.codec import decode, encode
from radloop.kit.errors import Misconfigured, Permanent, RadloopError, Transient
from radloop.kit.flow import Command, Deliver, DeliveryAnswered, caused_by, timer_id
from radloop.kit.health import Health
from radloop.kit.fuse import FUSE_AFTER, Fuse
from radloop.kit.settings import RoomSettings, host_and_port
from radloop.kit.worker import BACK_OFF_S, back_off

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_the_fuse_opens_after_failures_on_different_cases_and_lets_one_a_minute_try() -> None:
    """Then it is the code that is broken: slow down instead of burying the whole day."""
    clock = ManualClock(NOW)
    fuse = Fuse(clock)
    for number in range(FUSE_AFTER):
        fuse.hold()
        fuse.blow(f"case-{number}", "ZeroDivisionError in add")
    with pytest.raises(Transient, match="fuse"):
        fuse.hold()
    clock.advance(61)
    fuse.hold()
    with pytest.raises(Transient, match="fuse"):
        fuse.hold()
    fuse.mend()
    fuse.hold()


def test_an_open_fuse_says_what_opened_it_and_what_closes_it() -> None:
    """What readiness shows: since when, which errors in which routes, when it tries next; then nothing of it is left."""
    clock = ManualClock(NOW)
    fuse = Fuse(clock, after=3)
    for number in range(2):
        fuse.blow(f"case-{number}", "KeyError in rank")
    assert fuse.blown is None
    fuse.blow("case-2", "TypeError in open")
    clock.advance(20)
    assert str(fuse.blown) == (
        "the fuse is open since 2026-03-02T00:00:00Z (KeyError in rank; TypeError in open): one input a minute tries again,"
        " next at 00:01:00Z; the first that succeeds closes it, and so does a restart after the upgrade"
    )
    fuse.mend()
    assert fuse.blown is None
    fuse.blow("case-0", "KeyError in rank")
    assert not fuse.open


def test_one_poison_case_never_blows_the_fuse() -> None:
    """The same case failing again and again says nothing about the code."""
    fuse = Fuse(ManualClock(NOW))
    for _ in range(50):
        fuse.blow("the same case", "ZeroDivisionError in add")
    assert not fuse.open


def test_a_blob_is_named_by_its_bytes_and_read_back(tmp_path: Path) -> None:
    """The same bytes are one blob."""
    blobs = Folder(tmp_path)
    first, again = blobs.put(b"pixels"), blobs.put(b"pixels")
    assert first == again
    assert blobs.get(first.sha256) == b"pixels"
    assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == 1


def test_a_damaged_or_missing_blob_is_said_so(tmp_path: Path) -> None:
    """What is read is what was written, or an error."""
    blobs = Folder(tmp_path)
    blob = blobs.put(b"pixels")
    (tmp_path / blob.sha256[:2] / blob.sha256).write_bytes(b"pixelz")
    with pytest.raises(Permanent, match="damaged"):
        blobs.get(blob.sha256)
    with pytest.raises(Permanent, match="no such blob"):
        blobs.get("0" * 64)
    with pytest.raises(Permanent, match="not the name"):
        blobs.get("../../etc/passwd")


def test_a_full_or_missing_disk_is_transient(tmp_path: Path) -> None:
    """Storage that is away is waited for."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Transient, match="cannot be written"):
        Folder(tmp_path / "file").put(b"x")


def test_settings_come_from_the_rooms_own_name_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """RADLOOP_<ROOM>_X, else RADLOOP_X, else the default."""
    for name, value in {
        "RADLOOP_POSTGRES": "shared", "RADLOOP_TRIAGE_POSTGRES": "own", "RADLOOP_KAFKA": "k:1", "RADLOOP_BLOBS": "/b",
    }.items():
        monkeypatch.setenv(name, value)
    settings = RoomSettings.load("triage")
    assert settings.postgres.get_secret_value() == "own"
    assert (settings.kafka, settings.site) == ("k:1", "site-1")
    assert "own" not in settings.model_dump_json()


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to set."""
    for name in ("RADLOOP_POSTGRES", "RADLOOP_TRIAGE_POSTGRES"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Misconfigured, match="RADLOOP_TRIAGE_POSTGRES"):
        RoomSettings.load("triage")


KAFKA = {
    "KAFKA": "kafka-0:9093,kafka-1:9093", "KAFKA_SECURITY": "SASL_SSL", "KAFKA_MECHANISM": "PLAIN", "KAFKA_USER": "u",
    "KAFKA_PASSWORD": "p",
}


@pytest.mark.parametrize(("changes", "named"), [
    ({"KAFKA": "kafka"}, "RADLOOP_KAFKA: 'kafka' is not host:port"),
    ({"KAFKA": "kafka:9092,"}, "RADLOOP_KAFKA: '' is not host:port"),
    ({"KAFKA_SECURITY": "TLS"}, "RADLOOP_KAFKA_SECURITY is 'TLS': set it to one of PLAINTEXT"),
    ({"KAFKA_MECHANISM": "SCRAM"}, "RADLOOP_KAFKA_MECHANISM is 'SCRAM': set it to one of SCRAM-SHA-512"),
    ({"KAFKA_MECHANISM": ""}, "RADLOOP_KAFKA_MECHANISM is ''"),
    ({"KAFKA_PASSWORD": ""}, "set RADLOOP_KAFKA_USER and RADLOOP_KAFKA_PASSWORD"),
    ({"KAFKA_SECURITY": "SSL"}, "RADLOOP_KAFKA_MECHANISM is set and RADLOOP_KAFKA_SECURITY is SSL"),
])
def test_kafka_settings_that_cannot_be_right_are_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], named: str,
) -> None:
    """The process does not start, and says which setting it is; what fits is taken, and the password is in no repr."""
    for name, value in {"POSTGRES": "postgresql://x", "BLOBS": "/x", **KAFKA}.items():
        monkeypatch.setenv(f"RADLOOP_{name}", value)
    assert "'p'" not in repr(RoomSettings.load("triage").broker())
    for name, value in changes.items():
        monkeypatch.setenv(f"RADLOOP_{name}", value)
    with pytest.raises(Misconfigured, match=re.escape(named)):
        RoomSettings.load("triage")


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:port"])
def test_an_address_is_host_and_port(address: str) -> None:
    """Anything else is refused at the start."""
    with pytest.raises(Misconfigured):
        host_and_port(address)


@given(st.integers(0, 1000))
def test_back_off_grows_to_half_a_minute(tries: int) -> None:
    """Never longer than 30 s and its jitter, never nothing."""
    assert 0 < back_off(tries) <= BACK_OFF_S * 1.2


def test_a_consequence_is_named_by_its_cause_name_and_subject() -> None:
    """The same cause says the same thing; another cause, name or subject says another."""
    cause, other = ordered("a"), ordered("b")
    names = {caused_by(cause, "x"), caused_by(cause, "y"), caused_by(other, "x"), caused_by(cause, "x", "another")}
    assert len(names) == 4
    assert caused_by(cause, "x") == caused_by(ordered("a", seconds=99), "x")
    assert timer_id("triage", "k", "n", NOW) == timer_id("triage", "k", "n", NOW) != timer_id("feedback", "k", "n", NOW)


@given(body=st.binary(max_size=64), reason=st.text(max_size=20))
def test_commands_survive_storage_byte_for_byte(body: bytes, reason: str) -> None:
    """What waits in quarantine or in a delivery is what came, whatever its bytes."""
    delivery = Deliver(key="k", receiver="ehr", subject="c", kind="report", body=body, content_type="x")
    command = DeliveryAnswered(
        id="i", subject="c", site=SITE, at=NOW, actor=READER, delivery=delivery, outcome="delivered", reason=reason, answer=body,
    )
    assert decode(DeliveryAnswered, encode(command)) == command


def test_what_does_not_fit_its_type_is_named_without_its_value() -> None:
    """The place is told, the value (it may be PHI) is not."""
    with pytest.raises(Permanent, match="actor") as wrong:
        decode(Command, '{"id": "SECRET", "subject": "c", "site": "s", "at": "2026-03-02T00:00:00Z"}')
    assert "SECRET" not in str(wrong.value)


@pytest.mark.parametrize("data", ["", " ", "1, 2"])
def test_nothing_and_more_than_one_are_no_value(data: str) -> None:
    """An empty body, or two values in one, is refused like any other that does not fit."""
    with pytest.raises(Permanent, match="there is"):
        decode(int, data)


def test_health_tells_why_it_is_not_ready() -> None:
    """/ready is 503 with the reasons, 200 without any; /live and /metrics answer always."""
    reasons = ["postgres is away"]
    health = Health("127.0.0.1:0", lambda: reasons)
    health.start()
    try:
        base = f"http://127.0.0.1:{health.port}"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(base + "/ready")
        assert refused.value.code == 503
        assert json.loads(refused.value.read())["reasons"] == reasons
        reasons.clear()
        assert urllib.request.urlopen(base + "/ready").status == 200
        assert b"radloop_fuse_open" in urllib.request.urlopen(base + "/metrics").read()
        assert urllib.request.urlopen(base + "/live").status == 200
    finally:
        health.stop()


def test_every_error_of_ours_belongs_to_the_tree() -> None:
    """Leaves are named for what the caller can do."""
    assert {Transient, Permanent, Misconfigured} <= set(RadloopError.__subclasses__())
