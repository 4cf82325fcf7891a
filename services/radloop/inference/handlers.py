"""Inference, told as a story: facts make readings wanted, a free reader looks, and what it saw is said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radloop.events.common import Instance
from radloop.events.model import ModelReleased
from radloop.events.order import CaseJoined, OrderRecorded
from radloop.events.prediction import (
    Prediction, PredictionFailed, PredictionMade, PredictionPooled, PredictionShadowed,
)
from radloop.events.report import ReportSigned
from radloop.events.study import StudyBackfilled, StudyCompleted
from radloop.inference.domain.answer import Doubles, Outputs, answer, joined, require_shapes
from radloop.inference.domain.case import Case, Images, Pinned, images_of
from radloop.inference.domain.fitness import eligible, refusal
from radloop.inference.domain.model import Model, Version
from radloop.inference.domain.quality import quality
from radloop.inference.domain.reading import AbandonReading, NotRead, ReadStudy, Seen, Told, told
from radloop.inference.ports import Described, Desk, Encoder, Files, Packages, Preparer, Reader
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Command, Decision, Event, Record, Reject, Route, Skip, caused_by, on
from radloop.standards import evidence
from radloop.standards.dicom.errors import DicomError, Unfit
from radloop.standards.evidence import EvidenceMap
from radloop.standards.package import LARGEST_REQUEST, Segmenter

@dataclass(frozen=True)
class Lens:
    """What a look goes through: the desk, the files, the packages, the models, what makes images ready for them, and encodes them."""

    desk: Desk
    files: Files
    packages: Packages
    reader: Reader
    preparer: Preparer
    encoder: Encoder
    batch: int = 8
    """The most images that travel to a model at once, large ones fewer: a STAT waits behind one batch at worst."""


def take_study(event: StudyCompleted, case: Case | None) -> Decision[Case]:
    """The images are all here: they are to be read, as soon as the order's priority says."""
    case = case or Case(case_id=event.subject)
    if case.live is not None and event.revision <= case.live.revision:
        return Skip("superseded by a newer revision")
    images = images_of(event.study, event.revision)
    return Record(replace(case, site=event.site, live=images, live_priority=event.priority))


def take_earlier(event: StudyBackfilled, case: Case | None) -> Decision[Case]:
    """An earlier study is read when nobody waits."""
    case = case or Case(case_id=event.subject)
    if case.earlier is not None and event.revision <= case.earlier.revision:
        return Skip("superseded by a newer revision")
    return Record(replace(case, site=event.site, earlier=images_of(event.study, event.revision, event.purpose)))


def take_order(event: OrderRecorded, case: Case | None) -> Decision[Case]:
    """The clinician's own priority decides how soon the study is read; a cancelled one makes nobody wait."""
    case = case or Case(case_id=event.subject)
    if event.order_revision <= case.order_revision:
        return Skip("superseded by a newer order")
    return Record(replace(
        case, site=event.site, priority=event.order.priority, order_revision=event.order_revision,
        procedure=event.order.procedure.value if event.order.procedure else "", patient_key=event.patient.key,
        cancelled=event.change == "cancelled" or event.order.status == "cancelled",
    ))


def join(event: CaseJoined, case: Case | None) -> Decision[Case]:
    """A study found its order, or lost a wrong one: its priority is that order's, or nobody's."""
    case = case or Case(case_id=event.subject)
    if event.order_revision <= case.order_revision:
        return Skip("superseded by a newer order")
    has_order = (event.subject == event.study_case) != event.undone or event.study_case == event.order_case
    moved_away = event.subject != event.study_case and not event.undone
    return Record(replace(
        case, site=event.site, priority=event.order.priority if has_order else "routine",
        procedure=event.order.procedure.value if has_order and event.order.procedure else "",
        patient_key=event.patient.key if has_order else "", order_revision=event.order_revision,
        cancelled=moved_away or (has_order and event.order.status == "cancelled"),
    ))


def sign(event: ReportSigned, case: Case | None) -> Decision[Case]:
    """Once signed nobody waits for a reading; it is still made, for trace and learning."""
    case = case or Case(case_id=event.subject)
    return Skip("already signed") if case.signed else Record(replace(case, site=event.site, signed=True))


def take_release(event: ModelReleased, model: Model | None) -> Decision[Model]:
    """A stage change decides which version reads the next case."""
    changed = (model or Model(model=event.model)).released(event)
    return Record(changed) if changed is not None else Skip("superseded by a newer release")


def look(command: ReadStudy, lens: Lens) -> Seen:
    """Look at the images through the version (in shadow: the versions) that the stages name; it changes nothing but files.

    Raise Transient while no version was ever released, or the one that is to read is not loaded.
    """
    [seen] = look_together((command,), lens).values()
    return seen


def look_together(commands: Sequence[ReadStudy], lens: Lens) -> dict[str, Seen]:
    """Look at several studies, and return what was seen by the commands' ids; images for one version travel to it together.

    Raise what `look` raises, and Permanent where a version refuses images of several studies together: each may then be looked at
    alone.
    """
    models, cases = lens.desk.models(), lens.desk.cases([command.subject for command in commands])
    begun = [one for command in commands for one in _begun(command, cases.get(command.subject), models, lens)]
    seen = [one for one in begun if isinstance(one, Seen)] + _read([one for one in begun if isinstance(one, _Ready)], lens)
    return {command.id: _joined(command, [one for one in seen if one.command.id == command.id]) for command in commands}


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A study whose images are ready for the version that reads them."""

    command: ReadStudy
    case: Case
    images: Images
    version: Version
    described: Described
    instances: tuple[Instance, ...]
    prepared: tuple[NDArray[np.float32], ...]
    outlines: bool = False


def _begun(command: ReadStudy, case: Case | None, models: Sequence[Model], lens: Lens) -> list[Seen | _Ready]:
    """Return what is ready for the version that reads the study (in shadow: for each of them), or seen already."""
    images = case.images(command.role) if case is not None else None
    if case is None or images is None or images.revision != command.revision:
        return [Seen(command=command, superseded=True)]
    if not any(_may_read(model, lens) for model in models):
        raise Transient("no model version is released", after=1.0)
    if command.role == "shadow":
        return _ready_along(command, case, images, models, lens)
    if command.role == "encode":
        try:
            lens.encoder.encode_ahead(case.case_id)
        except Permanent as never:  # the reading for the clinic says so where somebody hears it
            return [Seen(command=command, failure=never.reason)]
        return [Seen(command=command)]
    outlines = command.role == "serving" and _outlined(case, models, lens)
    return [replace(_ready_for_the_clinic(command, case, images, models, lens), outlines=outlines)]


def _may_read(model: Model, lens: Lens) -> bool:
    """Say whether a version of a model may read studies; what one is that cannot be read now is said when it is to read."""
    for version in model.to_load():
        try:
            if isinstance(lens.packages.describe(model.model, version.version, version.weights_sha256), Described):
                return True
        except (Permanent, Transient):
            return True
    return False


def _outlined(case: Case, models: Sequence[Model], lens: Lens) -> bool:
    """Say whether a segmenter serves this case; one that is not in order is the loader's to report."""
    for model in models:
        version = model.serving(case)
        try:
            if version is not None and isinstance(
                lens.packages.describe(model.model, version.version, version.weights_sha256), Segmenter,
            ):
                return True
        except (Permanent, Transient):
            continue
    return False


def _ready_for_the_clinic(
    command: ReadStudy, case: Case, images: Images, models: Sequence[Model], lens: Lens,
) -> Seen | _Ready:
    """Make the images ready for the version that serves the case, of the first model that reads them."""
    refusals: list[str] = []
    broken: Seen | None = None
    away: Transient | None = None
    for model in models:
        version = model.pooling() if command.role == "pooled" else model.serving(case)
        if version is None:
            refusals.append(f"no version of {model.model} serves this case")
            continue
        try:
            described = lens.packages.describe(model.model, version.version, version.weights_sha256)
        except Permanent as wrong:
            # What it is cannot be told: it may be none that would read this study.
            broken = broken or Seen(command=command, failure=wrong.reason, model=model.model, version=version.version)
            continue
        except Transient as unread:  # nor of this one, yet; another model may read the study meanwhile
            away = away or unread
            continue
        if not isinstance(described, Described):
            continue  # it outlines what a reader points at, and reads nothing by itself
        try:
            why = refusal(images, case.procedure, described.package.applicability)
            if why:
                refusals.append(f"{model.model} {version.version} does not read it: {why}")
                continue
            return _ready(command, case, images, version, described, lens)
        except NotRead as unfit:
            refusals.append(f"{model.model} {version.version} does not read it: {unfit.reason}")
            continue
        except Permanent as never:
            return Seen(command=command, failure=never.reason, model=model.model, version=version.version)
    if away is not None:
        raise away
    return broken or Seen(command=command, failure="; ".join(refusals), refused=True)


def _ready_along(command: ReadStudy, case: Case, images: Images, models: Sequence[Model], lens: Lens) -> list[Seen | _Ready]:
    """Make the images ready for every shadow version; what one of them cannot read is no matter of the clinic's."""
    begun: list[Seen | _Ready] = []
    for model, version in ((one, shadow) for one in models for shadow in one.shadows):
        try:
            described = lens.packages.describe(model.model, version.version, version.weights_sha256)
            if isinstance(described, Described) and not refusal(images, case.procedure, described.package.applicability):
                begun.append(_ready(command, case, images, version, described, lens))
        except NotRead:
            continue
        except Permanent as never:
            begun.append(Seen(command=command, failure=never.reason, model=model.model, version=version.version))
    return begun


def _joined(command: ReadStudy, seen: Sequence[Seen]) -> Seen:
    """Return what was seen of a study as one: only in shadow may several versions have looked at it, or none."""
    if command.role != "shadow":
        [one] = seen
        return one
    if any(one.superseded for one in seen):
        return Seen(command=command, superseded=True)
    return Seen(
        command=command, predictions=tuple(said for one in seen for said in one.predictions),
        failure="; ".join(f"{one.model} {one.version}: {one.failure}" for one in seen if one.failure),
    )


def _ready(
    command: ReadStudy, case: Case, images: Images, version: Version, described: Described, lens: Lens,
) -> _Ready:
    """Make all eligible images ready, or none: an image that cannot be decoded might be the one that shows it."""
    package = described.package
    instances = eligible(images, package.applicability)
    prepared = []
    for number, one in enumerate(instances, start=1):
        try:
            prepared.append(lens.preparer.prepare(one.blob.sha256, package.preparation, package.applicability.orientations))
        except DicomError as refused:
            kind = NotRead if isinstance(refused, Unfit) else Permanent
            raise kind(f"image {number} of {len(instances)}: {refused.reason}") from refused
    return _Ready(
        command=command, case=case, images=images, version=version, described=described, instances=instances,
        prepared=tuple(prepared),
    )


def _read(ready: Sequence[_Ready], lens: Lens) -> list[Seen]:
    """Have the versions read what is ready for them."""
    seen: list[Seen] = []
    for _, alike in groupby(sorted(ready, key=_version_of), key=_version_of):
        studies = list(alike)
        package, home = studies[0].described.package, studies[0].described.home
        images = [image for one in studies for image in one.prepared]
        batch = min(lens.batch, LARGEST_REQUEST // package.preparation.image_bytes)
        try:
            outputs = joined([lens.reader.read(package, np.stack(images[start:start + batch])) for start in range(0, len(images), batch)])
            require_shapes(outputs, package, home)
        except Permanent as never:
            if len(studies) > 1:
                raise
            seen.append(_unread(studies[0], never.reason))
            continue
        start, distances = 0, home.distances(outputs.embedding)
        for one in studies:
            stop = start + len(one.prepared)
            try:
                said = _prediction(one, outputs.part(start, stop), distances[start:stop], lens)
                seen.append(Seen(
                    command=one.command, predictions=(said,), model=package.model, version=package.version, outlines=one.outlines,
                ))
            except Permanent as never:
                seen.append(_unread(one, never.reason))
            start = stop
    return seen


def _version_of(ready: _Ready) -> tuple[str, int]:
    return ready.described.package.model, ready.described.package.version


def _unread(one: _Ready, reason: str) -> Seen:
    model, version = _version_of(one)
    return Seen(command=one.command, failure=reason, model=model, version=version, outlines=one.outlines)


def _prediction(one: _Ready, outputs: Outputs, distances: Doubles, lens: Lens) -> Prediction:
    package, version = one.described.package, one.version
    said = answer(outputs, package, one.described.home, distances)
    named = one.instances[said.image]
    where = EvidenceMap(named.sop_instance_uid, 1, named.rows, named.columns, outputs.evidence[said.image])
    return Prediction(
        model=package.model, version=version.version, stage="production" if version.stage == "retired" else version.stage,
        revision=one.images.revision, findings=said.findings, ood_score=said.ood_score,
        out_of_distribution=said.out_of_distribution, sop_instance_uid=named.sop_instance_uid, frame=1, rows=named.rows,
        columns=named.columns, embedding=lens.files.put(outputs.embedding[said.image].astype("<f4").tobytes()),
        evidence=lens.files.put(evidence.write(where)), patient_key=one.images.patient_key or one.case.patient_key,
        read_at=one.command.at, ood_ratio=said.ood_ratio, quality=quality(one.prepared[said.image], package.preparation),
    )


def record_reading(seen: Seen, case: Case | None) -> Decision[Case]:
    """Say what was seen, or why nothing was; what can never be read is kept in quarantine as well."""
    command = seen.command
    images = case.images(command.role) if case is not None else None
    if case is None or images is None or seen.superseded or images.revision != command.revision:
        return Skip("superseded by a newer revision")
    if command.role == "encode":
        return Skip(seen.failure or "encoded ahead of the first prompt")
    if command.role == "shadow":
        events = tuple(
            PredictionShadowed(**_envelope(command, "prediction-shadowed", one), prediction=one) for one in seen.predictions
        )
        measured = told(seen)
        if seen.failure:
            return Reject(seen.failure, emit=events, answer=measured)
        return Record(None, emit=events, answer=measured) if events else Skip("no version in shadow reads it")
    ahead = replace(case, encode_revision=command.revision) if seen.outlines else None
    if seen.failure:
        said = (_failed(command, seen.failure, refused=seen.refused, model=seen.model, version=seen.version),)
        return Record(ahead, emit=said) if seen.refused else Reject(seen.failure, emit=said)
    prediction = seen.predictions[0]
    if command.role == "pooled":
        pooled = PredictionPooled(**_envelope(command, "prediction-pooled"), prediction=prediction, purpose=images.purpose)
        return Record(None, emit=(pooled,), answer=told(seen))
    made = PredictionMade(**_envelope(command, "prediction-made"), prediction=prediction)
    pinned = replace(ahead or case, pinned=Pinned(model=prediction.model, version=prediction.version))
    return Record(pinned, emit=(made,), answer=told(seen))


def abandon(command: AbandonReading, case: Case | None) -> Decision[Case]:
    """A study is never dropped: that its reading failed is said like any other reason."""
    if case is None or command.role in {"shadow", "encode"}:
        return Reject(command.reason)
    return Reject(command.reason, emit=(_failed(command, command.reason, refused=False),))


def _envelope(cause: Command, name: str, said: Prediction | None = None) -> dict[str, Any]:
    subject = f"{cause.subject}|{said.model}|{said.version}" if said is not None else ""
    return {"id": caused_by(cause, name, subject), "subject": cause.subject, "site": cause.site, "at": cause.at}


def _failed(
    command: ReadStudy | AbandonReading, reason: str, *, refused: bool, model: str = "", version: int = 0,
) -> Event:
    return PredictionFailed(
        id=caused_by(command, "prediction-failed"), subject=command.subject, site=command.site, at=command.at,
        revision=command.revision, reason=reason, refused=refused, model=model, version=version,
    )


def routes(lens: Lens) -> tuple[Route[Case] | Route[Model], ...]:
    """The contents page of inference."""
    return (
        on(StudyCompleted, take_study, keeps=Case),
        on(StudyBackfilled, take_earlier, keeps=Case),
        on(OrderRecorded, take_order, keeps=Case),
        on(CaseJoined, join, keeps=Case),
        on(ReportSigned, sign, keeps=Case),
        on(ModelReleased, take_release, keeps=Model, key=lambda event: event.model),
        on(ReadStudy, record_reading, keeps=Case, observe=lambda command: look(command, lens), answers=Told),
        on(AbandonReading, abandon, keeps=Case),
    )
