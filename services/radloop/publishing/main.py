"""Publishing as a process: the only module that knows every concrete thing."""

import sys
from pathlib import Path

from radloop.events.wire import Wire
from radloop.kit import room
from radloop.kit.clock import SystemClock
from radloop.kit.deliveries import Check
from radloop.kit.room import Furnishing, Room
from radloop.kit.runner import Runner
from radloop.publishing.adapters.ehr import EhrReceiver
from radloop.publishing.adapters.fhir import Ehr
from radloop.publishing.adapters.mllp import RisReceiver
from radloop.publishing.adapters.postgres import REPOSITORIES
from radloop.publishing.config import Settings
from radloop.publishing.domain.case import Case
from radloop.publishing.handlers import ALIKE, EHR, LOOK_UP, RIS, Policy, routes, superseded
from radloop.publishing.ports import Receiver


def build(settings: Settings) -> Room:
    """Put the room together."""
    clock = SystemClock()
    token = settings.ehr_token.get_secret_value()
    client = Ehr(settings.ehr, token=token, timeout=settings.timeout_seconds) if settings.ehr else None
    ehr: Receiver = EhrReceiver(client, LOOK_UP, clock)
    ris: Receiver = RisReceiver(settings.ris_address(), settings.site, settings.timeout_seconds, clock)

    def furnish(_: Runner) -> Furnishing:
        return Furnishing(
            receivers={EHR: ehr, RIS: ris}, check=Check(keeps=Case, superseded=superseded, alike=ALIKE), ready=(ehr.ready, ris.ready),
        )

    return Room(
        name="publishing", settings=settings, events=Wire(), repositories=REPOSITORIES, furnish=furnish,
        routes=routes(Policy(systems=settings.identifier_systems, ris=settings.interface())),
        migrations=Path(__file__).parent / "migrations",
    )


def main() -> int:
    """Run the command `radloop-publishing`."""
    return room.main("publishing", Settings, build)


if __name__ == "__main__":
    sys.exit(main())
