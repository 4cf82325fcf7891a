"""What a model's numbers are taken for: probabilities or logits, members or one, with evidence or without."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.examples import elsewhere
from tests.examples.elsewhere import FIELD, SCORES, VECTOR
from tests.examples.inference import package as chest

from radloop.inference.adapters.sight import logits, probe, read_through
from radloop.inference.domain.answer import Home, Outputs, answer
from radloop.inference.ports import Described
from radloop.kit.errors import Permanent
from radloop.standards.package import Package

ELSEWHERE = elsewhere.package(elsewhere.weights(), elsewhere.known())
IMAGES = np.zeros((2, 1, elsewhere.ROWS, elsewhere.COLUMNS), np.float32)
HOME = Home(np.zeros(2), np.eye(2), 4.0)


class Model:
    """Answers what it is told to, whatever it is asked."""

    def __init__(self, **said: Any) -> None:
        self.said = {name: np.asarray(values, np.float32) for name, values in said.items()}
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, model: str, version: int, tensors: Any, outputs: Any, within: Any = None) -> dict[str, np.ndarray]:
        assert list(tensors) == [FIELD]
        self.asked.append(tuple(outputs))
        return {name: self.said[name] for name in outputs}


def model(scores: Any = ((0.1, 0.9),) * 2, vectors: Any = ((0.0, 0.0),) * 2) -> Model:
    """Build the model from elsewhere."""
    return Model(**{SCORES: scores, VECTOR: vectors})


def sigmoid(logit: float) -> float:
    """Return the probability of a logit."""
    return float(1 / (1 + np.exp(-logit)))


def test_probabilities_become_the_logits_behind_them() -> None:
    """One member's may come without the member dimension; 0 and 1 become large, not infinite."""
    said = logits(np.array([[0.5, 0.9], [0.0, 1.0]], np.float32), ELSEWHERE)
    assert said.shape == (2, 1, 2)
    assert said[0, 0] == pytest.approx([0.0, np.log(9.0)], abs=1e-5)
    assert said[1, 0] == pytest.approx([-27.63, 27.63], abs=0.01)
    assert np.isfinite(said).all()


@pytest.mark.parametrize("scores", [[[-0.01, 0.5]], [[0.5, 1.01]], [[12.0, -3.0]], [[0.5, np.inf]]])
def test_what_is_no_probability_is_refused(scores: Any) -> None:
    """A model that promised probabilities and gives logits would be read wrongly for ever."""
    with pytest.raises(Permanent, match="adult-chest 7 promises probabilities, and one is not between 0 and 1"):
        logits(np.array(scores), ELSEWHERE)


def test_a_score_that_is_no_number_is_refused_in_the_answer() -> None:
    """A blank image at the warm-up may give one; a patient's must not."""
    with pytest.raises(Permanent, match="a score is not finite"):
        answer(read_through(model(((0.1, np.nan),) * 2), ELSEWHERE, IMAGES), ELSEWHERE, HOME)
    probe(model(((0.1, np.nan),), ((0.0, 0.0),)), Described(ELSEWHERE, HOME), 5.0)


def test_logits_pass_as_they_are() -> None:
    """Members keep their dimension."""
    given = np.array([[[2.0], [-3.0]]], np.float32)
    assert (logits(given, chest()) == given).all()


def test_a_model_without_evidence_has_the_same_all_over_the_image() -> None:
    """One cell a finding, its mean logit; the output is not asked for."""
    asked = model()
    outputs = read_through(asked, ELSEWHERE, IMAGES)
    assert asked.asked == [(SCORES, VECTOR)]
    assert outputs.evidence.shape == (2, 2, 1, 1)
    assert outputs.evidence[0, :, 0, 0] == pytest.approx([-np.log(9.0), np.log(9.0)], abs=1e-5)


def test_an_image_of_another_size_is_not_sent() -> None:
    """What the package says is what is sent."""
    with pytest.raises(Permanent, match=r"reads images of \(1, 128, 96\), not \(3, 224, 224\)"):
        read_through(model(), ELSEWHERE, np.zeros((1, 3, 224, 224), np.float32))


@pytest.mark.parametrize("said", [
    model(((0.1,),), ((0.0, 0.0),)), model(((0.1, 0.2),), ((0.0, 0.0, 0.0),)), model((((0.1, 0.2), (0.1, 0.2)),), ((0.0, 0.0),)),
])
def test_a_version_whose_answers_have_another_shape_takes_no_traffic(said: Model) -> None:
    """A finding, a number of the embedding or a member too few or too many is seen at the warm-up, not on a patient."""
    with pytest.raises(Permanent, match="another shape than its package says"):
        probe(said, Described(ELSEWHERE, HOME), 5.0)


def test_an_answer_for_fewer_images_is_none() -> None:
    """Rows must not be taken for another patient's."""
    with pytest.raises(Permanent, match="did not answer for each image"):
        read_through(model(((0.1, 0.9),)), ELSEWHERE, IMAGES)


def test_both_findings_are_calibrated() -> None:
    """Slope and offset of each, on the logit behind the probability; of several images each finding's highest, and who is named."""
    package: Package = ELSEWHERE
    said = answer(read_through(model(((0.9, 0.05), (0.3, 0.6))), package, IMAGES), package, HOME)
    assert [one.code.value for one in said.findings] == ["RID5352", "RID34539"]
    assert [one.probability for one in said.findings] == pytest.approx([sigmoid(1.5 * np.log(9.0) - 0.5), sigmoid(1.5 * np.log(1.5) - 0.5)])
    assert said.image == 0


def test_the_members_are_calibrated_as_their_mean_is() -> None:
    """Slope and offset, the site's prevalence in it, move every member: the mean's probability lies among theirs."""
    [finding] = chest().findings
    package = chest(findings=(replace(finding, calibration=replace(finding.calibration, slope=1.5, offset=-4.0)),))
    outputs = Outputs(np.array([[[2.0], [3.0]]], np.float32), np.zeros((1, 2), np.float32), np.zeros((1, 1, 7, 7), np.float32))
    [score] = answer(outputs, package, HOME).findings
    assert score.members == pytest.approx([sigmoid(-1.0), sigmoid(0.5)])
    assert score.probability == pytest.approx(sigmoid(-0.25))
