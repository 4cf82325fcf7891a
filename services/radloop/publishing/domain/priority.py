"""What the RIS should show as an order's priority: raised once by triage, given back when the lift is taken back.

Only a routine order is ever raised, and never to STAT, which is the clinicians' alone; nothing is asked for an order that is
complete or cancelled, nor for a case that a human has opened or signed.
"""

from datetime import datetime

from radloop.events import common
from radloop.publishing.domain.case import Case
from radloop.publishing.domain.said import Raised
from radloop.standards.hl7 import model
from radloop.standards.hl7.outbound import priority_change
from radloop.standards.hl7.values import priority
from radloop.standards.hl7.write import PRIORITY_CODES, Interface

RAISED = "asap"
"""The only class that a policy's raised code may stand for."""
_MAY_HAVE_CHANGED = frozenset({"confirmed", "unconfirmed", "quarantined"})
"""Where a lift may stand at the RIS, so that taking it back must be said."""


def lift(case: Case) -> Raised | None:
    """Return the change to ask for, None where triage lifts nothing or the case may not be moved."""
    triage, order, patient, before = case.triage, case.order, case.patient, case.raised
    if triage is None or order is None or patient is None or not triage.lifted:
        return None
    if before is not None and not (before.given_back and triage.revision > before.triage_revision):
        return None
    if priority(triage.priority_code) != RAISED or triage.priority != "routine" or not movable(case):
        return None
    return Raised(order=order, patient=patient, code=triage.priority_code, triage_revision=triage.revision,
                  number=case.changes + 1)


def movable(case: Case) -> bool:
    """Whether the RIS may be asked to raise this case's order."""
    order = case.order
    named = order is not None and (order.placer is not None or order.filler is not None)
    asked = named and order is not None and order.status == "active" and order.priority == "routine"
    return asked and case.joined is not False and not case.opened and not case.signed


def to_give_back(case: Case) -> bool:
    """Whether the clinician's own priority is to be sent after a lift: it was taken back, or the study was parted from it.

    Where triage now holds the clinician's priority to be what we asked for, the RIS shows it already: most often it is the
    RIS's echo of our own change, and answering that would take the lift back though nobody did.
    """
    raised, triage = case.raised, case.triage
    if raised is None or raised.given_back:
        return False
    undone = triage is not None and triage.revision > raised.triage_revision and not triage.lifted
    echoed = triage is not None and triage.priority == priority(raised.code)
    return (undone and not echoed) or case.joined is False


def own_priority(case: Case) -> str:
    """Return the clinician's own priority of the order that was raised: as it is now, else as it was then.

    Where the order now shows what we asked for, that is the RIS's echo and no clinician's word.
    """
    assert case.raised is not None  # asked only of a case whose order was raised
    order = _same_order(case)
    now = order.priority if order else ""
    return case.raised.order.priority if now in {"", priority(case.raised.code)} else now


def own_code(case: Case) -> str:
    """Return the clinician's own priority as HL7 table 0485 has it."""
    return PRIORITY_CODES[priority(own_priority(case)) or "routine"][0]


def superseded(case: Case | None, *, back: bool) -> str | None:
    """Say why a change of priority is no longer to be asked for, None where it is."""
    raised = case.raised if case else None
    if case is None or raised is None:
        return "the case is not known"
    if back:
        order = _same_order(case)
        if case.signed or (order is not None and order.status != "active"):
            return "the order is complete or cancelled"
        return None if raised.state in _MAY_HAVE_CHANGED else "the RIS never took the lift"
    if raised.given_back:
        return "the lift was taken back"
    return None if movable(case) else "nothing moves a case that was opened, signed, cancelled or changed by a clinician"


def message(to: Interface, key: str, at: datetime, raised: Raised, word: str, reason: str) -> bytes:
    """Write ORM^O01 (XO) for the order that was raised; the same arguments are the same bytes."""
    order, patient = raised.order, raised.patient
    procedure = order.procedure
    known = model.Order(
        control="changed", control_code="XO", placer=_identity(order.placer), filler=_identity(order.filler),
        accession=_identity(order.accession), priority=priority(word),
        procedure=model.Code(procedure.system, procedure.value, procedure.display) if procedure else model.Code("", ""),
        modality=order.modality, indication=order.indication, status="active", study_uid=order.study_uid,
        placed_at=order.placed_at,
    )
    person = model.Patient(
        identities=(model.Identity(patient.id.site, patient.id.issuer, patient.id.value),), family=patient.family,
        given=patient.given, birth_date=patient.birth_date, sex=patient.sex,
    )
    return priority_change(to, key, at, person, known, priority(word), reason)


def _same_order(case: Case) -> common.Order | None:
    """Return the order that was raised as it is now, also where another one speaks for the case; None where it is gone."""
    then = case.raised.order if case.raised else None
    now = (case.order, *case.other_orders) if case.order and then else ()
    return next((one for one in now if then and (one.placer, one.filler) == (then.placer, then.filler)), None)


def _identity(identity: common.Identity | None) -> model.Identity | None:
    return model.Identity(identity.site, identity.issuer, identity.value) if identity else None
