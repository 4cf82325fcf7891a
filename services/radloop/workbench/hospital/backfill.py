"""Earlier studies, handed over for the pool, the acceptance set and the gate set; the latter two with signed reports."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from radloop.kit.clock import Clock
from radloop.workbench.hospital.books import Entry
from radloop.workbench.hospital.messages import Envelope, report_message
from radloop.workbench.hospital.objects import EARLIER, dx, file_bytes
from radloop.workbench.hospital.readers import Radiologist
from radloop.workbench.hospital.sender import MllpLine
from radloop.workbench.hospital.sources import Source

REPORTED = frozenset({"acceptance", "gate"})
_HANDS = 4


class Door(Protocol):
    """Ingestion's door for earlier studies."""

    def backfill(self, file: bytes, purpose: str) -> str:
        """Hand over one DICOM file and return its case."""
        ...


@dataclass(frozen=True)
class Archive:
    """What the hospital hands over from: its images, the radiologist who signed then, and its HL7 line."""

    source: Source
    signer: Radiologist
    hl7: tuple[str, int]
    envelope: Envelope
    clock: Clock


def hand_over(entries: Sequence[Entry], archive: Archive, door: Door, tell: Callable[[int], None]) -> dict[str, str]:
    """Hand over every earlier study and return its case by accession number; `tell` hears how many are done.

    Raises Permanent where a study or a report is refused.
    """
    cases: dict[str, str] = {}
    lines = threading.local()
    opened: list[MllpLine] = []

    def line() -> MllpLine:
        if not hasattr(lines, "hl7"):
            lines.hl7 = MllpLine(*archive.hl7)
            opened.append(lines.hl7)
        return lines.hl7  # type: ignore[no-any-return]  # a thread's own namespace has no types

    def one(entry: Entry) -> tuple[str, str]:
        order = entry.order
        image = dx(order, archive.source.pixels(entry.image), order.placed, EARLIER)
        case = door.backfill(file_bytes(image), entry.part)
        if entry.part in REPORTED:
            line().must(signed(entry, archive))
        return order.accession, case

    try:
        with ThreadPoolExecutor(_HANDS, thread_name_prefix="backfill") as hands:
            for accession, case in hands.map(one, entries):
                cases[accession] = case
                tell(len(cases))
    finally:
        for hl7 in opened:
            hl7.close()
    return cases


def signed(entry: Entry, archive: Archive) -> bytes:
    """Return the final report that was signed then."""
    said = archive.signer.opinion(entry.order.accession)
    present = None if said == "cannot-say" else said == "present"
    control = f"R{entry.order.placer}"
    return report_message(entry.order, present, archive.signer.name, control, archive.clock.now(), archive.envelope)
