"""Inference's decisions: who is read how soon, by which version, what is said of it, and what is refused."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.dicom_making import file_of, radiograph
from tests.examples import inference as example
from tests.examples.shared import CASE, SITE, at, completed, envelope, order, ordered, study

from radloop.events.common import Blob
from radloop.events.order import CaseJoined
from radloop.events.prediction import PredictionFailed, PredictionMade, PredictionPooled, PredictionShadowed
from radloop.events.report import ReportSigned
from radloop.events.study import StudyBackfilled
from radloop.inference.domain.answer import Home, Outputs, answer
from radloop.inference.domain.case import CLASSES, Case, Pinned
from radloop.inference.domain.model import Model, lot
from radloop.inference.domain.reading import AbandonReading, Seen
from radloop.inference.handlers import Lens, abandon, join, look, record_reading, sign, take_earlier, take_order, take_release, take_study
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Record, Reject, Skip
from radloop.standards import evidence
from radloop.standards.package import Conformal


class Desk:
    """One case, the chest model as it is, and other models beside it."""

    def __init__(self, case: Case | None, *releases: Any) -> None:
        self.known, self.model = case, Model(model="chest")
        self.others: tuple[Model, ...] = ()
        for release in releases:
            self.model = self.model.released(release) or self.model

    def case(self, case_id: str) -> Case | None:
        return self.known

    def cases(self, case_ids: Collection[str]) -> dict[str, Case]:
        return {one: case for one in case_ids if (case := self.case(one)) is not None}

    def models(self) -> tuple[Model, ...]:
        held = (*self.others, self.model) if self.model.versions else self.others
        return tuple(sorted(held, key=lambda one: one.model))


def recorded(decision: Any) -> Any:
    """Return the state of a decision to record."""
    assert isinstance(decision, Record), decision
    return decision.state


def live(**changes: Any) -> Case:
    """Return a case whose study is complete."""
    return recorded(take_study(completed(**changes), None))


def lens(case: Case | None, *releases: Any) -> Lens:
    """Look through doubles of Triton, its packages and the blobs."""
    files = example.Files()
    return Lens(
        Desk(case, *releases), files, example.Packages(), example.Reader(), example.Preparer(files), example.Encoder(),
    )


def ranks(case: Case) -> dict[str, str]:
    """Return the class of each reading that is wanted."""
    return {one.role: CLASSES[one.rank] for one in case.wanted()}


def said(role: str, through: Lens, revision: int = 1) -> Any:
    """Look and decide."""
    command = example.read(role, revision)
    return record_reading(look(command, through), through.desk.case(CASE))


def test_a_stat_is_wanted_first_whichever_topic_came_first() -> None:
    """The order's own priority decides, heard before or after the images."""
    first = recorded(take_order(ordered(priority="stat"), None))
    assert ranks(recorded(take_study(completed(), first))) == {"serving": "stat", "shadow": "shadow"}
    assert ranks(recorded(take_order(ordered(priority="stat"), live()))) == {"serving": "stat", "shadow": "shadow"}
    assert ranks(live()) == {"serving": "live", "shadow": "shadow"}


@pytest.mark.parametrize("ends", [
    lambda case: take_order(ordered(status="cancelled"), case),
    lambda case: sign(ReportSigned(**envelope("signed", 9), signed_at=at(9), signer="reader-1", findings=()), case),
])
def test_nobody_waits_for_a_case_that_is_over(ends: Any) -> None:
    """A signed or cancelled case is still read, when nothing else waits."""
    assert ranks(recorded(ends(live()))) == {"serving": "backfill", "shadow": "backfill"}


def test_an_earlier_study_waits_for_everybody() -> None:
    """A backfilled study is read last."""
    event = StudyBackfilled(**envelope("backfilled", 0), study=study(), revision=1, purpose="pool")
    assert ranks(recorded(take_earlier(event, None))) == {"pooled": "backfill"}
    assert isinstance(take_earlier(event, recorded(take_earlier(event, None))), Skip)


def test_an_undone_join_takes_the_orders_priority_away() -> None:
    """A study that loses its wrong order is routine again."""
    event = CaseJoined(
        **envelope("joined", 1), study_case=CASE, order_case="other", order=order(priority="stat"), patient=example.PATIENT,
        order_revision=2,
    )
    joined = recorded(join(event, live()))
    assert ranks(joined)["serving"] == "stat"
    undone = recorded(join(replace(event, undone=True, order_revision=3), joined))
    assert ranks(undone)["serving"] == "live"
    assert isinstance(join(event, undone), Skip)


def test_the_version_in_production_answers_a_live_study() -> None:
    """A prediction names version, stage, image and geometry, and carries every member's calibrated probability."""
    through = lens(live(), example.released())
    decision = said("serving", through)
    [made] = decision.emit
    assert isinstance(made, PredictionMade)
    prediction = made.prediction
    assert (prediction.version, prediction.stage, prediction.sop_instance_uid) == (1, "production", "2.25.1001")
    assert (prediction.rows, prediction.columns, prediction.revision) == (2000, 2500, 1)
    [score] = prediction.findings
    assert score.probability == pytest.approx(1 / (1 + np.exp(-2.5)))
    assert score.members == pytest.approx([1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(-3.0))])
    assert (score.conformal, score.positive) == (("present",), True)
    assert np.frombuffer(through.files.get(prediction.embedding.sha256), "<f4").shape == (example.WIDTH,)
    kept = evidence.read(through.files.get(prediction.evidence.sha256))
    assert (kept.sop_instance_uid, kept.rows, kept.columns) == ("2.25.1001", 2000, 2500)
    assert decision.state.pinned == Pinned(model="chest", version=1)


def test_a_shadow_version_is_heard_by_nobody_clinical() -> None:
    """Shadow versions speak on their own topic, each for itself; the clinic hears that no version serves."""
    through = lens(live(), example.released(1, "shadow", 1), example.released(2, "shadow", 2))
    heard = said("shadow", through).emit
    assert [type(one) for one in heard] == [PredictionShadowed] * 2
    assert len({one.id for one in heard}) == 2
    [failed] = said("serving", through).emit
    assert isinstance(failed, PredictionFailed)
    assert failed.refused
    assert failed.reason == "no version of chest serves this case"


def test_an_earlier_study_is_read_by_the_shadow_until_something_serves() -> None:
    """Before the first release the pool is read by the shadow version, afterwards by the serving one."""
    case = recorded(take_earlier(
        StudyBackfilled(**envelope("backfilled", 0), study=study(), revision=1, purpose="acceptance"), None,
    ))
    [pooled] = said("pooled", lens(case, example.released(1, "shadow", 1))).emit
    assert isinstance(pooled, PredictionPooled)
    assert (pooled.prediction.version, pooled.prediction.stage, pooled.purpose) == (1, "shadow", "acceptance")
    [pooled] = said("pooled", lens(case, example.released(1, "shadow", 1), example.released(2, "production", 2))).emit
    assert pooled.prediction.version == 2


def test_a_study_waits_while_no_version_was_ever_released() -> None:
    """It is not failed: there is nothing yet that could read it."""
    for role in ("serving", "shadow"):
        with pytest.raises(Transient, match="no model version"):
            look(example.read(role), lens(live()))


def test_a_model_that_cannot_be_read_now_keeps_no_other_from_reading() -> None:
    """Nor does one that is none of the clinic's; where no other reads the study, it waits and is not failed."""
    class Unreadable(example.Packages):
        def describe(self, model: str, version: int, weights_sha256: str) -> Any:
            if model == "abdomen":
                raise Transient("the model repository cannot be read: Permission denied")
            return super().describe(model, version, weights_sha256)

    abdomen = Model(model="abdomen").released(replace(example.released(), subject="abdomen", model="abdomen"))
    assert abdomen is not None
    both, alone = (replace(lens(live(), *releases), packages=Unreadable()) for releases in ((example.released(),), ()))
    both.desk.others = alone.desk.others = (abdomen,)
    assert look(example.read("serving"), both).predictions[0].model == "chest"
    with pytest.raises(Transient, match="cannot be read"):
        look(example.read("serving"), alone)


def test_a_canary_reads_its_share_and_always_the_same_cases() -> None:
    """A case stays in the share or out of it, and the share is what was asked for."""
    model = Desk(None, example.released(1, "production", 1), example.released(2, "canary", 2, canary_share=0.3)).model
    chosen = [model.serving(Case(case_id=f"case-{number}")).version for number in range(2000)]
    assert np.mean(np.array(chosen) == 2) == pytest.approx(0.3, abs=0.04)
    assert chosen[0] == (2 if lot("case-0") < 0.3 else 1)


def test_a_revision_is_read_by_the_version_of_the_first() -> None:
    """A newer version does not change horses midway; a version that was rolled back reads no more."""
    case = replace(live(), pinned=Pinned(model="chest", version=1))
    superseded = Desk(case, example.released(1), example.released(2, release=2), example.released(1, "retired", 3)).model
    assert superseded.serving(case).version == 1
    rolled_back = Desk(case, example.released(2, release=1), example.released(1, release=2), example.released(2, "retired", 3)).model
    assert rolled_back.serving(replace(case, pinned=Pinned(model="chest", version=2))).version == 1


def test_a_stage_change_older_than_the_known_one_changes_nothing() -> None:
    """Of one version the highest release holds."""
    model = recorded(take_release(example.released(1, "production", 5), None))
    assert isinstance(take_release(example.released(1, "shadow", 4), model), Skip)


def test_a_newer_revision_supersedes_the_look_at_an_older() -> None:
    """What is no longer the study is not said."""
    case = live(revision=2)
    assert look(example.read("serving", 1), lens(case, example.released())).superseded
    assert isinstance(record_reading(Seen(command=example.read("serving", 1)), case), Skip)
    assert isinstance(take_study(completed(), case), Skip)


@pytest.mark.parametrize(("changes", "why"), [
    ({"age_years": None}, "PatientAge"), ({"age_years": 18.0}, "outside 0 to 18"), ({"age_years": 41.0}, "outside 0 to 18"),
])
def test_an_unknown_or_unfit_age_is_refused(changes: dict[str, Any], why: str) -> None:
    """The study says so, with the reason, and is not dropped."""
    [failed] = said("serving", lens(live(**changes), example.released())).emit
    assert failed.refused
    assert why in failed.reason


@pytest.mark.parametrize(("changes", "why"), [
    ({"view": "LL"}, "ViewPosition (0018,5101) is LL"), ({"view": ""}, "ViewPosition (0018,5101) is unknown"),
    ({"modality": "CT"}, "Modality"), ({"body_part": "KNEE"}, "BodyPart"), ({"acquired": False}, "no acquired image"),
    ({"frames": 2}, "single frames"), ({"view": "Doe^John"}, "no such code"),
])
def test_an_image_the_model_was_not_made_for_is_refused(changes: dict[str, Any], why: str) -> None:
    """The reason names the tag, and quotes nothing that may be a name."""
    images = (replace(study().instances[0], **changes),)
    [failed] = said("serving", lens(live(instances=images), example.released())).emit
    assert failed.refused
    assert why in failed.reason
    assert "Doe" not in failed.reason


def test_the_highest_of_the_eligible_images_is_the_answer() -> None:
    """It names that image; a lateral view beside it is not read."""
    package = example.package()
    logits = np.array([[[0.0], [0.0]], [[3.0], [3.0]], [[-1.0], [-1.0]]], np.float32)
    outputs = Outputs(logits, np.zeros((3, 4), np.float32), np.zeros((3, 1, 7, 7), np.float32))
    told = answer(outputs, package, Home(np.zeros(4), np.eye(4), 10.0))
    assert (told.image, told.out_of_distribution) == (1, False)
    assert told.findings[0].probability == pytest.approx(1 / (1 + np.exp(-3.0)))
    lateral = replace(study().instances[0], view="LL", sop_instance_uid="2.25.9")
    through = lens(live(instances=(lateral, *study().instances)), example.released())
    assert said("serving", through).emit[0].prediction.sop_instance_uid == "2.25.1001"
    assert through.reader.asked == [(1, 1)]


def test_one_stranger_among_the_images_is_enough() -> None:
    """A study with an image unlike those the model knows is out of distribution."""
    embeddings = np.zeros((2, 4), np.float32)
    embeddings[0, 0] = 4.0
    outputs = Outputs(np.zeros((2, 2, 1), np.float32), embeddings, np.zeros((2, 1, 7, 7), np.float32))
    told = answer(outputs, example.package(), Home(np.zeros(4), np.eye(4), 10.0))
    assert (told.ood_score, told.out_of_distribution) == (pytest.approx(16.0), True)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_is_rejected_and_said(wrong: float) -> None:
    """It is never repaired: quarantine, and the study says that it was not read."""
    through = lens(live(), example.released())
    through.reader.logits = [[wrong], [0.0]]
    decision = said("serving", through)
    assert isinstance(decision, Reject)
    assert [type(one) for one in decision.emit] == [PredictionFailed]
    assert "not finite" in decision.reason


def test_a_distance_that_is_not_finite_is_rejected() -> None:
    """However finite the embedding: no number is larger than any threshold, and a stranger would be at home."""
    outputs = Outputs(np.zeros((1, 2, 1), np.float32), np.zeros((1, 4), np.float32), np.zeros((1, 1, 7, 7), np.float32))
    with pytest.raises(Permanent, match="a distance is not finite"):
        answer(outputs, example.package(), Home(np.zeros(4), np.full((4, 4), np.nan), 10.0))


def test_an_image_that_cannot_be_decoded_fails_the_study_by_tag() -> None:
    """The other images are not taken for the whole study."""
    through = lens(live(instances=(
        study().instances[0], replace(study().instances[0], sop_instance_uid="2.25.8", blob=Blob("d" * 64, 9)),
    )), example.released())
    through.files.kept["d" * 64] = file_of(radiograph(Rows=4000))
    decision = said("serving", through)
    assert isinstance(decision, Reject)
    assert "image 2 of 2: (7FE0,0010)" in decision.emit[0].reason
    assert not decision.emit[0].refused


@pytest.mark.parametrize(("changes", "refused", "tag"), [
    ({"PatientOrientation": ["R", "F"]}, True, "(0020,0020)"), ({"PresentationLUTShape": "INVERSE"}, False, "(2050,0020)"),
])
def test_an_image_that_does_not_lie_as_the_model_was_taught_is_refused(changes: dict[str, Any], refused: bool, tag: str) -> None:
    """Mirrored by its own tag, the study is none of the model's; contradicting itself, the image is wrong and kept in quarantine."""
    through = lens(live(), example.released())
    through.files.kept["a" * 64] = file_of(radiograph(**changes))
    decision = said("serving", through)
    [failed] = decision.emit
    assert (type(failed), failed.refused) == (PredictionFailed, refused)
    assert isinstance(decision, Record if refused else Reject)
    assert f"image 1 of 1: {tag}" in failed.reason
    shadow = lens(live(), example.released(1, "shadow", 1))
    shadow.files.kept["a" * 64] = file_of(radiograph(**changes))
    assert isinstance(said("shadow", shadow), Skip if refused else Reject)


def test_both_answers_stand_where_neither_can_be_ruled_out() -> None:
    """The conformal set follows the site's thresholds."""
    through = lens(live(), example.released())
    finding = example.package().findings[0]
    wide = example.package(findings=(replace(finding, conformal=Conformal(0.1, 0.99, 0.9, 200)),))
    through.packages.special[1] = wide
    assert said("serving", through).emit[0].prediction.findings[0].conformal == ("present", "absent")


def test_an_abandoned_reading_is_said_too() -> None:
    """A study whose reading ends its process is not dropped."""
    command = AbandonReading(
        id="x", subject=CASE, site=SITE, at=at(1), actor=example.SYSTEM, role="serving", revision=1, reason="again and again",
    )
    decision = abandon(command, live())
    assert isinstance(decision, Reject)
    assert [type(one) for one in decision.emit] == [PredictionFailed]
    assert abandon(replace(command, role="shadow"), live()).emit == ()


def test_a_model_that_answers_in_another_shape_is_refused() -> None:
    """Outputs must be what the package says."""
    outputs = Outputs(np.zeros((1, 5, 1), np.float32), np.zeros((1, 4), np.float32), np.zeros((1, 1, 7, 7), np.float32))
    with pytest.raises(Permanent, match="shape"):
        answer(outputs, example.package(), Home(np.zeros(4), np.eye(4), 10.0))
