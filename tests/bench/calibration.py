"""How far the chest model's probabilities can be believed at a site it was not trained at, and whether it notices what it does not know.

Heads by the plan's recipe on every training radiograph whose patient is not also in the test split; slope and offset fitted on one
half of the test patients and measured on the other, 50 times. What is fitted here leaves the benchmark with nobody.

The expected calibration error (ECE) is the one of Guo et al. 2017 with ten bins of equal width; beside it the same with 15 bins of
equal mass. Its noise floor is what a perfectly calibrated model would show on as few cases: the mean ECE of the same probabilities
against labels drawn from them. At 10 % prevalence a half keeps all its negatives and as many of its positives, drawn at random, as make
a tenth: a case twice would count as two, and the floor would not know it. The interval is a bootstrap over patients within a half.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from figures import Goals, finish, say
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from strangers import (
    NOT_CHEST, Pictures, Sample, adult_samples, age_as_read, compressed, covid, laterals, pictures, refused, resized, same_form, samples,
    twins,
)

from radloop.retraining.adapters import backbone
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.domain.arrays import Floats, Singles, Truths, Whole, sigmoid
from radloop.retraining.domain.calibration import fit_platt
from radloop.retraining.domain.distribution import fit_distribution
from radloop.retraining.domain.heads import Recipe
from radloop.retraining.domain.learning import train_heads
from radloop.retraining.domain.snapshot import Row, take
from radloop.standards.codes import PNEUMONIA
from radloop.standards.dicom.errors import DicomError
from radloop.standards.dicom.pixels import frame_grey, prepare_file
from radloop.standards.package import IMAGENET
from radloop.workbench.demo import DATA
from radloop.workbench.hospital.sources import Candidate, Radiographs
from radloop.workbench.play.loop import prepared
from radloop.workbench.workshop import READS

HALVES, HALF, SEED = 50, 156, 7
RARE = 0.1
# Skill, too: a constant is calibrated as well as anybody.
GOALS = Goals(
    {"brier_skill_after": 0.1, "brier_skill_after_at_10_percent": 0.1},
    {"ece_after_minus_floor": 0.015, "ece_after_minus_floor_at_10_percent": 0.015},
)
REDRAWN = 200
NEIGHBOURS = 10
LATERALS_NEEDED, FEWEST = 20, 10
Binning = Callable[[Floats], Whole]


def equal_width(chances: Floats) -> Whole:
    """Return the bin of each probability, ten of equal width."""
    return np.minimum((chances * 10).astype(np.int64), 9)


def equal_mass(chances: Floats) -> Whole:
    """Return the bin of each probability, fifteen with equally many cases."""
    return np.argsort(np.argsort(chances, kind="stable"), kind="stable") * 15 // len(chances)


def ece(chances: Floats, labels: Truths, binning: Binning = equal_width) -> float:
    """Return the expected calibration error: how far apart mean probability and share of positives are, over bins, by their cases."""
    return float(np.abs(np.bincount(binning(chances), weights=chances - labels)).sum()) / len(chances)


def floor(chances: Floats, dice: np.random.Generator, binning: Binning = equal_width) -> float:
    """Return what the error would be, in the mean, if these probabilities were exactly right."""
    bins = binning(chances)
    off = chances - (dice.random((REDRAWN, len(chances))) < chances)
    return float(np.mean([np.abs(np.bincount(bins, weights=one)).sum() for one in off])) / len(chances)


def interval(chances: Floats, labels: Truths, patients: Sequence[str], dice: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % interval of the error, patients resampled.

    It is turned about the error itself (the basic bootstrap): a resample holds cases twice, which alone makes its error larger.
    """
    keys = np.unique(patients, return_inverse=True)[1]
    images = [np.flatnonzero(keys == one) for one in range(keys.max() + 1)]
    drawn = [np.concatenate([images[one] for one in dice.integers(len(images), size=len(images))]) for _ in range(REDRAWN)]
    low, high = np.quantile([ece(chances[one], labels[one]) for one in drawn], (0.025, 0.975))
    found = ece(chances, labels)
    return max(0.0, 2 * found - high), 2 * found - low


@dataclass(frozen=True)
class People:
    """Embeddings [N, D], labels [N] and patient keys [N] of one split."""

    embeddings: Singles
    labels: Truths
    patients: tuple[str, ...]


def embedded(features: backbone.Features, candidates: Sequence[Candidate], source: Radiographs | Pictures, what: str) -> Singles:
    """Return embeddings of images that go the way of any other: through a DICOM object and the product's preparation."""
    parts = []
    for start in range(0, len(candidates), 64):
        if start % 640 == 0:
            say(f"{what}: {start} of {len(candidates)} images")
        parts.append(backbone.embed(features, prepared(source, candidates[start : start + 64])))
    found = np.concatenate(parts)
    if len(found) != len(candidates) or not np.isfinite(found).all() or len(np.unique(found, axis=0)) < len(found) * 0.9:
        raise SystemExit(f"{what}: the backbone did not look at them")
    return found


def halves(people: People) -> list[Truths]:
    """Return 50 random halves as masks [N]: patients whole, exactly 156 images each."""
    dice, keys = np.random.default_rng(SEED), np.asarray(people.patients)
    found = []
    while len(found) < HALVES:
        mask = np.zeros(len(keys), dtype=np.bool_)
        for patient in dice.permutation(np.unique(keys)):
            if mask.sum() + (keys == patient).sum() <= HALF:
                mask |= keys == patient
        if mask.sum() == HALF and not set(keys[mask]) & set(keys[~mask]):
            found.append(mask)
    return found


def thinned(mask: Truths, labels: Truths, dice: np.random.Generator) -> Truths:
    """Return a half with all its negatives and so many of its positives that they are a tenth."""
    wanted = round(int((mask & ~labels).sum()) * RARE / (1 - RARE))
    kept = mask & ~labels
    kept[dice.choice(np.flatnonzero(mask & labels), wanted, replace=False)] = True
    return kept


class Account:
    """Sums figures up over the halves; what is told are their means."""

    def __init__(self) -> None:
        self._seen: dict[str, list[float]] = {}

    def note(self, **values: float) -> None:
        """Take the values of one half."""
        for name, value in values.items():
            self._seen.setdefault(name, []).append(float(value))

    def told(self) -> dict[str, float]:
        """Return the means over the halves, each of which must have given every figure."""
        if {len(values) for values in self._seen.values()} != {HALVES}:
            raise SystemExit("a half is missing from a figure")
        return {name: round(float(np.mean(values)), 4) for name, values in self._seen.items()}


def calibrated(scores: Floats, people: People) -> dict[str, float]:
    """Measure calibration before and after, at the site's own mix and at 10 %, over the halves."""
    account, dice, labels, patients = Account(), np.random.default_rng(SEED + 1), people.labels, np.asarray(people.patients)
    redraw = np.random.default_rng(SEED + 2)
    for mask in halves(people):
        fitted = fit_platt(scores[mask], labels[mask])
        other = ~mask
        chances = fitted.probability(scores[other])
        _compare(account, "", scores[other], labels[other], chances, dice)
        low, high = interval(chances, labels[other], patients[other], redraw)
        account.note(
            ece_after_low=low, ece_after_high=high, patients_measured=len(np.unique(patients[other])),
            images_fitted=mask.sum(), positives_fitted=labels[mask].sum(), images_measured=other.sum(),
            positives_measured=labels[other].sum(), slope=fitted.slope, offset=fitted.offset, prevalence_fitted=fitted.prevalence,
        )
        few, rare = thinned(mask, labels, dice), thinned(other, labels, dice)
        moved, own = fitted.at(RARE), fit_platt(scores[few], labels[few])
        chances = moved.probability(scores[rare])
        _compare(account, "_at_10_percent", scores[rare], labels[rare], chances, dice)
        low, high = interval(chances, labels[rare], patients[rare], redraw)
        left, again = fitted.probability(scores[rare]), own.probability(scores[rare])
        account.note(
            ece_after_low_at_10_percent=low, ece_after_high_at_10_percent=high,
            patients_measured_at_10_percent=len(np.unique(patients[rare])), ece_offset_not_moved_at_10_percent=ece(left, labels[rare]),
            ece_fitted_at_10_percent=ece(again, labels[rare]),
            ece_floor_fitted_at_10_percent=floor(again, dice), images_fitted_at_10_percent=few.sum(),
            positives_fitted_at_10_percent=labels[few].sum(), images_measured_at_10_percent=rare.sum(),
            positives_measured_at_10_percent=labels[rare].sum(), mean_raw_at_10_percent=sigmoid(scores[rare]).mean(),
            mean_offset_not_moved_at_10_percent=left.mean(), mean_moved_at_10_percent=chances.mean(),
            mean_fitted_at_10_percent=again.mean(), prevalence_measured_at_10_percent=labels[rare].mean(),
        )
    told = account.told()
    for suffix in ("", "_at_10_percent"):
        for binned in ("", "_equal_mass"):
            after, at_least = told[f"ece_after{suffix}{binned}"], told[f"ece_floor{suffix}{binned}"]
            told[f"ece_after_minus_floor{suffix}{binned}"] = round(after - at_least, 4)
    told["ece_fitted_minus_floor_at_10_percent"] = round(told["ece_fitted_at_10_percent"] - told["ece_floor_fitted_at_10_percent"], 4)
    return told


def brier_skill(chances: Floats, labels: Truths) -> float:
    """Return the Brier skill score over the prevalence itself, told of everybody: 0 knows nothing, 1 knows all (Brier 1950; Murphy 1973).

    Beside the calibration error, which a constant may have as low as anybody.
    """
    prevalence = labels.mean()
    return float(1 - np.mean((chances - labels) ** 2) / (prevalence * (1 - prevalence)))


def _compare(account: Account, suffix: str, scores: Floats, labels: Truths, chances: Floats, dice: np.random.Generator) -> None:
    for binned, binning in (("", equal_width), ("_equal_mass", equal_mass)):
        account.note(**{
            f"ece_before{suffix}{binned}": ece(sigmoid(scores), labels, binning),
            f"ece_after{suffix}{binned}": ece(chances, labels, binning), f"ece_floor{suffix}{binned}": floor(chances, dice, binning),
        })
    account.note(**{f"brier_skill_after{suffix}": brier_skill(chances, labels)})


class Distances:
    """The product's distance and, as a peer, scikit-learn's nearest neighbours: the tenth, among embeddings of length one (Sun 2022)."""

    def __init__(self, known: Singles, held_out: Singles, quantile: float) -> None:
        self.fitted = fit_distribution(known, quantile, held_out)
        self._near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(self._unit(known))

    @staticmethod
    def _unit(embeddings: Singles) -> Singles:
        return np.asarray(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True))

    def of(self, embeddings: Singles) -> dict[str, Floats]:
        """Return both distances [N]."""
        return {"mahalanobis": self.fitted.distance(embeddings),
                "knn": self._near.kneighbors(self._unit(embeddings))[0][:, -1].astype(np.float64)}


def strange(train: Singles, people: People, strangers: dict[str, Singles], quantile: float) -> dict[str, float]:
    """Measure how well both distances tell strangers from the children of the test split, and how many the threshold stops."""
    split = halves(people)
    distances = Distances(train, people.embeddings[split[0]], quantile)
    known = distances.of(people.embeddings)
    # The product's threshold is this quantile of distances of cases not fitted on; so it need not be fitted anew for each half.
    if not np.isclose(distances.fitted.threshold, np.quantile(known["mahalanobis"][split[0]], quantile)):
        raise SystemExit("the product puts its threshold elsewhere than this benchmark thinks")
    told = dict[str, float]()
    for kind, embeddings in strangers.items():
        far = distances.of(embeddings)
        for method, near in known.items():
            truth = np.repeat([False, True], [len(near), len(far[method])])
            if len(embeddings) >= FEWEST:
                told[f"ood_auroc_{kind}_{method}"] = round(float(roc_auc_score(truth, np.concatenate([near, far[method]]))), 4)
            beyond = [float((far[method] > np.quantile(near[mask], quantile)).mean()) for mask in split]
            told[f"refused_by_score_{kind}_{method}"] = round(float(np.mean(beyond)), 4)
        told[f"count_{kind}"] = len(embeddings)
    for method, near in known.items():
        alarms = [float((near[~mask] > np.quantile(near[mask], quantile)).mean()) for mask in split]
        told[f"refused_by_score_children_{method}"] = round(float(np.mean(alarms)), 4)
    return told


def tags(adults: Sequence[Sample]) -> dict[str, float]:
    """Hold every adult among the samples against the product's rule on age, as if the object were a frontal chest radiograph."""
    if refused(5.0) or not refused(None):
        raise SystemExit("the rule on age refuses a child, or takes an unknown age for fit: its refusals would say nothing")
    ages = [age_as_read(one) for one in adults]
    reasons = [refused(age) for age in ages]
    for one, reason in zip(adults, reasons, strict=True):
        if not reason.startswith("PatientAge"):
            say(f"NOT refused by tag: {one.name}")
    stopped = sum(reason.startswith("PatientAge") for reason in reasons)
    return {
        "adult_samples": len(adults), "adult_samples_refused_by_tag": stopped, "refused_by_tag": stopped / len(adults),
        "adult_samples_refused_as_age_unknown": sum(age is None for age in ages),
    }


def seen(features: backbone.Features, found: Sequence[Sample]) -> Singles:
    """Return embeddings of DICOM files as inference would prepare them; it prepares nothing that is blank or damaged."""
    images = []
    for one in found:
        with suppress(DicomError):
            images.append(prepare_file(one.file, 1, IMAGENET))
    return backbone.embed(features, np.stack(images))


def strangers(
    features: backbone.Features, data: Path, source: Radiographs, test: Sequence[Candidate], found: Sequence[Sample],
) -> dict[str, Singles]:
    """Return embeddings of every kind of image that is not a child's frontal chest radiograph, upright and as films are.

    Three kinds beside them are: the test children compressed once more, as those that were inverted or turned are; and children whose
    films came another way, compressed like those that trained, and not.
    """
    children = [source.pixels(one.image) for one in test]
    dice = np.random.default_rng(SEED)
    again = twins(data)
    noise = dice.normal(0.5, 0.2, size=(100, 224, 224)).clip(0, 1).astype(np.float32)
    kinds = {
        "covid_collection": covid(data),
        "inverted": [compressed(1 - one.astype(np.float32) / 255) for one in children],
        "rotated_90": [compressed(np.rot90(one).astype(np.float32) / 255) for one in children],
        "rotated_180": [compressed(np.rot90(one, 2).astype(np.float32) / 255) for one in children],
        "noise": [compressed(one) for one in noise],
        "non_chest": [compressed(frame_grey(one.dataset)) for one in pictures(found, NOT_CHEST)],
        "children_compressed_again": [compressed(one.astype(np.float32) / 255) for one in children],
        "children_other_path": [compressed(one) for one in again],
        "children_not_compressed": [resized(one) for one in again],
    }
    embeddings = {}
    for kind, images in kinds.items():
        numbered = [Candidate("", positive=False, image=str(place)) for place in range(len(images))]
        embeddings[kind] = embedded(features, numbered, Pictures(images), kind)
    return embeddings


def main() -> int:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--train", type=int, default=0, help="training images, drawn at random (default: all)")
    args = options.parse_args()
    data, plan = Path(os.environ.get("RADLOOP_DATA") or DATA), load_plan()
    source, features = Radiographs(data), backbone.load()
    rows = [Candidate(patient, positive, image) for patient, positive, images in source.training() for image in images]
    if args.train:
        rows = [rows[place] for place in sorted(np.random.default_rng(SEED).choice(len(rows), args.train, replace=False))]
    test = source.test()
    if {one.patient for one in rows} & {one.patient for one in test}:
        raise SystemExit("a patient both trains and measures")
    same_form(data, [one.image for one in rows[::100]])
    trained = embedded(features, rows, source, "training")
    people = People(
        embedded(features, test, source, "test"), np.array([one.positive for one in test]), tuple(one.patient for one in test),
    )
    recipe = Recipe(plan.training.members, plan.training.penalty, plan.training.seed)
    say(f"{recipe.members} heads are trained on {len(rows)} labels")
    snapshot = take(
        (Row(case_id=one.image, patient_key=one.patient, finding=PNEUMONIA.value, present=one.positive, weight=1.0, source="reader",
             drawn="seed"), embedding)
        for one, embedding in zip(rows, trained, strict=True)
    )
    began = time.perf_counter()
    scores = train_heads(snapshot, (PNEUMONIA.value,), recipe).mean(people.embeddings)[:, 0]
    say(f"trained in {time.perf_counter() - began:.0f} s")
    figures = {
        "train_images": len(rows), "train_positives": sum(one.positive for one in rows), "train_patients": len(snapshot.patients),
        "test_images": len(test), "test_positives": int(people.labels.sum()), "test_patients": len(set(people.patients)),
        "halves": HALVES, "auc": round(float(roc_auc_score(people.labels, scores)), 4), **calibrated(scores, people),
    }
    say(f"ECE {figures['ece_before']} before, {figures['ece_after']} after, floor {figures['ece_floor']}")
    found = list(samples(data))
    adults = adult_samples(found)
    figures |= tags(adults)
    kinds = strangers(features, data, source, test, found)
    # The very objects whose tags were held against the rule. Most are thumbnails, or one picture in several syntaxes: then without those.
    kinds |= {
        "adult_samples": seen(features, adults), "adult_pictures": seen(features, pictures(adults, (*READS.modalities, *NOT_CHEST))),
        "adult_chests": seen(features, pictures(adults, READS.modalities)),
    }
    figures |= strange(trained, people, kinds, plan.calibration.distribution_quantile)
    figures["refused_by_score"] = figures["refused_by_score_adult_samples_mahalanobis"]
    figures["lateral_found"] = laterals(found)
    if figures["lateral_found"] < LATERALS_NEEDED:
        say(f"lateral films: not measured ({figures['lateral_found']} found, {LATERALS_NEEDED} needed)")
    if figures["auc"] < 0.9 or figures["ood_auroc_noise_mahalanobis"] < 0.9:
        raise SystemExit("the model that was measured tells neither sick from well nor film from noise: something was not done")
    ratios = {
        f"ood_auroc_{kind}_mahalanobis_over_knn": figures[f"ood_auroc_{kind}_mahalanobis"] / figures[f"ood_auroc_{kind}_knn"]
        for kind, embeddings in kinds.items() if len(embeddings) >= FEWEST and not kind.startswith("children")
    }
    return finish("calibration", figures, ratios, ("scikit-learn",), GOALS)


if __name__ == "__main__":
    raise SystemExit(main())
