"""The clinical policy, read from its file."""

from importlib.resources import files
from pathlib import Path

from radloop.kit.codec import decode, encode
from radloop.kit.errors import Misconfigured, Permanent
from radloop.kit.yaml import yaml_of
from radloop.triage.domain.policy import Policy


def read_policy(named: str = "") -> Policy:
    """Read the policy, the packaged one where none is named; raise Misconfigured where it is missing or wrong."""
    file = Path(named) if named else Path(str(files("radloop.triage"))) / "triage-policy.yaml"
    try:
        return decode(Policy, encode(yaml_of(file.read_bytes())))
    except OSError as missing:
        raise Misconfigured(f"RADLOOP_TRIAGE_POLICY: {file} cannot be read ({missing.strerror})") from missing
    except Permanent as wrong:
        raise Misconfigured(f"RADLOOP_TRIAGE_POLICY: {file}: {wrong.reason}") from wrong
