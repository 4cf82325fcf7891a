"""What the demo says of itself before it begins: what comes, and why a small pool does not make it small."""

import argparse
import re

import pytest

from radloop.retraining.adapters.plan import load_plan
from radloop.workbench import demo
from radloop.workbench.hospital.cohort import FULL_POOL, draw, sizes
from radloop.workbench.hospital.sources import Phantoms
from radloop.workbench.hospital.tempo import Tempo
from radloop.workbench.play.wanted import Wanted, introduction


def test_the_demo_says_whom_it_asks_and_what_the_others_are_for() -> None:
    """Every earlier study is accounted for: the pool, the acceptance set, the gate set and what the plan asks of it."""
    cohort = draw(Phantoms(7), 7, sizes(12, 100))
    told = Wanted(seed=7, studies=12, pool=100, prevalence=0.2, radiologists=2, anchoring=0.2, tempo=Tempo(60), ai=True)
    said = "\n".join(introduction("phantoms", told, cohort, load_plan().gate))
    for words in (
        "795 earlier studies", "100 earlier studies are the pool", "125 are the acceptance set", "570 are the gate set",
        "400 positives and 100 negatives", "a morning of 12 ordinary studies and 11 irregular ones",
        "a second of computing counts as 60",
    ):
        assert words in said


def test_the_help_says_how_many_come_beside_the_pool(capsys: pytest.CaptureFixture[str]) -> None:
    """The numbers in --help are those that are drawn for the smallest pool and for the full one, and the plan's own."""
    parser = argparse.ArgumentParser()
    demo.add_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["demo", "--help"])
    said = re.sub(r"\s+", " ", capsys.readouterr().out)
    least, most = sizes(1, 1), sizes(60, FULL_POOL)
    gates = [one.gate_positives + one.gate_negatives for one in (least, most)]
    plan = load_plan().gate
    assert f"{least.acceptance + gates[0]} to {most.acceptance + gates[1]} earlier studies are handed over however small it is" in said
    assert f"{least.acceptance} to {most.acceptance} that calibrate" in said
    assert f"{gates[0]} to {gates[1]} that decide" in said
    assert f"{plan.positives_at_least} positives and {plan.negatives_at_least} negatives" in said
