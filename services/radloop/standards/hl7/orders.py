"""ORM^O01 and OMI^O23: a patient and one or more order groups (ORC, TQ1, OBR, NTE, IPC or ZDS)."""

from __future__ import annotations

from typing import Final

from radloop.standards.hl7.er7 import Segment
from radloop.standards.hl7.errors import Hl7Error, Location
from radloop.standards.hl7.model import (
    Code,
    Control,
    Header,
    Identity,
    Order,
    OrderMessage,
    Origin,
    Priority,
    Status,
)
from radloop.standards.hl7.values import UNKNOWN, code, identity, more_urgent, patient, priority, timestamp

ORDER_SEGMENTS: Final = frozenset({"PID", "ORC", "TQ1", "OBR", "IPC", "ZDS"})

CONTROLS: Final[dict[str, Control]] = {
    "NW": "new",
    "SN": "new",
    "XO": "changed",
    "XX": "changed",
    "SC": "changed",
    "RP": "changed",
    "CA": "cancelled",
    "DC": "cancelled",
    "OC": "cancelled",
    "OD": "cancelled",
}
"""HL7 table 0119, as far as an order filler's imaging side is told of it."""

STATUSES: Final[dict[str, Status]] = {"CM": "completed", "CA": "cancelled", "DC": "cancelled"}
"""HL7 table 0038 (ORC-5); anything else is active."""

PRIORITY_PLACES: Final = (("TQ1", 9, (1, 4, 2, 5)), ("ORC", 7, (6,)), ("OBR", 27, (6,)), ("OBR", 5, (1,)))
"""Segment, field, components: TQ1-9 (its code, the alternate one, their texts), else the older quantity/timing, else OBR-5."""

Group = dict[str, Segment]


def orders(header: Header, found: tuple[Segment, ...], origin: Origin) -> OrderMessage:
    """Read the order groups of one patient. Raises Hl7Error."""
    people = [s for s in found if s.name == "PID"]
    groups = _groups(found)
    if not people:
        raise Hl7Error("100", "no PID segment", Location("PID"))
    if not groups:
        raise Hl7Error("100", "no ORC segment", Location("ORC"))
    if len(people) > 1:
        raise Hl7Error("100", "more than one PID segment", people[1].at())
    return OrderMessage(header, patient(people[0], origin), tuple(_order(group, origin) for group in groups))


def _groups(found: tuple[Segment, ...]) -> list[Group]:
    """One group per ORC, each with the first of every other segment that follows it.

    A ZDS at the end of a message with several orders speaks of all that have none: IHE sends one study per message.
    """
    groups: list[Group] = []
    for one in found:
        if one.name == "ORC":
            groups.append({})
        if groups and one.name != "PID":
            groups[-1].setdefault(one.name, one)
    if groups and "ZDS" in groups[-1]:
        for group in groups:
            group.setdefault("ZDS", groups[-1]["ZDS"])
    return groups


def _order(group: Group, origin: Origin) -> Order:
    """One order. Raises Hl7Error where it names nothing by which it could be known, or a new one asks for nothing."""
    orc, obr = group["ORC"], group.get("OBR")
    control = CONTROLS.get(orc.value(1).upper())
    if control is None:
        problem = "no order control" if not orc.value(1) else "this order control is not taken here"
        raise Hl7Error("103" if orc.value(1) else "101", problem, orc.at(1))
    placer = identity(orc, 2, origin) or (identity(obr, 2, origin) if obr else None)
    filler = identity(orc, 3, origin) or (identity(obr, 3, origin) if obr else None)
    if placer is None and filler is None:
        raise Hl7Error("101", "neither placer nor filler order number", orc.at(2))
    accession, study_uid = _accession(group, origin), _study_uid(group)
    if control == "new":
        if obr is None:
            raise Hl7Error("100", "no OBR segment", Location("OBR", orc.occurrence))
        if not obr.value(4) and not obr.value(4, 2):
            raise Hl7Error("101", "no universal service identifier", obr.at(4))
        if accession is None and not study_uid:
            raise Hl7Error("101", "neither accession number nor study instance uid", obr.at(18))
    status: Status = "cancelled" if control == "cancelled" else STATUSES.get(orc.value(5).upper(), "active")
    urgency, undefined = _priority(group, origin)
    return Order(
        control=control,
        control_code=orc.value(1).upper(),
        placer=placer,
        filler=filler,
        accession=accession,
        priority=urgency,
        procedure=code(obr, 4) if obr else Code("", ""),
        modality=_modality(group),
        indication=_indication(obr),
        status=status,
        study_uid=study_uid,
        placed_at=timestamp(orc, 9, origin),
        undefined=undefined,
        actor=orc.value(19),
    )


def _accession(group: Group, origin: Origin) -> Identity | None:
    """IPC-1 (OMI), else OBR-18, where IHE puts it, else OBR-20, where others do."""
    places = [(group.get("IPC"), 1), (group.get("OBR"), 18), (group.get("OBR"), 20)]
    named = (identity(one, position, origin) for one, position in places if one)
    return next((found for found in named if found), None)


def _study_uid(group: Group) -> str:
    """IPC-3 (OMI) or ZDS-1 (ORM, IHE Radiology TF-2 4.4): the Study Instance UID, empty where absent."""
    ipc, zds = group.get("IPC"), group.get("ZDS")
    return (ipc.value(3) if ipc else "") or (zds.value(1) if zds else "")


def _priority(group: Group, origin: Origin) -> tuple[Priority, Location | None]:
    """The priority, and where it says what nobody defined: the first of PRIORITY_PLACES that says anything decides.

    What is undefined is taken as ASAP, or as what the other places say where that is more urgent: an order is never taken
    as less urgent than it may be meant.
    """
    found: Priority = ""
    undefined: Location | None = None
    for name, position, components in PRIORITY_PLACES:
        one = group.get(name)
        if one is None:
            continue
        for raw in one.repetitions(position):
            words = [word for component in components if (word := one.part(raw, component))]
            classes = [known for word in words if (known := priority(word, origin.priorities))]
            if words and not classes:
                undefined = undefined or one.at(position)
            found = more_urgent(found, classes[0] if classes else "")
        if found and not undefined:
            break
    return (more_urgent(found, UNKNOWN), undefined) if undefined else (found, None)


def _modality(group: Group) -> str:
    """IPC-5 (OMI), else OBR-24 (diagnostic service section, which IHE fills with the modality)."""
    ipc, obr = group.get("IPC"), group.get("OBR")
    return ((ipc.value(5) if ipc else "") or (obr.value(24) if obr else "")).upper()


def _indication(obr: Segment | None) -> str:
    """OBR-31 reason for study (its text, else its code), else OBR-13 relevant clinical information."""
    return (obr.value(31, 2) or obr.value(31) or obr.value(13)) if obr else ""
