"""What the EHR should hold of a case, as it follows from the facts; and whether what is waiting may still be sent."""

from dataclasses import replace
from datetime import datetime

from radloop.events.common import Identity, Order
from radloop.events.prediction import FindingScore
from radloop.publishing.domain.case import Case, Reading, Verdict
from radloop.publishing.domain.said import Numbers, Said
from radloop.standards import codes
from radloop.standards.fhir.lookup import Lookup
from radloop.standards.fhir.values import Answer, CaseResult, FindingResult, Identifier, Named, study_identifier, system_of

_BY_READER: dict[str, Answer] = {"present": "positive", "absent": "negative", "cannot-say": "indeterminate"}


def wanted(case: Case) -> Said | None:
    """Return what the EHR should hold, None where nothing more is to be said than what was.

    A first report needs images, a serving version's reading, an order that is active or done, a join, and no signature.
    What was said is withdrawn when rejected, cancelled or parted from its order, whenever that comes; after the signature
    only a reader's correction of it still goes.
    """
    reason = withdrawal(case)
    if case.said is not None and reason:
        if case.said.withdrawn:
            return None
        return replace(case.said, withdrawn=reason, reader=case.answer.reader if case.rejected and case.answer else "")
    fresh = _fresh(case)
    if fresh is None or (case.said is None and not _open(case)):
        return None
    return _corrected(case.said, fresh) if case.signed else replace(fresh, withdrawn=reason)


def withheld(case: Case) -> Said | None:
    """Return the report of a reading that came too late for one, None where there is none or it has been told of.

    It is decided all the same, so that the check before its first try says why it was never sent.
    """
    fresh = _fresh(case) if case.said is None and case.matched and (case.signed or case.cancelled) else None
    return None if fresh is None or fresh.reading_id == case.withheld else fresh


def withdrawal(case: Case) -> str:
    """Say why nothing of this case may stand, empty where it may."""
    if case.cancelled:
        return "the order was cancelled"
    if case.images is not None and not case.matched:
        return "the study does not belong to this order"
    return "rejected by the reader" if case.rejected else ""


def superseded(case: Case | None, number: int, *, correction: bool) -> str | None:
    """Say why a report or correction is no longer to be sent, None where it is.

    A correction always goes, unless there is nothing at the EHR that it could correct.
    """
    if case is None:
        return "the case is not known"
    closed = "the report was signed" if case.signed else "" if _open(case) else withdrawal(case)
    if correction:
        return f"{closed}, and nothing of ours stands at the EHR" if closed and not case.stands else None
    return closed or ("overtaken by a newer one" if number < case.number else None)


def edits(said: Said | None, fresh: Said) -> bool:
    """Whether it differs by what a reader said of the same reading, and by nothing else."""
    if said is None or fresh.reading_id != said.reading_id or said.withdrawn:
        return False
    return replace(fresh, findings=(), reader="") == replace(said, findings=(), reader="")


def question(said: Said, systems: dict[str, str]) -> Lookup:
    """Ask for the EHR's own resources by the identifiers that the orders and the images bear."""
    named = tuple(_named(one, said.orders, systems) for one in said.orders)
    accession = (_identifier(said.accession, "ACSN", systems),) if said.accession else ()
    return Lookup(
        patient=Named("Patient", (_identifier(said.patient, "MR", systems),)),
        orders=tuple(Named("ServiceRequest", identifiers) for identifiers in named if identifiers),
        study=Named("ImagingStudy", (study_identifier(said.study_uid), *accession)),
    )


def result(case: Case, said: Said, references: Lookup, recorded: datetime) -> CaseResult:
    """Say it in FHIR's terms."""
    return CaseResult(
        case=case.case_id, revision=said.revision, patient=references.patient, orders=references.orders,
        study=references.study, model=said.model, version=said.version, findings=said.findings, issued=said.read_at,
        recorded=recorded, effective=said.study_date, body_part=said.body_part, reader=said.reader,
        updated=case.stands, withdrawn=said.withdrawn,
    )


def _corrected(said: Said | None, fresh: Said) -> Said | None:
    """What the report of a signed case may still become: as it stands, but for what a reader says of the same reading."""
    if said is None or said.withdrawn or said.reading_id != fresh.reading_id:
        return None
    return replace(said, findings=fresh.findings, reader=fresh.reader)


def _open(case: Case) -> bool:
    return case.matched and not case.signed and not case.cancelled


def _fresh(case: Case) -> Said | None:
    images, reading, order, patient = case.images, case.reading, case.order, case.patient
    if images is None or reading is None or order is None or patient is None:
        return None
    answer = case.answer
    edited = answer if answer and answer.kind == "refine" else None
    first, *others = (_numbers(one) for one in case.orders or (order,))
    return Said(
        reading_id=reading.id, revision=reading.revision, model=reading.model, version=reading.version,
        read_at=reading.read_at, patient=patient.id, accession=first.accession, placer=first.placer,
        filler=first.filler, others=tuple(others), study_uid=images.study_uid, study_date=images.study_date, body_part=images.body_part,
        findings=tuple(_finding(score, case, reading, edited) for score in reading.findings),
        reader=answer.reader if answer and answer.kind in {"refine", "reject"} else "",
    )


def _finding(score: FindingScore, case: Case, reading: Reading, edited: Verdict | None) -> FindingResult:
    code = codes.Code(score.code.system, score.code.value, score.code.display)
    model, note = _model_says(score, case, reading)
    said = {(one.code.system, one.code.value): one.value for one in edited.answers} if edited else {}
    reader = _BY_READER.get(said.get((code.system, code.value), ""), model)
    return FindingResult(
        code=code, probability=score.probability, answer=reader, note=note, by_reader=reader != model,
    )


def _model_says(score: FindingScore, case: Case, reading: Reading) -> tuple[Answer, str]:
    """The model's answer, which is indeterminate where it, or triage for it, abstains; and why."""
    if reading.out_of_distribution:
        return "indeterminate", "Abstained: the image is unlike those that the model knows."
    if len(score.conformal) > 1:
        return "indeterminate", "Abstained: neither answer can be ruled out."
    triage = case.triage
    if triage and triage.abstained and triage.prediction_id == reading.id:
        return "indeterminate", f"Abstained: {', '.join(triage.guards) or 'triage held the case in its place'}."
    return ("positive" if score.positive else "negative"), ""


def _numbers(order: Order) -> Numbers:
    return Numbers(accession=order.accession, placer=order.placer, filler=order.filler)


def _named(order: Numbers, orders: tuple[Numbers, ...], systems: dict[str, str]) -> tuple[Identifier, ...]:
    """Name an order by its accession number first, unless another order of the case bears the same one."""
    shared = sum(one.accession == order.accession for one in orders) > 1
    accession, own = ((order.accession, "ACSN"),), ((order.placer, "PLAC"), (order.filler, "FILL"))
    numbers = own + accession if shared else accession + own
    return tuple(_identifier(one, kind, systems) for one, kind in numbers if one)


def _identifier(identity: Identity, kind: str, systems: dict[str, str]) -> Identifier:
    return Identifier(system_of(identity.issuer, systems), identity.value, kind)
