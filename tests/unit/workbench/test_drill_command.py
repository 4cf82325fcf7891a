"""What `radloop drill` takes, and which strikes it draws from."""

import argparse

import pytest

from radloop.cli.main import main, parser
from radloop.kit.errors import Misconfigured
from radloop.workbench.drill.drilling import chosen
from radloop.workbench.drill.schedule import BROKER, SHORT
from radloop.workbench.drill.strikes import strikes


def options(*given: str) -> argparse.Namespace:
    """The command line as it is read."""
    return parser().parse_args(["drill", *given])


def test_short_drills_strike_the_short_set_and_long_ones_everything():
    """Under 200 seconds every part is struck once; in the default 300 s everything there is can come."""
    assert chosen(options("--seconds", "120")) == SHORT
    assert set(chosen(options())) == set(strikes())


def test_a_set_or_single_strikes_can_be_named():
    """--set and --strike say what is drawn from, whatever the seconds."""
    assert chosen(options("--set", "broker")) == BROKER
    assert chosen(options("--set", "full", "--seconds", "20")) == tuple(strikes())
    assert chosen(options("--strike", "kill triage", "--strike", "kill kafka")) == ("kill triage", "kill kafka")


def test_a_strike_that_there_is_not_is_refused_with_what_to_do():
    """A misspelt strike must not pass as a drill without strikes."""
    with pytest.raises(Misconfigured, match="--list"):
        chosen(options("--strike", "kill triag"))


def test_the_strikes_are_listed(capsys: pytest.CaptureFixture[str]):
    """--list names them and starts nothing."""
    assert main(["drill", "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == list(strikes())


def test_a_home_that_is_not_empty_is_left_alone(tmp_path, capsys: pytest.CaptureFixture[str]):
    """A drill kills what it finds: it never begins in a home that holds something."""
    (tmp_path / "stack.json").write_text("{}")
    assert main(["drill", "--home", str(tmp_path)]) == 78
    assert "not empty" in capsys.readouterr().err


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path, capsys: pytest.CaptureFixture[str]):
    """A file stands in its way."""
    (tmp_path / "file").touch()
    assert main(["drill", "--home", str(tmp_path / "file")]) == 78
    assert "cannot be made (File exists): name a folder that may be written" in capsys.readouterr().err


def test_a_broker_that_there_is_not_is_missed_at_once(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Before anything is started, and in words."""
    monkeypatch.setenv("RADLOOP_TOOLS", str(tmp_path))
    assert main(["drill", "--kafka", "apache"]) == 78
    assert "there is no Apache Kafka at kafka/kafka under RADLOOP_TOOLS" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--seconds", "0"], ["--seed", "-5"], ["--rate", "-1"], ["--rounds", "0"], ["--outage-seconds", "nan"]])
def test_numbers_that_make_no_drill_are_refused(wrong: list[str]):
    """What would stream for no time, at no rate or in no round is wrong usage."""
    with pytest.raises(SystemExit):
        options(*wrong)
