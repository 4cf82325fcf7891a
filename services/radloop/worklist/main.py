"""The worklist as a process: the only module that knows every concrete thing."""

import sys
from pathlib import Path

from radloop.events.common import Code
from radloop.events.wire import Wire
from radloop.kit import room
from radloop.kit.blobs import Folder
from radloop.kit.clock import SystemClock
from radloop.kit.room import Furnishing, Room
from radloop.kit.runner import Runner
from radloop.kit.settings import address_of
from radloop.standards.codes import FINDINGS
from radloop.worklist.adapters.desk import Desk
from radloop.worklist.adapters.grpc import Feedback, Triage, WorklistService
from radloop.worklist.adapters.http import PageServer
from radloop.worklist.adapters.pictures import Pictures
from radloop.worklist.adapters.postgres import REPOSITORIES, Changes, Lists
from radloop.worklist.config import Settings
from radloop.worklist.handlers import routes


def build(settings: Settings) -> Room:
    """Put the room together."""
    clock = SystemClock()
    findings = tuple(Code(system=one.system, value=one.value, display=one.display) for one in FINDINGS)

    def furnish(runner: Runner) -> Furnishing:
        lists, changes = Lists(runner.store, settings.site), Changes(runner.store)
        desk = Desk(
            runner, lists, Pictures(Folder(settings.blobs)), changes, Feedback(address_of("feedback")), Triage(address_of("triage")),
            clock=clock, site=settings.site, findings=findings,
        )
        page = PageServer(desk, settings.http, settings.host_names)
        return Furnishing(services=(WorklistService(lists, clock).register,), parts=(changes, page))

    return Room(
        name="worklist", settings=settings, routes=routes(), repositories=REPOSITORIES, events=Wire(),
        migrations=Path(__file__).parent / "migrations", furnish=furnish, clock=clock,
    )


def main() -> int:
    """Run the command `radloop-worklist`."""
    return room.main("worklist", Settings, build)


if __name__ == "__main__":
    sys.exit(main())
