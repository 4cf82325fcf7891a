"""Who a patient is: identities that mean something only with site and issuer, and what they agree on."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace

from radloop.events.common import Identity, Patient
from radloop.standards.hl7 import model as hl7


@dataclass(frozen=True, kw_only=True)
class Person:
    """A patient as messages or images name them (PHI): the first identity is the one this site knows them by."""

    identities: tuple[Identity, ...]
    family: str = ""
    given: str = ""
    birth_date: str = ""
    sex: str = ""

    @property
    def id(self) -> Identity:
        """The identity this site knows the patient by."""
        return self.identities[0]

    def agrees(self, other: "Person | None") -> bool:
        """Whether both have an identity in common, issuer and all."""
        return other is not None and not set(self.identities).isdisjoint(other.identities)

    def described(self, newer: "Person") -> "Person":
        """The same person with the particulars of a newer message; only a message about the patient changes who they are."""
        return replace(self.updated(newer), identities=tuple(dict.fromkeys((self.id, *newer.identities, *self.identities))))

    def updated(self, newer: "Person") -> "Person":
        """The same person as a newer message knows them; earlier identities stay behind the newer ones."""
        return Person(
            identities=tuple(dict.fromkeys((*newer.identities, *self.identities))),
            family=newer.family or self.family, given=newer.given or self.given,
            birth_date=newer.birth_date or self.birth_date, sex=newer.sex or self.sex,
        )


@dataclass(frozen=True, kw_only=True)
class Merge:
    """An identity that was retired (ADT^A40), and the identities that hold instead."""

    retired: Identity
    survivors: tuple[Identity, ...]


def resolved(person: Person, merges: Iterable[Merge]) -> Person:
    """The person by the identities that hold today."""
    for merge in merges:
        if merge.retired in person.identities:
            person = replace(person, identities=tuple(dict.fromkeys((*merge.survivors, *person.identities))))
    return person


def identity(told: hl7.Identity) -> Identity:
    """An identity of a message as ours."""
    return Identity(site=told.site, issuer=told.issuer, value=told.value)


def number(told: hl7.Identity | None) -> Identity | None:
    """A number that a message may leave unsaid as ours."""
    return identity(told) if told else None


def person(told: hl7.Patient) -> Person:
    """A message's patient as ours."""
    return Person(
        identities=tuple(identity(one) for one in told.identities), family=told.family, given=told.given,
        birth_date=told.birth_date, sex=told.sex,
    )


def pseudonym(who: Identity, salt: str) -> str:
    """A patient's key outside PHI topics: a keyed hash, so that nobody without the salt can try out record numbers."""
    return hmac.new(salt.encode(), f"{who.site}|{who.issuer}|{who.value}".encode(), hashlib.sha256).hexdigest()[:32]


def as_event(who: Person, salt: str) -> Patient:
    """The person as events carry them."""
    return Patient(
        id=who.id, family=who.family, given=who.given, birth_date=who.birth_date, sex=who.sex, key=pseudonym(who.id, salt),
    )
