"""How long topics, outbox and inbox are kept: one file, and one rule that makes repeats harmless."""

from dataclasses import dataclass, fields
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from radloop.kit.errors import Misconfigured
from radloop.kit.yaml import NotYaml, yaml_of

LONGEST = 36_500
"""Days; a hundred years."""


@dataclass(frozen=True)
class Retention:
    """Ages in days; topic ≤ outbox < inbox."""

    topic: int
    outbox: int
    inbox: int

    @property
    def horizon(self) -> timedelta:
        """How far back an inbox remembers: what was said before that cannot be told from what was settled already."""
        return timedelta(days=self.inbox)


def read_retention(path: str = "") -> Retention:
    """Return the packaged retention, or a site's own file; raise Misconfigured where it cannot hold."""
    where = Path(path) if path else Path(str(files("radloop.kit"))) / "retention.yaml"
    try:
        told: Any = yaml_of(where.read_bytes())
    except NotYaml as wrong:
        raise Misconfigured(f"RADLOOP_RETENTION: {where.name}: {wrong.reason}") from wrong
    except OSError as wrong:
        raise Misconfigured(f"RADLOOP_RETENTION: {where.name} cannot be read ({type(wrong).__name__})") from wrong
    names = {field.name for field in fields(Retention)}
    if not isinstance(told, dict) or set(told) != names or not all(type(days) is int and 0 < days <= LONGEST for days in told.values()):
        raise Misconfigured(
            f"RADLOOP_RETENTION: {where.name} names days, whole, above 0 and {LONGEST} at most, for each of {', '.join(sorted(names))}",
        )
    kept = Retention(**told)
    if not kept.topic <= kept.outbox < kept.inbox:
        raise Misconfigured(
            f"RADLOOP_RETENTION: {where.name} must hold topic ≤ outbox < inbox; it says {kept.topic}, {kept.outbox}, {kept.inbox}."
            " Else what comes again may have a second effect",
        )
    return kept
