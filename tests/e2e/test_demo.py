"""The small demo, as a stranger plays it: the whole loop on a fresh home, once on radiographs and once on phantoms."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from radloop.workbench.demo import DATA
from radloop.workbench.hospital import validator
from radloop.workbench.hospital.sources import KERMANY
from tests.integration.embedded_peers import home_of_its_own

MINUTES = 15
NAMES = {
    "studies", "read_by_model", "reports_in_ehr", "reports_lost", "reports_twice", "unexplained", "priority_changes",
    "priority_refused", "labels_asked", "labels_audit", "model_versions_released", "auc_before", "auc_after", "auc_gain",
    "stored_to_triaged_p50_ms", "stored_to_triaged_p95_ms", "seconds",
}


def radiographs() -> bool:
    """Say whether there are radiographs on this machine."""
    return (Path(os.environ.get("RADLOOP_DATA") or DATA) / KERMANY / "labels.csv").is_file()


@pytest.mark.demo
@pytest.mark.stack
@pytest.mark.parametrize(
    "source",
    [
        pytest.param([], id="radiographs", marks=pytest.mark.skipif(not radiographs(), reason="RADLOOP_DATA has none")),
        pytest.param(["--phantoms"], id="phantoms"),
    ],
)
def test_the_small_demo_holds(source: list[str]) -> None:
    """Exit status 0, every figure named, nothing lost or twice, and a Bundle that HAPI finds no error in (where Java is)."""
    with home_of_its_own() as home:
        program = [sys.executable, "-m", "radloop.cli.main", "demo", "--studies", "12", "--pool", "100", "--exit", "--json"]
        played = subprocess.run(
            [*program, "--free-ports", "--home", str(home), *source],
            capture_output=True, text=True, check=False, timeout=60 * MINUTES,
        )
        assert played.returncode == 0, played.stdout[-4000:] + played.stderr[-4000:]
        figures = json.loads(played.stdout.splitlines()[-1])["figures"]
        assert figures.keys() == NAMES
        assert (figures["studies"], figures["labels_asked"]) == (12, 100)
        assert figures["reports_lost"] == figures["reports_twice"] == figures["unexplained"] == 0
        assert figures["reports_in_ehr"] == figures["read_by_model"]
        if not validator.missing():
            assert [verdict.errors for verdict in validator.validate([home / "bundle.json"])] == [()]
