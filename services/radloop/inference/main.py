"""Inference as a process: the only module that knows every concrete thing."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from radloop.events.wire import Wire
from radloop.inference.adapters.fleet import Fleet
from radloop.inference.adapters.grpc import OPEN_IMAGES, InferenceService
from radloop.inference.adapters.loading import Loaded
from radloop.inference.adapters.packages import RepositoryPackages, with_encoders
from radloop.inference.adapters.postgres import REPOSITORIES, StoredDesk, still_unread, unhurried
from radloop.inference.adapters.preparing import Decoders
from radloop.inference.adapters.readers import Readers
from radloop.inference.adapters.segmenting import Segmenters
from radloop.inference.adapters.triton import Triton
from radloop.inference.config import Settings
from radloop.inference.domain.model import Model
from radloop.inference.domain.reading import AbandonReading, ReadStudy
from radloop.inference.handlers import Lens, look_together, routes
from radloop.kit import room
from radloop.kit.blobs import Folder
from radloop.kit.clock import SystemClock
from radloop.kit.flow import Command, Outcome
from radloop.kit.memory import keep_memory
from radloop.kit.room import Furnishing, Room
from radloop.kit.runner import Runner
from radloop.kit.store import Store

_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
"""By which BLAS libraries are told how many threads to start, read when each is loaded."""


def build(settings: Settings) -> Room:
    """Put the room together."""
    clock = SystemClock()
    store = Store(unhurried(settings.postgres.get_secret_value()), "inference", {}, connections=settings.readers + 4)
    store.open()
    desk = StoredDesk(store)
    repository = Path(settings.model_repository)
    packages = RepositoryPackages(repository)
    deadline = settings.triton_deadline_seconds

    def served() -> Sequence[Model]:
        return with_encoders(desk.models(), packages)

    fleet = Fleet([
        Loaded(
            Triton(address, deadline), packages, served, repository, clock, warmed=desk.hurry, name=address, config=settings.triton_config,
        )
        for address in settings.tritons()
    ], deadline, clock)
    files = Folder(settings.blobs)
    decoders = Decoders(files, settings.decoders)
    segmenters = Segmenters(desk, files, packages, decoders, fleet.infer, encodings=desk, prepare_bytes=decoders.prepare_bytes)
    lens = Lens(desk, files, packages, fleet, decoders, segmenters, settings.batch)

    def furnish(runner: Runner) -> Furnishing:
        [read] = [route for route in runner.routes if route.hears is ReadStudy]

        def submit(command: Command) -> Outcome:
            return runner.submit(command, still_unread(read, command) if isinstance(command, AbandonReading) else None)

        def together(commands: Sequence[tuple[ReadStudy, str]]) -> dict[str, Outcome]:
            return runner.submit_together(commands, lambda: look_together([command for command, _ in commands], lens))

        readers = Readers(
            desk, submit, clock, settings.readers, runner.caught_up.is_set, together, settings.batch,
        )
        runner.after_commit("state", readers.wake)
        return Furnishing(
            services=(InferenceService(desk, fleet.warm, segmenters).register,), streams=OPEN_IMAGES,
            parts=(fleet, decoders, readers), ready=(fleet.ready,),
        )

    return Room(
        name="inference", settings=settings, routes=routes(lens), repositories=REPOSITORIES, events=Wire(),
        migrations=Path(__file__).parent / "migrations", furnish=furnish, clock=clock,
    )


def tune() -> None:
    """Have this process keep its memory, and a reader compute by its own thread: BLAS's wait by spinning, at the model's cost."""
    keep_memory()
    # Those that this module's imports brought along are limited now; one that something loads later, or a decoder, reads its number here.
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    threadpool_limits(1, user_api="blas")


def main() -> int:
    """Run the command `radloop-inference`."""
    tune()
    return room.main("inference", Settings, build)


if __name__ == "__main__":
    sys.exit(main())
