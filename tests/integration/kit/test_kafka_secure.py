"""Apache Kafka with TLS and SCRAM, reached by a room's own settings: it works, and what does not fit is told by its setting."""

import json
import logging
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from adapters.apache_kafka import apache_kafka
from conftest import wait_until
from examples.diary import Here, command, order

from radloop.workbench.drill.kafkas import Apache
from radloop.kit import room
from radloop.kit.errors import Transient
from radloop.kit.health import Health
from radloop.kit.kafka import Broker
from radloop.kit.relay import Relay
from radloop.kit.settings import RoomSettings
from radloop.triage.config import Settings
from radloop.triage.main import build

pytestmark = pytest.mark.apache
WRONG = "correct-horse-7731"


@pytest.fixture(scope="module")
def secure() -> Iterator[Apache]:
    """Start one node that asks for SASL_SSL and SCRAM-SHA-512."""
    with apache_kafka(secure=True) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make an authority that signed nothing here."""
    folder = tmp_path_factory.mktemp("stranger")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=stranger", "-keyout", folder / "key.pem",
         "-out", folder / "ca.pem"], check=True, capture_output=True,
    )
    return str(folder / "ca.pem")


def settings(monkeypatch: pytest.MonkeyPatch, cluster: Apache, **changes: str) -> RoomSettings:
    """Load a room's settings from its environment."""
    right = cluster.broker()
    said = {
        "POSTGRES": "postgresql://x", "BLOBS": "/x", "KAFKA": right.bootstrap, "KAFKA_SECURITY": right.security,
        "KAFKA_MECHANISM": right.mechanism, "KAFKA_USER": right.user, "KAFKA_PASSWORD": right.password, "KAFKA_CA_FILE": right.ca_file,
    }
    for name, value in {**said, **changes}.items():
        monkeypatch.setenv(f"RADLOOP_{name}", value)
    return RoomSettings.load("triage")


def test_a_round_trip_signed_in_over_tls(
    secure: Apache, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the rooms' settings alone: topics are made, the relay sends, a consumer settles."""
    here = Here(database, settings(monkeypatch, secure).broker(), tmp_path / "m", f"t{uuid.uuid4().hex[:8]}")
    case = str(uuid.uuid4())
    try:
        here.start(Relay(here.store, here.broker), here.consumer())
        here.runner.submit(command("c", event=order(case, 1)))
        wait_until(lambda: here.lines(case) == ("order 1",), 60)
    finally:
        here.stop()


@pytest.mark.parametrize(("changes", "named"), [
    ({"KAFKA_PASSWORD": WRONG}, "RADLOOP_KAFKA_PASSWORD"),
    ({"KAFKA_USER": "nobody"}, "RADLOOP_KAFKA_USER"),
    ({"KAFKA_CA_FILE": "stranger"}, "RADLOOP_KAFKA_CA_FILE"),
    ({"KAFKA_CA_FILE": ""}, "RADLOOP_KAFKA_CA_FILE"),
    ({"KAFKA_SECURITY": "PLAINTEXT", "KAFKA_MECHANISM": ""}, "RADLOOP_KAFKA_SECURITY"),
    ({"KAFKA_SECURITY": "SASL_PLAINTEXT"}, "RADLOOP_KAFKA_SECURITY"),
    ({"KAFKA_SECURITY": "SSL", "KAFKA_MECHANISM": ""}, "RADLOOP_KAFKA_SECURITY"),
    ({"KAFKA_MECHANISM": "SCRAM-SHA-256"}, "RADLOOP_KAFKA_MECHANISM"),
], ids=["password", "user", "other CA", "no CA", "plain to TLS", "SASL to TLS", "TLS without SASL", "mechanism"])
def test_who_is_not_let_in_is_told_which_setting_to_look_at(
    secure: Apache, stranger: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    changes: dict[str, str], named: str,
) -> None:
    """In readiness and in the log, within seconds, without a traceback and without the password; and the room waits."""
    caplog.set_level(logging.INFO)
    wrong = {name: stranger if value == "stranger" else value for name, value in changes.items()}
    here = Here(database, settings(monkeypatch, secure, **wrong).broker(), tmp_path / "m", f"t{uuid.uuid4().hex[:8]}")
    relay, consumer = Relay(here.store, here.broker), here.consumer()
    health = Health("127.0.0.1:0", lambda: [said for said in (relay.worker.away, consumer.ready) if "RADLOOP" in said])
    try:
        health.start()
        here.start(relay, consumer)
        wait_until(lambda: named in relay.worker.away and named in consumer.ready, 30)
        assert all(named in reason for reason in reasons(health.port))
        assert len(reasons(health.port)) == 2
    finally:
        here.stop()
        health.stop()
    logged = [json.dumps(vars(record), default=str) for record in caplog.records]
    assert any(named in line for line in logged)
    assert not [record for record in caplog.records if record.exc_info or "Traceback" in record.getMessage()]
    assert not [line for line in [*logged, repr(here.broker)] if here.broker.password in line]


def reasons(port: int) -> list[str]:
    """Ask why the room is not ready."""
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10)
    found: list[str] = json.loads(told.value.read())["reasons"]
    return found


def test_a_room_whose_password_is_set_right_goes_on(secure: Apache, database: str, tmp_path: Path) -> None:
    """A password is rotated at the broker and here, one of the two first: what was said meanwhile is sent."""
    right = secure.broker()
    wrong = Here(database, replace(right, password=WRONG), tmp_path / "m", "rotated")
    case = str(uuid.uuid4())
    try:
        relay = Relay(wrong.store, wrong.broker)
        wrong.start(relay)
        wrong.runner.submit(command("c", event=order(case, 1)))
        wait_until(lambda: "RADLOOP_KAFKA_PASSWORD" in relay.worker.away, 30)
    finally:
        wrong.stop()
    here = Here(database, right, tmp_path / "m", "rotated")
    try:
        here.start(Relay(here.store, here.broker), here.consumer())
        wait_until(lambda: here.lines(case) == ("order 1",), 60)
    finally:
        here.stop()


def test_a_broker_by_another_name_than_its_certificates_is_refused(secure: Apache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host name is checked, whoever signed: a certificate for one machine speaks for no other."""
    port = secure.bootstrap.rpartition(":")[2]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", int(port)))])
    with pytest.raises(Transient, match="is not for kafka-7: name the brokers in RADLOOP_KAFKA"):
        replace(secure.broker(), bootstrap=f"kafka-7:{port}").knock()


def test_tls_spoken_to_a_plain_port_is_told(apache: Apache, secure: Apache) -> None:
    """The setting that says so is named, and so is SASL where nobody asks for it."""
    with pytest.raises(Transient, match=r"does not speak TLS at .* RADLOOP_KAFKA_SECURITY"):
        replace(secure.broker(), bootstrap=apache.bootstrap).knock()
    with pytest.raises(Transient, match="asks nobody to sign in, and RADLOOP_KAFKA_SECURITY is SASL_PLAINTEXT"):
        replace(secure.broker(), bootstrap=apache.bootstrap, security="SASL_PLAINTEXT").knock()


def test_an_authority_that_is_not_there_is_refused_at_the_start(
    secure: Apache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    """A missing file, and one that holds no certificate: the process ends with status 78 and names the setting."""
    no_certificate = tmp_path / "ca.pem"
    no_certificate.write_text("hello")
    monkeypatch.setattr("radloop.kit.telemetry.configure", lambda *_: None)  # the log of the run is pytest's
    for file, told in ((tmp_path / "none.pem", "cannot be read: No such file"), (no_certificate, "holds no certificate in PEM")):
        settings(monkeypatch, secure, KAFKA_CA_FILE=str(file))
        assert room.main("triage", Settings, build, []) == 78
        assert f"RADLOOP_KAFKA_CA_FILE {told}" in capsys.readouterr().err


def test_one_of_several_brokers_that_lets_us_in_is_enough(secure: Apache) -> None:
    """A node that is down keeps nobody out; where all refuse, each is told."""
    replace(secure.broker(), bootstrap=f"127.0.0.1:1, {secure.bootstrap}").knock()
    with pytest.raises(Transient, match=r"ConnectionRefusedError at 127\.0\.0\.1:1 .*; kafka speaks TLS"):
        Broker(f"127.0.0.1:1,{secure.bootstrap}").knock()
