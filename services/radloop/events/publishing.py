"""What publishing says."""

from dataclasses import dataclass
from datetime import datetime

from radloop.kit.flow import Event


@dataclass(frozen=True, kw_only=True)
class ResultPublished(Event):
    """What left the house, to whom (ehr, ris), with which identifiers.

    Outcome is delivered, refused, unconfirmed (taken by the RIS, which did not say whether it changed the order), superseded
    or quarantined; kind is report, correction, priority or priority-undo.
    """

    delivery_id: str
    receiver: str
    kind: str
    outcome: str
    identifiers: tuple[str, ...]
    published_at: datetime
    revision: int
    reason: str = ""
    priority_code: str = ""
