"""What a reading said becomes metrics once, and what an image looked like is measured as it was prepared."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY
from tests.examples import inference as example
from tests.examples.shared import CASE
from tests.unit.inference.doubles import Queue, taken
from tests.unit.inference.test_reading import lens, live, recorded

from radloop.events.prediction import ImageQuality
from radloop.events.study import StudyBackfilled
from radloop.inference.adapters.measuring import measure
from radloop.inference.adapters.readers import Readers
from radloop.inference.domain.answer import Home, Outputs, answer
from radloop.inference.domain.quality import quality
from radloop.inference.domain.reading import Measured, Told
from radloop.inference.handlers import look, record_reading, take_earlier
from radloop.kit import codec
from radloop.kit.clock import SystemClock
from radloop.kit.flow import Outcome, Record
from radloop.standards.package import Preparation

GREY = Preparation(rows=2, columns=4, mean=(0.5,), std=(0.25,), channels=1)


def told(version: int, **changes: Any) -> Told:
    """Build what is told of one answer; each test counts a version of its own."""
    known: dict[str, Any] = {
        "model": "chest", "version": version, "stage": "shadow", "probabilities": (("233604007", 0.93),),
        "out_of_distribution": True, "ood_ratio": 1.3, "quality": ImageQuality(mean=0.4, contrast=0.2, at_ends=0.1),
    }
    return Told(measured=(Measured(**{**known, **changes}),))


def sample(name: str, version: int, stage: str = "shadow", **labels: str) -> float | None:
    """Return a metric as it would be scraped."""
    return REGISTRY.get_sample_value(name, {"model": "chest", "version": str(version), "stage": stage, **labels})


def test_quality_is_that_of_the_grey_values() -> None:
    """Mean, standard deviation and the share at either end are those of the picture before it was normalised."""
    grey = np.array([[0.0, 0.001, 1.0, 0.999], [0.2, 0.4, 0.6, 0.8]], np.float32)
    found = quality((grey[None] - 0.5) / 0.25, GREY)
    assert found.mean == pytest.approx(grey.mean(), abs=1e-6)
    assert found.contrast == pytest.approx(grey.std(), abs=1e-6)
    assert found.at_ends == 0.5


def test_channels_that_repeat_the_grey_are_measured_once() -> None:
    """Each channel of a colour backbone has a scale of its own; the picture behind them is one."""
    grey = np.full((2, 4), 0.25, np.float32)
    mean, std = np.array([0.5, 0.4, 0.3]), np.array([0.25, 0.2, 0.1])
    prepared = ((grey[None] - mean[:, None, None]) / std[:, None, None]).astype(np.float32)
    found = quality(prepared, Preparation(rows=2, columns=4, mean=tuple(mean), std=tuple(std)))
    assert (round(found.mean, 6), round(found.contrast, 6), found.at_ends) == (0.25, 0.0, 0.0)


def test_the_score_is_told_relative_to_the_versions_own_threshold() -> None:
    """At the threshold the ratio is 1, and only beyond it an image is a stranger."""
    away = np.array([[2.0, 0.0], [1.0, 0.0]], np.float32)
    outputs = Outputs(np.zeros((2, 2, 1), np.float32), away, np.ones((2, 1, 7, 7), np.float32))
    for threshold, ratio, stranger in ((4.0, 1.0, False), (2.0, 2.0, True), (8.0, 0.5, False)):
        found = answer(outputs, example.package(), Home(np.zeros(2), np.eye(2), threshold))
        assert (found.ood_ratio, found.out_of_distribution) == (ratio, stranger)


def test_a_prediction_carries_ratio_and_quality() -> None:
    """Whoever hears it can judge the input without the image."""
    through = lens(live(), example.released())
    [said] = look(example.read(), through).predictions
    assert said.ood_ratio == 0.0
    assert said.quality is not None
    assert 0 < said.quality.mean < 1
    assert 0 < said.quality.contrast < 1


@pytest.mark.parametrize(("role", "stage"), [("serving", "production"), ("shadow", "shadow"), ("pooled", "pooled")])
def test_what_was_said_is_the_answer_to_its_reading(role: str, stage: str) -> None:
    """Every role tells the metrics; an earlier study is told apart from live ones, and nothing says whose it was."""
    case = live() if role != "pooled" else recorded(example_earlier())
    through = lens(case, example.released(), example.released(2, "shadow", 2))
    decision = record_reading(look(example.read(role), through), through.desk.case(CASE))
    assert isinstance(decision, Record)
    assert isinstance(decision.answer, Told)
    assert [(one.stage, [code for code, _ in one.probabilities]) for one in decision.answer.measured] == [(stage, ["233604007"])]
    assert codec.decode(Told, codec.encode(decision.answer)) == decision.answer
    assert CASE not in codec.encode(decision.answer).decode()


def example_earlier() -> Any:
    """Decide on the example's earlier study."""
    return take_earlier(next(one for one in example.INPUTS if isinstance(one, StudyBackfilled)), None)


def test_a_reading_is_measured_once() -> None:
    """A repeat gets the stored answer, which was measured when it was settled."""
    measure(Outcome(kind="recorded", answer=told(101)))
    measure(Outcome(kind="recorded", answer=told(101), repeated=True))
    assert sample("radloop_probability_count", 101, finding="233604007") == 1
    assert sample("radloop_probability_sum", 101, finding="233604007") == 0.93
    assert sample("radloop_ood_ratio_sum", 101) == 1.3
    assert sample("radloop_out_of_distribution_total", 101) == 1
    assert sample("radloop_image_grey_mean_sum", 101) == 0.4
    assert sample("radloop_image_contrast_sum", 101) == 0.2
    assert sample("radloop_image_at_ends_sum", 101) == 0.1


def test_a_version_that_knows_all_it_sees_has_a_count_of_zero() -> None:
    """A share needs a numerator, also where nothing was strange."""
    measure(Outcome(kind="recorded", answer=told(102, out_of_distribution=False)))
    assert sample("radloop_out_of_distribution_total", 102) == 0


def test_an_answer_without_numbers_is_measured_by_what_it_has() -> None:
    """What is not known is left out, not filled in."""
    measure(Outcome(kind="recorded", answer=told(103, ood_ratio=None, quality=None)))
    assert sample("radloop_probability_count", 103, finding="233604007") == 1
    assert not sample("radloop_image_grey_mean_count", 103)
    assert not sample("radloop_ood_ratio_count", 103)


def test_the_readers_measure_what_they_hand_over() -> None:
    """The reader that settled a reading tells the metrics, whatever became of the rest; one without an answer tells none."""
    outcomes = [Outcome(kind="recorded", answer=told(104)), Outcome(kind="rejected", answer=told(104)), Outcome(kind="skipped")]
    readers = Readers(Queue(taken("a"), taken("b"), taken("c")), lambda _: outcomes.pop(0), SystemClock(), 1)
    for _ in range(3):
        readers._turn()
    assert sample("radloop_probability_count", 104, finding="233604007") == 2


def test_what_is_read_together_is_measured_study_by_study() -> None:
    """Most of a busy day's studies are read in batches: each counts as one that was read alone does, and a repeat not again."""
    queue = Queue(*(taken(f"reading-{number}", case=f"case-{number}") for number in range(4)))

    def together(commands: Sequence[Any]) -> dict[str, Outcome]:
        return {
            command.id: Outcome(kind="recorded", answer=told(105), repeated=command.id == "reading-3") for command, _ in commands
        }

    readers = Readers(queue, lambda _: Outcome(kind="skipped"), SystemClock(), 1, together=together, most=4)
    readers._pace["serving"] = 0.001
    readers._turn()
    assert len(queue.ended) == 4
    assert sample("radloop_probability_count", 105, finding="233604007") == 3
    assert sample("radloop_ood_ratio_count", 105) == 3
    assert sample("radloop_out_of_distribution_total", 105) == 3
