"""Retraining as a process: the only module that knows every concrete thing."""

import os
import sys
from pathlib import Path

from radloop.events.wire import Wire
from radloop.kit import room
from radloop.kit.blobs import Folder
from radloop.kit.clock import SystemClock
from radloop.kit.deliveries import Check
from radloop.kit.flow import Deliver
from radloop.kit.jobs import Progress
from radloop.kit.room import Furnishing, Room
from radloop.kit.runner import Runner
from radloop.kit.store import Store
from radloop.retraining.adapters.cycle import cycle
from radloop.retraining.adapters.grpc import RetrainingService
from radloop.retraining.adapters.key import sign_with
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.adapters.postgres import REPOSITORIES, StoredShelf
from radloop.retraining.adapters.repository import ModelRepository, StoredPackages
from radloop.retraining.config import Settings
from radloop.retraining.domain.book import Book
from radloop.retraining.handlers import REPOSITORY, routes


def overtaken(delivery: Deliver, book: Book | None) -> str | None:
    """Return why a package need not be published any more."""
    version = book.version(delivery.revision) if book else None
    return None if version is not None and version.wanted else "nothing waits for this package"


def build(settings: Settings) -> Room:
    """Put the room together."""
    clock, blobs = SystemClock(), Folder(settings.blobs)
    plan = load_plan(Path(settings.plan) if settings.plan else None)
    look = Store(settings.postgres.get_secret_value(), "retraining", {}, connections=2)
    look.open()
    shelf = StoredShelf(look)

    def adapt(spec: str, progress: Progress) -> str:
        # Threads that wait by spinning take the processors from the rooms beside: read when torch is imported.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from radloop.retraining.adapters.adaptation import adaptation

        return adaptation(blobs, plan)(spec, progress)

    def furnish(runner: Runner) -> Furnishing:
        return Furnishing(
            services=(RetrainingService(runner, shelf, blobs, clock, settings.site, plan.model).register,),
            receivers={REPOSITORY: ModelRepository(blobs, Path(settings.model_repository))},
            check=Check(keeps=Book, superseded=overtaken),
        )

    return Room(
        name="retraining", settings=settings,
        routes=routes(plan, shelf, StoredPackages(blobs), sign_with(settings.key_file)),
        repositories=REPOSITORIES, events=Wire(), migrations=Path(__file__).parent / "migrations", furnish=furnish,
        jobs={"cycle": cycle(shelf, blobs, plan), "adapt": adapt}, clock=clock,
    )


def main() -> int:
    """Run the command `radloop-retraining`."""
    return room.main("retraining", Settings, build)


if __name__ == "__main__":
    sys.exit(main())
