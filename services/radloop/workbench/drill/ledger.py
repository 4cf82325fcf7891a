"""Reads the books: the EHR's reports and the RIS's log from outside, the rooms' own tables in Postgres, read-only."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Identifier

from radloop.events.prediction import PredictionMade
from radloop.events.study import StudyCompleted
from radloop.events.triage import CaseTriaged
from radloop.events.wire import Wire
from radloop.ingestion.handlers import TakeMessage
from radloop.kit.blobs import Folder
from radloop.kit.codec import decode
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Deliver, Event
from radloop.kit.kafka import topics
from radloop.standards.fhir.values import resource_id
from radloop.standards.hl7.write import control_id
from radloop.workbench.drill.books import Buried, Change, Delivery, Ledger, Listed, Report, Said, Settled
from radloop.workbench.drill.schedule import ROOMS
from radloop.workbench.drill.stage import Stage
from radloop.workbench.hospital.ehr import Chart
from radloop.workbench.hospital.ris import Ris
from radloop.workbench.play.settled import behind

_KINDS: Mapping[str, type[Event]] = {
    "study-completed": StudyCompleted, "prediction-made": PredictionMade, "case-triaged": CaseTriaged,
}


def read(stage: Stage) -> Ledger:
    """Read everything, the tables in one transaction that sees one state of the rooms."""
    behindhand = uncommitted(stage.doors.kafka)
    with psycopg.connect(stage.dsn) as books:
        books.read_only, books.isolation_level = True, psycopg.IsolationLevel.REPEATABLE_READ
        cases = _cases(books)
        return Ledger(
            cases=cases,
            messages=_messages(books),
            objects=frozenset(one[0] for one in _rows(books, "select sop_instance_uid from ingestion.dicom_object")),
            said=tuple(one for room in ROOMS for one in _said(books, room)),
            settled=tuple(
                Settled(room, *row) for room in ROOMS
                for row in _rows(books, "select route, input_id, outcome, settled_at from {}.inbox", room)
            ),
            deliveries=tuple(one for room in ROOMS for one in _deliveries(books, room)),
            buried=tuple(one for room in ROOMS for one in _buried(books, room)),
            listed=_listed(books),
            waiting=(*waiting(books), *behindhand, *_damaged(books, stage)),
            reports=_reports(stage.chart, cases), changes=_changes(stage.ris), repeats=stage.ris.repeats(),
            hears={name: topic.heard_by for name, topic in topics().items()},
        )


def waiting(books: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Say what still waits in the rooms' tables, a sentence each."""
    looks = {
        "events are not sent": "select count(*) from {}.outbox where sent_at is null",
        "inputs are parked": "select count(*) from {}.parked",
        "deliveries wait": "select count(*) from {}.delivery where state = 'waiting'",
        "timers are due": "select count(*) from {}.timer where due <= now()",
        "jobs are not ended": "select count(*) from {}.job where state in ('waiting', 'running')",
    }
    found = [
        (room, count, what) for room in ROOMS for what, look in looks.items() for (count,) in _rows(books, look, room) if count
    ]
    unread = _rows(books, "select count(*) from inference.reading where ended_at is null")[0][0]
    found += [("inference", unread, "readings are not ended")] if unread else []
    return tuple(f"{room}: {count} {what}" for room, count, what in found)


def unsettled(books: psycopg.Connection[Any]) -> int:
    """Return how many times a room that must hear an event has not settled it yet."""
    hears = [(name, room) for name, topic in topics().items() for room in topic.heard_by]
    look = " union all ".join(
        f"select count(*) from {said}.outbox as said where said.topic = '{name}'"  # noqa: S608 - names of ours
        f" and not exists (select from {room}.inbox as heard where heard.input_id = said.event_id)"
        for name, room in hears for said in topics()[name].said_by
    )
    return sum(count for (count,) in books.execute(look.encode()).fetchall())


def in_hand(dsn: str) -> int:
    """Return how many readings and deliveries are under way; raise psycopg.OperationalError where Postgres does not say."""
    look: LiteralString = (
        "select (select count(*) from inference.reading where ended_at is null)"
        " + (select count(*) from publishing.delivery where state = 'waiting')"
    )
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as books:
        return int(_rows(books, look)[0][0])


def left(dsn: str) -> str:
    """Say what still waits, empty where nothing does; raise Transient where Postgres does not say."""
    try:
        with psycopg.connect(dsn, autocommit=True) as books:
            if waits := waiting(books):
                return "; ".join(waits)
            count = unsettled(books)
    except psycopg.OperationalError as away:
        raise Transient("postgres is away") from away
    return f"{count} events are not heard" if count else ""


def uncommitted(kafka: str) -> tuple[str, ...]:
    """Say which rooms would read again, if they started now, what they have settled; raise Transient where the broker does not say."""
    behind_by = {room: behind(kafka, room) for room in ROOMS}
    return tuple(f"{room}: {count} records are settled and not committed at the broker" for room, count in behind_by.items() if count)


def _rows(books: psycopg.Connection[Any], query: LiteralString, room: str = "") -> list[Any]:
    return books.execute(SQL(query).format(Identifier(room)) if room else SQL(query)).fetchall()


def _cases(books: psycopg.Connection[Any]) -> dict[str, str]:
    orders = _rows(books, "select study_uid, case_id from ingestion.order_request where study_uid <> ''")
    return dict(orders) | dict(_rows(books, "select study_uid, case_id from ingestion.imaging_study"))


def _messages(books: psycopg.Connection[Any]) -> dict[str, str]:
    """Return how each message was settled, by the digest of its bytes: taken ones are noted by it, refused ones lie in quarantine."""
    taken = {digest: "recorded" for (digest,) in _rows(books, "select digest from ingestion.message_heard")}
    refused = _rows(books, "select payload from ingestion.quarantine where type = 'TakeMessage'")
    return taken | {_digest(bytes(payload)): "quarantined" for (payload,) in refused}


def _said(books: psycopg.Connection[Any], room: str) -> list[Said]:
    wire = Wire()
    rows = _rows(books, "select id, topic, key, event_id, headers, value from {}.outbox order by id", room)
    return [
        Said(room, topic, key, event_id, number, _facts(wire.decode(headers, bytes(value))) if topic in _KINDS else {})
        for number, topic, key, event_id, headers, value in rows
    ]


def _facts(event: Event) -> dict[str, str | int | bool]:
    match event:
        case StudyCompleted():
            return {"revision": event.revision, "images": len(event.study.instances)}
        case PredictionMade():
            said = event.prediction
            return {"revision": said.revision, "stage": said.stage, "version": said.version}
        case CaseTriaged():
            return {"lifted": event.lifted, "code": event.priority_code, "revision": event.triage_revision}
        case _:
            return {}


def _deliveries(books: psycopg.Connection[Any], room: str) -> list[Delivery]:
    rows = _rows(books, "select key, receiver, subject, kind, state, tries, input::text from {}.delivery order by id", room)
    return [
        Delivery(room, key, receiver, case, kind, state, tries, control_id(key), _issued(text) if receiver == "ehr" else "")
        for key, receiver, case, kind, state, tries, text in rows
    ]


def _issued(text: str) -> str:
    """Return when the report in a stored delivery was issued, empty where none is in it."""
    body = decode(Deliver, text.encode()).body
    entries = json.loads(body).get("entry", ()) if body else ()
    return next((one["resource"]["issued"] for one in entries if one["resource"]["resourceType"] == "DiagnosticReport"), "")


def _buried(books: psycopg.Connection[Any], room: str) -> list[Buried]:
    rows = _rows(books, "select subject, input_id, reason, type, payload from {}.quarantine", room)
    return [
        Buried(room, subject, input_id, reason, _digest(bytes(payload)) if type_name == TakeMessage.__name__ else "")
        for subject, input_id, reason, type_name, payload in rows
    ]


def _listed(books: psycopg.Connection[Any]) -> dict[str, Listed]:
    rows = _rows(
        books, "select case_id, standing, coalesce(ordered -> 'order' ->> 'priority', ''), coalesce(ordered -> 'patient' ->> 'given', ''),"
               " coalesce((place ->> 'triage_revision')::int, 0) from worklist.listed_case")
    return {case: Listed(*told) for case, *told in rows}


def _damaged(books: psycopg.Connection[Any], stage: Stage) -> list[str]:
    """Say which images cannot be given back as they came: the folder checks each one's digest."""
    folder, found = Folder(Path(stage.stack.address("blobs"))), list[str]()
    for (digest,) in _rows(books, "select distinct sha256 from ingestion.dicom_object"):
        try:
            folder.get(digest)
        except (Permanent, Transient) as gone:
            found.append(f"an image that was acknowledged cannot be given back: {gone.reason}")
    return found


def _reports(chart: Chart, cases: Mapping[str, str]) -> tuple[Report, ...]:
    """Return the EHR's reports under the cases they are identified by; one that no case of ours explains has none."""
    ours = {resource_id(case, "report"): case for case in set(cases.values())}
    found = []
    for one in chart.reports():
        named = [said["value"] for said in one.resource.get("identifier", ()) if said.get("value") in ours]
        case = ours[named[0]] if named else ours.get(one.id, "")
        found.append(Report(case, one.id, one.status, one.versions, one.resource.get("issued", "")))
    return tuple(found)


def _changes(ris: Ris) -> tuple[Change, ...]:
    differing = ris.differing()
    return tuple(Change(one.control, one.placer, one.priority, one.answer, one.control in differing) for one in ris.heard())


def _digest(payload: bytes) -> str:
    """Return the digest of the message in a stored command."""
    return sha256(decode(TakeMessage, payload).raw).hexdigest()
