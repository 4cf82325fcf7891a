"""Where a demo lives: it starts from nothing, and never at the cost of somebody's state."""

import argparse
import threading
from io import StringIO
from pathlib import Path

import pytest

from radloop.workbench.demonstration import _clean, _Demo
from radloop.workbench.hospital.cohort import draw, sizes
from radloop.workbench.hospital.sources import Phantoms
from radloop.workbench.hospital.tempo import Tempo
from radloop.workbench.play.wanted import Wanted
from radloop.workbench.telling import Teller


def test_an_earlier_demo_is_replaced(tmp_path: Path) -> None:
    """A demo's own state is gone before the next one begins."""
    home = _clean(tmp_path / "home")
    (home / "postgres").mkdir()
    (home / "bundle.json").write_text("{}")
    assert sorted(one.name for one in _clean(home).iterdir()) == ["demo.json"]


def test_the_state_of_a_stack_is_put_aside(tmp_path: Path) -> None:
    """What `radloop up` left is kept, also by the demo after next."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "data").write_text("precious")
    for _ in range(2):
        _clean(tmp_path)
    assert (tmp_path / "before-demo-1" / "postgres" / "data").read_text() == "precious"


@pytest.mark.parametrize("worth_tracing", ["A1", ""])
def test_a_story_is_offered_where_there_is_one(tmp_path: Path, worth_tracing: str) -> None:
    """A command without an accession number would only be refused; where the reading list is, is said in any case."""
    told = Wanted(seed=7, studies=12, pool=100, prevalence=0.2, radiologists=2, anchoring=0.2, tempo=Tempo(60), ai=True)
    source, said, stopped = Phantoms(7), StringIO(), threading.Event()
    stopped.set()
    demo = _Demo(argparse.Namespace(json=False), told, source, draw(source, 7, sizes(12, 100)), tmp_path, Teller(said))
    demo._stay("http://list/", worth_tracing, stopped)
    assert "http://list/" in said.getvalue()
    assert said.getvalue().count("radloop trace") == said.getvalue().count("radloop trace A1") == len(worth_tracing) // 2
