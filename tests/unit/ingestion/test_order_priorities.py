"""Whose word a priority is: an undefined code loses no order and lowers none, and an echo of our own change is no clinician's."""

from dataclasses import replace
from typing import Any

import pytest

from examples.ingestion import CHILD, ORDER, TO, heard
from examples.shared import at
from radloop.events.order import OrderRecorded
from radloop.ingestion.domain.chart import Chart
from radloop.ingestion.handlers import Acknowledged, TakeMessage, take_message
from radloop.kit.flow import Decision, Record
from radloop.standards.hl7.write import Interface, order_message
from tests.unit.ingestion.story import RULES, Hospital, code_of

OURS = replace(TO, sending_app="RADLOOP")


def coded(code: str, to: Interface = TO, control: str = "NW", seconds: float = 0, **changes: Any) -> TakeMessage:
    """An order whose priority is this code, wherever the version puts it."""
    raw = order_message(to, f"{control}{seconds}", at(seconds), CHILD, replace(ORDER, control_code=control, priority="routine", **changes))
    return heard(raw.replace(b"1^^^^^R", b"1^^^^^" + code.encode()).replace(b"||R^Routine^HL70485", b"||" + code.encode()), seconds)


def answer_of(decision: Decision[Chart]) -> Acknowledged:
    """What the sender is told."""
    assert isinstance(decision, Record)
    assert isinstance(decision.answer, Acknowledged)
    return decision.answer


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])
def test_an_order_with_an_undefined_priority_is_taken_as_asap_and_said(hospital: Hospital, version: str) -> None:
    """AA, for an order is never lost for that; a warning with its place, and no value of the message."""
    told = answer_of(decision := hospital.settle(coded("Q7", replace(TO, version=version))))
    assert code_of(decision) == "AA"
    assert hospital.last(OrderRecorded).order.priority == "asap"
    place = "TQ1-9" if version == "2.5.1" else "ORC-7"
    assert told.undefined == (place,)
    assert f"MSA|AA|NW0|Table value not found at {place}" in told.message.decode()
    assert (b"ERR||TQ1^1^9|103^Table value not found^HL70357|W||||the priority is neither" in told.message) == (version == "2.5.1")
    assert b"Q7" not in told.message


def test_a_known_priority_is_answered_without_a_warning(hospital: Hospital) -> None:
    """What the standard defines is nothing to speak of."""
    told = answer_of(hospital.settle(coded("A")))
    assert told.undefined == ()
    assert b"ERR" not in told.message


@pytest.mark.parametrize(("before", "after"), [("stat", "stat"), ("asap", "asap"), ("routine", "asap")])
def test_a_change_to_an_undefined_priority_lowers_nothing(hospital: Hospital, before: str, after: str) -> None:
    """It may mean more than it seems, and never less than what stood."""
    hospital.order(0, priority=before)
    hospital.settle(coded("Q7", control="XO", seconds=60))
    assert hospital.last(OrderRecorded).order.priority == after


def test_a_site_names_its_own_priorities() -> None:
    """As data: a code of its own, and another meaning of a standard one."""
    rules = replace(RULES, origin=replace(RULES.origin, priorities=(("Q7", "stat"), ("S", "routine"))))
    said = []
    for code in ("q7", "S"):
        decision = take_message(coded(code), Chart(salt="salt"), rules)
        assert answer_of(decision).undefined == ()
        said += [event.order.priority for event in decision.emit]  # type: ignore[union-attr]
    assert said == ["stat", "routine"]


@pytest.mark.parametrize(("own", "asked"), [("routine", "asap"), ("asap", "routine")])
@pytest.mark.parametrize("where", ["MSH-3", "ORC-19"])
def test_the_echo_of_our_own_change_is_no_clinicians_priority(hospital: Hospital, own: str, asked: str, where: str) -> None:
    """Sent on to us by the engine, or told by the RIS as done by us: the clinician's own priority stands, the rest is taken."""
    hospital.order(0, priority=own)
    hospital.settle(echo(asked, where))
    told = hospital.last(OrderRecorded).order
    assert (told.priority, told.indication) == (own, "fever")


@pytest.mark.parametrize("where", ["MSH-3", "ORC-19"])
def test_a_stat_is_a_clinicians_whoever_passes_it_on(hospital: Hospital, where: str) -> None:
    """We never ask for STAT, so it cannot be our echo."""
    hospital.order(0)
    hospital.settle(echo("stat", where))
    assert hospital.last(OrderRecorded).order.priority == "stat"


def test_a_clinicians_change_to_the_same_class_is_theirs(hospital: Hospital) -> None:
    """Only what names us is an echo."""
    hospital.order(0)
    hospital.order(60, code="XO", priority="asap")
    assert hospital.last(OrderRecorded).order.priority == "asap"


def echo(priority: Any, where: str) -> TakeMessage:
    """The change of priority that we asked for, as it comes back to our own door."""
    order = replace(ORDER, control="changed", control_code="XO", priority=priority, indication="fever")
    raw = order_message(OURS if where == "MSH-3" else TO, "E1", at(60), CHILD, order)
    if where == "ORC-19":
        orc = next(line for line in raw.split(b"\r") if line.startswith(b"ORC"))
        raw = raw.replace(orc, orc + b"|" * (19 - orc.count(b"|")) + b"RADLOOP^Interface")
    return heard(raw, 60)


def test_a_message_dated_in_the_future_silences_none_that_follow() -> None:
    """A sender's clock that ran ahead for one message is not believed beyond the instant at which that came."""
    hospital = Hospital()
    hospital.order(0, said=400 * 86_400)
    hospital.order(60, "XO", priority="stat")
    hospital.order(120, "XO", priority="routine")
    assert hospital.last(OrderRecorded).order.priority == "routine"
