"""Writes docs/settings.md from the rooms' own settings: `settings_page.py` prints it, a test holds the page to it."""

import importlib
import inspect
import sys

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from radloop.kit.settings import RoomSettings
from tests.house.rules import ROOMS

_HEAD = """\
# Settings

Every setting of every room, from the rooms' own code. A room reads `RADLOOP_<ROOM>_<NAME>` and, where that is not set,
`RADLOOP_<NAME>`; so what all rooms share is said once. `radloop-<room> --check-config` prints what a room would run with,
secrets hidden, and exits. Clinical thresholds are not here: they are versioned files that come with the room.
"""


def page() -> str:
    """Return the page."""
    parts = [_HEAD, "\n## All rooms", "", _table("", RoomSettings, set())]
    shared = set(RoomSettings.model_fields)
    for room in ROOMS:
        settings: type[RoomSettings] = importlib.import_module(f"radloop.{room}.config").Settings
        parts += [f"\n## {room}", "", inspect.getdoc(settings) or "", ""]
        parts += [_table(f"{room}_", settings, shared)] if set(settings.model_fields) - shared else []
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def _table(prefix: str, settings: type[RoomSettings], without: set[str]) -> str:
    rows = [
        f"| `RADLOOP_{prefix}{name}`".upper() + f" | {_default(field.default, field.default_factory)} |"
        for name, field in settings.model_fields.items() if name not in without
    ]
    return "\n".join(["| variable | default |", "|---|---|", *rows])


def _default(value: object, factory: object) -> str:
    if value is PydanticUndefined:
        return "required" if factory is None else "empty"
    said = value.get_secret_value() if isinstance(value, SecretStr) else value
    return "empty" if said == "" else f"`{said}`"


if __name__ == "__main__":
    sys.stdout.write(page())
