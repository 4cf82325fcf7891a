"""Ingestion as a process: the only module that knows every concrete thing."""

import sys
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from radloop.events.wire import Wire
from radloop.ingestion.adapters.dicom import Door, StorageScp
from radloop.ingestion.adapters.doors import Hl7Door, ImageDoor
from radloop.ingestion.adapters.grpc import IngestionService
from radloop.ingestion.adapters.mllp import Limits, MllpServer
from radloop.ingestion.adapters.postgres import REPOSITORIES, KnownCases
from radloop.ingestion.config import Settings
from radloop.ingestion.domain.rules import Rules
from radloop.ingestion.handlers import routes
from radloop.kit import room
from radloop.kit.blobs import Folder
from radloop.kit.clock import SystemClock
from radloop.kit.room import Furnishing, Room
from radloop.kit.runner import Runner
from radloop.kit.settings import host_and_port
from radloop.standards.hl7.model import Origin


def build(settings: Settings) -> Room:
    """Put the room together."""
    clock = SystemClock()
    priorities = tuple((code.strip().upper(), meant) for code, meant in sorted(settings.priorities.items()))
    origin = Origin(settings.site, settings.issuer, ZoneInfo(settings.zone), priorities)
    rules = Rules(
        origin=origin, processing_id=settings.processing_id, quiet=timedelta(seconds=settings.quiet_seconds),
        own_names=frozenset(name.strip() for name in settings.own_names.split(",") if name.strip()),
    )

    def furnish(runner: Runner) -> Furnishing:
        messages = Hl7Door(runner, clock, origin)
        images = ImageDoor(runner, Folder(settings.blobs), clock, settings.site, settings.quiet_seconds)
        limits = Limits(settings.mllp_message_bytes, settings.mllp_idle_seconds, settings.mllp_connections)
        mllp = MllpServer(*host_and_port(settings.mllp), messages.take, messages.broken, limits)
        dicom_host, dicom_port = host_and_port(settings.dicom)
        dicom = StorageScp(Door(dicom_host, dicom_port, settings.ae_title), images.keep)
        service = IngestionService(runner, images, KnownCases(runner.store), clock, settings.site)
        return Furnishing(services=(service.register,), parts=(mllp, dicom))

    return Room(
        name="ingestion", settings=settings, routes=routes(rules), repositories=REPOSITORIES, events=Wire(),
        migrations=Path(__file__).parent / "migrations", furnish=furnish, clock=clock,
    )


def main() -> int:
    """Run the command `radloop-ingestion`."""
    return room.main("ingestion", Settings, build)


if __name__ == "__main__":
    sys.exit(main())
