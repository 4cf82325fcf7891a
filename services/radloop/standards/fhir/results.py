"""The resources of one case: a DiagnosticReport, an Observation per finding, the model as Device, a Provenance.

FHIR R4 (hl7.org/fhir/R4/diagnosticreport.html, observation.html, device.html, provenance.html). The report is `partial`:
R4's `preliminary` means verified. R4 takes no Device as `performer`, so the model is Observation.device and the agent of
the Provenance. Patient, ServiceRequest and ImagingStudy are the EHR's own and only referred to.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError

from radloop.standards.codes import (
    AI_RESULTS,
    BODY_PARTS,
    DATA_OPERATION,
    IDENTIFIER_TYPE,
    IMAGING,
    INDETERMINATE,
    NEGATIVE,
    OWN,
    PARTICIPANT,
    POSITIVE,
    RADIOLOGY,
    UCUM,
    Code,
)
from radloop.standards.fhir.values import (
    OWN_IDENTIFIERS,
    Answer,
    CaseResult,
    FindingResult,
    Identifier,
    Named,
    resource_id,
)

CONTENT_TYPE: Final = "application/fhir+json"
DIGITS: Final = 4
"""Decimals of a probability: more would pretend to a precision that calibration does not have."""

_ANSWERS: Final[dict[Answer, Code]] = {
    "positive": POSITIVE, "negative": NEGATIVE, "indeterminate": INDETERMINATE,
}

Json = dict[str, Any]


def transaction(result: CaseResult) -> bytes:
    """Write the resources of a case as one transaction Bundle; the same result is the same bytes.

    Raises ValueError where the result cannot be said in FHIR R4.
    """
    resources = (
        device(result.model, result.version), *(observation(result, finding) for finding in result.findings),
        report(result), provenance(result),
    )
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": resource, "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}}
        for resource in resources
    ]}
    try:
        Bundle.model_validate(bundle)
    except ValidationError as wrong:
        places = sorted({".".join(str(part) for part in error["loc"]) for error in wrong.errors()})
        raise ValueError(f"not a FHIR R4 bundle at {', '.join(places)}") from None
    return json.dumps(bundle, ensure_ascii=False, separators=(",", ":")).encode()


def resources_of(body: bytes) -> tuple[Json, ...]:
    """Read the resources back out of a Bundle, in their order. Raises ValueError for anything else."""
    try:
        bundle = json.loads(body)
        return tuple(entry["resource"] for entry in bundle["entry"])
    except (ValueError, KeyError, TypeError) as wrong:
        raise ValueError("not a FHIR bundle") from wrong


def report(result: CaseResult) -> Json:
    """The DiagnosticReport, whose code is that of AI results and never that of the radiologist's own report."""
    own = resource_id(result.case, "report")
    return _filled({
        "resourceType": "DiagnosticReport",
        "id": own,
        "identifier": [{"system": OWN_IDENTIFIERS, "value": own}],
        "basedOn": based_on(result),
        "status": "entered-in-error" if result.withdrawn else "partial",
        "category": [concept(RADIOLOGY)],
        "code": concept(AI_RESULTS),
        "subject": reference(result.patient),
        "effectiveDateTime": result.effective,
        "issued": instant(result.recorded),
        "result": [
            {"reference": f"Observation/{observation_id(result.case, finding)}", "type": "Observation"}
            for finding in result.findings
        ],
        "imagingStudy": [reference(result.study)],
        "conclusion": conclusion(result),
    })


def observation(result: CaseResult, finding: FindingResult) -> Json:
    """What is said of one finding: probability, interpretation, and the device that said it."""
    own = observation_id(result.case, finding)
    return _filled({
        "resourceType": "Observation",
        "id": own,
        "identifier": [{"system": OWN_IDENTIFIERS, "value": own}],
        "basedOn": based_on(result),
        "status": "entered-in-error" if result.withdrawn else "preliminary",
        "category": [concept(IMAGING)],
        "code": concept(finding.code),
        "subject": reference(result.patient),
        "effectiveDateTime": result.effective,
        "issued": instant(result.issued),
        "valueQuantity": {
            "value": round(finding.probability, DIGITS), "unit": "probability", "system": UCUM, "code": "1",
        },
        "interpretation": [concept(_ANSWERS[finding.answer])],
        "note": [{"text": text} for text in (finding.note, _by_reader(finding)) if text],
        "bodySite": concept(BODY_PARTS[result.body_part]) if result.body_part in BODY_PARTS else None,
        "device": {"reference": f"Device/{device_id(result.model, result.version)}", "type": "Device"},
        "derivedFrom": [reference(result.study)],
    })


def device(model: str, version: int) -> Json:
    """One model version, the same Device for every case that it reads."""
    own = device_id(model, version)
    return {
        "resourceType": "Device",
        "id": own,
        "identifier": [{"system": OWN_IDENTIFIERS, "value": own}],
        "status": "active",
        "manufacturer": "radloop",
        "deviceName": [{"name": f"radloop {model}", "type": "model-name"}],
        "type": concept(Code(OWN, "ai-model", "Artificial intelligence model")),
        "version": [{"value": str(version)}],
    }


def provenance(result: CaseResult) -> Json:
    """Who made the report: the model as author; and the reader, where a reader's act caused this version of it."""
    operation = "NULLIFY" if result.withdrawn else "UPDATE" if result.updated else "CREATE"
    made_by = {"reference": f"Device/{device_id(result.model, result.version)}", "type": "Device"}
    agents: list[Json] = [{"type": _participant("author", "Author"), "who": made_by}]
    if result.reader:
        who = {"type": "Practitioner", "identifier": {"system": "urn:radloop:reader", "value": result.reader}}
        agents.append({"type": _participant("verifier", "Verifier"), "who": who})
    targets = [f"DiagnosticReport/{resource_id(result.case, 'report')}"]
    targets += [f"Observation/{observation_id(result.case, finding)}" for finding in result.findings]
    return {
        "resourceType": "Provenance",
        "id": resource_id(result.case, "provenance"),
        "meta": {"tag": [{"system": OWN_IDENTIFIERS, "code": resource_id(result.case, "provenance")}]},
        "target": [{"reference": target, "type": target.partition("/")[0]} for target in targets],
        "recorded": instant(result.recorded),
        "activity": {"coding": [{"system": DATA_OPERATION, "code": operation, "display": operation.lower()}]},
        "agent": agents,
        "entity": [{"role": "source", "what": reference(result.study)}],
    }


def observation_id(case: str, finding: FindingResult) -> str:
    """Name the Observation of one finding of a case."""
    return resource_id(case, "observation", f"{finding.code.system}|{finding.code.value}")


def device_id(model: str, version: int) -> str:
    """Name the Device of one model version."""
    return resource_id("", "device", f"{model}|{version}")


def conclusion(result: CaseResult) -> str:
    """Say it in words, without PHI."""
    if result.withdrawn:
        return f"Withdrawn: {result.withdrawn}."
    said = "; ".join(
        f"{finding.code.display or finding.code.value}: {finding.answer}"
        + (" (changed by the reader)" if finding.by_reader else f" (probability {finding.probability:.2f})")
        for finding in result.findings
    )
    return f"AI result, not a radiologist's report. {said}. Model {result.model} version {result.version}."


def based_on(result: CaseResult) -> list[Json]:
    """Refer to the orders, each once: two of the hospital's may be one request at the EHR."""
    once: dict[object, Json] = {}
    for order in result.orders:
        once.setdefault(order.id or order.identifiers, reference(order))
    return list(once.values())


def reference(named: Named) -> Json:
    """Refer to a resource of the EHR's own: literally where it was found, by identifier always."""
    return _filled({
        "reference": f"{named.type}/{named.id}" if named.id else None,
        "type": named.type,
        "identifier": identifier(named.identifiers[0]) if named.identifiers else None,
    })


def identifier(value: Identifier) -> Json:
    """Write an identifier."""
    kind = {"coding": [{"system": IDENTIFIER_TYPE, "code": value.type}]} if value.type else None
    return _filled({"type": kind, "system": value.system, "value": value.value})


def concept(code: Code) -> Json:
    """Write a coded concept."""
    coding = _filled({"system": code.system, "code": code.value, "display": code.display})
    return _filled({"coding": [coding], "text": code.display})


def instant(at: datetime) -> str:
    """Write a FHIR instant in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _by_reader(finding: FindingResult) -> str:
    return "The reader changed the model's answer; the probability is the model's." if finding.by_reader else ""


def _participant(code: str, display: str) -> Json:
    return concept(Code(PARTICIPANT, code, display))


def _filled(element: Json) -> Json:
    """Leave out what is empty: FHIR knows no null and no empty list."""
    return {name: value for name, value in element.items() if value not in (None, "", [], {})}
