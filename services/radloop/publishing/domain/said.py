"""What was said outside of a case: the report's content to the EHR, the change of priority to the RIS."""

from dataclasses import dataclass
from datetime import datetime

from radloop.events.common import Identity, Order, Patient
from radloop.standards.fhir.values import FindingResult


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """By which numbers an order is known."""

    accession: Identity | None
    placer: Identity | None
    filler: Identity | None


@dataclass(frozen=True, kw_only=True)
class Said:
    """The content of a report, so that what would say the same again is not sent.

    Accession, placer and filler are the first order's, `others` those of the rest that the case answers. `withdrawn` is the
    reason why it is entered in error, empty while it stands; `reader` whose act made it so.
    """

    reading_id: str
    revision: int
    model: str
    version: int
    read_at: datetime
    patient: Identity
    accession: Identity | None
    placer: Identity | None
    filler: Identity | None
    study_uid: str
    study_date: str
    body_part: str
    findings: tuple[FindingResult, ...]
    others: tuple[Numbers, ...] = ()
    reader: str = ""
    withdrawn: str = ""

    @property
    def orders(self) -> tuple[Numbers, ...]:
        """The numbers of every order that the report answers."""
        return (Numbers(accession=self.accession, placer=self.placer, filler=self.filler), *self.others)


@dataclass(frozen=True, kw_only=True)
class Raised:
    """A change of priority asked of the RIS, for this order, on this word of triage's, as this case's change number so.

    State is asked, confirmed (XR), refused (UX), unconfirmed, superseded or quarantined; `given_back` once the clinician's own
    priority was sent after it.
    """

    order: Order
    patient: Patient
    code: str
    triage_revision: int
    number: int
    state: str = "asked"
    given_back: bool = False
