"""What is said of a case in FHIR, as plain frozen values, before it becomes resources."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID, uuid5

from radloop.standards.codes import DICOM_UID, Code

_RESOURCES: Final = UUID("0d6a1f0c-6d0b-5c55-8f0a-7f5b0b8f3e21")

Kind = Literal["report", "observation", "provenance", "device"]
Answer = Literal["positive", "negative", "indeterminate"]

OWN_IDENTIFIERS: Final = "urn:radloop:resource"
"""The identifier system of what we publish; the value is the resource's id at a receiver that takes ours."""


def resource_id(case: str, kind: Kind, detail: str = "") -> str:
    """Name a resource by its case and kind (and finding or version), so that a retry writes the same one again."""
    return str(uuid5(_RESOURCES, f"{case}|{kind}|{detail}"))


@dataclass(frozen=True)
class Identifier:
    """A business identifier: the issuer's URI, the value, and its type in HL7 table 0203 (MR, ACSN, PLAC, FILL)."""

    system: str
    value: str
    type: str = ""


@dataclass(frozen=True)
class Named:
    """A resource that is the EHR's own: its type, its identifiers (best first), and its id there where it was found."""

    type: str
    identifiers: tuple[Identifier, ...]
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class FindingResult:
    """What is said of one finding.

    `probability` is calibrated, 0 to 1; `answer` is indeterminate when abstaining; `note` says why, without PHI;
    `by_reader` marks an answer that a reader gave in place of the model's.
    """

    code: Code
    probability: float
    answer: Answer
    note: str = ""
    by_reader: bool = False


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """All that is said of one case.

    `effective` is when the images were made (FHIR dateTime, a date is enough); `issued` when the model read them
    (the Observations'), `recorded` when this version of the result was decided (the report's). `withdrawn` is the reason why
    all of it is entered in error, empty while it stands. `reader` is who caused this version, empty where only the model spoke.
    """

    case: str
    revision: int
    patient: Named
    orders: tuple[Named, ...]
    study: Named
    model: str
    version: int
    findings: tuple[FindingResult, ...]
    issued: datetime
    recorded: datetime
    effective: str = ""
    body_part: str = ""
    reader: str = ""
    updated: bool = False
    withdrawn: str = ""


def system_of(issuer: str, systems: dict[str, str]) -> str:
    """Return the identifier system of an assigning authority: as the site maps it, an OID or URI as such, else ours."""
    if issuer in systems:
        return systems[issuer]
    if issuer and set(issuer) <= set("0123456789.") and "." in issuer:
        return f"urn:oid:{issuer}"
    if ":" in issuer:
        return issuer
    return f"urn:radloop:issuer:{issuer or 'unknown'}"


def study_identifier(study_uid: str) -> Identifier:
    """Name a study by its Study Instance UID, as FHIR R4 ImagingStudy.identifier does."""
    return Identifier(DICOM_UID, f"urn:oid:{study_uid}")
