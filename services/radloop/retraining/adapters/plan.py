"""Reads the change-control plan: the room's own file, or the site's."""

import hashlib
from importlib.resources import files
from pathlib import Path

import yaml

from radloop.kit.errors import Misconfigured
from radloop.kit.wording import of_yaml
from radloop.retraining.domain.plan import Plan, plan_from


def load_plan(path: Path | None = None) -> Plan:
    """Return the plan at a path, or the one packaged with the room; raise Misconfigured where it cannot be read."""
    try:
        data = path.read_bytes() if path else (files("radloop.retraining") / "change-control.yaml").read_bytes()
        parsed = yaml.safe_load(data)
    except OSError as missing:
        raise Misconfigured(f"the change-control plan: {path} cannot be read ({missing.strerror})") from missing
    except yaml.YAMLError as broken:
        raise Misconfigured(f"the change-control plan: {path}: {of_yaml(broken)}") from broken
    if not isinstance(parsed, dict):
        msg = "the change-control plan is not a mapping"
        raise Misconfigured(msg)
    return plan_from(parsed, hashlib.sha256(data).hexdigest())
