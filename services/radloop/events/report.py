"""What ingestion says of signed reports."""

from dataclasses import dataclass
from datetime import datetime

from radloop.events.common import Code
from radloop.kit.flow import Event


@dataclass(frozen=True, kw_only=True)
class CodedObservation:
    """A finding that a report states in code: value is present, absent or cannot-say."""

    code: Code
    value: str


@dataclass(frozen=True, kw_only=True)
class ReportSigned(Event):
    """The radiologist's final report; purpose names the set an earlier study belongs to, empty for live work."""

    signed_at: datetime
    signer: str
    findings: tuple[CodedObservation, ...]
    purpose: str = ""
    patient_key: str = ""
