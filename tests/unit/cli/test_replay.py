"""`radloop replay` at the door of a house: what it asks for, what it refuses, what it says."""

from datetime import UTC, datetime, timedelta

import pytest

from radloop.cli.addresses import ROOMS
from radloop.cli.main import main
from radloop.cli.replay import instant
from tests.unit.cli.house import CASE, House


def test_everything_is_never_sent_again_by_accident(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a since, a case or a topic nothing is asked, and the sentence says what to name."""
    with pytest.raises(SystemExit) as wrong:
        main(["replay"])
    assert wrong.value.code == 2
    assert "--since" in capsys.readouterr().err
    assert not house.replays


def test_a_topic_is_asked_of_the_room_that_says_it(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Others have nothing of it, and are not asked."""
    assert main(["replay", "--topic", "study-completed", "--since", "2026-03-02T08:00:00+00:00"]) == 0
    [asked] = house.replays
    assert (asked.topic, asked.since.ToDatetime(tzinfo=UTC)) == ("study-completed", datetime(2026, 3, 2, 8, tzinfo=UTC))
    assert capsys.readouterr().out.splitlines() == ["ingestion: 5 to be sent again", "the broker has taken all of them"]


def test_a_room_that_does_not_say_a_topic_is_told_apart(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names who says it."""
    assert main(["replay", "--topic", "study-completed", "--room", "triage"]) == 1
    assert "ingestion" in capsys.readouterr().err


def test_a_case_is_asked_of_every_room_by_its_accession_number(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """The accession number goes to ingestion alone; rooms are asked by case id."""
    assert main(["replay", "--case", "ACC1001"]) == 0
    assert [asked.case_id for asked in house.replays] == [CASE] * len(ROOMS)
    assert "ACC1001" not in capsys.readouterr().out


def test_it_shows_how_much_is_left_until_the_broker_has_it(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Long work shows how far it is."""
    house.repeats = [3, 3, 1, 0]
    assert main(["replay", "--since", "2h", "--room", "triage"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "left" in line] == ["3 left", "1 left"]


def test_an_instant_is_written_as_people_say_it() -> None:
    """How long ago, or when; anything else is refused before anybody is asked."""
    assert datetime.now(UTC) - instant("6h") - timedelta(hours=6) < timedelta(minutes=1)
    assert instant("2026-03-02T08:00:00+01:00") == datetime(2026, 3, 2, 7, tzinfo=UTC)
    with pytest.raises(SystemExit):
        main(["replay", "--since", "yesterday"])
