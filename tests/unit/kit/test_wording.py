"""What does not fit is told in plain words, wherever it stands: a site's files, a room's settings, a message."""

from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from radloop.feedback.adapters.rule import read_rule
from radloop.inference.config import Settings
from radloop.ingestion.config import Settings as Ingestion
from radloop.kit.codec import decode
from radloop.kit.errors import Misconfigured, Permanent
from radloop.kit.retention import read_retention
from radloop.kit.settings import RoomSettings
from radloop.kit.wording import misfits
from radloop.publishing.config import Settings as Publishing
from radloop.retraining.adapters import plan
from radloop.retraining.adapters.plan import load_plan
from radloop.triage.adapters.policy import read_policy


@dataclass(frozen=True)
class Named:
    """A thing with a number."""

    number: int


def test_a_message_is_not_repeated_where_it_does_not_fit() -> None:
    """The place and what is expected there; the value may be PHI."""
    with pytest.raises(Permanent) as wrong:
        decode(Named, '{"number": "Doe^Jane"}')
    assert wrong.value.reason == "not a Named: number: a whole number is expected (without quotation marks)"


def test_a_list_is_too_short_only_by_itself() -> None:
    """Where its one element does not fit, nobody has to add another; of nothing at all it is said."""
    adapter = TypeAdapter(Annotated[tuple[Named, ...], Field(min_length=1)])
    with pytest.raises(ValidationError) as wrong:
        adapter.validate_python([{"number": "x"}])
    assert misfits(wrong.value) == "0.number: a whole number is expected (without quotation marks)"
    with pytest.raises(ValidationError) as empty:
        adapter.validate_python([])
    assert misfits(empty.value) == "the whole: at least 1 in the list are expected"


READERS = [
    (read_policy, "RADLOOP_TRIAGE_POLICY"), (read_rule, "RADLOOP_FEEDBACK_RULE"),
    (lambda file: load_plan(Path(file)), "RADLOOP_RETRAINING_PLAN"), (read_retention, "RADLOOP_RETENTION"),
]


@pytest.mark.parametrize(("read", "setting"), READERS[:3])
def test_a_sites_file_that_is_no_yaml_is_named_with_the_line(read, setting: str, tmp_path: Path) -> None:
    """Whoever wrote it opens it at the right place; one that is not there is named too."""
    file = tmp_path / "site.yaml"
    with pytest.raises(Misconfigured, match=rf"^{setting}: {file} cannot be read \(No such file or directory\)"):
        read(str(file))
    file.write_text("version: 1\nfindings: [\n")
    with pytest.raises(Misconfigured) as wrong:
        read(str(file))
    assert wrong.value.reason.startswith(f"{setting}: {file}: no YAML: line 3, column 1: ")
    assert "\n" not in wrong.value.reason


@pytest.mark.parametrize("text", [
    "a: 2001-13-01", "a: !!int Doe", "a: !!bool Doe", "[" * 3000, 'a: "\\UFFFFFFFF"', "a: 1:" + "59:" * 100_000 + "1", "a: &f [1]\nb: *f",
])
@pytest.mark.parametrize(("read", "setting"), READERS)
def test_what_trips_the_parser_is_told_of_every_file(read, setting: str, text: str, tmp_path: Path) -> None:
    """Nobody is shown a traceback for a typing error, and no file takes long to be refused."""
    file = tmp_path / "site.yaml"
    file.write_text(text)
    begun = monotonic()
    with pytest.raises(Misconfigured, match=rf"^{setting}: .*site\.yaml: no YAML: ") as wrong:
        read(str(file))
    assert "Doe" not in wrong.value.reason
    assert monotonic() - begun < 5


def test_a_plan_says_which_file_it_is(tmp_path: Path) -> None:
    """The site's, or the packaged one, and by which setting another is named."""
    file = tmp_path / "site.yaml"
    for text, said in (("[]", "keys with their values are expected"), ("a: 1", "change-control plan, section release: exactly these keys")):
        file.write_text(text)
        with pytest.raises(Misconfigured) as wrong:
            load_plan(file)
        assert wrong.value.reason.startswith(f"RADLOOP_RETRAINING_PLAN: {file}: {said}")


def test_the_packaged_plan_is_named_where_it_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installed radloop badly is told which file is missing."""
    monkeypatch.setattr(plan, "files", lambda _: tmp_path)
    with pytest.raises(Misconfigured, match=rf"^RADLOOP_RETRAINING_PLAN: {tmp_path}/change-control\.yaml cannot be read"):
        load_plan()


def test_a_wrong_key_of_a_policy_is_named_in_plain_words(tmp_path: Path) -> None:
    """Without the names that a library has for what is wrong."""
    file = tmp_path / "policy.yaml"
    file.write_text("version: '1'\nfindings: []\n")
    with pytest.raises(Misconfigured) as wrong:
        read_policy(str(file))
    assert f"{file}: not a Policy: allowance_minutes: is missing; " in wrong.value.reason


@pytest.mark.parametrize(("room", "settings", "name", "value", "said"), [
    ("inference", Settings, "TRITON", "Doe", "host:port is expected, or several with commas between"),
    ("inference", Settings, "TRITON", "a:1,Doe", "host:port is expected, or several with commas between"),
    ("ingestion", Ingestion, "ZONE", "Mars/Doe", "not a time zone of the IANA database"),
    ("ingestion", Ingestion, "PRIORITIES", "{Doe", 'a JSON object is expected: {"key": "value"}'),
    ("ingestion", Ingestion, "PRIORITIES", '["Doe"]', 'a JSON object is expected: {"key": "value"}'),
    ("ingestion", Ingestion, "PRIORITIES", '{"A": "Doe"}', "'stat', 'asap' or 'routine' is expected"),
    ("ingestion", Ingestion, "AE_TITLE", "Doe" * 6, "at most 16 signs are expected"),
    ("publishing", Publishing, "IDENTIFIER_SYSTEMS", "Doe", 'a JSON object is expected: {"key": "value"}'),
])
def test_what_our_own_validators_expect_is_told(
    room: str, settings: type[RoomSettings], name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In their words, by the variable, and never with the value that stands there."""
    for needed in ("POSTGRES", "KAFKA", "BLOBS", "MODEL_REPOSITORY"):
        monkeypatch.setenv(f"RADLOOP_{needed}", "x")
    monkeypatch.setenv("RADLOOP_TRITON", "a:1")
    monkeypatch.setenv(f"RADLOOP_{room.upper()}_{name}", value)
    with pytest.raises(Misconfigured) as wrong:
        settings.load(room)
    assert wrong.value.reason == f"settings of {room}: RADLOOP_{room.upper()}_{name}: {said}"


@pytest.mark.parametrize(("bound", "said"), [(1_048_576, "1048576"), (10.0, "10"), (0.25, "0.25"), (0, "0"), (-1e7, "-10000000")])
def test_a_bound_is_told_as_one_writes_it(bound: float, said: str) -> None:
    """Whole where it is whole."""
    told = (
        (Field(gt=bound), "above", -1), (Field(ge=bound), "of at least", -1),
        (Field(lt=bound), "below", 1), (Field(le=bound), "of at most", 1),
    )
    for field, words, beyond in told:
        with pytest.raises(ValidationError) as wrong:
            TypeAdapter(Annotated[float, field]).validate_python(bound + beyond)
        assert misfits(wrong.value) == f"the whole: a number {words} {said} is expected"


def test_a_wrong_setting_is_named_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that it stands in."""
    monkeypatch.setenv("RADLOOP_INFERENCE_DECODERS", "many")
    with pytest.raises(Misconfigured) as wrong:
        Settings.load("inference")
    assert "RADLOOP_INFERENCE_DECODERS: a whole number is expected" in wrong.value.reason
    assert "RADLOOP_INFERENCE_POSTGRES: is missing" in wrong.value.reason
