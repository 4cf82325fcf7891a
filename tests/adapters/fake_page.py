"""The page's port as memory: real cases and real screens, pictures drawn here, commands remembered."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from radloop.events.common import Actor, Blob, Code, Identity, Instance, Order, Patient, Study
from radloop.events.prediction import FindingScore, Prediction
from radloop.worklist.domain.case import Case, Imaged, Opened, Ordered, Place, Read, Request, Result, Unread, Verdict, placed
from radloop.worklist.domain.screen import Row, Screen, Serving, View, ordered, refusal, row_of, screen_of
from radloop.worklist.ports import Done, Evidence, Image, Shown, VerdictGiven

PNEUMONIA = Code(system="http://snomed.info/sct", value="233604007", display="Pneumonia")
START = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
_BLOB = Blob("a" * 64, 1)


@dataclass
class FakePage:
    """Implements the Page port."""

    cases: dict[str, Case] = field(default_factory=dict)
    time: datetime = START
    opened: list[Shown] = field(default_factory=list)
    verdicts: list[VerdictGiven] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    mode: Serving = field(default_factory=lambda: Serving(mode="production", model="chest", version=2, shadow=None, note=""))
    radiographs: Path | None = None
    listeners: list[Callable[[Sequence[str]], None]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, case: Case) -> None:
        """Keep a case and tell every page."""
        with self.lock:
            self.cases[case.case_id] = placed(case)
            listeners = list(self.listeners)
        for tell in listeners:
            tell([case.case_id])

    def serving(self) -> Serving:
        return self.mode

    def now(self) -> datetime:
        return self.time

    def rows(self, view: View) -> Sequence[Row]:
        with self.lock:
            cases = list(self.cases.values())
        if view == "reviews":
            return [row_of(case, self.time, one.request_id) for case in cases for one in case.open_requests]
        wanted = {"reading": {"waiting"}, "done": {"signed", "cancelled"}}[view]
        return [row_of(case, self.time) for case in ordered([case for case in cases if case.standing in wanted])]

    def find(self, accession: str) -> Sequence[str]:
        return [case.case_id for case in self.cases.values() if accession and case.accession == accession]

    def screen(self, case_id: str, request_id: str) -> Screen | None:
        case = self.cases.get(case_id)
        return screen_of(case, self.time, (PNEUMONIA,), request_id) if case else None

    def image(self, case_id: str, sop_instance_uid: str, frame: int, longest: int) -> Image | None:
        if case_id not in self.cases:
            return None
        pixels = self._drawn(case_id, min(longest, 1024))
        return Image(
            rows=pixels.shape[0], columns=pixels.shape[1], stored_rows=2000, stored_columns=2000, window_center=2048,
            window_width=4096, slope=1, intercept=0, low=0, high=4095, inverted=False, photometric="MONOCHROME2",
            pixels=pixels.astype("<u2").tobytes(),
        )

    def _drawn(self, case_id: str, side: int) -> np.ndarray:
        if self.radiographs is not None:
            files = sorted(self.radiographs.glob("*.jp*g"))
            with Pillow.open(files[sum(case_id.encode()) % len(files)]) as file:
                return np.asarray(file.convert("L").resize((side, side)), dtype=np.uint16) * 16
        y, x = np.mgrid[0:side, 0:side] / side
        lungs = sum(np.exp(-(((y - 0.5) / 0.3) ** 2 + ((x - at) / 0.14) ** 2) ** 2) for at in (0.32, 0.68))
        return np.clip(3000 - 2400 * lungs + 250 * np.sin(40 * y), 0, 4095).astype(np.uint16)

    def evidence(self, case_id: str, request_id: str, finding: Code) -> Evidence | None:
        values = np.zeros((7, 7))
        values[4:6, 4:6] = 1.0
        values[3, 4] = 0.5
        screen = self.screen(case_id, request_id)
        if screen is None or not screen.ai_shown or screen.evidence is None:
            return None
        return Evidence(
            sop_instance_uid=screen.evidence.sop_instance_uid, frame=1, rows=7, columns=7,
            values=tuple(map(tuple, values.tolist())),
        )

    def open_case(self, command_id: str, reader: Actor, shown: Shown) -> Done:
        with self.lock:
            case = self.cases[shown.case_id]
            if case.opened is None:
                self.put(replace(case, opened=Opened(reader=reader.id, at=self.time)))
            self.opened.append(shown)
        return Done(done=True)

    def record_verdict(self, verdict: VerdictGiven) -> Done:
        shown, case = verdict.shown, self.cases.get(verdict.shown.case_id)
        if any(one.verdict_id == verdict.verdict_id for one in self.verdicts):
            return Done(done=True)
        why = refusal(case, shown.request_id, shown.revision, shown.prediction_id, self.time)
        if why or case is None:
            return Done(done=False, reason=why)
        self.verdicts.append(verdict)
        self.put(replace(case, verdicts=(*case.verdicts, Verdict(
            verdict_id=verdict.verdict_id, reader=verdict.reader.id, kind=verdict.kind, answers=verdict.answers,
            revision=shown.revision, at=self.time, prediction_id=shown.prediction_id, request_id=shown.request_id,
        ))))
        return Done(done=True)

    def take_back(self, command_id: str, reader: Actor, case_id: str, verdict_id: str) -> Done:
        case = self.cases[case_id]
        self.put(replace(case, verdicts=(*case.verdicts, Verdict(
            verdict_id=command_id, reader=reader.id, kind="taken-back", answers=(), revision=case.revision, at=self.time,
            takes_back=verdict_id,
        ))))
        return Done(done=True)

    def undo_reordering(self, command_id: str, actor: Actor, case_id: str) -> Done:
        self.undone.append(case_id)
        case = self.cases[case_id]
        assert case.place
        place = replace(case.place, lifted=False, undone=True, urgency="routine", read_by=case.place.arrived_at + timedelta(hours=4))
        self.put(replace(case, place=place))
        return Done(done=True)

    def quarantine(self, body: bytes, reason: str) -> None:
        self.quarantined.append(reason)

    def listen(self, tell: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        with self.lock:
            self.listeners.append(tell)
        return lambda: self.listeners.remove(tell)


def a_case(
    number: int, family: str, given: str, *, probability: float | None = 0.2, minutes: float = 10, allowance: float = 60,
    urgency: str = "routine", priority: str = "routine", reasons: tuple[str, ...] = (), lifted: bool = False,
    guards: tuple[str, ...] = (), conformal: tuple[str, ...] | None = None, ris: Result | None = None, matched: bool = True,
    unread: str = "", request: Request | None = None, revision: int = 1, purpose: str = "", age: float = 6.8, sex: str = "F",
) -> Case:
    """Return a case of the morning, `minutes` after it arrived, to be read within `allowance` minutes."""
    identity = Identity(site="site-1", issuer="HOSP", value=f"PT-{4000 + number}")
    patient = Patient(id=identity, family=family, given=given, birth_date=f"{2026 - int(age)}-0{1 + number % 9}-1{number % 9}", sex=sex)
    accession = Identity(site="site-1", issuer="RIS", value=f"ACC-{number:04d}")
    arrived = START - timedelta(minutes=minutes)
    order = Order(
        patient=identity, accession=accession, priority=priority, procedure=Code(system="urn:x", value="XRC", display="Chest radiograph"),
        modality="DX", indication="cough and fever for four days", placed_at=arrived,
    )
    instance = Instance(
        sop_instance_uid=f"2.25.{number}", sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1", series_uid="2.25.9", blob=_BLOB,
        modality="DX", body_part="CHEST", view="AP", rows=2000, columns=2000,
    )
    study = Study(
        study_uid=f"2.25.1{number}", instances=(instance,), arrived_at=arrived, patient=patient, accession=accession,
        study_date="2026-03-02", age_years=age, description="Chest AP",
    )
    read = None
    if probability is not None:
        members = tuple(round(min(max(probability + step, 0.001), 0.999), 3) for step in (-0.04, -0.015, 0.0, 0.02, 0.035))
        score = FindingScore(
            code=PNEUMONIA, probability=probability, members=members, positive=probability >= 0.31, operating_point=0.31,
            conformal=conformal or (("present",) if probability >= 0.31 else ("absent",)),
        )
        read = Read(prediction_id=f"prediction-{number}-{revision}", prediction=Prediction(
            model="chest", version=2, stage="production", revision=revision, findings=(score,), ood_score=800.0,
            out_of_distribution=False, sop_instance_uid=f"2.25.{number}", frame=1, rows=2000, columns=2000, embedding=_BLOB,
            evidence=_BLOB, patient_key=f"p-{number}", read_at=arrived,
        ))
    place = Place(
        triage_revision=1, urgency=urgency, priority=priority, arrived_at=arrived, read_by=arrived + timedelta(minutes=allowance),
        reasons=reasons, guards=guards, lifted=lifted, abstained=bool(guards), prediction_id=read.prediction_id if read else "",
    )
    return placed(Case(
        case_id=f"case-{number}", site="site-1", ordered=Ordered(order=order, patient=patient, order_revision=1),
        imaged=Imaged(
            study=study, revision=revision, matched=matched, purpose=purpose,
            unmatched_reason="" if matched else "no order has this accession number",
        ),
        read=read, place=None if purpose else place, results=(ris,) if ris else (), requests=(request,) if request else (),
        unread=Unread(revision=revision, reason=unread, refused=True, at=arrived, id="u") if unread else None,
    ))


def a_morning() -> list[Case]:
    """Return cases that show each thing the list can say."""
    took = Result(delivery_id="d1", receiver="ris", kind="priority", outcome="delivered", at=START, priority_code="A")
    refused = Result(
        delivery_id="d2", receiver="ris", kind="priority", outcome="refused", at=START, priority_code="A", reason="exam in progress",
    )
    audit = Request(
        request_id="r-audit", finding=PNEUMONIA, drawn="audit", expires_at=START + timedelta(days=1), ai_hidden=True, pooled=False,
    )
    chosen = replace(audit, request_id="r-chosen", drawn="chosen", ai_hidden=False)
    either = ("present", "absent")
    lifted = {"urgency": "raised", "lifted": True, "allowance": 30}
    return [
        a_case(1, "Lindqvist", "Maja", probability=0.88, minutes=4, urgency="stat", priority="stat", allowance=15),
        a_case(2, "Okafor", "Daniel", probability=0.97, minutes=11, reasons=("lifted: pneumonia 97%",), ris=took, sex="M", age=3, **lifted),
        a_case(3, "Haddad", "Leila", probability=0.83, minutes=24, reasons=("lifted: pneumonia 83%",), ris=refused, age=1.4, **lifted),
        a_case(4, "Brandt", "Jonas", probability=0.12, minutes=71, sex="M", allowance=60),
        a_case(
            5, "Nakamura", "Yui", probability=0.46, minutes=38, guards=("unsure: two answers possible",), conformal=either, age=4.1,
        ),
        a_case(6, "Petrov", "Anna", probability=0.004, minutes=31, priority="asap", allowance=45, age=9.2),
        a_case(7, "Silva", "Tomás", probability=0.61, minutes=27, matched=False, sex="M", age=2.6),
        a_case(8, "O’Brien", "Ciara", probability=None, unread="view LL is not one it reads", minutes=22, age=11.0),
        a_case(9, "Kowalski", "Piotr", probability=0.08, minutes=18, request=audit, sex="M", age=5.5),
        a_case(
            10, "Nguyen", "Minh Anh", probability=0.35, minutes=12, request=chosen, conformal=either, guards=("members disagree",), age=7.9,
        ),
        a_case(11, "Fernandes", "Beatriz", probability=0.03, minutes=7, revision=2, age=0.8),
        a_case(12, "Weber", "Emil", probability=0.19, minutes=2, sex="M", age=12.3),
    ]
