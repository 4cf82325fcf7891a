"""What publishing decides to ask of the RIS: told as histories, asserted on what is to be sent."""

from dataclasses import replace

import hl7
import pytest
from examples.publishing import answered, joined, signed, triaged
from examples.shared import completed, order, ordered, predicted

from radloop.kit.flow import Input
from radloop.standards.hl7.write import control_id
from tests.unit.publishing.story import READ, Story, opened, order_of, second

LIFTED: tuple[Input, ...] = (*READ, triaged())


def test_a_lift_is_asked_of_the_ris_once() -> None:
    """ORM^O01 (XO) with both numbers, the raised code and the reason; triage saying it again asks nothing again."""
    story = Story().hear(*LIFTED, triaged(2, code=""))
    (delivery,) = [one for one in story.sent if one.receiver == "ris"]
    asked = order_of(delivery)
    assert (asked.orders[0].control_code, asked.orders[0].priority) == ("XO", "asap")
    assert (asked.orders[0].placer.value, asked.orders[0].filler.value) == ("PL-1", "FL-1")  # type: ignore[union-attr]
    assert asked.header.control_id == control_id(delivery.key)
    assert b"NTE|1|O|radloop triage; Pneumonia 0.93" in delivery.body
    published = next(said for said in story.said if said.receiver == "ris")
    assert (published.kind, published.outcome, published.priority_code) == ("priority", "delivered", "A")
    assert published.identifiers == (control_id(delivery.key),)


def test_a_change_of_priority_asserts_no_status_of_the_order() -> None:
    """How far the examination is (ORC-5, table 0038) is the RIS's to say: we know that it is active, and no more."""
    (delivery,) = [one for one in Story().hear(*LIFTED).sent if one.receiver == "ris"]
    (orc,) = hl7.parse(delivery.body.decode()).segments("ORC")
    assert (str(orc[1]), str(orc[5])) == ("XO", "")


@pytest.mark.parametrize("inputs", [
    (ordered(priority="asap"), completed(), predicted(), triaged(priority="asap")),
    (ordered(status="completed"), completed(), predicted(), triaged()),
    (ordered(change="cancelled", status="cancelled"), completed(), predicted(), triaged()),
    (*READ, opened(), triaged()), (*READ, signed(), triaged()), (*READ, triaged(code="S")), (*READ, triaged(code="")),
], ids=["not routine", "complete", "cancelled", "opened", "signed", "only clinicians make STAT", "no code"])
def test_an_order_that_may_not_be_moved_is_left_alone(inputs: tuple[Input, ...]) -> None:
    """Routine to the policy's raised code only, and never what a human has closed or opened."""
    assert Story().hear(*inputs).priorities == []


def test_a_lift_that_waited_while_the_case_was_opened_is_superseded() -> None:
    """It is held against the case as it is now, before the first try."""
    story = Story(answers=False).hear(*LIFTED, opened()).deliver()
    assert story.priorities == []
    assert [said.outcome for said in story.said if said.receiver == "ris"] == ["superseded"]


def test_an_undo_gives_back_the_clinicians_own_priority() -> None:
    """Once, and it is named by its own MSH-10."""
    undo = triaged(2, lifted=False, code="R", undone=True)
    story = Story().hear(*LIFTED, undo, triaged(3, lifted=False, code=""))
    assert story.priorities == ["asap", "routine"]
    said = [one for one in story.said if one.receiver == "ris"]
    assert [(one.kind, one.priority_code) for one in said] == [("priority", "A"), ("priority-undo", "R")]
    assert len({one.identifiers for one in said}) == 2


def test_the_echo_of_our_own_change_takes_nothing_back() -> None:
    """A RIS that tells everybody of the order we changed makes it look like a clinician's ASAP; nobody undid the lift."""
    echo = ordered("echo", 100, change="changed", revision=2, priority="asap")
    story = Story().hear(*LIFTED, echo, triaged(2, lifted=False, code="", priority="asap"))
    assert story.priorities == ["asap"]


def test_a_clinician_who_crossed_our_change_gets_their_own_priority_again() -> None:
    """Our change may have reached the RIS after theirs and overwritten it."""
    stat = ordered("stat", 100, change="changed", revision=2, priority="stat")
    story = Story().hear(*LIFTED, stat, triaged(2, lifted=False, code="S", priority="stat"))
    assert story.priorities == ["asap", "stat"]


def test_a_refused_lift_is_said_and_neither_retried_nor_undone() -> None:
    """UX is final: the list shows it, and there is nothing to give back."""
    story = Story(ris="refused").hear(*LIFTED, triaged(2, lifted=False, code="R"))
    assert story.priorities == ["asap"]
    assert [said.outcome for said in story.said if said.receiver == "ris"] == ["refused", "superseded"]


def test_a_lift_that_was_not_confirmed_is_said_so_and_is_given_back_when_it_is_undone() -> None:
    """It is asked once; the RIS may have changed the order all the same, so an undo goes."""
    story = Story(ris="unconfirmed").hear(*LIFTED, triaged(2, code=""))
    assert story.priorities == ["asap"]
    assert [said.outcome for said in story.said if said.receiver == "ris"] == ["unconfirmed"]
    assert story.hear(triaged(3, lifted=False, code="R", undone=True)).priorities == ["asap", "routine"]


def test_an_undone_join_reaches_the_ris() -> None:
    """The order of the wrong join gets its own priority back."""
    story = Story().hear(completed(), predicted(), joined(), triaged(), joined(undone=True, revision=3))
    assert story.priorities == ["asap", "routine"]


def test_an_undo_is_not_asked_for_an_order_that_was_cancelled_while_another_speaks_for_the_case() -> None:
    """The order that was raised is known for what it is, whichever leads."""
    raised = replace(ordered("gone", 100, "changed", 2), order=second(priority="routine"), other_orders=(order(status="cancelled"),))
    story = Story().hear(*LIFTED, raised, triaged(2, lifted=False, code="R", undone=True))
    assert story.priorities == ["asap"]
    assert story.said[-1].reason == "the order is complete or cancelled"


def test_an_undo_in_flight_behind_its_lift_still_goes() -> None:
    """The lift was confirmed after the undo was decided; the order at the RIS must not stay raised."""
    story = Story(answers=False).hear(*LIFTED)
    lift = next(one for one in story.waiting if one.kind == "priority")
    story.waiting.remove(lift)
    story.hear(triaged(2, lifted=False, code="R", undone=True), answered(lift)).deliver()
    assert story.priorities == ["routine"]


def test_a_resend_is_the_same_bytes() -> None:
    """The same history decides the same deliveries, byte for byte."""
    assert Story().hear(*LIFTED).sent == Story().hear(*LIFTED).sent
