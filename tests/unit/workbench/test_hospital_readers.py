"""Simulated radiologists: they err at rates of their own, on the same hard cases, and follow a wrong machine as often as told."""

from dataclasses import dataclass

import numpy as np
import pytest

from radloop.workbench.hospital.readers import CONSENSUS, Opinion, Radiologist, Skill, hardness, staff

CASES = tuple(f"A{number:07d}" for number in range(6000))
TRUTH = {case: place % 5 == 0 for place, case in enumerate(CASES)}


def errors(reader: Radiologist) -> tuple[float, float]:
    """Return the share of positives called absent and of negatives called present, of those the reader could say."""
    said = {case: reader.opinion(case) for case in CASES}
    return tuple(  # type: ignore[return-value]  # two of them
        float(np.mean([said[case] == wrong for case in CASES if TRUTH[case] == positive and said[case] != "cannot-say"]))
        for positive, wrong in ((True, "absent"), (False, "present"))
    )


def errs_as_stated(reader: Radiologist) -> bool:
    """Say whether a reader's errors are those of their skill, within sampling error."""
    missed, false_alarms = errors(reader)
    return abs(missed - (1 - reader.skill.sensitivity)) < 0.02 and abs(false_alarms - (1 - reader.skill.specificity)) < 0.02


@pytest.mark.parametrize("reader", staff(7, 3, TRUTH, 0.2), ids=lambda one: one.name)
def test_a_reader_errs_as_their_skill_says(reader: Radiologist) -> None:
    """Sensitivity and specificity over many cases are the reader's own, and neither is perfect."""
    assert errs_as_stated(reader)
    assert min(errors(reader)) > 0.005


def test_a_reader_who_copies_the_truth_is_found() -> None:
    """The check bites: a reader that only repeats the truth does not err as stated."""
    @dataclass(frozen=True)
    class Copier(Radiologist):
        def opinion(self, accession: str) -> Opinion:
            return "present" if self.truth[accession] else "absent"

    assert not errs_as_stated(Copier("copier", 7, TRUTH))


def test_readers_differ() -> None:
    """Everybody has a skill and a pace of their own."""
    assert len({reader.skill for reader in staff(7, 4, TRUTH, 0.2)}) == 4


def test_errors_gather_on_cases_that_are_hard_for_all() -> None:
    """Two readers err on the same case more often than by chance, and half of all errors lie on the hardest sixth."""
    one, other = staff(7, 2, TRUTH, 0.0)
    wrong = [
        np.array([reader.opinion(case) == ("absent" if TRUTH[case] else "present") for case in CASES]) for reader in (one, other)
    ]
    assert (wrong[0] & wrong[1]).mean() > 1.8 * wrong[0].mean() * wrong[1].mean()
    hard = np.array([hardness(7, case) > 0.84 for case in CASES])
    assert 0.4 < wrong[0][hard].sum() / wrong[0].sum() < 0.6


def test_readers_sometimes_cannot_say() -> None:
    """Seldom, and never the consensus of two."""
    reader = staff(7, 1, TRUTH, 0.0)[0]
    share = np.mean([reader.opinion(case) == "cannot-say" for case in CASES])
    assert share == pytest.approx(reader.skill.cannot_say, abs=0.008)
    assert all(Radiologist("consensus", 7, TRUTH, CONSENSUS).opinion(case) != "cannot-say" for case in CASES[:500])


@pytest.mark.parametrize("anchoring", [0.0, 0.2, 1.0])
def test_a_wrong_answer_on_the_screen_is_followed_as_often_as_told(anchoring: float) -> None:
    """Where the machine is wrong; where it is right, or nothing is shown, the reader's own opinion stands."""
    reader = Radiologist("r", 7, TRUTH, Skill(sensitivity=1.0, specificity=1.0, cannot_say=0.0), anchoring)
    wrong = {case: "absent" if TRUTH[case] else "present" for case in CASES}
    right = {case: "present" if TRUTH[case] else "absent" for case in CASES}
    followed = [reader.reads(case, wrong[case]) for case in CASES]
    assert np.mean([one.opinion == wrong[case] for one, case in zip(followed, CASES, strict=True)]) == pytest.approx(anchoring, abs=0.02)
    assert all(one.followed == (one.opinion == wrong[case]) for one, case in zip(followed, CASES, strict=True))
    assert all(reader.reads(case, shown).opinion == right[case] for case in CASES[:200] for shown in ("", right[case]))


def test_what_nobody_can_look_at_nobody_can_judge() -> None:
    """An image that cannot be decoded is answered with cannot-say."""
    reader = staff(7, 1, TRUTH, 1.0, frozenset({CASES[0]}))[0]
    assert reader.opinion(CASES[0]) == "cannot-say"


def test_the_same_question_gets_the_same_answer() -> None:
    """Opinions and durations depend on seed, reader and case alone."""
    one, again = staff(7, 1, TRUTH, 0.2)[0], staff(7, 1, TRUTH, 0.2)[0]
    assert [one.opinion(case) for case in CASES[:100]] == [again.opinion(case) for case in CASES[:100]]
    assert one.seconds(CASES[3]) == again.seconds(CASES[3])


def test_a_long_case_is_long_for_everybody() -> None:
    """So that the work of a morning hardly depends on who reads which, and two orders of reading can be held against each other."""
    one, other = staff(7, 2, TRUTH, 0.2)
    shares = {round(one.seconds(case) / other.seconds(case), 9) for case in CASES[:50]}
    assert shares == {round(one.skill.pace / other.skill.pace, 9)}


def test_reading_times_have_a_long_tail() -> None:
    """The mean lies above the median, and nothing takes no time."""
    reader = Radiologist("r", 7, TRUTH)
    seconds = np.array([reader.seconds(case) for case in CASES])
    assert seconds.min() > 30
    assert seconds.mean() > np.median(seconds)
    assert reader.seconds(CASES[0], review=True) < reader.seconds(CASES[0])
