"""Is it still the model that was released? What a version says now, held against what it said first and what it was made on.

It judges and tells, and changes nothing. Each line has a limit from the literature, and is told only where chance alone would
hardly do it on so few cases:

- **Probabilities**: population stability index over tenths of the first cases; over .25 the population is another one
  (Lewis 1994; Siddiqi 2006), and over the 99th percentile of what is expected where nothing moved, which is chi-squared with
  bins - 1 degrees of freedom times 1/n + 1/m (Yurdakul and Naranjo 2020).
- **Out of distribution**: the share whose lower Wilson bound (1927, 99 %) is over 5 %; the threshold lets some 1 % be strangers.
- **Embeddings**: distances are measured as half of the known embeddings lie, and the other half, on which nothing was fitted,
  says what is usual: those that were fitted on are far too near in 1,280 dimensions. Told where the median of the latest lies
  beyond the upper quartile of the usual.
- **Their mean**: squared distance of the means of the latest and the usual. Where nothing moved (1/n + 1/m) tr S is expected,
  and its excess has a known deviation (Bai and Saranadasa 1996, in more dimensions than cases). Told from 3.09 deviations on
  (one in a thousand), where what remains is over .2 of a standard deviation in each direction: Cohen's (1988) small effect.
- **Images**: a median that left the quartiles of the first cases, by more than a hundredth of the range.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from radloop.retraining.domain.arrays import Floats, Singles, Truths, finite
from radloop.retraining.domain.case import Said
from radloop.retraining.domain.distribution import shape

WINDOW: Final = 200
"""The most of the first and of the latest cases that are held against each other."""
FEWEST: Final = 50
FEWEST_KNOWN: Final = 40

_BINS: Final = 10
_PSI: Final = 0.25
_Z_99, _Z_999 = 2.326, 3.090
_STRANGERS: Final = 0.05
_SMALL_EFFECT: Final = 0.2
_HUNDREDTH: Final = 0.01


@dataclass(frozen=True)
class Pair:
    """A figure of the first cases and of the latest."""

    before: float
    now: float


@dataclass(frozen=True, kw_only=True)
class FindingDrift:
    """Mean probability, share at or over the operating point, and how far the probabilities moved."""

    finding: str
    probability: Pair
    positive: Pair
    psi: float
    limit: float


@dataclass(frozen=True, kw_only=True)
class EmbeddingDrift:
    """Where the latest embeddings lie, seen from the known: see the module."""

    reference: str
    known: int
    ratio: float
    limit: float
    distance: float
    expected: float
    deviations: float
    shift: float


@dataclass(frozen=True, kw_only=True)
class QualityDrift:
    """Medians of one measure of the images, and the quartiles of the first cases."""

    measure: str
    median: Pair
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """One line of the judgement; `moved` is something that somebody should look at."""

    moved: bool
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A version and what it said of live cases, in order: of the first `WINDOW` at least, and of the latest."""

    model: str
    version: int
    stage: str
    cases: int
    said: tuple[Said, ...]

    @property
    def window(self) -> int:
        """How many first cases are held against as many latest ones, 0 where they are too few."""
        size = min(WINDOW, self.cases // 2)
        return size if size >= FEWEST else 0

    @property
    def first(self) -> tuple[Said, ...]:
        """What it said first."""
        return self.said[:self.window]

    @property
    def latest(self) -> tuple[Said, ...]:
        """What it said last."""
        return self.said[len(self.said) - self.window:]


@dataclass(frozen=True)
class Known:
    """Embeddings [N, D] that a version knows, what they are, and whom each is of: nobody is on both sides of a comparison."""

    name: str
    embeddings: Singles
    people: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What became of a version since it began to read."""

    model: str
    version: int
    stage: str
    cases: int
    window: int
    findings: tuple[FindingDrift, ...] = ()
    strangers: Pair | None = None
    ood_ratio: Pair | None = None
    embedding: EmbeddingDrift | None = None
    quality: tuple[QualityDrift, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


def judge(version: Watched, known: Known | None, latest: Singles, names: Mapping[str, str]) -> Drift:
    """Judge a version by what it said, its known embeddings and the latest [N, D]; `names` are of findings, by code."""
    window, first, last = version.window, version.first, version.latest
    if not window:
        few = Verdict(moved=False, sentence=f"too few cases to judge: {version.cases} live ones read, {2 * FEWEST} are needed")
        return Drift(
            model=version.model, version=version.version, stage=version.stage, cases=version.cases, window=0, verdicts=(few,),
        )
    findings = tuple(_findings(first, last))
    strangers = Pair(*(float(np.mean([one.out_of_distribution for one in part])) for part in (first, last)))
    embedding = embedding_drift(known, latest) if known is not None else None
    quality = tuple(_quality(first, last))
    return Drift(
        model=version.model, version=version.version, stage=version.stage, cases=version.cases, window=window,
        findings=findings, strangers=strangers, ood_ratio=_ratios(first, last), embedding=embedding, quality=quality,
        verdicts=(
            *(_of_finding(one, names.get(one.finding, one.finding)) for one in findings),
            _of_strangers(strangers.now, window),
            *(_of_embeddings(embedding) if embedding is not None else (Verdict(
                moved=False, sentence="embeddings cannot be judged: too few are kept, or they do not differ",
            ),)),
            *(_of_quality(one) for one in quality),
        ),
    )


def stability_index(before: Floats, now: Floats) -> tuple[float, float]:
    """Return the population stability index of numbers over tenths of the earlier ones, and what it may reach.

    Half a case is added to each bin, so that an empty one does not make it infinite.
    """
    edges = np.unique(np.quantile(before, np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))
    bins = len(edges) + 1

    def shares(values: Floats) -> Floats:
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=bins)
        return np.asarray((counts + 0.5) / (len(values) + 0.5 * bins))

    expected, found = shares(before), shares(now)
    index = float(((found - expected) * np.log(found / expected)).sum())
    return index, max(_PSI, _chi_squared_99(bins - 1) * (1 / len(before) + 1 / len(now)))


def _chi_squared_99(freedom: int) -> float:
    """Return the 99th percentile of chi-squared (Wilson and Hilferty 1931; off by less than one in a hundred)."""
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + _Z_99 * spread**0.5) ** 3)


def embedding_drift(known: Known, latest: Singles) -> EmbeddingDrift | None:
    """Hold the latest embeddings [M, D] against the known; None where either are too few, or do not differ."""
    values, others = finite(known.embeddings, "an embedding"), finite(latest, "an embedding")
    if not len(values):
        return None
    fitted = _half(known.people)
    if min(fitted.sum(), (~fitted).sum()) < FEWEST_KNOWN // 2 or len(others) < FEWEST or not np.ptp(values[fitted], axis=0).any():
        return None
    mean, precision = shape(values[fitted])
    # Squared Mahalanobis distances are plain squares of these.
    whitener = np.linalg.cholesky(precision)
    usual, new = (values[~fitted] - mean) @ whitener, (others - mean) @ whitener
    distances, far = (usual**2).sum(axis=1), (new**2).sum(axis=1)
    middle, upper = np.quantile(distances, (0.5, 0.75))
    moved = _mean_distance(usual, new)
    if middle == 0.0 or moved is None:
        return None
    return EmbeddingDrift(
        reference=known.name, known=len(usual), ratio=float(np.median(far) / middle), limit=float(upper / middle),
        distance=moved[0], expected=moved[1], deviations=moved[2], shift=moved[3],
    )


def _half(people: Sequence[str]) -> Truths:
    """Return which embeddings are those to fit on: of half the people, as if drawn by lot, yet the same each time."""
    drawn = sorted(set(people), key=lambda one: hashlib.sha256(one.encode()).digest())[::2]
    chosen = frozenset(drawn)
    return np.array([one in chosen for one in people], dtype=np.bool_)


def _mean_distance(usual: Floats, new: Floats) -> tuple[float, float, float, float] | None:
    """Return the squared distance of two means, the expected, the deviations beyond it and the shift (Bai and Saranadasa 1996)."""
    parts = [usual - usual.mean(axis=0), new - new.mean(axis=0)]
    within = np.concatenate(parts)
    count, per_case = len(within) - 2, 1 / len(usual) + 1 / len(new)
    trace = float((within**2).sum()) / count
    trace_of_square = float(((within @ within.T) ** 2).sum()) / count**2
    spread = count**2 / ((count + 2) * (count - 1)) * (trace_of_square - trace**2 / count)
    if spread <= 0.0:
        return None
    distance, expected = float(((usual.mean(axis=0) - new.mean(axis=0)) ** 2).sum()), per_case * trace
    deviations = (distance / per_case - trace) / (2 * (count + 1) / count * spread) ** 0.5
    return distance, expected, float(deviations), float(max(0.0, distance - expected) / trace) ** 0.5


def _findings(first: Sequence[Said], last: Sequence[Said]) -> Iterator[FindingDrift]:
    """Yield how each finding moved that was answered of enough cases in both."""
    for code in dict.fromkeys(one.finding for said in last for one in said.findings):
        before, now = ([one for said in part for one in said.findings if one.finding == code] for part in (first, last))
        if min(len(before), len(now)) < FEWEST:
            continue
        old, new = (np.array([one.probability for one in part]) for part in (before, now))
        index, limit = stability_index(finite(old, "a probability"), finite(new, "a probability"))
        yield FindingDrift(
            finding=code, probability=Pair(float(old.mean()), float(new.mean())),
            positive=Pair(*(float(np.mean([one.positive for one in part])) for part in (before, now))), psi=index, limit=limit,
        )


def _ratios(first: Sequence[Said], last: Sequence[Said]) -> Pair | None:
    before, now = ([one.ood_ratio for one in part if one.ood_ratio is not None] for part in (first, last))
    return Pair(float(np.median(before)), float(np.median(now))) if before and now else None


def _quality(first: Sequence[Said], last: Sequence[Said]) -> Iterator[QualityDrift]:
    """Yield how each measure moved, where enough cases of both have one."""
    before, now = (
        np.array([(one.quality.mean, one.quality.contrast, one.quality.at_ends) for one in part if one.quality is not None])
        for part in (first, last)
    )
    if min(len(before), len(now)) < FEWEST:
        return
    for place, measure in enumerate(("mean grey", "contrast", "black or white")):
        low, middle, high = (float(one) for one in np.quantile(before[:, place], (0.25, 0.5, 0.75)))
        yield QualityDrift(measure=measure, median=Pair(middle, float(np.median(now[:, place]))), low=low, high=high)


def _of_finding(one: FindingDrift, name: str) -> Verdict:
    if one.psi > one.limit:
        return Verdict(moved=True, sentence=f"{name}: probabilities moved: PSI {_short(one.psi)} over {_short(one.limit)}")
    return Verdict(moved=False, sentence=f"{name}: probabilities as before: PSI {_short(one.psi)}, up to {_short(one.limit)}")


def _of_strangers(share: float, count: int) -> Verdict:
    square = _Z_99**2
    room = _Z_99 * (share * (1 - share) / count + square / (4 * count**2)) ** 0.5
    least = (share + square / (2 * count) - room) / (1 + square / count)
    if least > _STRANGERS:
        return Verdict(moved=True, sentence=f"out of distribution: {share:.0%} of the latest {count}, surely over {_STRANGERS:.0%}")
    return Verdict(moved=False, sentence=f"out of distribution: {share:.0%} of the latest {count}")


def _of_embeddings(one: EmbeddingDrift) -> tuple[Verdict, ...]:
    far, limit = f"{one.ratio:.2f} times that of {one.reference}", f"{one.limit:.2f}"
    aside = f"{_short(one.shift)} of a standard deviation"
    moved = one.deviations > _Z_999 and one.shift > _SMALL_EFFECT
    return (
        Verdict(moved=True, sentence=f"embeddings lie farther out: median distance {far}, over its upper quartile at {limit}")
        if one.ratio > one.limit else
        Verdict(moved=False, sentence=f"embeddings lie as far out as before: median distance {far}, up to {limit}"),
        Verdict(moved=True, sentence=f"the embeddings' mean moved by {aside}, over {_short(_SMALL_EFFECT)}")
        if moved else Verdict(moved=False, sentence=f"the embeddings' mean is where it was, but for {aside}"),
    )


def _of_quality(one: QualityDrift) -> Verdict:
    usual = f"{_short(one.low)} to {_short(one.high)}"
    if one.median.now < one.low - _HUNDREDTH or one.median.now > one.high + _HUNDREDTH:
        return Verdict(moved=True, sentence=f"images changed: {one.measure} {_short(one.median.now)} in the median, was {usual}")
    return Verdict(moved=False, sentence=f"images as before: {one.measure} {_short(one.median.now)} in the median, was {usual}")


def _short(number: float) -> str:
    """Return a number of two places, without a zero before the point."""
    return f"{number:.2f}".replace("0.", ".", 1) if abs(number) < 1 else f"{number:.2f}"
