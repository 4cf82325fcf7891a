"""Earlier studies, handed over: each for its own purpose, and signed as two readers saw them, not as the truth has it."""

from datetime import UTC, datetime

import pytest

from radloop.workbench.hospital import backfill
from radloop.workbench.hospital.backfill import Archive, hand_over
from radloop.workbench.hospital.books import enrol
from radloop.workbench.hospital.cohort import Cohort
from radloop.workbench.hospital.messages import Envelope, read
from radloop.workbench.hospital.readers import Radiologist, Skill
from radloop.workbench.hospital.sources import Candidate
from tests.adapters.grey_source import Grey

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Still:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0.0


class Door:
    """Ingestion's door: keeps what each object was handed over for."""

    def __init__(self) -> None:
        self.purposes: list[str] = []

    def backfill(self, file: bytes, purpose: str) -> str:
        self.purposes.append(purpose)
        return f"case-{len(self.purposes)}"


def test_each_part_keeps_its_purpose_and_only_those_that_measure_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate study is never handed over to calibrate; a pool study comes without the answer that readers are asked for."""
    reports: dict[str, str] = {}

    class Line:
        def __init__(self, *_: object) -> None:
            """Connect to nobody."""

        def must(self, message: bytes) -> None:
            told = read(message)
            reports[told["OBR-18"]] = told["OBX-5"].split("^")[1].lower()

        def close(self) -> None:
            """Hang up on nobody."""

    monkeypatch.setattr(backfill, "MllpLine", Line)
    people = tuple(Candidate(f"K{place}", place % 2 == 0, f"i{place}") for place in range(60))
    books = enrol(5, Cohort(
        seeds=(), acceptance=people[:20], gate=people[20:40], pool=people[40:], morning=(), irregular=(), test=(),
    ), NOON)
    door, poor = Door(), Radiologist("consensus", 5, books.truth, Skill(0.0, 0.0, 0.0))
    cases = hand_over(books.earlier, Archive(Grey(), poor, ("127.0.0.1", 1), Envelope(), Still()), door, lambda _: None)
    assert sorted(door.purposes) == sorted(entry.part for entry in books.earlier)
    told = {entry.order.accession: entry.part for entry in books.earlier}
    assert set(cases) == set(told)
    assert {told[accession] for accession in reports} == {"acceptance", "gate"}
    assert reports == {accession: poor.opinion(accession) for accession in reports}
    assert any((said == "present") != books.truth[accession] for accession, said in reports.items()), "a signer who errs is heard"
