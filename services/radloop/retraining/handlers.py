"""Retraining, told as a story: answers and embeddings gather, a cycle learns from them, and a version moves by its proof."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from radloop.events.common import Blob
from radloop.events.model import ModelReleased, ModelTrained
from radloop.events.order import OrderRecorded
from radloop.events.prediction import Prediction, PredictionFailed, PredictionMade, PredictionPooled, PredictionShadowed
from radloop.events.reading import LabelSettled
from radloop.kit.flow import (
    At, Command, Decision, Deliver, DeliveryAnswered, Due, Event, Input, JobEnded, Record, Route, Skip, StartJob, caused_by,
    on,
)
from radloop.retraining.domain.book import (
    FAILED, GATED_OUT, RELEASED, RELEASING, TRAINING, UNCHANGED, Book, Change, Cycle, Version, Why, before_production, move, record,
    refusal, without_last_production,
)
from radloop.retraining.domain.case import TEACHING, CaseFile, Label, SnapshotEntry, said_of
from radloop.retraining.domain.commands import (
    Adapt, AddModel, Moved, Promote, Rollback, StartCycle, Started, learnt_from,
)
from radloop.retraining.domain.plan import Plan
from radloop.retraining.domain.record import Sign
from radloop.retraining.ports import Offered, Packages, Shelf

REPOSITORY = "model-repository"
QUIET = "quiet"


def _case(event: Event, case: CaseFile | None) -> CaseFile:
    return replace(case or CaseFile(case_id=event.subject), site=event.site)


def take_prediction(
    event: PredictionMade | PredictionPooled | PredictionShadowed, case: CaseFile | None, plan: Plan,
) -> Decision[CaseFile]:
    """A version read the study: what it said is kept, and its embedding, the newest revision's; all versions share the backbone."""
    said: Prediction = event.prediction
    case = _case(event, case).heard(said_of(said, pooled=isinstance(event, PredictionPooled)))
    if said.model != plan.model:
        return Record(case)  # embeddings of different backbones are not comparable: no label is learned on this one's
    if isinstance(event, PredictionPooled):
        case = replace(case, pooled_as=event.purpose)
    # A tie is broken by version and content, never by who came first.
    newer = (said.revision, said.version, said.embedding.sha256)
    if newer > (case.embedding_revision, case.embedding_version, case.embedding):
        case = replace(
            case, embedding=said.embedding.sha256, embedding_revision=said.revision, embedding_version=said.version,
            read_patient=said.patient_key,
        )
    return Record(case.weighed())


def take_failure(event: PredictionFailed, case: CaseFile | None) -> Decision[CaseFile]:
    """Nobody could read this revision: an older embedding is not of what the label speaks about."""
    case = _case(event, case)
    return Record(replace(case, unread_revision=max(case.unread_revision, event.revision)).weighed())


def take_order(event: OrderRecorded, case: CaseFile | None) -> Decision[CaseFile]:
    """A cancelled order's case teaches nothing, and a merged patient is one patient."""
    case = _case(event, case)
    if event.order_revision <= case.order_revision:
        return Skip("superseded by a newer order")
    cancelled = event.change == "cancelled" or event.order.status == "cancelled"
    return Record(replace(
        case, order_revision=event.order_revision, cancelled=cancelled, order_patient=event.patient.key,
    ).weighed())


def take_label(seen: tuple[LabelSettled, tuple[str, ...]], case: CaseFile | None) -> Decision[CaseFile]:
    """A label was settled, changed or withdrawn; a withdrawn one names the snapshots that hold it."""
    event, holding = seen
    case = _case(event, case)
    known = case.label(event.code.value)
    if known is not None and event.label_revision <= known.revision:
        return Skip("superseded by a newer label")
    case = case.labelled(Label(
        finding=event.code.value, label_id=event.label_id, value="" if event.withdrawn else event.value,
        weight=event.weight, source=event.source, drawn=event.drawn, purpose=event.purpose, revision=event.label_revision,
    ))
    newest = max(label.revision for label in case.labels) == event.label_revision
    return Record(replace(
        case, label_patient=event.patient_key if newest else case.label_patient,
        withdrawn_from=holding if event.withdrawn else (),
    ).weighed())


def wait_for_quiet(event: LabelSettled, book: Book | None, plan: Plan) -> Decision[Book]:
    """A cycle waits until a round of answers is over, but not for ever."""
    if event.purpose not in TEACHING:
        return Skip("not an answer that trains")
    book = book or Book(model=plan.model)
    since = book.waiting_since or event.at
    quiet = min(
        event.at + timedelta(seconds=plan.training.quiet_seconds), since + timedelta(seconds=plan.training.patience_seconds),
    )
    return Record(replace(book, waiting_since=since), timers=(At(quiet, QUIET),))


def consider_cycle(seen: tuple[Due, int], book: Book | None, plan: Plan) -> Decision[Book]:
    """It has been quiet: a cycle starts if enough new answers came since the last one started."""
    timer, usable = seen
    if timer.subject != plan.model:
        return Skip("a segmenter learns when masks are handed over")
    book = replace(book or Book(model=plan.model), waiting_since=None)
    new = usable - (book.cycles[-1].usable if book.cycles else 0)
    if new < plan.training.labels_to_start or _hindrance(book):
        return Record(book)
    return _begin(timer, book, usable)


def start_cycle(seen: tuple[StartCycle, int], book: Book | None) -> Decision[Book]:
    """Somebody asks for a cycle: it starts unless one is running or there is nothing to start from."""
    command, usable = seen
    reason = _hindrance(book)
    if reason or book is None:
        return Skip(reason, answer=Started(cycle_id="", reason=reason))
    return _begin(command, book, usable)


def adapt(seen: tuple[Adapt, Offered | None], book: Book | None, plan: Plan) -> Decision[Book]:
    """Somebody hands over confirmed masks: a segmenter learns from them as a cycle of its own; seen is also its latest version."""
    command, latest = seen
    book = book or Book(model=command.subject)
    reason = ""
    if plan.outlines is None:
        reason = "the change-control plan has no section `outlines`: nothing was agreed on what a segmenter must show"
    elif book.model == plan.model:
        reason = f"{book.model} is the classifier, which learns from answers; give the segmenter another name"
    elif latest is not None and latest.says.get("kind") == "classifier":
        reason = f"{book.model} is a classifier that was added; give the segmenter another name"
    elif book.running() is not None:
        reason = "a cycle is running"
    if reason:
        return Skip(reason, answer=Started(cycle_id="", reason=reason))
    return _start(command, book, command.images, "adapt", masks=command.masks)


def _hindrance(book: Book | None) -> str:
    if book is None or book.base() is None:
        return "no model is registered that a cycle could start from"
    if book.running() is not None:
        return "a cycle is running"
    return ""


def _begin(cause: Input, book: Book, usable: int) -> Record[Book]:
    base = book.base()
    assert base is not None  # no hindrance
    return _start(cause, book, usable, "cycle", base=base.package)


def _start(cause: Input, book: Book, usable: int, job: str, **given: str) -> Record[Book]:
    serving = book.serving()
    cycle = Cycle(
        cycle_id=caused_by(cause, "cycle"), version=book.next_number(), state=TRAINING, started_at=cause.at, usable=usable,
    )
    spec = {
        "cycle_id": cycle.cycle_id, "model": book.model, "version": cycle.version, "site": cause.site,
        "at": cause.at.isoformat(), "predecessor": serving.package if serving else "", **given,
    }
    return Record(
        book.with_cycle(cycle), jobs=(StartJob(job_id=cycle.cycle_id, name=job, spec=json.dumps(spec)),),
        answer=Started(cycle_id=cycle.cycle_id),
    )


def end_cycle(ended: JobEnded, book: Book | None, plan: Plan, sign: Sign) -> Decision[Book]:
    """A candidate is there with its evidence: passed, it is published and released; failed, it is kept with the reason.

    What is a version that serves once more is none: released, it would retire that one, and a rollback would change nothing. Nor does
    what was rolled back come again by itself.
    """
    cycle = next((one for one in book.cycles if one.cycle_id == ended.job_id), None) if book else None
    if book is None or cycle is None:
        return Skip("no such cycle")
    if not ended.succeeded:
        return Record(
            book.with_cycle(replace(cycle, state=FAILED, evidence=(ended.reason,))),
            timers=(At(ended.at + timedelta(seconds=plan.training.quiet_seconds), QUIET),),
        )
    learnt = learnt_from(ended.result)
    # Answers may have come meanwhile: whether they are enough for the next cycle is asked again.
    again = At(ended.at + timedelta(seconds=plan.training.quiet_seconds), QUIET)
    if twin := book.twin(learnt.content):
        back = "; it was taken out of service, and comes back by `radloop models promote` only" if twin.stage == "retired" else ""
        said = f"nothing new was learned: this is version {twin.number} again{back}"
        return Record(book.with_cycle(replace(cycle, state=UNCHANGED, evidence=(said, *learnt.evidence))), timers=(again,))
    version = Version(
        number=cycle.version, stage="candidate", package=learnt.package, weights=learnt.weights, snapshot=learnt.snapshot,
        labels=len(learnt.case_ids), gate_passed=learnt.gate_passed, evidence=learnt.evidence, origin=cycle.cycle_id,
        since=ended.at, content=learnt.content, wanted=plan.release.stage_after_gate if learnt.gate_passed else "",
        wanted_by="service:retraining" if learnt.gate_passed else "",
    )
    outcome = "the gate was passed" if learnt.gate_passed else "the gate was not passed"
    identity = f"{ended.id}:{version.number}:candidate"
    why = Why(cause=ended.id, actor="service:retraining", reason=outcome, at=ended.at, plan_sha256=plan.sha256)
    book = record(book, version, "", why, identity, sign).with_version(replace(version, change_record=identity))
    book = book.with_cycle(
        replace(cycle, state=RELEASING if learnt.gate_passed else GATED_OUT, evidence=learnt.evidence),
    )
    trained = ModelTrained(
        id=caused_by(ended, "model-trained"), subject=book.model, site=ended.site, at=ended.at, model=book.model,
        version=version.number, snapshot=Blob(learnt.snapshot, learnt.snapshot_size), labels=version.labels,
        gate_passed=learnt.gate_passed, evidence=learnt.evidence, trained_at=ended.at,
    )
    return Record(
        book, emit=(trained,), deliver=(_publishing(ended, book, version),) if learnt.gate_passed else (), timers=(again,),
    )


def keep_snapshot(ended: JobEnded, entry: SnapshotEntry | None, plan: Plan) -> Decision[SnapshotEntry]:
    """A snapshot was taken: its cases are written down, so that a withdrawn label can be found in it."""
    if not ended.succeeded or entry is not None:
        return Skip("no new snapshot")
    learnt = learnt_from(ended.result)
    return Record(SnapshotEntry(
        snapshot=learnt.snapshot, model=learnt.model or plan.model, version=learnt.version, case_ids=learnt.case_ids,
    ))


def add_model(seen: tuple[AddModel, Offered, Offered | None], book: Book | None, plan: Plan) -> Decision[Book]:
    """A package made elsewhere begins in shadow: it has passed no gate on this site's cases."""
    command, offered, held = seen
    book = book or Book(model=command.subject)
    if reason := not_taken(offered, book.model, plan.model):
        return Skip(reason, answer=Moved(version=0, reason=reason))
    known = book.of_weights(offered.weights)
    if known is not None:
        if reason := unlike(offered, held, known.number):
            return Skip(reason, answer=Moved(version=0, reason=reason))
        return Skip("these weights are registered already", answer=Moved(version=known.number))
    version = Version(
        number=book.next_number(), stage="candidate", package=command.package, weights=offered.weights,
        snapshot=offered.snapshot, labels=offered.labels, gate_passed=False,
        evidence=("added by hand: no gate was held",), origin="added", since=command.at, wanted="shadow",
        wanted_by=_name(command),
    )
    return Record(
        book.with_version(version), deliver=(_publishing(command, book, version),), answer=Moved(version=version.number),
    )


def not_taken(offered: Offered, model: str, trained: str) -> str:
    """Return why a package cannot be taken as a model's, empty where it can; `trained` is the model that cycles are about."""
    if offered.reason:
        return offered.reason
    if offered.model != model:
        return f"the package is of {offered.model}, not of {model}"
    return offered.untrainable if model == trained else ""  # cycles would start from it


def unlike(offered: Offered, held: Offered | None, number: int) -> str:
    """Return why a package is not the version that holds its weights, empty where it is; `held` is what that one says of itself."""
    if held is None:
        return f"version {number} was registered with these weights meanwhile: add the package again"
    differing = sorted(name for name in {*offered.says, *held.says} if offered.says.get(name) != held.says.get(name))
    if not differing:
        return ""
    return (
        f"version {number} holds these weights, and its package says otherwise of {', '.join(differing)}. A version is told by its"
        " weights and never changed: to register this package too, write what sets it apart into the metadata of model.onnx, and name its"
        " new weights_sha256"
    )


def _name(command: Command) -> str:
    return f"{command.actor.kind}:{command.actor.id}"


def _publishing(cause: Input, book: Book, version: Version) -> Deliver:
    """Ask for a package to be put into the model repository: an outward act, made after the decision is kept."""
    body = {"package": version.package, "version": version.number}
    return Deliver(
        key=caused_by(cause, "publish", f"{book.model}:{version.number}"), receiver=REPOSITORY, subject=book.model, kind="publish",
        body=json.dumps(body).encode(), content_type="application/json", revision=version.number,
    )


def published(answered: DeliveryAnswered, book: Book | None, plan: Plan, sign: Sign) -> Decision[Book]:
    """The package lies in the model repository: only now is the stage change true, and said."""
    version = book.version(answered.delivery.revision) if book else None
    if book is None or version is None or not version.wanted:
        return Skip("nothing waits for this package")
    cycle = next((one for one in book.cycles if one.cycle_id == version.origin), None)
    if answered.outcome != "delivered":
        book = book.with_version(replace(version, wanted="", wanted_by="", evidence=(*version.evidence, answered.reason)))
        if cycle is not None:
            book = book.with_cycle(replace(cycle, state=FAILED, evidence=(*cycle.evidence, answered.reason)))
        return Record(book)
    reason = "the gate was passed" if version.gate_passed else "added by hand, to be watched in shadow"
    why = Why(cause=answered.id, actor=version.wanted_by, reason=reason, at=answered.at, plan_sha256=plan.sha256)
    book = book.with_version(replace(version, published=True))
    if cycle is not None:
        book = book.with_cycle(replace(cycle, state=RELEASED))
    return _say(answered, *move(book, version.number, version.wanted, why, sign), plan)


def promote(command: Promote, book: Book | None, plan: Plan, sign: Sign) -> Decision[Book]:
    """Somebody moves a version: without a passed gate it reaches no patient."""
    book = book or Book(model=command.subject)
    reason = refusal(book, command.version, command.stage)
    version = book.version(command.version)
    if reason or version is None:
        return Skip(reason, answer=Moved(version=0, reason=reason))
    if not version.published:
        waiting = replace(version, wanted=command.stage, wanted_by=_name(command))
        return Record(
            book.with_version(waiting), deliver=(_publishing(command, book, waiting),), answer=Moved(version=version.number),
        )
    why = Why(
        cause=command.id, actor=_name(command), reason="promoted by hand", at=command.at, plan_sha256=plan.sha256,
    )
    return _say(command, *move(book, version.number, command.stage, why, sign), plan, answer=Moved(version=version.number))


def roll_back(command: Rollback, book: Book | None, plan: Plan, sign: Sign) -> Decision[Book]:
    """Back to the version that served before, at once; the present one is retired, and no later rollback returns to it."""
    before = before_production(book) if book else None
    if book is None or before is None:
        reason = "no version served before this one"
        return Skip(reason, answer=Moved(version=0, reason=reason))
    why = Why(cause=command.id, actor=_name(command), reason="rolled back", at=command.at, plan_sha256=plan.sha256)
    back = without_last_production(book, before.number)
    return _say(command, *move(back, before.number, "production", why, sign), plan, answer=Moved(version=before.number))


def _say(cause: Input, book: Book, changes: tuple[Change, ...], plan: Plan, answer: object = None) -> Record[Book]:
    return Record(book, emit=tuple(_released(cause, book, change, plan, cause.at) for change in changes), answer=answer)


def _released(cause: Input, book: Book, change: Change, plan: Plan, at: datetime) -> ModelReleased:
    version = change.version
    share = {"production": 1.0, "canary": plan.release.canary_share}.get(version.stage, 0.0)
    return ModelReleased(
        id=caused_by(cause, "model-released", f"{book.model}:{version.number}:{version.stage}"), subject=book.model,
        site=cause.site, at=at, model=book.model, version=version.number, stage=version.stage,
        previous_stage=change.previous_stage, canary_share=share, change_record=version.change_record,
        weights_sha256=version.weights, release=change.release, released_at=at,
    )


Routes = tuple[Route[CaseFile] | Route[Book] | Route[SnapshotEntry], ...]


def routes(plan: Plan, shelf: Shelf, packages: Packages, sign: Sign) -> Routes:
    """The contents page of retraining."""
    def of_model(_: Input) -> str:
        return plan.model

    def of_snapshot(ended: JobEnded) -> str:
        return learnt_from(ended.result).snapshot if ended.succeeded else ended.job_id

    def with_snapshots(event: LabelSettled) -> tuple[LabelSettled, tuple[str, ...]]:
        return event, shelf.holding(event.subject) if event.withdrawn else ()

    def counted(command: StartCycle) -> tuple[StartCycle, int]:
        return command, shelf.usable()

    def counted_when_due(timer: Due) -> tuple[Due, int]:
        return timer, shelf.usable()

    def opened(command: AddModel) -> tuple[AddModel, Offered, Offered | None]:
        offered, book = packages.look(command.package), shelf.book(command.subject)
        known = book.of_weights(offered.weights) if book else None
        return command, offered, packages.look(known.package) if known else None

    def with_latest(command: Adapt) -> tuple[Adapt, Offered | None]:
        book = shelf.book(command.subject)
        return command, packages.look(book.versions[-1].package) if book and book.versions else None

    reading: Callable[..., Decision[CaseFile]] = partial(take_prediction, plan=plan)
    return (
        on(PredictionMade, reading, keeps=CaseFile, name="take_prediction"),
        on(PredictionPooled, reading, keeps=CaseFile, name="take_pooled"),
        on(PredictionShadowed, reading, keeps=CaseFile, name="take_shadowed"),
        on(PredictionFailed, take_failure, keeps=CaseFile),
        on(OrderRecorded, take_order, keeps=CaseFile),
        on(LabelSettled, take_label, keeps=CaseFile, observe=with_snapshots),
        on(LabelSettled, partial(wait_for_quiet, plan=plan), keeps=Book, key=of_model),
        Route(
            name="consider_cycle", hears=Due, decide=partial(consider_cycle, plan=plan), keeps=Book, timer=QUIET,
            observe=counted_when_due,
        ),
        on(StartCycle, start_cycle, keeps=Book, observe=counted, answers=Started),
        on(Adapt, partial(adapt, plan=plan), keeps=Book, observe=with_latest, answers=Started),
        on(JobEnded, partial(keep_snapshot, plan=plan), keeps=SnapshotEntry, key=of_snapshot),
        on(JobEnded, partial(end_cycle, plan=plan, sign=sign), keeps=Book),
        on(AddModel, partial(add_model, plan=plan), keeps=Book, observe=opened, answers=Moved),
        on(DeliveryAnswered, partial(published, plan=plan, sign=sign), keeps=Book),
        on(Promote, partial(promote, plan=plan, sign=sign), keeps=Book, answers=Moved),
        on(Rollback, partial(roll_back, plan=plan, sign=sign), keeps=Book, answers=Moved),
    )
