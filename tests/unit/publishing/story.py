"""A case as publishing lives it: inputs go in, an EHR and a RIS of a page answer, what was sent and said is looked at."""

import json
from dataclasses import replace
from typing import Any

from examples.publishing import FOUND, answered, verdict
from examples.shared import CASE, SITE, completed, envelope, order, ordered, predicted

from radloop.events.common import Identity, Order
from radloop.events.publishing import ResultPublished
from radloop.events.reading import CaseOpened
from radloop.kit.flow import Deliver, Input, Record
from radloop.publishing.domain.case import Case
from radloop.publishing.handlers import Policy, routes, superseded
from radloop.standards.fhir.values import resource_id
from radloop.standards.hl7.model import Origin, OrderMessage
from radloop.standards.hl7.read import read
from radloop.standards.hl7.write import Interface

POLICY = Policy(systems={}, ris=Interface("RADLOOP", "AI", "RIS", "RADIOLOGY"))
ROUTES = routes(POLICY)


class Story:
    """Plays inputs to the room; answers deliveries as an EHR and a RIS would, after the check before the first try."""

    def __init__(self, *, answers: bool = True, ris: str = "delivered") -> None:
        self.case: Case | None = None
        self.waiting: list[Deliver] = []
        self.sent: list[Deliver] = []
        self.said: list[ResultPublished] = []
        self.answers, self.ris = answers, ris

    def hear(self, *inputs: Input) -> "Story":
        """Settle each input, then what it owes to the receivers."""
        for seen in inputs:
            self._settle(seen)
            if self.answers:
                self.deliver()
        return self

    def deliver(self) -> "Story":
        """Send what waits, in order."""
        while self.waiting:
            delivery = self.waiting.pop(0)
            overtaken = superseded(delivery, self.case)
            if overtaken:
                self._settle(answered(delivery, "superseded", reason=overtaken))
                continue
            self.sent.append(delivery)
            if delivery.kind == "look-up":
                self._settle(answered(delivery, answer=FOUND.write()))
            elif delivery.receiver == "ehr":
                self._settle(answered(delivery, answer=json.dumps([f"DiagnosticReport/{resource_id(CASE, 'report')}"]).encode()))
            else:
                self._settle(answered(delivery, self.ris))
        return self

    def _settle(self, seen: Input) -> None:
        route = next(route for route in ROUTES if route.hears_this(seen))
        decision = route.decide(seen, self.case)
        if isinstance(decision, Record):
            self.case = decision.state if isinstance(decision.state, Case) else self.case
            self.waiting += decision.deliver
            self.said += [event for event in decision.emit if isinstance(event, ResultPublished)]

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The DiagnosticReports that were sent, in order."""
        return [one for delivery in self.sent if delivery.kind in {"report", "correction"} for one in resources(delivery)
                if one["resourceType"] == "DiagnosticReport"]

    @property
    def priorities(self) -> list[str]:
        """The priorities that were asked of the RIS, in order."""
        return [order_of(delivery).orders[0].priority for delivery in self.sent if delivery.receiver == "ris"]


def resources(delivery: Deliver) -> list[dict[str, Any]]:
    """The resources of a report's delivery."""
    return [entry["resource"] for entry in json.loads(delivery.body)["entry"]]


def order_of(delivery: Deliver) -> OrderMessage:
    """What a message to the RIS says."""
    message = read(delivery.body, Origin("site-1"))
    assert isinstance(message, OrderMessage)
    return message


def statuses(story: Story) -> list[str]:
    """What the EHR was told, in order."""
    return [report["status"] for report in story.reports]


def opened() -> CaseOpened:
    """A reader opened the case."""
    return CaseOpened(**envelope("opened", 90), reader=verdict().reader, opened_at=verdict().recorded_at, revision=1)


def second(filler: str = "FL-2", **changes: Any) -> Order:
    """One more order of the case; it has the same accession number unless a change says otherwise."""
    numbers = (Identity(site=SITE, issuer="EHR", value=f"PL-of-{filler}"), Identity(site=SITE, issuer="RIS", value=filler))
    return replace(order(), **{"placer": numbers[0], "filler": numbers[1], **changes})


READ: tuple[Input, ...] = (ordered(), completed(), predicted())
