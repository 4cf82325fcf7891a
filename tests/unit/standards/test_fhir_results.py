"""What is said of a case in FHIR R4."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from radloop.standards.codes import AI_RESULTS, CHEST_RADIOGRAPH, PNEUMONIA
from radloop.standards.fhir.references import Problem, check
from radloop.standards.fhir.results import resources_of, transaction
from radloop.standards.fhir.values import (
    CaseResult,
    FindingResult,
    Identifier,
    Named,
    resource_id,
    study_identifier,
    system_of,
)

AT = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


def result(**changed: Any) -> CaseResult:
    """A case with one positive finding, all of whose references were found."""
    usual = CaseResult(
        case="case-1", revision=1,
        patient=Named("Patient", (Identifier("urn:oid:1.2.3", "77", "MR"),), id="p1"),
        orders=(Named("ServiceRequest", (Identifier("urn:oid:1.2.3", "A1", "ACSN"),), id="s1"),),
        study=Named("ImagingStudy", (study_identifier("1.2.840.1"),), id="i1"),
        model="chest", version=3, issued=AT, recorded=AT, effective="2026-11-23", body_part="CHEST",
        findings=(FindingResult(code=PNEUMONIA, probability=0.93127, answer="positive"),),
    )
    return replace(usual, **changed)


def written(of: CaseResult) -> dict[str, dict[str, Any]]:
    """The resources of a case by their type."""
    return {resource["resourceType"]: resource for resource in resources_of(transaction(of))}


def collection(of: CaseResult) -> dict[str, Any]:
    """A Bundle that holds all that the case refers to."""
    theirs = [
        {"resourceType": kind, "id": name} for kind, name in (("Patient", "p1"), ("ServiceRequest", "s1"), ("ImagingStudy", "i1"))
    ]
    return {"resourceType": "Bundle", "type": "collection",
            "entry": [{"resource": one} for one in (*resources_of(transaction(of)), *theirs)]}


def test_the_same_result_is_the_same_bytes() -> None:
    """A resend is byte for byte what was sent."""
    assert transaction(result()) == transaction(result())


def test_a_report_is_issued_when_this_version_of_it_was_decided() -> None:
    """R4: `issued` is when this version was made available; a correction is later than the reading it corrects."""
    later = written(result(recorded=AT + timedelta(minutes=5), withdrawn="rejected by the reader"))
    assert later["DiagnosticReport"]["issued"] == "2026-11-23T08:35:00.000Z"
    assert later["Observation"]["issued"] == "2026-11-23T08:30:00.000Z"


def test_the_report_is_partial_and_never_bears_the_radiologists_code() -> None:
    """R4's preliminary means verified, and a report by a model is not the radiologist's."""
    report = written(result())["DiagnosticReport"]
    coding = report["code"]["coding"][0]
    assert report["status"] == "partial"
    assert coding["code"] == AI_RESULTS.value != CHEST_RADIOGRAPH.value
    assert report["basedOn"][0]["reference"] == "ServiceRequest/s1"
    assert report["imagingStudy"][0]["reference"] == "ImagingStudy/i1"


@pytest.mark.parametrize(("answer", "code"), [("positive", "POS"), ("negative", "NEG"), ("indeterminate", "IND")])
def test_an_observation_says_probability_and_interpretation(answer: Any, code: str) -> None:
    """Each finding is preliminary, with its probability, POS, NEG or IND, and the device that said it."""
    finding = FindingResult(code=PNEUMONIA, probability=0.93127, answer=answer)
    observation = written(result(findings=(finding,)))["Observation"]
    assert observation["status"] == "preliminary"
    assert observation["valueQuantity"]["value"] == 0.9313
    assert observation["interpretation"][0]["coding"][0]["code"] == code
    assert observation["device"]["type"] == "Device"


def test_a_probability_of_zero_is_said() -> None:
    """Zero is a probability and must never be left out."""
    finding = FindingResult(code=PNEUMONIA, probability=0.0, answer="negative")
    assert written(result(findings=(finding,)))["Observation"]["valueQuantity"]["value"] == 0.0


def test_the_model_is_device_and_agent_and_never_performer() -> None:
    """R4 takes no Device as performer, so the model is Observation.device and the agent of a Provenance."""
    resources = written(result())
    who = resources["Provenance"]["agent"][0]["who"]["reference"]
    assert who == f"Device/{resources['Device']['id']}" == resources["Observation"]["device"]["reference"]
    assert resources["Device"]["version"] == [{"value": "3"}]
    assert all("performer" not in resource for resource in resources.values())


def test_a_withdrawn_result_is_entered_in_error_everywhere_under_the_same_ids() -> None:
    """A correction changes status, never identity."""
    before, after = written(result()), written(result(withdrawn="rejected by the reader", updated=True, reader="dr-1"))
    assert after["DiagnosticReport"]["status"] == after["Observation"]["status"] == "entered-in-error"
    assert {kind: one["id"] for kind, one in after.items()} == {kind: one["id"] for kind, one in before.items()}
    assert after["Provenance"]["agent"][1]["who"]["identifier"]["value"] == "dr-1"
    assert after["DiagnosticReport"]["id"] == resource_id("case-1", "report")


def test_what_was_not_found_is_named_by_identifier_and_type_alone() -> None:
    """The EHR's own resources are never created by us."""
    report = written(result(patient=Named("Patient", (Identifier("urn:oid:1.2.3", "77", "MR"),))))["DiagnosticReport"]
    assert report["subject"]["type"] == "Patient"
    assert report["subject"]["identifier"]["value"] == "77"
    assert "reference" not in report["subject"]


def test_a_result_that_fhir_cannot_say_is_refused() -> None:
    """A non-finite probability never becomes a resource, and its value is not repeated."""
    finding = FindingResult(code=PNEUMONIA, probability=float("nan"), answer="positive")
    with pytest.raises(ValueError, match="not a FHIR R4 bundle"):
        transaction(result(findings=(finding,)))


def test_every_reference_of_ours_resolves_to_the_right_type() -> None:
    """What the demo counts as right is right here."""
    assert check(collection(result())) == ()


@pytest.mark.parametrize(("element", "value", "wrong"), [
    ("subject", {"reference": "ImagingStudy/i1"}, "may not be ImagingStudy"),
    ("subject", {"reference": "Patient/nobody"}, "does not resolve"),
    ("subject", {"identifier": {"value": "1"}}, "is by identifier alone and does not say its type"),
    ("subject", {"type": "Practitioner", "identifier": {"value": "1"}}, "may not be Practitioner"),
    ("subject", {"reference": "Patient/p1", "type": "Group"}, "says Group and is Patient"),
    ("subject", {"display": "somebody"}, "names nothing"),
    ("basedOn", [{"reference": "Patient/p1"}], "may not be Patient"),
])
def test_a_wrong_reference_is_found(element: str, value: Any, wrong: str) -> None:
    """Each way a reference can be wrong is named, with its place."""
    bundle = json.loads(json.dumps(collection(result())))
    report = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "DiagnosticReport")
    report[element] = value
    assert check(bundle) == (Problem(f"DiagnosticReport/{report['id']}", element, wrong),)


def test_a_wrong_reference_deep_inside_is_found() -> None:
    """The check follows backbone elements too."""
    bundle = collection(result())
    provenance = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Provenance")
    provenance["agent"][0]["who"] = {"reference": "Observation/none"}
    assert [problem.element for problem in check(bundle)] == ["agent.who"]


@pytest.mark.parametrize(("issuer", "system"), [
    ("MAPPED", "http://hospital.example/mrn"), ("1.2.840.99", "urn:oid:1.2.840.99"),
    ("urn:oid:1.2", "urn:oid:1.2"), ("RIS", "urn:radloop:issuer:RIS"),
])
def test_an_issuer_becomes_an_identifier_system(issuer: str, system: str) -> None:
    """As the site maps it, else an OID or URI as such, else under our own name."""
    assert system_of(issuer, {"MAPPED": "http://hospital.example/mrn"}) == system
