"""What `radloop up` takes and shows."""

import argparse
import io
from pathlib import Path

import pytest
from rich.console import Console

from radloop.workbench import up
from radloop.workbench.display import Display
from radloop.workbench.embedded.options import ROOMS
from radloop.workbench.embedded.ports import Ports
from radloop.workbench.embedded.report import Said
from radloop.workbench.embedded.rooms import environment, seat


def options(*given: str):
    parser = argparse.ArgumentParser()
    up.add_parser(parser.add_subparsers())
    return up.options_from(parser.parse_args(["up", *given]))


def test_hospital_and_settings_reach_the_rooms_by_environment():
    """--ehr, --ris and --set become settings of the rooms; what the user sets himself has the last word."""
    told = options("--ehr", "http://127.0.0.1:1/fhir", "--ris", "127.0.0.1:2", "--set", "RADLOOP_TRIAGE_POLICY=p.yaml").settings
    assert told == {
        "RADLOOP_PUBLISHING_EHR": "http://127.0.0.1:1/fhir", "RADLOOP_PUBLISHING_RIS": "127.0.0.1:2",
        "RADLOOP_TRIAGE_POLICY": "p.yaml",
    }


def test_every_room_is_told_where_the_others_are():
    """A room finds each other room's gRPC address, its own doors and what all lean on in its environment."""
    seats = seat(ROOMS, Ports(usual=False))
    addresses = {"postgres": "dsn", "kafka": "k:1", "triton": "t:1", "model_repository": "models"}
    for one in seats:
        addresses |= one.addresses("127.0.0.1")
    env = environment(seats, addresses, Path("blobs"), options("--site", "st-elsewhere", "--set", "RADLOOP_KAFKA=mine:1"))
    assert {f"RADLOOP_ADDRESS_{room.name.upper()}" for room in ROOMS} <= set(env)
    assert env["RADLOOP_ADDRESS_TRIAGE"] == env["RADLOOP_TRIAGE_GRPC"]
    assert {"RADLOOP_INGESTION_MLLP", "RADLOOP_INGESTION_DICOM", "RADLOOP_WORKLIST_HTTP"} <= set(env)
    assert env["RADLOOP_SITE"] == "st-elsewhere"
    assert env["RADLOOP_KAFKA"] == "mine:1"
    assert len({port.number for one in seats for port in one.ports()}) == 2 * len(ROOMS) + 3


def test_plain_output_is_one_line_for_each_thing_said():
    """Without a terminal the start is told in plain lines, without colours."""
    written = io.StringIO()
    with Display(Console(file=written, force_terminal=False)) as display:
        display(Said("kafka", "waiting"))
        display(Said("kafka", "note", "port 9092 is busy; using 40000"))
        display(Said("kafka", "ready", "0.1 s"))
    lines = written.getvalue().splitlines()
    assert [line.split("  ", 2)[-1].strip() for line in lines] == [
        "kafka       port 9092 is busy; using 40000", "kafka       ready 0.1 s",
    ]


def test_terminal_shows_one_row_for_each_part():
    """On a terminal the last table holds each part once, as it is now."""
    written = io.StringIO()
    with Display(Console(file=written, force_terminal=True, width=100)) as display:
        for part in ("postgres", "kafka"):
            display(Said(part, "starting"))
            display(Said(part, "ready", "0.1 s"))
        table = display.__rich__()
    assert table.row_count == 2
    assert "ready" in written.getvalue()


@pytest.mark.parametrize("wrong", ["PATH=/bin", "RADLOOP_SITE"])
def test_setting_that_is_not_ours_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]):
    """--set takes RADLOOP_…=value and nothing else."""
    with pytest.raises(SystemExit):
        options("--set", wrong)
    assert "RADLOOP_" in capsys.readouterr().err
