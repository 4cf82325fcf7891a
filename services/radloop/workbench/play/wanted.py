"""What is wanted of a play: its options, checked, and the words in which it is announced."""

import argparse
from dataclasses import dataclass

from radloop.kit.errors import Misconfigured
from radloop.retraining.domain.plan import GatePlan
from radloop.workbench.hospital.cohort import Cohort
from radloop.workbench.hospital.planning import HOUR, lasts
from radloop.workbench.hospital.tempo import Tempo

FIRST_ROUND, SECOND_ROUND = 75, 25


@dataclass(frozen=True)
class Wanted:
    """What is to be played; `play` makes other people and numbers of the same seed."""

    seed: int
    studies: int
    pool: int
    prevalence: float
    radiologists: int
    anchoring: float
    tempo: Tempo
    ai: bool
    play: int = 0

    @property
    def rounds(self) -> tuple[int, int]:
        """Return how many answers are asked before the morning and in it: a small pool is asked for its share."""
        whole = FIRST_ROUND + SECOND_ROUND
        if not self.ai:
            return 0, 0
        return min(FIRST_ROUND, self.pool * FIRST_ROUND // whole), min(SECOND_ROUND, self.pool * SECOND_ROUND // whole)


def wanted_of(args: argparse.Namespace, play: int = 0) -> Wanted:
    """Return what the options ask for; raise Misconfigured where they make no morning."""
    if args.seed < 0:
        raise Misconfigured("--seed takes a number that is not negative")
    if args.radiologists < 1:
        raise Misconfigured("--radiologists takes at least 1: somebody has to read the list")
    if not 0 <= args.anchoring <= 1:
        raise Misconfigured("--anchoring is a share between 0 and 1: how often a wrong answer on the screen is followed")
    return Wanted(
        seed=args.seed, studies=args.studies, pool=args.pool, prevalence=args.prevalence, radiologists=args.radiologists,
        anchoring=args.anchoring, tempo=Tempo(args.speed), ai=not args.no_ai, play=play,
    )


def introduction(source: str, told: Wanted, cohort: Cohort, gate: GatePlan) -> tuple[str, ...]:
    """Return what will be played, and why more earlier studies come than the pool has: most are there to judge, not to teach."""
    count = len(cohort.morning) + len(cohort.irregular)
    hours = lasts(count, told.radiologists) / HOUR
    morning = (
        (f"{source}, seed {told.seed}: a morning of {len(cohort.morning)} ordinary studies and {len(cohort.irregular)} irregular ones"
         f" in {hours:.1f} simulated hours, {told.radiologists} reader{'s' * (told.radiologists != 1)}"),
        (f"    a real second is {told.tempo.speed:g} simulated ones (--speed), so a second of computing counts as {told.tempo.speed:g};"
         " time-outs and back-off are real"),
    )
    if not told.ai:
        return (*morning, "    without a model (--no-ai): the list is first in, first out")
    earlier = len(cohort.pool) + len(cohort.acceptance) + len(cohort.gate)
    return (
        *morning,
        f"    before it {len(cohort.seeds)} labels to begin with, and {earlier} earlier studies:",
        f"    {len(cohort.pool)} earlier studies are the pool: readers are asked about some of these (--pool)",
        f"    {len(cohort.acceptance)} are the acceptance set: their signed reports calibrate every new version",
        f"    {len(cohort.gate)} are the gate set: they decide on every release; however small the pool is, the change-control plan asks",
        f"      for {gate.positives_at_least} positives and {gate.negatives_at_least} negatives",
    )
