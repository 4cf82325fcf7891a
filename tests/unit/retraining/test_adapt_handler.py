"""What retraining decides when confirmed masks are handed over: a cycle, or which one thing stands against it."""

import json
from dataclasses import replace

import pytest
from examples.retraining import asked
from tests.examples import elsewhere
from tests.examples.segmenting import segmenter, tiny_decoder, tiny_encoder

from radloop.kit.flow import Record, Skip
from radloop.retraining.adapters.package import assemble_segmenter, pack
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.adapters.repository import offered
from radloop.retraining.domain.book import Book
from radloop.retraining.domain.commands import Adapt, Started
from radloop.retraining.domain.plan import Plan
from radloop.retraining.handlers import adapt
from radloop.retraining.ports import Offered

PLAN = load_plan()


def masks(model: str = "lungs") -> Adapt:
    """Build the command that hands masks over."""
    return Adapt(**{**asked("adapt"), "subject": model}, masks="4" * 64, images=90)


def learning() -> Book:
    """Return the book of a segmenter whose first cycle runs."""
    decision = adapt((masks(), None), None, PLAN)
    assert isinstance(decision, Record) and decision.state is not None
    return decision.state


def test_a_cycle_of_its_own_starts() -> None:
    """The job is told the masks, and nothing of a predecessor where none serves; a segmenter that was added is no hindrance."""
    known = offered(pack(assemble_segmenter(segmenter(), tiny_decoder(), tiny_encoder())))
    decision = adapt((masks(), known), None, PLAN)
    assert isinstance(decision, Record)
    [job] = decision.jobs
    told = json.loads(job.spec)
    assert (job.name, told["model"], told["masks"], told["predecessor"]) == ("adapt", "lungs", "4" * 64, "")
    assert decision.answer == Started(cycle_id=job.job_id)


@pytest.mark.parametrize(("command", "latest", "book", "plan", "why"), [
    (masks(), None, None, replace(PLAN, outlines=None), "no section `outlines`"),
    (masks("chest"), None, None, PLAN, "chest is the classifier, which learns from answers"),
    (masks("adult-chest"), offered(pack(elsewhere.files())), None, PLAN, "adult-chest is a classifier that was added"),
    (masks(), None, learning(), PLAN, "a cycle is running"),
])
def test_what_stands_against_it_is_answered(command: Adapt, latest: Offered | None, book: Book | None, plan: Plan, why: str) -> None:
    """At once, and nothing is kept of it."""
    decision = adapt((command, latest), book, plan)
    assert isinstance(decision, Skip)
    assert why in decision.reason
    assert decision.answer == Started(cycle_id="", reason=decision.reason)
