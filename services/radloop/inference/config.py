"""The settings of inference, RADLOOP_INFERENCE_* or RADLOOP_*."""

from typing import Annotated

from pydantic import Field, field_validator

from radloop.kit.errors import Misconfigured
from radloop.kit.settings import RoomSettings, host_and_port


class Settings(RoomSettings):
    """`triton` is its gRPC address, `model_repository` the folder it loads from; the rest bounds what a reading may take.

    Several addresses have commas between them: each server holds all released versions, and what one cannot read the next one
    does, within the same deadline. `decoders` are processes for compressed images; with 0 the readers decode them, and a
    decoder that crashes ends the room.
    """

    triton: str
    model_repository: str
    readers: Annotated[int, Field(ge=1)] = 2
    """Threads that read anything, beside the one that reads only what somebody waits for."""
    decoders: Annotated[int, Field(ge=0, le=64)] = 2
    """Some 80 MB each, 190 MB after a large image."""
    batch: Annotated[int, Field(ge=1, le=32)] = 8
    triton_deadline_seconds: Annotated[float, Field(gt=0)] = 15.0
    triton_config: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.pbtxt$")] = "config.pbtxt"
    """The file in each model's folder that Triton is given; `config.gpu.pbtxt` on GPU nodes. A model without it: `config.pbtxt`."""

    @field_validator("triton")
    @classmethod
    def _addresses(cls, value: str) -> str:
        try:
            for address in value.split(","):
                host_and_port(address.strip())
        except Misconfigured as wrong:
            raise ValueError("host:port is expected, or several with commas between") from wrong
        return value

    def tritons(self) -> tuple[str, ...]:
        """Return each Triton's address."""
        return tuple(address.strip() for address in self.triton.split(","))
