"""Feedback as a process: the only module that knows every concrete thing."""

import sys
from pathlib import Path

from radloop.events.wire import Wire
from radloop.feedback.adapters.grpc import FeedbackService
from radloop.feedback.adapters.postgres import REPOSITORIES
from radloop.feedback.adapters.rule import read_rule
from radloop.feedback.config import Settings
from radloop.feedback.handlers import routes
from radloop.kit import room
from radloop.kit.clock import SystemClock
from radloop.kit.room import Furnishing, Room
from radloop.kit.runner import Runner


def build(settings: Settings) -> Room:
    """Put the room together."""
    clock = SystemClock()

    def furnish(runner: Runner) -> Furnishing:
        return Furnishing(services=(FeedbackService(runner, clock, settings.site).register,))

    return Room(
        name="feedback", settings=settings, routes=routes(read_rule(settings.rule)), repositories=REPOSITORIES, events=Wire(),
        migrations=Path(__file__).parent / "migrations", furnish=furnish, clock=clock,
    )


def main() -> int:
    """Run the command `radloop-feedback`."""
    return room.main("feedback", Settings, build)


if __name__ == "__main__":
    sys.exit(main())
