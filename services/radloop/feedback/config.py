"""The settings of feedback, RADLOOP_FEEDBACK_*; its rule is a versioned file."""

from importlib.resources import files
from pathlib import Path

import yaml

from radloop.feedback.domain import Rule
from radloop.kit.codec import decode, encode
from radloop.kit.errors import Misconfigured, Permanent
from radloop.kit.settings import RoomSettings


class Settings(RoomSettings):
    """`rule` names another rule file than the packaged one."""

    rule: str = ""

    def read_rule(self) -> Rule:
        """Read the rule; raise Misconfigured where it is missing or wrong."""
        file = Path(self.rule) if self.rule else Path(str(files("radloop.feedback"))) / "label-rule.yaml"
        try:
            return decode(Rule, encode(yaml.safe_load(file.read_text())))
        except (OSError, yaml.YAMLError, Permanent) as wrong:
            raise Misconfigured(f"RADLOOP_FEEDBACK_RULE: the rule {file.name} cannot be used: {wrong}") from wrong
