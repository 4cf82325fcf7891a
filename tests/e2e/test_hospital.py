"""`radloop hospital` against a platform that somebody else started: told once what it needs, played against twice."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from radloop.workbench.hospital.irregular import STUDIES as IRREGULAR
from radloop.workbench.hospital.waits import NEGATIVE, Waited, table
from radloop.workbench.play.ending import DATA, PAGE
from tests.integration.embedded_peers import home_of_its_own
from tests.integration.test_embedded_up import up

RADLOOP = Path(sys.executable).parent / "radloop"
STUDIES, SPEED = 8, 60


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.mark.stack
def test_a_platform_that_was_there_is_played_against_again_and_again(tmp_path: Path) -> None:
    """Each play brings people and numbers of its own, everything ends as documented, and the report is left behind.

    Without a model everybody waits as first in, first out: the peer is worked out from drawn times alone, and the real list comes to
    the same within 2 %.
    """
    ehr, ris = free_ports(2)
    hospital = tmp_path / "hospital"
    options = ["--speed", str(SPEED), "--ehr-port", str(ehr), "--ris-port", str(ris), "--home", str(hospital)]
    told = subprocess.run([str(RADLOOP), "hospital", "--show-settings", *options], capture_output=True, text=True, check=True).stdout
    with home_of_its_own() as home, up(home, *(word for line in told.split() for word in ("--set", line))):
        plays = [play(home, hospital, studies, *options) for studies in (STUDIES, 1)]
    waited = table([Waited(**one) for one in plays[0][1]["waited"]])
    for group in ("all", NEGATIVE):
        ours, fifo = waited[group]
        assert ours.mean == pytest.approx(fifo.mean, rel=0.02), group
    assert waited["all"][0].longest == pytest.approx(waited["all"][1].longest, rel=0.05)
    for studies, (figures, _) in zip((STUDIES, 1), plays, strict=True):
        assert (figures["studies"], figures["studies_irregular"]) == (studies, len(IRREGULAR))
        assert figures["auc_after"] is None
        assert figures["priority_changes"] == figures["reports_in_ehr"] == 0
        assert figures["irregularities_as_expected"] == figures["irregularities"]
        assert figures["unexplained"] == 0
    first, second = ({study["accession"] for study in story["studies"]} for _, story in plays)
    assert not first & second
    assert (hospital / PAGE).is_file()


def play(home: Path, hospital: Path, studies: int, *options: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Play once without a model; return the figures and the story."""
    played = subprocess.run(
        [str(RADLOOP), "hospital", "--no-ai", "--phantoms", "--studies", str(studies), "--json", *options],
        capture_output=True, text=True, check=False, timeout=300, env={**os.environ, "RADLOOP_HOME": str(home)},
    )
    assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-3000:]
    return json.loads(played.stdout.splitlines()[-1])["figures"], json.loads((hospital / DATA).read_text())


def test_without_a_platform_it_says_where_it_looked(tmp_path: Path) -> None:
    """And which options name one."""
    said = subprocess.run(
        [str(RADLOOP), "hospital"], capture_output=True, text=True, check=False, env={**os.environ, "RADLOOP_HOME": str(tmp_path)},
    )
    assert said.returncode == 78
    for words in ("no stack runs", "--mllp", "--dicom", "--page", "--kafka"):
        assert words in said.stderr
