"""Each room as its own process: where it listens, and what it is told of the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from radloop.workbench.embedded.options import Options, Room
from radloop.workbench.embedded.ports import Port, Ports
from radloop.workbench.embedded.probes import answers_http, reasons
from radloop.workbench.embedded.process import Program

# A room that is asked to stop settles what it holds; whatever it did not settle comes again.
GRACE = 3.0
_FIRST_HEALTH, _FIRST_GRPC = 8101, 8201


@dataclass(frozen=True)
class Seat:
    """The ports of one room."""

    room: Room
    health: Port
    grpc: Port
    doors: Mapping[str, Port]

    def addresses(self, host: str) -> dict[str, str]:
        """Return the room's addresses: its gRPC under its own name, the others behind a dot."""
        name = self.room.name
        return {
            name: f"{host}:{self.grpc.number}",
            f"{name}.health": f"{host}:{self.health.number}",
            **{f"{name}.{door}": f"{host}:{port.number}" for door, port in self.doors.items()},
        }

    def ports(self) -> tuple[Port, ...]:
        """Return all its ports."""
        return (self.health, self.grpc, *self.doors.values())


def seat(rooms: tuple[Room, ...], ports: Ports) -> tuple[Seat, ...]:
    """Give every room its ports."""
    return tuple(
        Seat(
            room, ports.pick(_FIRST_HEALTH + index), ports.pick(_FIRST_GRPC + index),
            {door: ports.pick(usual) for door, usual in room.doors.items()},
        )
        for index, room in enumerate(rooms)
    )


def environment(seats: tuple[Seat, ...], addresses: Mapping[str, str], blobs: Path, options: Options) -> dict[str, str]:
    """Return what every room is told, as environment variables; what the user sets himself comes last."""
    told = {
        "RADLOOP_POSTGRES": addresses["postgres"],
        "RADLOOP_KAFKA": addresses["kafka"],
        # In the rooms' working folder: however long the home's path is, a socket's may have 107 characters.
        "RADLOOP_KAFKA_BELLS": "" if options.kafka else "bells",
        "RADLOOP_BLOBS": str(blobs),
        "RADLOOP_SITE": options.site,
        "RADLOOP_TRITON": addresses["triton"],
        "RADLOOP_MODEL_REPOSITORY": addresses["model_repository"],
    }
    for one in seats:
        name = one.room.name.upper()
        told[f"RADLOOP_ADDRESS_{name}"] = addresses[one.room.name]
        told[f"RADLOOP_{name}_GRPC"] = addresses[one.room.name]
        told[f"RADLOOP_{name}_HEALTH"] = addresses[f"{one.room.name}.health"]
        # A static member of its consumer group: a successor takes over at once.
        told[f"RADLOOP_{name}_INSTANCE"] = "0"
        for door in one.doors:
            told[f"RADLOOP_{name}_{door.upper()}"] = addresses[f"{one.room.name}.{door}"]
    return told | dict(options.settings)


def program(one: Seat, host: str, env: Mapping[str, str], home: Path) -> Program:
    """Return the room's program; it is ready when it says so itself."""
    health = f"http://{host}:{one.health.number}/ready"
    return Program(
        part=one.room.name, argv=one.room.argv, env=env, cwd=home, is_ready=lambda: answers_http(health), grace=GRACE,
        address=f"{host}:{one.grpc.number}", excuse=lambda: reasons(health),
    )
