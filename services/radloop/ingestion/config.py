"""The settings of ingestion, RADLOOP_INGESTION_*."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator

from radloop.kit.settings import RoomSettings, json_object


class Settings(RoomSettings):
    """Where the doors are, and how this site's messages are to be read.

    `issuer` is the assigning authority of patient IDs that name none; `processing_id` is MSH-11
    of this site; `zone` its time zone; `quiet_seconds` the pause after which a study's images are all here.
    `priorities` is a JSON object of the site's own priority codes, each to stat, asap or routine; it overrules the standard's.
    `own_names` are, with commas, the names in MSH-3 or ORC-19 by which the echo of our own change of priority is known.
    """

    mllp: str = "127.0.0.1:2575"
    dicom: str = "127.0.0.1:11112"
    ae_title: str = Field(default="RADLOOP", max_length=16)
    issuer: str = ""
    processing_id: str = Field(default="P", pattern="^[PTD]$")
    zone: str = "UTC"
    quiet_seconds: float = Field(default=5.0, ge=0.0)
    mllp_message_bytes: int = Field(default=16 * 1024 * 1024, gt=0)
    mllp_idle_seconds: float = Field(default=300.0, gt=0)
    mllp_connections: int = Field(default=64, gt=0)
    priorities: Annotated[dict[str, Literal["stat", "asap", "routine"]], BeforeValidator(json_object)] = Field(default_factory=dict)
    own_names: str = "RADLOOP"

    @field_validator("zone")
    @classmethod
    def _exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as unknown:
            raise ValueError("not a time zone of the IANA database") from unknown
        return zone
