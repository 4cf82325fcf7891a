"""The clinical policy, read from its file."""

from importlib.resources import files
from pathlib import Path

import yaml

from radloop.kit.codec import decode, encode
from radloop.kit.errors import Misconfigured, Permanent
from radloop.kit.wording import of_yaml
from radloop.triage.domain.policy import Policy


def read_policy(named: str = "") -> Policy:
    """Read the policy, the packaged one where none is named; raise Misconfigured where it is missing or wrong."""
    file = Path(named) if named else Path(str(files("radloop.triage"))) / "triage-policy.yaml"
    try:
        return decode(Policy, encode(yaml.safe_load(file.read_bytes())))
    except OSError as missing:
        raise Misconfigured(f"RADLOOP_TRIAGE_POLICY: {file} cannot be read ({missing.strerror})") from missing
    except (yaml.YAMLError, Permanent) as wrong:
        raise Misconfigured(f"RADLOOP_TRIAGE_POLICY: {file}: {wrong.reason if isinstance(wrong, Permanent) else of_yaml(wrong)}") from wrong
