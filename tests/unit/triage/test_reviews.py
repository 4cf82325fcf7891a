"""Which answers triage asks for: how many, about which finding, how drawn, and with what probability."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
import pytest
from examples.shared import CASE, PNEUMONIA, READER, SITE, at, completed, envelope, ordered, predicted, prediction
from hypothesis import given
from hypothesis import strategies as st

from radloop.events.common import Code
from radloop.events.prediction import PredictionMade
from radloop.events.report import ReportSigned
from radloop.events.triage import ReviewRequested
from radloop.kit.flow import Event, Record
from radloop.triage.adapters.policy import read_policy
from radloop.triage.domain.case import Case, entropy, label_value, reading_of
from radloop.triage.domain.policy import Policy
from radloop.triage.domain.selection import Asked, Candidate, candidate, draw
from radloop.triage.handlers import RequestReviews, consider_review, request_reviews, routes, sign, take_order, take_prediction
from tests.unit.triage.test_triage import NoPool

POLICY: Policy = read_policy()
RATE = POLICY.reviews.live_share * POLICY.reviews.audit_share
EFFUSION = Code(system="http://snomed.info/sct", value="60046008", display="Pleural effusion")


def candidates(count: int) -> tuple[Candidate, ...]:
    """Build a pool whose probabilities run from 0 to 1."""
    chance = np.random.default_rng(7)
    return tuple(
        Candidate(
            case_id=f"case-{index:04d}", finding=PNEUMONIA, probability=index / (count - 1), model="chest", version=1,
            embedding=tuple(chance.normal(size=4)),
        )
        for index in range(count)
    )


def read(case_id: str, probability: float = 0.5, name: str = "") -> PredictionMade:
    """Build the reading of one live case."""
    return PredictionMade(**envelope(name or f"read-{case_id}", 66, case_id), prediction=prediction(probability))


def asked_of(events: Iterable[PredictionMade], known: Case | None = None) -> list[ReviewRequested]:
    """Run a day of readings; return what was asked for."""
    asked: Asked | None = None
    requests: list[Event] = []
    for event in events:
        decision = consider_review((event, known), asked, POLICY)
        if isinstance(decision, Record):
            asked = decision.state
            requests += decision.emit
    return [one for one in requests if isinstance(one, ReviewRequested)]


def kept(decision: object) -> Case:
    """Return the case that a decision keeps."""
    assert isinstance(decision, Record)
    assert isinstance(decision.state, Case)
    return decision.state


@cache
def audited() -> str:
    """Return a case on which the audit's lot falls."""
    return next(name for name in map(str, range(1000)) if asked_of([read(name, 0.0)]))


def test_a_batch_is_mostly_chosen_and_one_part_in_seven_a_random_audit() -> None:
    """15 % of the requests are drawn at random from all, with their probability; the rest are near the margin."""
    drawn = draw(candidates(200), 20, 0.15, seed=3)
    audits, chosen = [one for one in drawn if one.drawn == "audit"], [one for one in drawn if one.drawn == "chosen"]
    assert (len(audits), len(chosen)) == (3, 17)
    assert {one.probability for one in audits} == {3 / 200}
    assert all(abs(one.candidate.probability - 0.5) < 0.5 for one in chosen)
    assert drawn == draw(candidates(200), 20, 0.15, seed=3) != draw(candidates(200), 20, 0.15, seed=4)


def test_audit_requests_hide_the_ai_and_nothing_is_asked_twice() -> None:
    """An audit is answered with the AI hidden; a second batch asks about other cases."""
    command = RequestReviews(id="ask", subject="pool", site=SITE, at=at(0), actor=READER, count=20, seed=1)
    first = request_reviews((command, candidates(60)), None, POLICY)
    assert isinstance(first, Record)
    assert all(isinstance(one, ReviewRequested) and one.ai_hidden == (one.drawn == "audit") for one in first.emit)
    second = request_reviews((replace(command, id="ask-2"), candidates(60)), first.state, POLICY)
    assert isinstance(second, Record)
    assert not {one.subject for one in first.emit} & {one.subject for one in second.emit}


def test_no_more_are_chosen_in_a_day_than_the_policy_allows() -> None:
    """On a day on which each case would teach more than all before it the budget is spent, and no more; the next day has its own."""
    days = [
        replace(read(f"case-{day}-{index}", 0.01 + index / 1000), at=at(66) + timedelta(days=day)) for day in (0, 1) for index in range(400)
    ]
    asked = asked_of(days)
    for day in (0, 1):
        of_day = [one.drawn for one in asked if one.subject.startswith(f"case-{day}-")]
        assert "chosen" in of_day
        spent = next(at for at, _ in enumerate(of_day) if at + 1 >= POLICY.reviews.live_per_day)
        assert set(of_day[spent + 1:]) <= {"audit"}, "after the budget only the audit goes on"


def test_the_audit_goes_on_when_the_budget_is_spent_and_its_probability_is_true() -> None:
    """Of cases that come late in the day as many are drawn as of any others: as many as the recorded probability says."""
    day = [read(f"case-{index}", 0.5 - index / 100_000) for index in range(4000)]
    audits = [one for one in asked_of(day) if one.drawn == "audit"]
    assert {one.drawn_probability for one in audits} == {RATE}
    places = np.array([int(one.subject.removeprefix("case-")) for one in audits])
    for half in (places < 2000, places >= 2000):
        assert abs(half.sum() / 2000 - RATE) < 3 * np.sqrt(RATE / 2000)


def test_a_live_case_is_considered_once() -> None:
    """A second reading of it is no second lot; the first, handled again after a crash, is the same one."""
    case = audited()
    first = read(case)
    known = kept(take_prediction(first, None, POLICY))
    assert len(asked_of([first], known)) == 1
    assert asked_of([read(case, name="again")], known) == []


@pytest.mark.parametrize("end", [
    kept(sign(ReportSigned(**envelope("signed", 60), signed_at=at(60), signer="r", findings=()), None)),
    kept(take_order(ordered(change="cancelled", status="cancelled"), None, POLICY)),
], ids=["signed", "cancelled"])
def test_nobody_is_asked_about_a_case_that_nobody_will_open(end: Case) -> None:
    """A reading that comes after the signature or the cancel is known, and asks for nothing."""
    assert asked_of([read(audited())], end) == []
    assert asked_of([read("any", 0.5)], end) == []


def test_an_audit_of_a_case_that_the_ai_lifts_is_not_called_blind() -> None:
    """The list shows the lift and its reason: the case is drawn like any other, with the same probability, AI shown."""
    (asked,) = asked_of([read(audited(), 0.93)])
    assert (asked.drawn, asked.drawn_probability, asked.ai_hidden) == ("audit", RATE, False)
    (asked,) = asked_of([read(audited(), 0.93)], kept(take_order(ordered(priority="asap"), None, POLICY)))
    assert (asked.drawn, asked.ai_hidden) == ("audit", True), "a clinician's ASAP is not lifted"


def test_an_audit_is_asked_for_before_the_place_is_said() -> None:
    """A row of the list shows what a model said with the place: by then the list knows what to hide."""
    heard = [route.name for route in routes(POLICY, NoPool()) if route.hears is PredictionMade]
    assert heard == ["consider_review", "take_prediction"]


def test_a_request_names_the_finding_that_carries_its_value() -> None:
    """Of several findings the most uncertain one is asked about, and its entropy is the label value, here as in the place."""
    sure, unsure = prediction(0.97).findings[0], replace(prediction(0.45).findings[0], code=EFFUSION)
    event = replace(predicted(), prediction=replace(prediction(), findings=(sure, unsure)))
    (asked,) = asked_of([event])
    assert (asked.finding, asked.label_value) == (EFFUSION, entropy(0.45))
    reading = reading_of(event.prediction, event.id)
    pooled = candidate(CASE, reading)
    assert pooled is not None
    assert (pooled.finding, pooled.label_value) == (EFFUSION, label_value(reading))
    place = replace(kept(take_prediction(event, None, POLICY)), arrived_at=completed().at, revision=1).place(POLICY)
    assert place is not None
    assert place.uncertainty == asked.label_value


def test_where_the_model_said_of_no_finding_nothing_is_asked() -> None:
    """There is nothing to answer."""
    assert asked_of([replace(predicted(), prediction=replace(prediction(), findings=()))]) == []


@given(st.floats(0, 1))
def test_entropy_is_a_number_of_bits(probability: float) -> None:
    """From 0 (certain) to 1 (one half)."""
    assert 0 <= entropy(probability) <= 1
