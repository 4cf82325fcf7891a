"""Ingestion's doors over a real Postgres: durable before the answer, the same answer twice, no two halves of a case."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path

import grpc
import hl7.client
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from examples.ingestion import CHILD, ORDER, REPORT, TO
from examples.shared import SITE, at
from radloop.events.wire import Wire
from radloop.ingestion.adapters.doors import Hl7Door, ImageDoor
from radloop.ingestion.adapters.grpc import IngestionService
from radloop.ingestion.adapters.mllp import MllpServer
from radloop.ingestion.adapters.postgres import KnownCases
from radloop.ingestion.config import Settings
from radloop.ingestion.main import build
from radloop.kit import rpc
from radloop.kit.blobs import Folder
from radloop.kit.clock import SystemClock
from radloop.kit.flow import Actor, Due, timer_id
from radloop.kit.runner import Runner
from radloop.standards.hl7.answer import read_answer
from radloop.standards.hl7.hospital import patient_merge, patient_update, report_message
from radloop.standards.hl7.mllp import Broken, frame
from radloop.standards.hl7.model import Identity, Origin
from radloop.standards.hl7.write import order_message
from radloop.v1 import common_pb2, ingestion_service_pb2 as pb
from radloop.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from tests.conftest import wait_until

SYSTEM = Actor(kind="system", id="test")
ORIGIN = Origin(SITE, "")


@dataclass
class Room:
    """The room's doors without their sockets, and a look at what it keeps."""

    runner: Runner
    hl7: Hl7Door
    images: ImageDoor

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask the room's schema."""
        with self.runner.store.connection() as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def topics(self) -> dict[str, int]:
        """How much was said, by topic."""
        return {str(topic): int(str(count)) for topic, count in self.rows("select topic, count(*) from outbox group by 1")}

    def fall_quiet(self) -> None:
        """Let every timer become due."""
        for key, name, due, site in self.rows("select key, name, due, site from timer"):
            seen = Due(id=timer_id("ingestion", key, name, due), subject=key, site=site, at=due, name=name)  # type: ignore[arg-type]
            self.runner.due(seen, "")


@pytest.fixture
def room(database: str, tmp_path: Path) -> Iterator[Room]:
    """The room over a database of its own."""
    runner = build(Settings(postgres=database, kafka="127.0.0.1:1", blobs=str(tmp_path))).runner()  # type: ignore[arg-type]
    clock = SystemClock()
    yield Room(runner, Hl7Door(runner, clock, ORIGIN), ImageDoor(runner, Folder(tmp_path), clock, SITE, 0.0))
    runner.store.close()


def radiograph(number: int = 1, sop: int = 1, source: str = "DX1", **changes: str) -> bytes:
    """Build a DICOM file of a tiny radiograph that belongs to order `number`."""
    image = Dataset()
    image.SOPClassUID = DigitalXRayImageStorageForPresentation
    image.SOPInstanceUID = f"2.25.{number}.{sop}"
    image.StudyInstanceUID = f"2.25.{number}"
    image.SeriesInstanceUID = f"2.25.{number}.9"
    image.PatientID, image.IssuerOfPatientID, image.PatientName = "EX-0001", "HOSP", "Example^Erin"
    image.AccessionNumber = f"ACC-{number}"
    image.Modality, image.ImageType = "DX", ["ORIGINAL", "PRIMARY"]
    image.Rows = image.Columns = 2
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 7, 0, 1
    image.PhotometricInterpretation, image.PixelData = "MONOCHROME2", bytes(4)
    for keyword, value in changes.items():
        setattr(image, keyword, value)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.SourceApplicationEntityTitle = source
    out = BytesIO()
    image.save_as(out, enforce_file_format=True)
    return out.getvalue()


def placed(number: int = 1, code: str = "NW") -> bytes:
    """Build the message of order `number`."""
    order = replace(
        ORDER, control_code=code, accession=Identity(SITE, "", f"ACC-{number}"), study_uid="",
        placer=Identity(SITE, "EHR", f"PL-{number}"), filler=Identity(SITE, "RIS", f"FL-{number}"),
    )
    return order_message(TO, f"M{number}{code}", at(0), CHILD, order)


def test_the_same_message_twice_has_one_effect_and_one_answer(room: Room) -> None:
    """Eight senders at once and one later get the same bytes; one order, one event."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(room.hl7.take, [placed()] * 8))
    assert len({*answers, room.hl7.take(placed())}) == 1
    assert read_answer(answers[0], ORIGIN).code == "AA"
    assert room.topics() == {"order-recorded": 1}


def test_the_same_object_twice_has_one_effect(room: Room) -> None:
    """Also when another sender brings it: its dataset is the same."""
    answers = {room.images.take(radiograph(source=who), "", SYSTEM) for who in ("DX1", "PACS", "DX1")}
    assert {answer.status for answer in answers} == {0}
    room.fall_quiet()
    room.fall_quiet()
    assert room.topics() == {"study-completed": 1}
    assert room.rows("select count(*) from dicom_object") == [(1,)]


def test_orders_and_images_at_once_find_each_other(room: Room) -> None:
    """Whatever overtakes what, every study ends in its order's case, and no input waits for another for ever."""
    work = [(room.hl7.take, placed(number)) for number in range(1, 13)]
    work += [(lambda file: room.images.keep(file, "DX1"), radiograph(number, sop)) for number in range(1, 13) for sop in (1, 2)]
    work = sorted(work, key=lambda item: hash(item[1]) % 97)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: item[0](item[1]), work))
    room.fall_quiet()
    assert room.rows("select count(*), count(distinct case_id) from case_file where study_uid is not null") == [(12, 12)]
    assert room.rows("select count(*) from order_request o join imaging_study s using (case_id)") == [(12,)]
    assert room.rows("select count(*) from quarantine") == [(0,)]
    assert room.rows("select accession, count(*) from case_file where accession is null group by 1") == []


def test_nothing_is_answered_that_is_not_kept(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store is away the door raises, which closes the connection; the sender's repeat is taken."""
    from radloop.kit.errors import Transient
    from radloop.kit.store import Work

    def away(*_: object) -> None:
        raise Transient("postgres is away")

    with monkeypatch.context() as patched:
        patched.setattr(Work, "settle", away)
        with pytest.raises(Transient):
            room.hl7.take(placed())
        with pytest.raises(Transient):
            room.images.take(radiograph(), "", SYSTEM)
    assert room.topics() == {}
    assert read_answer(room.hl7.take(placed()), ORIGIN).code == "AA"
    assert room.topics() == {"order-recorded": 1}


def test_what_is_bad_waits_in_quarantine_with_its_reason(room: Room) -> None:
    """A bad message, a broken frame, a file that is no DICOM, other bytes under a known UID: raw bytes and reasons kept."""
    bad = placed().replace(b"|P|2.5.1", b"|T|2.5.1")
    assert read_answer(room.hl7.take(bad), ORIGIN).code == "AR"
    assert room.hl7.take(bad) == room.hl7.take(bad)
    assert read_answer(room.hl7.broken(Broken("truncated", placed()[:70])) or b"", ORIGIN).code == "AE"
    assert room.images.take(b"no image at all", "", SYSTEM).status == 0xC000
    assert room.images.take(radiograph(), "", SYSTEM).status == 0
    assert room.images.take(radiograph(PatientSex="F"), "", SYSTEM).status == 0x0111
    quarantined = room.rows("select type, reason, payload from quarantine order by at")
    assert [row[0] for row in quarantined] == ["TakeMessage", "RefuseMessage", "RefuseObject", "StoreObject"]
    assert all("EX-0001" not in str(row[1]) and "ACC-1" not in str(row[1]) for row in quarantined)
    assert read_answer(room.hl7.take(placed()), ORIGIN).code == "AA"


def test_a_request_that_names_another_object_is_refused(room: Room) -> None:
    """The C-STORE request's SOP Instance UID is the dataset's, or the status is 0xA900."""
    file = radiograph().replace(b"2.25.1.1", b"2.25.1.7", 1)
    assert room.images.take(file, "", SYSTEM).status == 0xA900


def test_a_signed_report_reaches_the_case_of_its_images(room: Room) -> None:
    """Order, images, report: three events of one case, and the case knows that it is signed."""
    room.hl7.take(placed())
    room.images.take(radiograph(), "", SYSTEM)
    room.fall_quiet()
    report = replace(REPORT, accession=Identity(SITE, "", "ACC-1"), placer=None, filler=None, study_uid="2.25.1")
    assert read_answer(room.hl7.take(report_message(TO, "R1", at(9), CHILD, report)), ORIGIN).code == "AA"
    assert room.topics() == {"order-recorded": 1, "report-signed": 1, "study-completed": 1}
    assert room.rows("select count(distinct key) from outbox") == [(1,)]
    assert room.rows("select signed_at is not null, accession, study_uid from case_file") == [(True, "ACC-1", "2.25.1")]


def test_a_merge_finds_what_is_kept_under_the_old_number(room: Room) -> None:
    """Order under one number, images under another: ADT^A40 joins them; a later correction of the patient parts them."""
    room.hl7.take(placed())
    room.images.take(radiograph(PatientID="EX-OLD"), "", SYSTEM)
    room.fall_quiet()
    assert room.rows("select count(*) from order_request join imaging_study using (case_id)") == [(0,)]
    merge = patient_merge(TO, "A1", at(5), CHILD, Identity(SITE, "HOSP", "EX-OLD"))
    assert read_answer(room.hl7.take(merge), ORIGIN).code == "AA"
    assert room.rows("select count(*) from order_request join imaging_study using (case_id)") == [(1,)]
    assert room.topics() == {"order-recorded": 2, "study-completed": 1, "case-joined": 2}
    room.images.take(radiograph(2, PatientID="EX-OLD"), "", SYSTEM)
    room.hl7.take(placed(2))
    assert room.rows("select count(*) from order_request join imaging_study using (case_id)") == [(2,)]
    wrong = replace(
        ORDER, control_code="XO", accession=Identity(SITE, "", "ACC-3"), study_uid="", filler=Identity(SITE, "RIS", "FL-2"), placer=None,
    )
    assert read_answer(room.hl7.take(order_message(TO, "M9", at(9), CHILD, wrong)), ORIGIN).code == "AA"
    assert room.rows("select count(*) from order_request join imaging_study using (case_id)") == [(1,)]
    assert room.topics()["case-joined"] == 4


def test_an_order_of_another_patient_under_a_known_number_waits_in_quarantine(room: Room) -> None:
    """AE with what to do; the first order is as it was; after the merge the same is taken when it is sent again."""
    room.hl7.take(placed())
    before = room.rows("select * from order_request")
    stranger = replace(CHILD, identities=(Identity(SITE, "HOSP", "EX-0002"),))
    change = replace(ORDER, control_code="XO", accession=None)
    moved = order_message(TO, "M9", at(9), stranger, change)
    answer = read_answer(room.hl7.take(moved), ORIGIN)
    assert (answer.code, "ADT^A40" in answer.text) == ("AE", True)
    assert room.rows("select * from order_request") == before
    assert room.rows("select type, state from quarantine") == [("TakeMessage", "waiting")]
    room.hl7.take(patient_merge(TO, "A1", at(10), stranger, CHILD.id))
    assert read_answer(room.hl7.take(order_message(TO, "M10", at(11), stranger, change)), ORIGIN).code == "AA"


def test_a_number_used_again_finds_its_own_order(room: Room) -> None:
    """Two patients' orders with one placer number, years apart: each is found by its own patient, and a cancel by its own."""
    room.hl7.take(placed())
    room.hl7.take(placed(code="CA"))
    stranger = replace(CHILD, identities=(Identity(SITE, "HOSP", "EX-0002"),))
    new = replace(ORDER, placer=Identity(SITE, "EHR", "PL-1"), filler=None, accession=Identity(SITE, "", "ACC-9"), study_uid="")
    assert read_answer(room.hl7.take(order_message(TO, "M8", at(9), stranger, new)), ORIGIN).code == "AA"
    change = replace(new, control_code="XO", accession=None, priority="stat")
    assert read_answer(room.hl7.take(order_message(TO, "M9", at(10), stranger, change)), ORIGIN).code == "AA"
    assert room.rows("select person->'identities'->0->>'value', status, priority from order_request order by 1") == [
        ("EX-0001", "cancelled", "routine"), ("EX-0002", "active", "stat"),
    ]


def test_an_order_behind_its_own_cancel_ends_as_cancelled(room: Room) -> None:
    """What the cancel said, and when, is kept: the order is taken, and is cancelled."""
    order = replace(ORDER, control_code="CA", status="cancelled")
    assert read_answer(room.hl7.take(order_message(TO, "M2", at(60), CHILD, order)), ORIGIN).code == "AA"
    assert read_answer(room.hl7.take(order_message(TO, "M1", at(0), CHILD, ORDER)), ORIGIN).code == "AA"
    ((status, told),) = room.rows("select status, told from order_request")
    assert (status, [(by, datetime.fromisoformat(when)) for by, when in told]) == ("cancelled", [("SIMRIS|GEN", at(60))])
    assert read_answer(room.hl7.take(order_message(TO, "M3", at(61), CHILD, ORDER)), ORIGIN).code == "AE"


def test_a_merge_reaches_signed_and_earlier_cases(room: Room) -> None:
    """A case that is signed and a backfilled one of the same patient are both said to have the survivor's pseudonym."""
    room.hl7.take(placed())
    room.images.take(radiograph(), "", SYSTEM)
    room.images.take(radiograph(7, AccessionNumber="ACC-OLD"), "gate", SYSTEM)
    room.fall_quiet()
    report = replace(REPORT, accession=Identity(SITE, "", "ACC-1"), placer=None, filler=None, study_uid="2.25.1")
    room.hl7.take(report_message(TO, "R1", at(9), CHILD, report))
    assert room.topics()["order-recorded"] == 1
    survivor = replace(CHILD, identities=(Identity(SITE, "HOSP", "EX-NEW"),))
    room.hl7.take(patient_merge(TO, "A1", at(99), survivor, CHILD.id))
    assert room.topics()["order-recorded"] == 3
    said = [Wire().decode(headers, bytes(value)) for headers, value in room.rows(  # type: ignore[call-overload]
        "select headers, value from outbox where topic = 'order-recorded' order by id desc limit 2",
    )]
    assert len({event.subject for event in said}) == 2
    assert len({event.patient.key for event in said}) == 1
    assert {event.order.status for event in said} == {"active", "completed"}


def test_an_undefined_priority_is_logged_without_the_patient(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """Once, with the place in the message and neither its values nor its patient; a repeat says nothing again."""
    raw = placed().replace(b"R^Routine^HL70485", b"Q7")
    assert b"Q7" in raw
    assert len({room.hl7.take(raw), room.hl7.take(raw)}) == 1
    (line,) = [one for one in caplog.records if one.message == "priority not defined, taken as ASAP"]
    assert line.__dict__["where"] == ["TQ1-9"]
    assert not {"Q7", "EX-0001", "ACC-1", "PL-1"} & set(repr(line.__dict__).replace("'", " ").split())


def test_a_message_that_holds_too_much_waits_in_quarantine(room: Room) -> None:
    """Refused with its condition and place, kept byte for byte, and the next one is taken."""
    flood = placed().replace(b"Example^Erin", b"Example^Erin" + b"~a" * 2000)
    answer = room.hl7.take(flood)
    assert b"MSA|AE|" in answer
    assert b"ERR||PID^1^5|102^" in answer
    assert room.rows("select type, reason from quarantine") == [
        ("TakeMessage", "102 Data type error at PID-5: the field has more than 1000 repetitions"),
    ]
    assert read_answer(room.hl7.take(placed()), ORIGIN).code == "AA"


def test_an_update_reaches_every_open_case_of_the_patient(room: Room) -> None:
    """ADT^A08 finds the patient's orders by number and issuer, and says each once."""
    for number in (1, 2, 3):
        room.hl7.take(placed(number))
    update = patient_update(TO, "A1", at(5), replace(CHILD, family="Newname"))
    assert read_answer(room.hl7.take(update), ORIGIN).code == "AA"
    assert room.topics() == {"order-recorded": 6}
    assert room.rows("select distinct person->>'family' from order_request") == [("Newname",)]
    elsewhere = replace(CHILD, identities=(Identity(SITE, "ELSEWHERE", "EX-0001"),))
    room.hl7.take(patient_update(TO, "A2", at(6), elsewhere))
    assert room.topics() == {"order-recorded": 6}


def test_no_key_names_a_patient(room: Room) -> None:
    """What the kit stores as keys, ids and subjects holds neither patient ID nor accession number."""
    room.hl7.take(placed())
    room.images.take(radiograph(), "", SYSTEM)
    told = repr(room.rows("select route, input_id, key from inbox")) + repr(room.rows("select key, name from timer"))
    told += repr(room.rows("select event_id, key, headers from outbox"))
    assert not {"EX-0001", "ACC-1", "Example", "PL-1", "FL-1"} & set(told.replace("'", " ").replace('"', " ").split())


def test_commands_over_grpc(room: Room, tmp_path: Path) -> None:
    """Resolve names the case, Backfill answers the same twice and refuses with the reason, UndoJoin parts once."""
    clock = SystemClock()
    service = IngestionService(room.runner, room.images, KnownCases(room.runner.store), clock, SITE)
    server, port = rpc.server("127.0.0.1:0", (service.register,))
    try:
        with rpc.channel(f"127.0.0.1:{port}") as channel:
            stub = IngestionServiceStub(channel)
            request = pb.BackfillRequest(dataset=radiograph(7), purpose="pool")
            case = stub.Backfill(request).case_id
            assert stub.Backfill(request).case_id == case
            with pytest.raises(grpc.RpcError, match="no DICOM file"):
                stub.Backfill(pb.BackfillRequest(dataset=b"x", purpose="pool"))
            assert list(stub.Resolve(pb.ResolveRequest(accession="ACC-7")).case_ids) == [case]
            room.hl7.take(placed())
            room.images.take(radiograph(), "", SYSTEM)
            (live,) = stub.Resolve(pb.ResolveRequest(accession="ACC-1")).case_ids
            with pytest.raises(grpc.RpcError, match="who you are"):
                stub.UndoJoin(pb.UndoJoinRequest(case_id=live, command_id="u0"))
            who = common_pb2.Actor(kind="reader", id="engine-team")
            for command_id, outcome in (("u1", "undone"), ("u1", "undone"), ("u2", "no order")):
                assert outcome in stub.UndoJoin(pb.UndoJoinRequest(case_id=live, command_id=command_id, actor=who)).outcome
            assert len(stub.Resolve(pb.ResolveRequest(accession="ACC-1")).case_ids) == 2
    finally:
        server.stop(None).wait()
    room.fall_quiet()
    assert room.topics() == {"order-recorded": 2, "case-joined": 2, "study-completed": 1, "study-backfilled": 1}


def test_over_the_wire_the_next_message_is_unharmed(room: Room) -> None:
    """A bad message, a truncated one and a good one on one MLLP connection: AR, AE, AA, in that order."""
    server = MllpServer("127.0.0.1", 0, room.hl7.take, room.hl7.broken)
    server.start()
    try:
        with hl7.client.MLLPClient("127.0.0.1", server.port) as client:
            client.socket.settimeout(10)
            codes = [read_answer(client.send_message(raw).strip(b"\x0b\x1c\r"), ORIGIN).code for raw in (
                placed().replace(b"ORM^O01", b"ORM^O99"), placed(),
            )]
            client.socket.sendall(b"\x0b" + placed(2)[:90])
            truncated = client.send(frame(placed(2)))
            truncated += b"" if truncated.count(b"\x1c") > 1 else client.socket.recv(4096)
    finally:
        server.stop()
    assert codes == ["AR", "AA"]
    assert [part.partition(b"MSA|")[2][:2] for part in truncated.split(b"\x1c")[:2]] == [b"AE", b"AA"]
    # It leaves no thread behind.
    wait_until(lambda: not any(one.name.startswith(("mllp", "hl7")) for one in threading.enumerate()), 10)


def test_earlier_objects_give_way_at_the_door_to_what_a_modality_sends(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live object says how long more of its study is expected; an earlier one asks first."""
    asked: list[str] = []
    monkeypatch.setattr(room.runner.courtesy, "live", lambda seconds: asked.append(f"live {seconds:g} s"))
    monkeypatch.setattr(room.runner.courtesy, "give_way", lambda: asked.append("gave way"))
    room.images.keep(radiograph(1), "DX1")
    room.images.take(radiograph(2), "pool", SYSTEM)
    assert asked == ["live 1 s", "gave way"]
