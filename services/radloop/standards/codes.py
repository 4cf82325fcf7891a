"""The codes that rooms share, in the vocabularies of their owners: SNOMED CT, RadLex, LOINC, DICOM, HL7.

FHIR names a vocabulary by a URI, HL7 v2 by a short name (table 0396, see hl7/values.py), DICOM by a scheme designator; a
Code here always carries the URI.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

SNOMED_CT: Final = "http://snomed.info/sct"
RADLEX: Final = "http://radlex.org"
LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
DICOM_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
DICOM_UID: Final = "urn:dicom:uid"
"""The FHIR identifier system of a DICOM UID; the value is `urn:oid:` and the UID."""
INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
OBSERVATION_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
DIAGNOSTIC_SERVICE: Final = "http://terminology.hl7.org/CodeSystem/v2-0074"
IDENTIFIER_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
DATA_OPERATION: Final = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
OWN: Final = "urn:radloop:codes"
"""Codes that nobody else has coined."""


@dataclass(frozen=True)
class Code:
    """A coded concept: vocabulary (URI), value, display."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    """A misspelt field of a code in a file is refused."""

    system: str
    value: str
    display: str = ""


PNEUMONIA: Final = Code(SNOMED_CT, "233604007", "Pneumonia")
"""The first finding: pneumonia, or the opacity that stands for it in a radiograph."""

FINDINGS: Final = (PNEUMONIA,)

AI_RESULTS: Final = Code(OWN, "ai-results", "Results of artificial intelligence, not a radiologist's report")
"""The code of our reports: never the code of a radiologist's own, which names the procedure (LOINC)."""

POSITIVE: Final = Code(INTERPRETATION, "POS", "Positive")
NEGATIVE: Final = Code(INTERPRETATION, "NEG", "Negative")
INDETERMINATE: Final = Code(INTERPRETATION, "IND", "Indeterminate")

IMAGING: Final = Code(OBSERVATION_CATEGORY, "imaging", "Imaging")
RADIOLOGY: Final = Code(DIAGNOSTIC_SERVICE, "RAD", "Radiology")

BODY_PARTS: Final[dict[str, Code]] = {
    "CHEST": Code(SNOMED_CT, "51185008", "Thoracic structure"),
    "LUNG": Code(SNOMED_CT, "39607008", "Lung structure"),
    "ABDOMEN": Code(SNOMED_CT, "818981001", "Abdomen"),
    "HEAD": Code(SNOMED_CT, "69536005", "Head structure"),
}
"""By DICOM (0018,0015); PS3.16 annex L."""

CHEST_RADIOGRAPH: Final = Code(LOINC, "36643-5", "XR Chest 2 Views")
"""What an order for a chest radiograph asks for; also the code of the radiologist's report of it."""

RequestPriority = Literal["routine", "urgent", "asap", "stat"]
"""FHIR request-priority."""

PRIORITY_OF_HL7: Final[dict[str, RequestPriority]] = {
    "S": "stat", "ST": "stat", "STAT": "stat", "A": "asap", "ASAP": "asap", "P": "urgent", "T": "urgent",
    "R": "routine", "C": "routine", "PRN": "routine", "": "routine",
}
"""FHIR request-priority by HL7 v2 tables 0485 and 0027 (TQ1-9, ORC-7.6, OBR-27.6); an empty code is routine."""
