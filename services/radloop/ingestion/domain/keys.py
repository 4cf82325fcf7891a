"""What an input is locked and looked up by: hashes, so that no key of ours names a patient, an order or a study.

Whatever could belong together shares a key: a patient's identity, an accession number (whoever issued it), a study, an
order number. `whole:` stands beside a patient's key where everything of that patient is meant.
"""

import hashlib
from collections.abc import Iterable

from radloop.events.common import Identity
from radloop.standards.hl7 import model as hl7

MOST = 500
"""Keys of one message: each is a lock, and the database has some thousands for all that is worked on. A real one has ten."""


def digest(*parts: str) -> str:
    """A hash of parts that cannot be confused with one another; 32 hexadecimal characters."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def of_patient(who: Identity | hl7.Identity) -> str:
    """The key of a patient's identity."""
    return "patient:" + digest(who.site, who.issuer, who.value)


def of_whole(patient_key: str) -> str:
    """The key that asks for everything of a patient."""
    return "whole:" + patient_key.partition(":")[2]


def of_accession(number: Identity | hl7.Identity) -> str:
    """The key of an accession number; its issuer is compared later, because many senders leave it out."""
    return "accession:" + digest(number.site, number.value)


def of_number(number: Identity | hl7.Identity, kind: str) -> str:
    """The key of an order number; kind is placer or filler. Its issuer is compared later too."""
    return f"{kind}:" + digest(number.site, number.value)


def of_study(uid: str) -> str:
    """The key of a Study Instance UID."""
    return "study:" + digest(uid)


def of_object(uid: str) -> str:
    """The key of a SOP Instance UID."""
    return "object:" + digest(uid)


def of_control(header: hl7.Header) -> str:
    """The key of a sender's message control id (MSH-3, MSH-4, MSH-10)."""
    return "message:" + digest(header.sending_app, header.sending_facility, header.control_id)


def of_message(message: hl7.Message) -> tuple[str, ...]:
    """The keys of everything a message could touch."""
    found: list[str] = [of_control(message.header)]
    match message:
        case hl7.OrderMessage():
            found += [of_patient(one) for one in message.patient.identities]
            for order in message.orders:
                found += _of_numbers(order.placer, order.filler, order.accession, order.study_uid)
        case hl7.ReportMessage():
            found += [of_patient(one) for one in message.patient.identities]
            for report in message.reports:
                found += _of_numbers(report.placer, report.filler, report.accession, report.study_uid)
        case hl7.PatientMessage():
            patients = [of_patient(one) for update in message.updates
                        for one in (*update.patient.identities, *update.retired)]
            found += patients + [of_whole(one) for one in patients]
    return tuple(dict.fromkeys(found))


def with_prefix(keys: Iterable[str], prefix: str) -> list[str]:
    """Those keys that are of one kind."""
    return [key for key in keys if key.startswith(prefix + ":")]


def _of_numbers(
    placer: hl7.Identity | None, filler: hl7.Identity | None, accession: hl7.Identity | None, study_uid: str,
) -> list[str]:
    found = [of_number(placer, "placer")] if placer else []
    found += [of_number(filler, "filler")] if filler else []
    found += [of_accession(accession)] if accession else []
    return found + ([of_study(study_uid)] if study_uid else [])
