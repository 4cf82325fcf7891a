"""The short set: every part dies once while studies stream in, and both far ends go away together."""

import os

import pytest

from radloop.workbench.drill.schedule import SHORT
from tests.e2e.faults.conftest import drill

pytestmark = [pytest.mark.faults, pytest.mark.stack]


def test_nothing_is_lost_or_comes_twice_while_every_part_dies_once() -> None:
    """Whatever was acknowledged ends as delivered, superseded or quarantined, once; every part comes back, and every promise holds."""
    drilled = drill("--set", "short", "--seconds", "110", "--rounds", os.environ.get("RADLOOP_FAULT_ROUNDS", "1"))
    assert drilled.status == 0, drilled.told()
    figures = drilled.figures
    assert {one["name"] for one in drilled.report["rounds"][0]["struck"]} == set(SHORT), drilled.told()
    assert figures["accepted"] > 100
    assert figures["accepted"] == figures["delivered"] + figures["superseded"] + figures["quarantined"]
    assert (figures["lost"], figures["duplicated"], figures["broken"], figures["not_recovered"]) == (0, 0, 0, 0)
    assert figures["kills"] >= 10
