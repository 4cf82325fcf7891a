"""Reads the change-control plan: the room's own file, or the site's."""

import hashlib
from importlib.resources import files
from pathlib import Path

from radloop.kit.errors import Misconfigured, Permanent
from radloop.kit.yaml import yaml_of
from radloop.retraining.domain.plan import Plan, plan_from


def load_plan(path: Path | None = None) -> Plan:
    """Return the plan at a path, or the one packaged with the room; raise Misconfigured where it cannot be read."""
    file = path or Path(str(files("radloop.retraining"))) / "change-control.yaml"
    try:
        return _plan(file.read_bytes())
    except OSError as missing:
        raise Misconfigured(f"RADLOOP_RETRAINING_PLAN: {file} cannot be read ({missing.strerror})") from missing
    except (Permanent, Misconfigured) as wrong:
        raise Misconfigured(f"RADLOOP_RETRAINING_PLAN: {file}: {wrong.reason}") from wrong


def _plan(data: bytes) -> Plan:
    told = yaml_of(data)
    if not isinstance(told, dict):
        raise Misconfigured("keys with their values are expected")
    return plan_from(told, hashlib.sha256(data).hexdigest())
