"""Whether a version still reads what it was made on: quiet where nothing moved, told where something did."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from radloop.events.prediction import ImageQuality
from radloop.kit.blobs import Folder
from radloop.retraining.adapters.drift import drift_of
from radloop.retraining.adapters.package import pack
from radloop.retraining.adapters.postgres import StoredShelf
from radloop.retraining.domain.arrays import Singles
from radloop.retraining.domain.book import Book, Version
from radloop.retraining.domain.case import FindingSaid, Said
from radloop.retraining.domain.drift import (
    FEWEST, WINDOW, Drift, EmbeddingDrift, Known, Watched, embedding_drift, judge, stability_index,
)
from radloop.standards.package import FILE, render
from tests.examples.segmenting import segmenter

WIDTH = 24
START = datetime(2026, 3, 2, tzinfo=UTC)


class Traffic:
    """Readings and embeddings drawn by lot; the later half may be another population."""

    def __init__(self, seed: int) -> None:
        self.dice = np.random.default_rng(seed)
        self.mix = self.dice.normal(size=(WIDTH, WIDTH))

    def said(self, number: int, *, logit: float = 0.0, grey: float = 0.0, strange: float = 0.01, **changes: Any) -> Said:
        """Draw one reading."""
        probability = float(1 / (1 + math.exp(1 - logit - self.dice.normal(scale=1.5))))
        known: dict[str, Any] = {
            "model": "chest", "version": 2, "stage": "production", "revision": 1, "read_at": START + timedelta(minutes=number),
            "embedding": f"{number:064d}", "findings": (FindingSaid(finding="P", probability=probability, positive=probability > 0.5),),
            "out_of_distribution": bool(self.dice.random() < strange), "ood_ratio": 0.7 + 0.05 * float(self.dice.normal()),
            "quality": ImageQuality(
                mean=0.45 + 0.05 * float(self.dice.normal()) + grey, contrast=0.2 + 0.03 * float(self.dice.normal()),
                at_ends=0.02 * float(self.dice.random())),
        }
        return Said(**{**known, **changes})

    def watched(self, cases: int = 400, **later: Any) -> Watched:
        """Draw a version's readings."""
        said = tuple(self.said(number, **(later if number >= cases // 2 else {})) for number in range(cases))
        return Watched(model="chest", version=2, stage="production", cases=cases, said=said)

    def embeddings(self, count: int) -> Singles:
        """Draw embeddings as a ReLU leaves them: skewed, and their numbers not independent."""
        return (self.dice.gamma(1.0, size=(count, WIDTH)) @ self.mix).astype(np.float32)

    def known(self, count: int = 300) -> Known:
        """Draw a snapshot: two images of each patient."""
        return Known("its training snapshot", self.embeddings(count), tuple(f"p-{place // 2}" for place in range(count)))

    def judged(self, cases: int = 400, *, aside: float = 0.0, wider: float = 1.0, **later: Any) -> Drift:
        """Judge a version whose later half differs so."""
        known, latest = self.known(), self.embeddings(min(WINDOW, cases // 2))
        centre = latest.mean(axis=0)
        latest = (latest - centre) * wider + centre + aside * latest.std(axis=0)
        return judge(self.watched(cases, **later), known, latest, {"P": "Pneumonia"})


def told(drift: Drift) -> list[str]:
    """Return the sentences that want somebody's eyes."""
    return [one.sentence for one in drift.verdicts if one.moved]


@pytest.mark.parametrize("cases", [2 * FEWEST, 400])
def test_where_nothing_moved_it_is_quiet(cases: int) -> None:
    """Of a hundred versions on unchanged traffic hardly one is told, on few cases as on many: an alarm that cries daily is turned off."""
    loud = sum(bool(told(Traffic(seed).judged(cases))) for seed in range(100))
    assert loud <= 4


@pytest.mark.parametrize(("moved", "sentence"), [
    ({"logit": 1.2}, "Pneumonia: probabilities moved: PSI"),
    ({"strange": 0.2}, "out of distribution:"),
    ({"aside": 0.4}, "the embeddings' mean moved by"),
    ({"wider": 1.4}, "embeddings lie farther out: median distance"),
    ({"grey": 0.1}, "images changed: mean grey"),
])
def test_what_moved_is_told_and_only_that(moved: dict[str, float], sentence: str) -> None:
    """Each change is told by its own line, in every one of ten towns, so that whoever looks knows where to."""
    for seed in range(10):
        lines = told(Traffic(seed).judged(**moved))
        assert any(line.startswith(sentence) for line in lines), lines
        beyond = {"aside": "embeddings lie farther out", "wider": "the embeddings' mean"}.get(next(iter(moved)), "nothing else")
        assert all(line.startswith((sentence, beyond)) for line in lines), lines


def test_a_verdict_names_figure_and_limit() -> None:
    """A sentence is enough to act on: what moved, by how much, over what."""
    drift = Traffic(1).judged(logit=1.2)
    [finding] = drift.findings
    assert told(drift) == [f"Pneumonia: probabilities moved: PSI {finding.psi:.2f} over 0.25".replace(" 0.", " .")]
    assert finding.probability.now > finding.probability.before + 0.15
    assert finding.positive.now > finding.positive.before


def test_figures_are_those_of_the_first_and_the_latest_cases() -> None:
    """Means, shares and medians of either window, and nothing of what was read between."""
    version = Traffic(2).watched(900, logit=1.2)
    stored = Watched(model="chest", version=2, stage="production", cases=900, said=(*version.said[:WINDOW], *version.said[-WINDOW:]))
    empty = np.empty((0, 0), np.float32)
    whole, kept = (judge(one, None, empty, {}) for one in (version, stored))
    assert whole == kept
    first, latest = version.said[:WINDOW], version.said[-WINDOW:]
    [finding] = kept.findings
    assert finding.probability.before == pytest.approx(np.mean([one.findings[0].probability for one in first]))
    assert finding.probability.now == pytest.approx(np.mean([one.findings[0].probability for one in latest]))
    assert kept.ood_ratio is not None
    assert kept.ood_ratio.now == pytest.approx(np.median([one.ood_ratio for one in latest]))
    assert kept.quality[0].median.before == pytest.approx(np.median([one.quality.mean for one in first if one.quality]))


def test_too_few_cases_are_not_judged() -> None:
    """It says how many it has and how many it needs, and shows no figure that chance would have made."""
    drift = Traffic(3).judged(2 * FEWEST - 1, logit=5.0)
    assert [one.sentence for one in drift.verdicts] == ["too few cases to judge: 99 live ones read, 100 are needed"]
    assert (drift.window, drift.findings, drift.embedding, told(drift)) == (0, (), None, [])


def test_nothing_read_is_too_few() -> None:
    """A version that has just been released has read nobody."""
    drift = judge(Watched(model="chest", version=3, stage="shadow", cases=0, said=()), None, np.empty((0, 0), np.float32), {})
    assert drift.verdicts[0].sentence.startswith("too few cases to judge: 0 ")


def test_what_was_said_before_there_was_a_quality_is_judged_by_the_rest() -> None:
    """Nothing is filled in for what older answers did not carry."""
    drift = Traffic(4).judged(quality=None, ood_ratio=None)
    assert drift.quality == ()
    assert drift.ood_ratio is None
    assert drift.findings


def test_embeddings_that_are_not_there_are_said_not_to_be_judged() -> None:
    """Whoever reads the lines sees that one is missing."""
    drift = judge(Traffic(5).watched(), None, np.empty((0, 0), np.float32), {})
    assert "embeddings cannot be judged: too few are kept, or they do not differ" in [one.sentence for one in drift.verdicts]


@pytest.mark.parametrize("known", [
    Known("few", np.eye(WIDTH, dtype=np.float32)[:20], tuple(map(str, range(20)))),
    Known("of one patient", Traffic(6).embeddings(100), ("p-1",) * 100),
    Known("all alike", np.ones((100, WIDTH), np.float32), tuple(map(str, range(100)))),
])
def test_a_reference_that_cannot_tell_is_not_used(known: Known) -> None:
    """A few, one patient's, or one and the same picture again and again: no distance means anything."""
    assert embedding_drift(known, Traffic(6).embeddings(100)) is None


def test_the_mean_is_expected_where_theory_says() -> None:
    """Without drift the squared distance of the means is (1/n + 1/m) tr S, and lies about it as the theory says."""
    found: list[EmbeddingDrift] = []
    for seed in range(200):
        traffic = Traffic(seed)
        one = embedding_drift(traffic.known(), traffic.embeddings(100))
        assert one is not None
        found.append(one)
    assert np.mean([one.distance / one.expected for one in found]) == pytest.approx(1.0, abs=0.05)
    assert abs(np.mean([one.deviations for one in found])) < 0.2
    assert np.std([one.deviations for one in found]) == pytest.approx(1.0, abs=0.2)
    assert np.median([one.ratio for one in found]) == pytest.approx(1.0, abs=0.1)


def test_the_stability_index_is_its_definition() -> None:
    """Sum of (q - p) ln(q / p) over tenths of the earlier numbers, half a case added to each."""
    before, now = np.arange(1000) / 1000, np.concatenate([np.arange(500) / 1000, np.arange(500) / 1000])
    p, q = np.full(10, 100.5) / 1005, np.array([200.5] * 5 + [0.5] * 5) / 1005
    index, limit = stability_index(before, now)
    assert index == pytest.approx(float(((q - p) * np.log(q / p)).sum()))
    assert limit == 0.25
    same, _ = stability_index(before, before)
    assert same == 0.0


def test_few_cases_may_differ_by_more() -> None:
    """The limit is what chance does one time in a hundred (chi-squared of nine degrees of freedom: 21.666), where that is over .25."""
    _, limit = stability_index(np.arange(100.0), np.arange(50.0))
    assert limit == pytest.approx(21.666 * (1 / 100 + 1 / 50), rel=0.01)


def test_probabilities_that_are_all_alike_are_one_bin() -> None:
    """A model that says one thing is compared all the same."""
    index, _ = stability_index(np.full(100, 0.5), np.full(100, 0.5))
    assert index == 0.0
    index, limit = stability_index(np.full(100, 0.5), np.full(100, 0.2))
    assert index > limit


def test_a_segmenter_is_not_judged_by_studies_that_it_never_reads(tmp_path: Path) -> None:
    """It outlines what it is pointed at: a row of it would say `0 cases` for ever."""
    blobs = Folder(tmp_path)
    package = blobs.put(pack({FILE: render(segmenter()).encode()})).sha256
    version = Version(number=1, stage="shadow", package=package, weights="", snapshot="", labels=0, gate_passed=False, evidence=(),
                      origin="added", since=START)
    nobody = cast("StoredShelf", object())  # it is not asked
    assert list(drift_of(Book(model="lungs", versions=(version,)), nobody, blobs)) == []
