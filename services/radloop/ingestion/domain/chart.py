"""The chart: everything kept that an input could touch, and the questions one asks of it."""

from dataclasses import dataclass, replace

from radloop.events.common import Identity
from radloop.ingestion.domain.files import CaseFile, Heard, ObjectFile, OrderFile, StudyFile
from radloop.ingestion.domain.people import Merge, Person, number, resolved
from radloop.standards.hl7 import model as hl7


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Orders, studies, their cases and merged patients; of objects only those asked for, and those `added` now."""

    salt: str
    orders: tuple[OrderFile, ...] = ()
    studies: tuple[StudyFile, ...] = ()
    cases: tuple[CaseFile, ...] = ()
    merges: tuple[Merge, ...] = ()
    objects: tuple[ObjectFile, ...] = ()
    heard: tuple[Heard, ...] = ()
    added: tuple[ObjectFile, ...] = ()

    def known(self, person: Person) -> Person:
        """The person by the identities that hold today."""
        return resolved(person, self.merges)

    def study(self, uid: str) -> StudyFile | None:
        """The study with that UID."""
        return next((one for one in self.studies if one.study_uid == uid), None)

    def study_of(self, case_id: str) -> StudyFile | None:
        """The study that a case is about."""
        return next((one for one in self.studies if case_id and one.case_id == case_id), None)

    def orders_of(self, case_id: str) -> tuple[OrderFile, ...]:
        """The orders that a case answers, the one that speaks for it first."""
        mine = (one for one in self.orders if case_id and one.case_id == case_id)
        return tuple(sorted(mine, key=lambda one: one.rank))

    def orders_named(self, told: hl7.Order | hl7.Report) -> tuple[OrderFile, ...]:
        """The orders that bear a message's order numbers, the one most likely meant first.

        By filler number, else by placer number where the filler numbers do not differ. Numbers come again after years: of
        several orders the one of the same examination is meant, else one that is still open, else the latest.
        """
        placer, filler, accession = number(told.placer), number(told.filler), number(told.accession)

        def likely(one: OrderFile) -> tuple[bool, bool, bool]:
            examination = same(one.accession, accession) or one.study_uid == told.study_uid != ""
            return not same(one.filler, filler), not examination, self.closed(one)

        by_filler = [one for one in self.orders if same(one.filler, filler)]
        by_placer = [one for one in self.orders if same(one.placer, placer) and not (filler and one.filler)]
        found = {one.order_id: one for one in (*by_filler, *by_placer)}
        latest_first = sorted(found.values(), key=lambda one: one.recorded_at, reverse=True)
        return tuple(sorted(latest_first, key=likely))

    def closed(self, order: OrderFile) -> bool:
        """Whether nothing more is to come of an order: it is complete or cancelled, or its report is signed."""
        return order.status != "active" or self.case(order.case_id, order.site).signed_at is not None

    def case(self, case_id: str, site: str) -> CaseFile:
        """The case, a new one where it is not known."""
        return next((one for one in self.cases if one.case_id == case_id), CaseFile(case_id=case_id, site=site))

    def with_order(self, order: OrderFile) -> "Chart":
        """The chart with this order in place of what it held of it."""
        return replace(self, orders=(*(one for one in self.orders if one.order_id != order.order_id), order))

    def with_study(self, study: StudyFile) -> "Chart":
        """The chart with this study in place of what it held of it."""
        return replace(self, studies=(*(one for one in self.studies if one.study_uid != study.study_uid), study))

    def with_case(self, case: CaseFile) -> "Chart":
        """The chart with this case in place of what it held of it."""
        return replace(self, cases=(*(one for one in self.cases if one.case_id != case.case_id), case))

    def with_merge(self, merge: Merge) -> "Chart":
        """The chart with this merge in place of what it held of that identity."""
        return replace(self, merges=(*(one for one in self.merges if one.retired != merge.retired), merge))


def same(one: Identity | None, other: Identity | None) -> bool:
    """Whether two numbers are one: the same value, and the same issuer or one that was left unsaid."""
    if one is None or other is None or (one.site, one.value) != (other.site, other.value):
        return False
    return one.issuer == other.issuer or not one.issuer or not other.issuer
