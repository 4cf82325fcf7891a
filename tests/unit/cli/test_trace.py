"""What `radloop trace` tells of a case: its story, each reason once, and whole."""

import json

import pytest

from radloop.cli.addresses import ROOMS
from radloop.cli.main import main
from radloop.v1 import admin_service_pb2 as admin
from tests.unit.cli.house import CASE, START, House, after, example, said


def test_trace_tells_the_story_of_a_case(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Order, reading with its weights, place, reader, answer, label and report are told in order of time."""
    house.story = [
        said(60, "worklist", "case-opened"), said(0, "ingestion", "order-recorded", phi=True), said(4, "inference", "prediction-made"),
        said(5, "triage", "case-triaged"), said(70, "feedback", "verdict-recorded"), said(71, "feedback", "label-settled"),
        said(72, "publishing", "result-published"),
        admin.TraceEntry(at=after(3), room="inference", kind="heard", what="StudyCompleted", detail="recorded"),
    ]
    assert main(["trace", "ACC1001"]) == 0
    told = capsys.readouterr().out
    parts = ["the order was recorded", "chest version 2 (weights eeeeeeeeeeee…), in production", "pneumonia 0.93",
             "raised", "opened by reader-1, with the AI's reading shown", "reader-1 answered: accept (pneumonia present)",
             "taught: pneumonia present", "report to the EHR: delivered"]
    assert sorted(parts, key=told.index) == parts
    assert "heard" not in told
    assert main(["trace", CASE, "--all"]) == 0
    assert "heard StudyCompleted: recorded" in capsys.readouterr().out


def test_a_reason_is_told_once_in_a_trace(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Triage, the inbox and the next revision have the same reason that inference gave: they refer to it; another one is told."""
    none, pixels = "no version of chest serves this case", "(7FE0,0010) Pixel Data: blank"
    placed = said(5, "triage", "case-triaged")
    placed.facts = json.dumps({**json.loads(placed.facts), "reasons": [f"not read by a model: {none}"], "guards": []})
    house.story = [
        not_read(4, none), placed, not_read(6, none), not_read(7, pixels),
        admin.TraceEntry(at=after(8), room="inference", kind="quarantined", what="radloop.v1.ReadStudy", detail=pixels),
    ]
    assert main(["trace", "ACC1001"]) == 0
    told = capsys.readouterr().out
    rooms = len(ROOMS)  # the one door answers for each room
    assert (told.count(none), told.count(pixels)) == (1, 1)
    assert told.count("not read, for the same reason") == 3 * rooms - 2
    assert told.count("(not read by a model, for the same reason), policy") == rooms
    assert told.count("quarantined ReadStudy, for the same reason") == rooms
    refused = said(9, "publishing", "result-published")
    refused.facts = json.dumps({**json.loads(refused.facts), "outcome": "refused", "reason": "unable to change the order (UX)"})
    answered = "delivered: refused: unable to change the order (UX)"
    house.story = [refused, admin.TraceEntry(at=after(9), room="publishing", kind="delivered", what="ris priority", detail=answered)]
    assert main(["trace", "ACC1001"]) == 0
    told = capsys.readouterr().out
    assert told.count("unable to change") == 1
    assert told.count("delivery to ris priority: delivered: refused, for the same reason") == rooms


def not_read(seconds: float, reason: str) -> admin.TraceEntry:
    """Build what inference says where no model read the case."""
    one = said(seconds, "inference", "prediction-failed")
    one.facts = json.dumps({**json.loads(one.facts), "reason": reason})
    return one


def story_of(house: House, capsys: pytest.CaptureFixture[str], *entries: admin.TraceEntry) -> list[str]:
    """Return a case's lines as `radloop trace` tells them, without their times; each room behind the one door tells the same."""
    house.story = list(entries)
    assert main(["trace", "ACC1001"]) == 0
    return list(dict.fromkeys(line.split(maxsplit=2)[2] for line in capsys.readouterr().out.splitlines()[2:]))


@pytest.mark.parametrize(("first", "second"), [
    ("no version serves", "no version serves; no version of chest serves"), ("timeout", "timeout of triton"),
    ("timeout", "triton: timeout"), ("refused: timeout", "timeout"),
])
def test_a_reason_that_holds_another_one_is_told_as_it_is(
    house: House, capsys: pytest.CaptureFixture[str], first: str, second: str,
) -> None:
    """Evidence says no more than what was said: a reason is the same as another where the whole of it is."""
    refused = said(6, "publishing", "result-published")
    refused.facts = json.dumps({**json.loads(refused.facts), "outcome": "refused", "reason": second})
    delivered = admin.TraceEntry(at=after(7), room="publishing", kind="delivered", what="ehr", detail=f"delivered: refused: {second}")
    lines = story_of(house, capsys, not_read(4, first), not_read(5, second), refused, delivered)
    assert f"not read: {first}" in lines
    assert f"not read: {second}" in lines
    assert "delivery to ehr: delivered: refused, for the same reason" in lines
    assert all(line.endswith((first, second, ", for the same reason")) for line in lines)


def test_the_same_reason_is_the_one_told_last(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Where another came between, it would be taken for that one."""
    def held(seconds: float, reason: str) -> admin.TraceEntry:
        return admin.TraceEntry(at=after(seconds), room="inference", kind="quarantined", what="radloop.v1.ReadStudy", detail=reason)

    assert "quarantined ReadStudy: blank" in story_of(house, capsys, not_read(4, "blank"), not_read(5, "timeout"), held(6, "blank"))
    house.story = [not_read(4, "blank"), held(5, "no such case"), not_read(6, "blank")]
    assert main(["trace", "ACC1001"]) == 0
    assert capsys.readouterr().out.count("not read: blank") == 2


def test_what_a_receiver_said_is_told_word_for_word(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own words may stand twice in what it said; only the outcome is not repeated beside the state."""
    details = ("delivered: delivered", "quarantined: quarantined: report: status: report", "waiting: away: away")
    lines = story_of(house, capsys, *(
        admin.TraceEntry(at=after(at), room="publishing", kind="delivered", what="ehr", detail=detail) for at, detail in enumerate(details)
    ))
    assert lines == [
        f"delivery to ehr: {told}" for told in ("delivered", "quarantined: report: status: report", "waiting: away: away")]


def test_a_guard_that_another_one_holds_is_told() -> None:
    """A guard is among the reasons where the whole of it is."""
    from radloop.cli.grpc import Fact
    from radloop.cli.story import sentence

    long, short = "the ensemble disagrees on effusion, left", "the ensemble disagrees on effusion"
    facts = json.dumps({**json.loads(example("case-triaged")), "reasons": [f"kept its place: {long}"], "guards": [long, short]})
    told = sentence(Fact(START, "triage", "said", "case-triaged", "", "", facts), {})
    assert f"(kept its place: {long}; kept its place: {short})" in told


def test_what_keeps_a_case_in_its_place_is_told_once() -> None:
    """It is among the reasons of the place and among what makes the model unsure."""
    from radloop.cli.grpc import Fact
    from radloop.cli.story import sentence

    facts = json.loads(example("case-triaged"))
    guard = "unlike the images the model was trained on"
    for reasons, before in (([f"kept its place: {guard}"], ""), (["lifted: pneumonia 93%"], "lifted: pneumonia 93%; ")):
        held = json.dumps({**facts, "reasons": reasons, "guards": [guard]})
        told = sentence(Fact(START, "triage", "said", "case-triaged", "", "", held), {})
        assert f"({before}kept its place: {guard})" in told


def test_every_topic_has_its_sentence() -> None:
    """What any topic without PHI says is told in words, from its own example."""
    from radloop.cli.grpc import Fact
    from radloop.cli.story import sentence
    from radloop.kit.kafka import topics

    for name, topic in topics().items():
        if topic.key == "case":
            fact = Fact(START, "room", "said", name, "", "", "" if topic.phi else example(name))
            assert not sentence(fact, {}).startswith("said "), name


def test_trace_as_json_is_a_fact_a_line(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get every fact, with the case, the instant and what was said."""
    house.story = [said(4, "inference", "prediction-made")]
    assert main(["trace", "ACC1001", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == len(ROOMS)  # the one door answers for each room
    assert lines[0]["case"] == CASE
    assert lines[0]["facts"]["prediction"]["version"] == 2


def test_an_unknown_accession_is_a_sentence(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """The accession itself, which is PHI, is not repeated."""
    assert main(["trace", "ACC9999"]) == 1
    assert "ACC9999" not in capsys.readouterr().err
