"""What every room needs to be told, by environment: RADLOOP_<ROOM>_<NAME>, else RADLOOP_<NAME>, else a sane default."""

import os
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic_core import from_json

from radloop.kit.errors import Misconfigured
from radloop.kit.kafka import Broker
from radloop.kit.retention import read_retention
from radloop.kit.wording import expected

_OBJECT = 'a JSON object is expected: {"key": "value"}'


class RoomSettings(BaseModel):
    """The settings all rooms share; a room's own Settings adds to them. Frozen; secrets have no default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    postgres: SecretStr
    kafka: str
    blobs: str
    site: str = "site-1"
    health: str = "127.0.0.1:0"
    grpc: str = "127.0.0.1:0"
    instance: str = "0"
    otlp: str = ""
    kafka_security: str = "PLAINTEXT"
    kafka_mechanism: str = ""
    kafka_user: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_ca_file: str = ""
    kafka_bells: str = ""
    retention: str = ""

    @classmethod
    def load(cls, room: str) -> Self:
        """Read the environment; raise Misconfigured, naming the variable, where something is missing or wrong."""
        found: dict[str, Any] = {}
        for name in cls.model_fields:
            for variable in (f"RADLOOP_{room}_{name}".upper(), f"RADLOOP_{name}".upper()):
                if variable in os.environ:
                    found[name] = os.environ[variable]
                    break
        try:
            loaded = cls(**found)
        except ValidationError as wrong:
            told = "; ".join(
                f"RADLOOP_{room.upper()}_{str(error['loc'][0]).upper()}: {expected(error)}" for error in wrong.errors() if error["loc"]
            )
            raise Misconfigured(f"settings of {room}: {told}") from wrong
        loaded.broker().check()
        return loaded

    def broker(self) -> Broker:
        """Return where Kafka is and how to speak to it."""
        return Broker(
            bootstrap=self.kafka, security=self.kafka_security, mechanism=self.kafka_mechanism, user=self.kafka_user,
            password=self.kafka_password.get_secret_value(), ca_file=self.kafka_ca_file,
            bells=self.kafka_bells, topic_days=read_retention(self.retention).topic,
        )


def json_object(given: Any) -> Any:
    """Read an object from the environment's JSON text; for a BeforeValidator."""
    try:
        found = from_json(given) if isinstance(given, str) else given
    except ValueError as broken:
        raise ValueError(_OBJECT) from broken
    if not isinstance(found, dict):
        raise ValueError(_OBJECT)  # noqa: TRY004 - pydantic tells a ValueError as what does not fit
    return found


def address_of(room: str) -> str:
    """Return another room's gRPC address, RADLOOP_ADDRESS_<ROOM>; raise Misconfigured where it is not set."""
    variable = f"RADLOOP_ADDRESS_{room.upper()}"
    address = os.environ.get(variable, "")
    if not address:
        raise Misconfigured(f"{variable} is not set; set it to the host:port of {room}'s gRPC")
    return address


def host_and_port(address: str) -> tuple[str, int]:
    """Split host:port; raise Misconfigured where it is neither."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise Misconfigured(f"{address!r} is not host:port")
    return host, int(port)
