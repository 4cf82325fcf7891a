"""The rule that settles labels, read from its file."""

from importlib.resources import files
from pathlib import Path

from radloop.feedback.domain import Rule
from radloop.kit.codec import decode, encode
from radloop.kit.errors import Misconfigured, Permanent
from radloop.kit.yaml import yaml_of


def read_rule(named: str = "") -> Rule:
    """Read the rule, the packaged one where none is named; raise Misconfigured where it is missing or wrong."""
    file = Path(named) if named else Path(str(files("radloop.feedback"))) / "label-rule.yaml"
    try:
        return decode(Rule, encode(yaml_of(file.read_bytes())))
    except OSError as missing:
        raise Misconfigured(f"RADLOOP_FEEDBACK_RULE: {file} cannot be read ({missing.strerror})") from missing
    except Permanent as wrong:
        raise Misconfigured(f"RADLOOP_FEEDBACK_RULE: {file}: {wrong.reason}") from wrong
