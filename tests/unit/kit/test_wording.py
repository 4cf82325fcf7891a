"""What does not fit is told in plain words, wherever it stands: a site's files, a room's settings, a message."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from radloop.feedback.adapters.rule import read_rule
from radloop.inference.config import Settings
from radloop.kit.codec import decode
from radloop.kit.errors import Misconfigured, Permanent
from radloop.kit.wording import misfits
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


@pytest.mark.parametrize("read", [read_policy, read_rule, lambda file: load_plan(Path(file))])
def test_a_sites_file_that_is_no_yaml_is_named_with_the_line(read, tmp_path: Path) -> None:
    """Whoever wrote it opens it at the right place; one that is not there is named too."""
    file = tmp_path / "site.yaml"
    with pytest.raises(Misconfigured, match=r"site\.yaml cannot be read \(No such file or directory\)"):
        read(str(file))
    file.write_text("version: 1\nfindings: [\n")
    with pytest.raises(Misconfigured) as wrong:
        read(str(file))
    assert f"{file}: no YAML: line 3, column 1: " in wrong.value.reason
    assert "\n" not in wrong.value.reason


def test_a_wrong_key_of_a_policy_is_named_in_plain_words(tmp_path: Path) -> None:
    """Without the names that a library has for what is wrong."""
    file = tmp_path / "policy.yaml"
    file.write_text("version: '1'\nfindings: []\n")
    with pytest.raises(Misconfigured) as wrong:
        read_policy(str(file))
    assert f"{file}: not a Policy: allowance_minutes: is missing; " in wrong.value.reason


def test_a_wrong_setting_is_named_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that it stands in."""
    monkeypatch.setenv("RADLOOP_INFERENCE_DECODERS", "many")
    with pytest.raises(Misconfigured) as wrong:
        Settings.load("inference")
    assert "RADLOOP_INFERENCE_DECODERS: a whole number is expected" in wrong.value.reason
    assert "RADLOOP_INFERENCE_POSTGRES: is missing" in wrong.value.reason
