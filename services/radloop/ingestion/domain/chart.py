"""The chart: everything kept that an input could touch, and the questions one asks of it."""

from dataclasses import dataclass, replace

from radloop.events.common import Identity
from radloop.ingestion.domain.files import CaseFile, Heard, ObjectFile, OrderFile, StudyFile
from radloop.ingestion.domain.people import Merge, Person, resolved


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

    def order_named(self, placer: Identity | None, filler: Identity | None) -> OrderFile | None:
        """The order with that filler number, else with that placer number where the filler numbers do not differ."""
        if filler:
            for one in self.orders:
                if same(one.filler, filler):
                    return one
        for one in self.orders:
            if placer and same(one.placer, placer) and not (filler and one.filler):
                return one
        return None

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
