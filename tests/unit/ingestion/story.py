"""A hospital that sends things to ingestion's doors and remembers what came of it."""

from dataclasses import replace
from datetime import timedelta

from examples.ingestion import CHILD, ORDER, STUDY, TO, heard, quiet, stored
from examples.shared import SITE, at
from radloop.ingestion.domain.chart import Chart
from radloop.ingestion.domain.rules import Rules
from radloop.ingestion.handlers import StoreObject, TakeMessage, UndoJoin, complete, store_object, take_message, undo_join
from radloop.kit.flow import Decision, Due, Event, Input, Record
from radloop.standards.hl7.answer import read_answer
from radloop.standards.hl7.model import Identity, Origin, Patient
from radloop.standards.hl7.write import Interface, order_message

RULES = Rules(origin=Origin(SITE, ""), quiet=timedelta(seconds=5), own_names=frozenset({"RADLOOP"}))
OTHER = Patient((Identity(SITE, "HOSP", "EX-0002"),), "Other", "Olga", "2018-01-01", "F")


class Hospital:
    """Sends things to the door and remembers what came of it."""

    def __init__(self) -> None:
        self.chart = Chart(salt="salt")
        self.said: list[Event] = []
        self.messages = 0
        self.timers: list[object] = []

    def settle(self, seen: Input) -> Decision[Chart]:
        """Settle one input; keep the chart as the store would."""
        match seen:
            case TakeMessage():
                decision = take_message(seen, self.chart, RULES)
            case StoreObject():
                decision = store_object(seen, self.chart, RULES)
            case UndoJoin():
                decision = undo_join(seen, self.chart)
            case Due():
                decision = complete(seen, self.chart)
            case _:
                raise AssertionError(seen)
        if isinstance(decision, Record):
            kept = decision.state
            assert kept is not None
            self.chart = replace(kept, objects=(*kept.objects, *kept.added), added=(), heard=kept.heard)
            self.said += decision.emit
            self.timers += decision.timers
        return decision

    def order(
        self, seconds: float, code: str = "NW", who: Patient = CHILD, *, said: float | None = None, to: Interface = TO, **changes: object,
    ) -> Decision[Chart]:
        """Send an order message that was said at the same time (MSH-7), unless told otherwise."""
        self.messages += 1
        changes = {"status": "cancelled" if code == "CA" else "active", **changes}
        order = replace(ORDER, control_code=code, **changes)  # type: ignore[arg-type]
        when = seconds if said is None else said
        return self.settle(heard(order_message(to, f"M{self.messages}", at(when), who, order), seconds))

    def images(self, seconds: float, **changes: object) -> Decision[Chart]:
        """Send an image and let the study fall quiet."""
        decision = self.settle(stored(seconds, **changes))  # type: ignore[arg-type]
        self.settle(quiet(seconds, str(changes.get("study_uid", STUDY))))
        return decision

    def last(self, kind):
        """The last event of a kind."""
        return [event for event in self.said if isinstance(event, kind)][-1]

    def kinds(self) -> list[str]:
        """The names of what was said."""
        return [type(event).__name__ for event in self.said]


def code_of(decision: Decision[Chart]) -> str:
    """MSA-1 of a decision's answer."""
    return str(read_answer(decision.answer.message, RULES.origin).code)  # type: ignore[attr-defined]
