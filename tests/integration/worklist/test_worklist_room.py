"""The reading room over a real Postgres: its page's door, and behind it feedback and triage over real gRPC."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from examples.shared import CASE, PNEUMONIA, SITE, START, completed, ordered, predicted, study
from examples.worklist import lifted, requested, triaged

from radloop.events.wire import Wire
from radloop.feedback.adapters.grpc import FeedbackService
from radloop.feedback.config import Settings as FeedbackSettings
from radloop.feedback.main import build as build_feedback
from radloop.kit import rpc
from radloop.kit.blobs import Folder
from radloop.kit.clock import ManualClock
from radloop.kit.flow import Event
from radloop.kit.runner import Runner
from radloop.standards.evidence import EvidenceMap
from radloop.standards.evidence import write as write_evidence
from radloop.triage.adapters.grpc import TriageService
from radloop.triage.config import Settings as TriageSettings
from radloop.triage.main import build as build_triage
from radloop.v1 import worklist_service_pb2, worklist_service_pb2_grpc
from radloop.worklist.adapters.desk import Desk
from radloop.worklist.adapters.grpc import Feedback, Triage, WorklistService
from radloop.worklist.adapters.http import PageServer
from radloop.worklist.adapters.pictures import Pictures
from radloop.worklist.adapters.postgres import Changes, Lists
from radloop.worklist.config import Settings
from radloop.worklist.main import build
from tests.adapters.dicom_file import file

LIMIT_S = 10


@dataclass
class House:
    """The reading room with its neighbours; Kafka is us: `hear` hands events to rooms."""

    worklist: Runner
    feedback: Runner
    triage: Runner
    page: PageServer
    grpc_port: int
    neighbours: list[grpc.Server]
    web: httpx.Client

    def hear(self, *events: Event, rooms: tuple[str, ...] = ("worklist", "feedback", "triage")) -> None:
        """Let rooms hear events as their topics would bring them."""
        for event in events:
            message = Wire().encode(event, "tests")
            for room in rooms:
                runner: Runner = getattr(self, room)
                if type(event) in runner.hears():
                    runner.settle(runner.read(message.headers["ce_type"], f"topic:{message.topic}", message.headers, message.value))

    def said(self, room: str, topic: str) -> list[Event]:
        """Return what a room has said on a topic."""
        with getattr(self, room).store.connection() as connection:
            rows = connection.execute("select headers, value from outbox where topic = %s order by id", (topic,)).fetchall()
        return [Wire().decode(headers, bytes(value)) for headers, value in rows]

    def get(self, path: str, **query: str) -> Any:
        """Ask the door."""
        answer = self.web.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    def answer(self, **changes: object) -> httpx.Response:
        """Send a verdict on what the case shows."""
        body = {
            "verdict_id": "verdict-1", "reader": "dr-lovelace", "kind": "accept", "revision": 1, "seconds_spent": 8.5, "ai_shown": True,
            "prediction_id": "example-predicted",
            "answers": [{"code": {"system": PNEUMONIA.system, "value": PNEUMONIA.value, "display": "Pneumonia"}, "value": "present"}],
        }
        return self.web.post(f"/api/cases/{CASE}/verdicts", json={**body, **changes})


@pytest.fixture
def house(database: str, tmp_path: Path) -> Iterator[House]:
    """Three rooms in one database, each in its schema, the page open on a free port."""
    common: dict[str, Any] = {"postgres": database, "kafka": "127.0.0.1:1", "blobs": str(tmp_path)}
    clock = ManualClock(START)
    worklist = replace(build(Settings(**common)), clock=clock).runner()
    feedback = build_feedback(FeedbackSettings(**common)).runner()
    triage = build_triage(TriageSettings(**common)).runner()
    neighbours = [
        rpc.server("127.0.0.1:0", (FeedbackService(feedback, clock, SITE).register,)),
        rpc.server("127.0.0.1:0", (TriageService(triage, clock, SITE).register,)),
    ]
    lists, changes = Lists(worklist.store, SITE), Changes(worklist.store)
    desk = Desk(
        worklist, lists, Pictures(Folder(tmp_path)), changes, *(make(f"127.0.0.1:{port}") for make, (_, port) in zip(
            (Feedback, Triage), neighbours, strict=True,
        )), clock=clock, site=SITE, findings=(PNEUMONIA,),
    )
    page = PageServer(desk, "127.0.0.1:0")
    own, own_port = rpc.server("127.0.0.1:0", (WorklistService(lists, clock).register,))
    changes.start()
    page.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{page.port}", timeout=LIMIT_S) as web:
        yield House(worklist, feedback, triage, page, own_port, [server for server, _ in neighbours], web)
    page.stop()
    changes.stop()
    for server in (own, *(server for server, _ in neighbours)):
        server.stop(0).wait()
    for runner in (worklist, feedback, triage):
        runner.store.close()


def with_pictures(house: House, tmp_path: Path) -> None:
    """Let a case arrive whose image and evidence map are really there."""
    blobs = Folder(tmp_path)
    picture = blobs.put(file(np.arange(2000, dtype="<u2").reshape(40, 50)))
    values = np.zeros((1, 7, 7), np.float32)
    values[0, 3, 4] = 5.0
    chart = blobs.put(write_evidence(EvidenceMap("2.25.1001", 1, 40, 50, values)))
    (instance,) = study().instances
    arrived = completed(instances=(replace(instance, blob=picture, rows=40, columns=50),))
    house.hear(ordered(), arrived, predicted(evidence=chart), lifted())


def test_a_case_is_shown_with_its_image_and_where_the_model_looked(house: House, tmp_path: Path) -> None:
    """Facts, pixels and evidence of one case come through the door as they are kept."""
    with_pictures(house, tmp_path)
    (row,) = house.get("/api/rows")["rows"]
    assert (row["case_id"], row["urgency"], row["move"]) == (CASE, "raised", "lifted")
    screen = house.get(f"/api/cases/{CASE}")
    assert (screen["accession"], screen["indication"], screen["ai_shown"]) == ("ACC-EX-1", "cough", True)
    (picture,) = screen["pictures"]
    image = f"/api/cases/{CASE}/images/{picture['sop_instance_uid']}/{picture['frame']}"
    header = house.get(image)
    assert (header["rows"], header["columns"], header["high"]) == (40, 50, 1999)
    pixels = np.frombuffer(house.web.get(image + "/pixels").content, "<u2")
    assert np.array_equal(pixels, np.arange(2000))
    chart = house.get(f"/api/cases/{CASE}/evidence", system=PNEUMONIA.system, value=PNEUMONIA.value)
    assert (chart["rows"], chart["columns"], chart["values"][3][4]) == (7, 7, 1.0)
    assert house.get("/api/find", accession="ACC-EX-1")["case_ids"] == [CASE]
    assert house.web.get(f"/api/cases/{CASE}/images/2.25.77/1").status_code == 404


def test_a_verdict_sent_twice_is_one_verdict_and_gets_the_same_answer(house: House) -> None:
    """Feedback records it once, the row shows it, and taking it back is said once too."""
    house.hear(ordered(), completed(), predicted(), lifted())
    first, second = house.answer(), house.answer()
    assert (first.status_code, first.json()) == (second.status_code, second.json()) == (200, {"done": True, "reason": ""})
    (recorded,) = house.said("feedback", "verdict-recorded")
    house.hear(recorded, rooms=("worklist",))
    (row,) = house.get("/api/rows")["rows"]
    assert (row["answer"]["kind"], row["answer"]["reader"]) == ("accept", "dr-lovelace")
    back = {"command_id": "back-1", "reader": "dr-lovelace"}
    answers = [house.web.post(f"/api/cases/{CASE}/verdicts/verdict-1/take-back", json=back) for _ in range(2)]
    assert [one.json()["done"] for one in answers] == [True, True]
    _, taken_back = house.said("feedback", "verdict-recorded")
    house.hear(taken_back, rooms=("worklist",))
    assert house.get("/api/rows")["rows"][0]["answer"] is None


def test_another_answer_under_a_known_verdict_id_is_refused(house: House) -> None:
    """Nobody is told that an answer was recorded while an earlier, other one stands under its id; the earlier one stays."""
    house.hear(ordered(), completed(), predicted())
    assert house.answer().json()["done"]
    code = {"system": PNEUMONIA.system, "value": PNEUMONIA.value, "display": "Pneumonia"}
    other = house.answer(kind="reject", answers=[{"code": code, "value": "absent"}])
    assert (other.status_code, other.json()["done"]) == (409, False)
    assert house.answer().json()["done"]
    assert len(house.said("feedback", "verdict-recorded")) == 1


@pytest.mark.parametrize("path", ["/api/cases/%00", "/api/find?accession=%00", "/api/cases/%00/evidence"])
def test_an_address_with_nul_names_nothing(house: House, path: str) -> None:
    """A name that no database takes is one that is not found, never an error of the server."""
    assert house.web.get(path).status_code == 404


def test_an_answer_to_replaced_images_is_refused_in_words(house: House) -> None:
    """A verdict on revision 1 is not one on revision 2."""
    house.hear(ordered(), completed(), predicted(), completed("again", 80, revision=2), rooms=("worklist",))
    refused = house.answer()
    assert refused.status_code == 409
    assert "new images arrived" in refused.json()["reason"]
    assert house.said("feedback", "verdict-recorded") == []


def test_a_repeat_gets_its_answer_even_if_the_case_has_moved_on(house: House) -> None:
    """What was recorded stays recorded, whatever arrived between the two tries."""
    house.hear(ordered(), completed(), predicted())
    assert house.answer().json()["done"]
    house.hear(*house.said("feedback", "verdict-recorded"), completed("again", 80, revision=2))
    assert house.answer().json()["done"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"verdict_id": "x"}', json.dumps({
    "verdict_id": "x", "reader": "r", "kind": "perhaps", "answers": [], "revision": 1, "seconds_spent": 1,
}).encode()])
def test_what_is_no_verdict_is_refused_kept_and_harms_nothing(house: House, body: bytes) -> None:
    """A clear error at the door, a quarantine row with the reason, and the next verdict goes through."""
    house.hear(ordered(), completed(), predicted())
    answer = house.web.post(f"/api/cases/{CASE}/verdicts", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    with house.worklist.store.connection() as connection:
        ((payload, reason),) = connection.execute("select payload, reason from quarantine").fetchall()
    assert (bytes(payload), reason) == (body, answer.json()["reason"])
    assert house.answer().json()["done"]


def test_a_verdict_on_no_case_is_refused_and_kept_by_feedback(house: House) -> None:
    """A wrong verdict waits in feedback's quarantine with its reason."""
    refused = house.web.post("/api/cases/unheard-of/verdicts", content=house.answer().request.content, headers={
        "content-type": "application/json",
    })
    assert (refused.status_code, refused.json()["done"]) == (409, False)
    with house.feedback.store.connection() as connection:
        assert ("no such case",) in connection.execute("select reason from quarantine").fetchall()


def test_while_feedback_is_away_the_reader_is_told(house: House) -> None:
    """Nothing is pretended: the answer is 503, and the same verdict may be sent again."""
    house.hear(ordered(), completed(), predicted())
    house.neighbours[0].stop(0).wait()
    answer = house.answer()
    assert answer.status_code == 503
    assert "not possible at the moment" in answer.json()["reason"]


def test_undo_gives_the_case_its_own_place_back(house: House) -> None:
    """Triage decides; the row follows what it says."""
    house.hear(ordered(), completed(), predicted())
    house.hear(*house.said("triage", "case-triaged"), rooms=("worklist",))
    assert house.get("/api/rows")["rows"][0]["move"] == "lifted"
    undo = {"command_id": "undo-1", "reader": "dr-lovelace"}
    assert [house.web.post(f"/api/cases/{CASE}/undo", json=undo).status_code for _ in range(2)] == [200, 200]
    house.hear(*house.said("triage", "case-triaged"), rooms=("worklist",))
    row = house.get("/api/rows")["rows"][0]
    assert (row["move"], row["urgency"]) == ("undone", "routine")
    again = house.web.post(f"/api/cases/{CASE}/undo", json={"command_id": "undo-2", "reader": "dr-lovelace"})
    assert (again.status_code, again.json()["reason"]) == (409, "this case was not lifted")


def test_opening_is_said_once_for_each_look(house: House) -> None:
    """A repeat of the same look says nothing more."""
    house.hear(ordered(), completed(), predicted())
    for _ in range(2):
        assert house.web.post(f"/api/cases/{CASE}/open", json=LOOK).json()["done"]
    assert len(house.said("worklist", "case-opened")) == 1
    assert house.get("/api/rows")["rows"][0]["opened"]


LOOK = {"command_id": "look-1", "reader": "dr-lovelace", "revision": 1, "prediction_id": "example-predicted", "ai_shown": True}


@pytest.mark.parametrize("made_up", [{"revision": 7}, {"prediction_id": "never-said"}])
def test_a_made_up_opening_is_refused_kept_and_said_to_nobody(house: House, made_up: dict[str, object]) -> None:
    """Only what was there to be shown can have been looked at; nothing freezes a case that nobody opened."""
    house.hear(ordered(), completed(), predicted())
    refused = house.web.post(f"/api/cases/{CASE}/open", json={**LOOK, **made_up})
    assert (refused.status_code, refused.json()["done"]) == (409, False)
    assert "case" in refused.json()["reason"]
    with house.worklist.store.connection() as connection:
        assert connection.execute("select type, reason from quarantine").fetchall() == [("OpenCase", refused.json()["reason"])]
    assert house.said("worklist", "case-opened") == []
    assert not house.get("/api/rows")["rows"][0]["opened"]


@pytest.mark.parametrize("path", ["open", "undo", "verdicts", "verdicts/verdict-1/take-back"])
@pytest.mark.parametrize("name", ["x" * 50_000, "x" * 65, "two\nlines"], ids=["endless", "too long", "unprintable"])
def test_a_name_that_is_none_is_refused_at_every_command(house: House, path: str, name: str) -> None:
    """64 printable characters, or status 400 and a sentence; nothing of it is said on."""
    house.hear(ordered(), completed(), predicted(), lifted())
    verdict = {**LOOK, "verdict_id": "verdict-1", "kind": "accept", "seconds_spent": 1, "answers": [
        {"code": {"system": PNEUMONIA.system, "value": PNEUMONIA.value}, "value": "present"},
    ]}
    body = {**(verdict if path == "verdicts" else LOOK), "reader": name}
    refused = house.web.post(f"/api/cases/{CASE}/{path}", json=body)
    assert (refused.status_code, refused.json()["done"]) == (400, False)
    assert "64 characters" in refused.json()["reason"]
    assert house.said("worklist", "case-opened") == house.said("feedback", "verdict-recorded") == []


def test_what_was_shown_cannot_contradict_itself(house: House) -> None:
    """Whether the AI was on the screen decides whether an answer counts as blind: a reading named is a reading shown."""
    house.hear(ordered(), completed(), predicted())
    for shown in ({"ai_shown": False}, {"prediction_id": ""}):
        assert house.answer(**shown).status_code == 400
        assert house.web.post(f"/api/cases/{CASE}/open", json={**LOOK, **shown}).status_code == 400


def test_an_audit_on_a_case_that_was_opened_with_the_ai_is_answered_with_the_ai_shown(house: House) -> None:
    """Its label says how it was drawn, and that the AI was shown: it does not count as an answer given blind."""
    house.hear(ordered(), completed(), predicted())
    assert house.web.post(f"/api/cases/{CASE}/open", json=LOOK).json()["done"]
    request = requested(ai_hidden=True)
    house.hear(request)
    screen = house.get(f"/api/cases/{CASE}", request=request.request_id)
    assert (screen["ai_shown"], screen["row"]["ai_hidden"]) == (True, False)
    blind = house.answer(kind="refine", prediction_id="", ai_shown=False, request_id=request.request_id)
    assert blind.status_code == 409
    assert house.answer(verdict_id="verdict-2", request_id=request.request_id).json()["done"]
    (settled,) = house.said("feedback", "label-settled")
    assert (settled.drawn, settled.ai_shown) == ("audit", True)


def test_a_review_is_listed_and_an_audit_comes_without_the_ai(house: House) -> None:
    """The door itself hides the model's answer: another program sees no more than the page does."""
    house.hear(ordered(), completed(), predicted(), requested(ai_hidden=True), triaged(prediction_id="example-predicted"))
    (row,) = house.get("/api/rows", view="reviews")["rows"]
    screen = house.get(f"/api/cases/{CASE}", request=row["request_id"])
    assert (screen["ai_shown"], screen["row"]["said"], screen["row"]["ai_hidden"]) == (False, [], True)
    hidden = house.web.get(f"/api/cases/{CASE}/evidence", params={"system": PNEUMONIA.system, "value": PNEUMONIA.value})
    assert hidden.status_code == 404
    told = house.answer(kind="refine", prediction_id="", ai_shown=False, request_id=row["request_id"])
    assert told.json()["done"], told.json()


def test_a_committed_change_is_told_to_the_page_at_once(house: House) -> None:
    """Server-sent events come from commits, of whatever process."""
    lines: list[str] = []
    ready, heard = threading.Event(), threading.Event()

    def listen() -> None:
        with httpx.stream("GET", f"http://127.0.0.1:{house.page.port}/api/events", timeout=LIMIT_S) as stream:
            for line in stream.iter_lines():
                lines.append(line)
                ready.set()
                if CASE in line:
                    heard.set()
                    return

    with ThreadPoolExecutor(1) as pool:
        listening = pool.submit(listen)
        assert ready.wait(LIMIT_S)
        house.hear(completed())
        assert heard.wait(LIMIT_S), lines
        listening.result(LIMIT_S)


def test_other_programs_get_the_list_without_phi(house: House) -> None:
    """ListCases names cases, places and reasons, and nobody."""
    house.hear(ordered(), completed(), predicted(), lifted())
    with grpc.insecure_channel(f"127.0.0.1:{house.grpc_port}") as channel:
        answer = worklist_service_pb2_grpc.WorklistServiceStub(channel).ListCases(worklist_service_pb2.ListCasesRequest())
    (listed,) = answer.cases
    assert (listed.case_id, listed.urgency, listed.state, listed.model, listed.version) == (CASE, "raised", "waiting", "chest", 2)
    assert "Example" not in str(answer) and "ACC-EX-1" not in str(answer)


def test_the_door_answers_to_known_names_only_and_runs_no_foreign_script(house: House) -> None:
    """A name rebound to this machine gets nothing; the page's policy allows its own scripts alone; commands are JSON."""
    assert house.web.get("/", headers={"host": "evil.example"}).status_code == 400
    policy = house.web.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert house.web.post(f"/api/cases/{CASE}/undo", content=b"{}").status_code == 415
    page = Path(__file__).parents[3] / "services" / "radloop" / "worklist" / "adapters" / "page"
    assert json.loads((page / "vendor.json").read_text())["vendored"] == []
    assert "http://" not in "".join(one.read_text() for one in page.glob("*.js")).replace("http://www.w3.org/2000/svg", "")
