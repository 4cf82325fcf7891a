"""A benchmark with goals says which were missed, and ends with 1."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from figures import Goals, finish

GOALS = Goals({"rate": 0.8}, {"late_ms": 120.0})
NAN = float("nan")


@pytest.mark.parametrize(("found", "missed"), [
    ({"rate": 0.8, "late_ms": 120.0}, 0), ({"rate": 0.79, "late_ms": 120.0}, 1), ({"rate": 0.8, "late_ms": 120.1}, 1),
    ({"rate": NAN, "late_ms": NAN}, 2), ({}, 2),
])
def test_a_goal_that_is_missed_missing_or_no_number_is_told(
    found: dict[str, float], missed: int, capsys: pytest.CaptureFixture[str],
) -> None:
    """Of figures as of ratios, in the result and by the exit status."""
    for figures, ratios in ((found, {}), ({}, found)):
        assert finish("any", figures, ratios, ("numpy",), GOALS) == int(missed > 0)
        printed = capsys.readouterr()
        assert len(json.loads(printed.out)["missed"]) == printed.err.count("missed: ") == missed


def test_without_goals_nothing_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever was measured."""
    assert finish("any", {"rate": 0.0}, {}, ("numpy",)) == 0
    assert json.loads(capsys.readouterr().out)["missed"] == []
