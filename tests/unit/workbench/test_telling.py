"""How the demo tells what happens: nothing that takes long looks dead, nothing that stays is lost."""

import io
import threading

import pytest

from radloop.workbench import telling
from radloop.workbench.telling import Teller


class Terminal(io.StringIO):
    """Somebody looks."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_part_is_told_at_once_where_it_is_written_down() -> None:
    """Off a terminal every part of a stage is a line of its own, however soon it follows; how a part stands is said now and then."""
    out = io.StringIO()
    teller = Teller(out)
    with teller.stage("a stage"):
        teller.part("its first part")
        teller.now("one of two is done")
        teller.part("its second part")
    told = [line.split(" s  ", 1)[1] for line in out.getvalue().splitlines()]
    assert told[:3] == ["a stage …", "its first part", "its second part"]
    assert told[3].startswith("a stage: ")


def test_on_a_terminal_the_seconds_go_on_while_a_stage_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is written again in its place with the seconds as they are, and no more once it is over."""
    monkeypatch.setattr(telling, "_TICK", 0.01)
    out = Terminal()
    again = threading.Event()
    write = out.write

    def heard(text: str) -> int:
        if out.getvalue().count("a part") >= 3:
            again.set()
        return write(text)

    out.write = heard  # type: ignore[method-assign]  # it says when it was written to often enough
    teller = Teller(out)
    with teller.stage("a stage"):
        teller.part("a part")
        assert again.wait(10)
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().rsplit("\r", 1)[1].startswith("\x1b[K")
    assert "a stage: " in out.getvalue().rsplit("\r", 1)[1]


def test_what_is_rewritten_fits_into_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text longer than the terminal is wide is cut while it is rewritten, and whole where it stays."""
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    teller = Teller(out)
    teller.now("x" * 100)
    assert len(out.getvalue()) < 40
    teller.line("y" * 100)
    assert "y" * 100 in out.getvalue()


def test_somebody_else_writes_on_a_line_of_his_own() -> None:
    """Before an error is printed beside it, what was being rewritten is left standing; where nothing was, nothing is written."""
    out = Terminal()
    teller = Teller(out)
    teller.now("half way")
    teller.leave()
    teller.leave()
    assert out.getvalue().endswith("half way\n")
