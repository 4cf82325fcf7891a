"""The settings of publishing, RADLOOP_PUBLISHING_*: where EHR and RIS are, and as whom we speak to them."""

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from radloop.kit.errors import Misconfigured
from radloop.kit.settings import RoomSettings, host_and_port, json_object
from radloop.standards.hl7.write import Interface


class Settings(RoomSettings):
    """Addresses of the receivers (empty: their deliveries wait), names for MSH-3 to MSH-6, identifier systems by issuer.

    `identifier_systems` is a JSON object, issuer to URI; an issuer that is not in it is named by its OID, its URI, or ours.
    """

    ehr: str = ""
    ehr_token: SecretStr = SecretStr("")
    ris: str = ""
    timeout_seconds: float = 10.0
    application: str = "RADLOOP"
    facility: str = "AI"
    ris_application: str = "RIS"
    ris_facility: str = "RADIOLOGY"
    processing_id: str = "P"
    hl7_version: str = "2.5.1"
    identifier_systems: Annotated[dict[str, str], BeforeValidator(json_object)] = Field(default_factory=dict)

    def interface(self) -> Interface:
        """Return between whom HL7 v2 messages go."""
        return Interface(
            self.application, self.facility, self.ris_application, self.ris_facility, self.processing_id, self.hl7_version,
        )

    def ris_address(self) -> tuple[str, int] | None:
        """Return the RIS's host and port, None where none is set; raise Misconfigured where it is neither."""
        try:
            return host_and_port(self.ris) if self.ris else None
        except Misconfigured as wrong:
            raise Misconfigured(f"RADLOOP_PUBLISHING_RIS: {wrong.reason}") from wrong
