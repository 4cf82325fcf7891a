"""The one error that reading HL7 v2 raises, with what an ERR segment needs to say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ErrorCode = Literal["100", "101", "102", "103", "200", "201", "202", "203", "204", "205", "206", "207"]
"""Message error condition codes of HL7 table 0357."""

CONDITIONS: Final[dict[ErrorCode, str]] = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}


@dataclass(frozen=True, slots=True)
class Location:
    """Where in a message: segment name, its occurrence (from 1), field position (0: the whole segment)."""

    segment: str = "MSH"
    occurrence: int = 1
    field: int = 0

    def __str__(self) -> str:
        """Say it as people do: `OBR-18`, or `OBR` for a whole segment."""
        return f"{self.segment}-{self.field}" if self.field else self.segment


class Hl7Error(ValueError):
    """A message that cannot be taken as it is; its text never repeats a value of the message.

    `rejected` is true where the sender's interface is wrong (type, event, processing id, version: AR), false where
    this one message is (AE).
    """

    def __init__(self, code: ErrorCode, reason: str, at: Location | None = None) -> None:
        """Remember the code of table 0357, the reason in words without PHI, and the place."""
        self.code: Final[ErrorCode] = code
        self.reason: Final = reason
        self.at: Final = at or Location()
        super().__init__(f"{CONDITIONS[code]} at {self.at}: {reason}")

    @property
    def rejected(self) -> bool:
        """Whether the answer is AR (true) or AE (false); HL7 v2.5.1 section 2.9.2."""
        return self.code in {"200", "201", "202", "203"}
