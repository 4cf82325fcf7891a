"""Triage as a process: the only module that knows every concrete thing."""

import sys
from pathlib import Path

from radloop.events.wire import Wire
from radloop.kit import room
from radloop.kit.blobs import Folder
from radloop.kit.clock import SystemClock
from radloop.kit.room import Furnishing, Room
from radloop.kit.runner import Runner
from radloop.kit.store import Store
from radloop.triage.adapters.grpc import TriageService
from radloop.triage.adapters.policy import read_policy
from radloop.triage.adapters.postgres import REPOSITORIES, StoredPool
from radloop.triage.config import Settings
from radloop.triage.handlers import routes


def build(settings: Settings) -> Room:
    """Put the room together."""
    clock = SystemClock()
    look = Store(settings.postgres.get_secret_value(), "triage", {}, connections=2)
    look.open()

    def furnish(runner: Runner) -> Furnishing:
        return Furnishing(services=(TriageService(runner, clock, settings.site).register,))

    return Room(
        name="triage", settings=settings, routes=routes(read_policy(settings.policy), StoredPool(look, Folder(settings.blobs))),
        repositories=REPOSITORIES, events=Wire(), migrations=Path(__file__).parent / "migrations", furnish=furnish, clock=clock,
    )


def main() -> int:
    """Run the command `radloop-triage`."""
    return room.main("triage", Settings, build)


if __name__ == "__main__":
    sys.exit(main())
