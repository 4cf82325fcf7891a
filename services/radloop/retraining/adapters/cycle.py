"""One cycle as a job: gather what is labelled, learn, judge, package. Started again after a kill it does the same again."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace

import numpy as np

from radloop.kit.blobs import Blobs
from radloop.kit.errors import Permanent
from radloop.kit.jobs import Job, Progress
from radloop.retraining.adapters.package import SNAPSHOT_FILE, Base, assemble, comparable, described, pack, unpack
from radloop.retraining.adapters.postgres import StoredShelf
from radloop.retraining.domain.arrays import Singles
from radloop.retraining.domain.case import ANSWERS, CaseFile
from radloop.retraining.domain.commands import Learnt
from radloop.retraining.domain.division import Division, Labelled, divide
from radloop.retraining.domain.learning import judge, learn
from radloop.retraining.domain.plan import Plan
from radloop.retraining.domain.snapshot import Row, Snapshot, from_bytes, name_of, take, to_bytes
from radloop.standards.package import WEIGHTS_FILE, Package, classifier, render

SEED = "seed"


def embedding(blobs: Blobs, name: str) -> Singles:
    """Return a stored embedding [D]: little-endian float32."""
    return np.frombuffer(blobs.get(name), dtype="<f4").astype(np.float32)


def labelled(cases: Iterable[CaseFile], blobs: Blobs, findings: tuple[str, ...]) -> Iterator[Labelled]:
    """Return every answered label of a readable case, with its embedding."""
    for case in cases:
        answered = [label for label in case.labels if label.finding in findings and label.value in ANSWERS]
        if not answered or not case.readable:
            continue
        numbers = embedding(blobs, case.embedding)
        for label in answered:
            row = Row(
                case_id=case.case_id, patient_key=case.patient, finding=label.finding, present=label.value == "present",
                weight=label.weight, source=label.source, drawn=label.drawn, label_id=label.label_id,
            )
            yield Labelled(row, label.purpose, numbers, case.cancelled)


def seeds(snapshot: Snapshot) -> Iterator[Labelled]:
    """Return the labels that came with the very first package: they stay in every snapshot after it."""
    for row, numbers in zip(snapshot.rows, snapshot.embeddings, strict=True):
        if row.drawn == SEED:
            yield Labelled(row, SEED, numbers)


def content(says: Package) -> str:
    """Return the SHA-256 of what a package says of itself, but for when and by which cycle it was made, and as which version."""
    return hashlib.sha256(render(replace(says, version=1, trained_at="", origin="")).encode()).hexdigest()


def _left_out(parts: Division) -> tuple[str, ...]:
    return tuple(f"left out: {count} labels, {reason}" for reason, count in parts.left_out)


def cycle(shelf: StoredShelf, blobs: Blobs, plan: Plan) -> Job:
    """Return the job of one room."""

    def run(text: str, progress: Progress) -> str:
        spec = json.loads(text)
        base = unpack(blobs.get(spec["base"]))
        says, before = classifier(described(base)), from_bytes(base[SNAPSHOT_FILE])
        findings = tuple(finding.code.value for finding in says.findings)
        progress.tell(0.1, "gathering")
        cases = shelf.cases()
        # A patient who trained the version that serves cannot measure the next one.
        parts = divide((*seeds(before), *labelled(cases, blobs, findings)), before.patients)
        if not parts.train:
            raise Permanent("there is no label to train on")
        held = to_bytes(take((one.row, one.embedding) for one in parts.train))
        snapshot = from_bytes(held)
        pool = [embedding(blobs, case.embedding) for case in cases if case.pooled_as == "pool" and case.readable]
        progress.tell(0.4, "training")
        unlabelled = np.stack(pool) if pool else np.empty((0, snapshot.embeddings.shape[1]), dtype=np.float32)
        learned = learn(snapshot, parts.calibrate, unlabelled, findings, plan)
        progress.tell(0.7, "holding the gate")
        predecessor = comparable(unpack(blobs.get(spec["predecessor"]))) if spec["predecessor"] else None
        results = judge(learned, predecessor, parts.measure, plan)
        progress.tell(0.9, "packaging")
        package = assemble(learned, held, base[WEIGHTS_FILE], Base(says, spec["site"], spec["at"], spec["cycle_id"]))
        stored, made = blobs.put(held), classifier(described(package))
        return json.dumps(asdict(Learnt(
            package=blobs.put(pack(package)).sha256, weights=made.weights_sha256, content=content(made), snapshot=name_of(held),
            snapshot_size=stored.size or len(held), version=spec["version"],
            case_ids=tuple(row.case_id for row in snapshot.rows), gate_passed=all(result.passed for _, result in results),
            evidence=(
                f"trained on {snapshot.labels} labels of {len(snapshot.patients)} patients",
                f"calibrated on {len(parts.calibrate)} cases",
                *(f"{finding}: {line}" for finding, result in results for line in result.sentences()), *_left_out(parts),
            ),
        )))

    return run
