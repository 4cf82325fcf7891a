"""The settings of triage, RADLOOP_TRIAGE_*; its policy is a versioned file, never environment."""

from importlib.resources import files
from pathlib import Path

import yaml

from radloop.kit.codec import decode, encode
from radloop.kit.errors import Misconfigured, Permanent
from radloop.kit.settings import RoomSettings
from radloop.triage.domain.policy import Policy


class Settings(RoomSettings):
    """`policy` names another policy file than the packaged one."""

    policy: str = ""

    def read_policy(self) -> Policy:
        """Read the policy; raise Misconfigured where it is missing or wrong."""
        file = Path(self.policy) if self.policy else Path(str(files("radloop.triage"))) / "triage-policy.yaml"
        try:
            return decode(Policy, encode(yaml.safe_load(file.read_text())))
        except (OSError, yaml.YAMLError, Permanent) as wrong:
            raise Misconfigured(f"RADLOOP_TRIAGE_POLICY: the policy {file.name} cannot be used: {wrong}") from wrong
