"""What a stored DICOM object does to the chart, and what is said when a study's images are all here."""

from dataclasses import dataclass, replace
from datetime import datetime

from radloop.events.common import Identity
from radloop.events.study import StudyBackfilled, StudyCompleted
from radloop.ingestion.domain import keys
from radloop.ingestion.domain.chart import Chart
from radloop.ingestion.domain.files import ObjectFile, StudyFile
from radloop.ingestion.domain.joining import why_unmatched
from radloop.ingestion.domain.people import Person
from radloop.ingestion.domain.rules import Rules
from radloop.kit.flow import Event, Input, caused_by
from radloop.standards.dicom.header import InstanceFacts


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A DICOM status (PS3.7 annex C, PS3.4 annex B) and the reason in words without PHI."""

    status: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class File:
    """An object's file in the blobs: its SHA-256 and size, and `content`, the SHA-256 of the dataset in it."""

    sha256: str
    size: int
    content: str


DUPLICATE = Refusal(status=0x0111, reason="other bytes were stored under this SOP Instance UID")
STRANGER = Refusal(status=0xA900, reason="the object's patient is not that of the study's other objects")


def person_in(facts: InstanceFacts, rules: Rules) -> Person | None:
    """The patient an object names, None where it names none; an unsaid issuer is the site's own."""
    if not facts.patient_id:
        return None
    who = Identity(site=rules.origin.site, issuer=facts.patient_issuer or rules.origin.issuer, value=facts.patient_id)
    return Person(
        identities=(who,), family=facts.family, given=facts.given, birth_date=facts.birth_date, sex=facts.sex,
    )


def accession_in(facts: InstanceFacts, rules: Rules) -> Identity | None:
    """The accession number an object carries, None where it has none; its issuer may stay unsaid."""
    if not facts.accession:
        return None
    return Identity(site=rules.origin.site, issuer=facts.accession_issuer, value=facts.accession)


def why_refused(chart: Chart, facts: InstanceFacts, content: str, rules: Rules) -> Refusal | None:
    """Why an object cannot be stored beside what is stored already, None where it can."""
    if any(one.sop_instance_uid == facts.sop_instance_uid and one.content != content for one in chart.objects):
        return DUPLICATE
    study, who = chart.study(facts.study_uid), person_in(facts, rules)
    if study and study.person and who and not chart.known(who).agrees(study.person):
        return STRANGER
    return None


def stored(chart: Chart, facts: InstanceFacts, file: File, purpose: str, at: datetime, rules: Rules) -> Chart:
    """The chart with the object, and with its study where it is the first one; a later object fills in what was missing."""
    who = person_in(facts, rules)
    study = chart.study(facts.study_uid) or StudyFile(
        study_uid=facts.study_uid, case_id="", site=rules.origin.site, arrived_at=at, purpose=purpose,
    )
    study = replace(
        study, person=study.person or (chart.known(who) if who else None),
        accession=study.accession or accession_in(facts, rules), study_date=study.study_date or facts.study_date,
        age_years=study.age_years if study.age_years is not None else facts.age_years,
        description=study.description or facts.study_description,
    )
    added = ObjectFile(
        sop_instance_uid=facts.sop_instance_uid, object_key=keys.of_object(facts.sop_instance_uid),
        study_uid=facts.study_uid, sha256=file.sha256, content=file.content, size=file.size,
        sop_class_uid=facts.sop_class_uid, series_uid=facts.series_uid, modality=facts.modality,
        body_part=facts.body_part, view=facts.view, rows=facts.rows, columns=facts.columns, frames=facts.frames,
        not_acquired=facts.not_acquired, arrived_at=at,
    )
    return replace(chart.with_study(study), added=(*chart.added, added))


def completed(cause: Input, chart: Chart, study: StudyFile) -> tuple[StudyFile, Event] | None:
    """The study's next revision and how it is said; None where no acquired image came since the last."""
    images = [one for one in chart.objects if one.study_uid == study.study_uid and not one.not_acquired]
    if len(images) <= study.said_images:
        return None
    images.sort(key=lambda one: (one.arrived_at, one.sop_instance_uid))
    now = replace(study, revision=study.revision + 1, said_images=len(images))
    told = now.as_event(tuple(one.as_event() for one in images), chart.salt)
    if study.purpose:
        return now, StudyBackfilled(
            id=caused_by(cause, "study-backfilled", study.case_id), subject=study.case_id, site=study.site, at=cause.at,
            study=told, revision=now.revision, purpose=study.purpose,
        )
    reason = why_unmatched(chart, study)
    orders = chart.orders_of(study.case_id)
    return now, StudyCompleted(
        id=caused_by(cause, "study-completed", study.case_id), subject=study.case_id, site=study.site, at=cause.at,
        study=told, revision=now.revision, matched=not reason, unmatched_reason=reason,
        priority=orders[0].priority if orders else "routine", completed_at=cause.at,
    )
