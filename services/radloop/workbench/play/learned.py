"""What the answers were worth, measured on the test split through Triton, beside the same number of answers asked at random."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radloop.workbench.grpc import Version
from radloop.workbench.hospital.books import Books, Entry
from radloop.workbench.hospital.cohort import Cohort
from radloop.workbench.hospital.readers import Radiologist
from radloop.workbench.hospital.scores import Heard, Interval, area, gain
from radloop.workbench.hospital.sources import Source
from radloop.workbench.play.loop import Loop, prepared
from radloop.workbench.play.story import Learning, Point
from radloop.workbench.workshop import scored_on_random

AUDIT_SHARE = 0.15
"""The share of all requests that is answered with the AI hidden: of the random ones as of the chosen ones."""
DRAWS = 5
_CANNOT_SAY = 1.1  # so many more are drawn than are wanted, for those that a reader cannot answer


@dataclass(frozen=True)
class Before:
    """What the version of before said: of the test split, of the seeds, and of a random draw of the pool."""

    name: str
    labels: int
    test: Heard
    seeds: Heard
    drawn: tuple[Entry, ...]
    pool: Heard


class Measure:
    """Measures versions on the test split; it reports, and decides nothing."""

    def __init__(self, loop: Loop, source: Source, cohort: Cohort, books: Books, seed: int) -> None:
        self._loop, self._source, self._cohort, self._books, self._seed = loop, source, cohort, books, seed
        self._truth = np.array([one.positive for one in cohort.test])
        self._patients = [one.patient for one in cohort.test]
        self._images = prepared(source, cohort.test)

    def before(self, version: Version, name: str, answers: int) -> Before:
        """Hear a version out while it is loaded; `answers` is how many answers a whole play may bring."""
        rng = np.random.default_rng([self._seed, 0xC8])
        pool = [entry for entry in self._books.earlier if entry.part == "pool"]
        drawn = tuple(pool[int(place)] for place in rng.permutation(len(pool))[: round(answers * _CANNOT_SAY)])
        images = {one.image: one for one in self._cohort.pool}
        return Before(
            name, version.labels, self._loop.says(version.number, self._images, "the test split"),
            self._loop.says(version.number, prepared(self._source, self._cohort.seeds), "the seeds"), drawn,
            self._loop.says(
                version.number, prepared(self._source, [images[one.image] for one in drawn]), "a random draw of the pool",
            ),
        )

    def after(self, before: Before, versions: Sequence[Version], serving: int, readers: Sequence[Radiologist]) -> Learning:
        """Measure every version that was released, and heads trained on as many random answers as the serving one had."""
        points = [Point(before.name, before.labels, self._area([before.test.logits]))]
        last, labels = before.test.logits, before.labels
        for version in versions:
            heard = self._loop.says(version.number, self._images, "the test split")
            points.append(Point(f"version {version.number}", version.labels, self._area([heard.logits])))
            if version.number == serving:
                last, labels = heard.logits, version.labels
        arms = [self._random(before, labels - len(self._cohort.seeds), readers, draw) for draw in range(DRAWS)]
        scores = [one for one, _ in arms]
        points.append(Point("random labels", round(float(np.mean([count for _, count in arms]))), self._area(scores), random=True))
        return Learning(
            tuple(points), gain([before.test.logits], last, self._truth, self._patients, self._seed),
            gain(scores, last, self._truth, self._patients, self._seed), len(set(self._patients)), len(self._patients),
        )

    def _area(self, logits: Sequence[NDArray[np.float64]]) -> Interval:
        return area(logits, self._truth, self._patients, self._seed)

    def _random(
        self, before: Before, count: int, readers: Sequence[Radiologist], draw: int,
    ) -> tuple[NDArray[np.float64], int]:
        """Return the scores of heads trained on the seeds and so many answers asked at random, of the same readers and screen.

        Return also how many labels these were: a small pool may have fewer.
        """
        rng = np.random.default_rng([self._seed, 0xC9, draw])
        labels = [one.positive for one in self._cohort.seeds]
        places: list[int] = []
        for asked, place in enumerate(int(place) for place in rng.permutation(len(before.drawn))):
            if len(places) == count:
                break
            shown = "present" if before.pool.logits[place] >= 0 else "absent"
            hidden = float(rng.random()) < AUDIT_SHARE
            accession = before.drawn[place].order.accession
            said = readers[asked % len(readers)].reads(accession, "" if hidden else shown).opinion
            if said != "cannot-say":
                places.append(place)
                labels.append(said == "present")
        embeddings = np.concatenate([before.seeds.embeddings, before.pool.embeddings[places]])
        keys = [f"seed-{place}" for place in range(len(self._cohort.seeds))]
        keys += [before.drawn[place].order.patient.mrn for place in places]
        return scored_on_random(embeddings, np.array(labels), keys, before.test.embeddings), len(labels)
