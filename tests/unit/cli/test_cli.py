"""The command, against rooms that answer over real gRPC and say what the test has them say."""

import io
import json
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest

from radloop.cli.addresses import ROOMS
from radloop.cli.main import main, parser
from radloop.cli.table import local
from radloop.kit.flow import Actor, Record
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.domain.commands import AddModel
from radloop.retraining.handlers import add_model
from radloop.retraining.ports import Offered
from radloop.standards.package import render
from radloop.v1 import admin_service_pb2 as admin
from radloop.v1 import retraining_service_pb2 as retraining
from tests.examples.segmenting import segmenter
from tests.unit.cli.house import CASE, START, House, after, quarantined


def test_status_shows_every_room(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a room, and exit status 0 when all is well."""
    assert main(["status"]) == 0
    told = capsys.readouterr().out
    assert all(room in told for room in ROOMS)


def test_status_fails_where_a_room_is_not_ready(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """A room that is not ready says why, and the exit status shows it."""
    house.ready = False
    assert main(["status", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["well"] is False
    assert told["rooms"][0]["reasons"] == ["postgres is away"]
    assert told["rooms"][0]["blown"] is None


def test_status_tells_of_an_open_fuse(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Since when it is open and when it tries next, to people; and by what, to programs."""
    house.blown = admin.BlownFuse(since=after(0), causes=["KeyError in rank"], next_try=after(60))
    assert main(["status"]) == 1
    since, next_try = (local(START + timedelta(seconds=seconds)) for seconds in (0, 60))
    assert f"open since {since[:19]}, tries at {next_try[11:19]}" in capsys.readouterr().out
    assert main(["status", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["rooms"][0]["blown"]
    assert told == {"since": "2026-03-02T08:30:00+00:00", "causes": ["KeyError in rank"], "next_try": "2026-03-02T08:31:00+00:00"}


def test_status_says_each_reason_for_its_exit_status(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody has to look through the columns: what waits in quarantine, a fuse and a room not ready are a line each at the end."""
    monkeypatch.setattr("radloop.cli.grpc.Rooms.names", ("ingestion",))
    house.backlog["quarantine"] = 1
    assert main(["status"]) == 1
    *_, last = capsys.readouterr().out.splitlines()
    assert last == "ingestion: 1 in quarantine; `radloop quarantine list --room ingestion` says what and why"
    house.ready = False
    house.blown = admin.BlownFuse(since=after(0), causes=["KeyError in rank"], next_try=after(60))
    assert main(["status"]) == 1
    *_, not_ready, fuse, quarantine = capsys.readouterr().out.splitlines()
    assert not_ready == "ingestion is not ready: postgres is away"
    assert fuse.startswith("ingestion: the fuse is open since ")
    assert quarantine == last
    assert main(["status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["wrong"] == [not_ready, fuse, quarantine]
    house.ready, house.blown, house.backlog = True, None, {}
    assert main(["status"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("ingestion ")


def test_without_a_stack_the_command_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """No running stack and no addresses: one sentence names the three ways out."""
    monkeypatch.setenv("RADLOOP_HOME", str(tmp_path / "nothing"))
    assert main(["status"]) == 78
    told = capsys.readouterr().err
    assert all(hint in told for hint in ("radloop up", "RADLOOP_HOME", "RADLOOP_ADDRESS_"))


def test_a_silent_room_is_named_not_raised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """A room that does not answer is a line in the table; elsewhere it is exit status 75, try again."""
    monkeypatch.setenv("RADLOOP_HOME", str(tmp_path))
    for room in ROOMS:
        monkeypatch.setenv(f"RADLOOP_ADDRESS_{room.upper()}", "127.0.0.1:1")
    assert main(["status"]) == 1
    assert "does not answer" in capsys.readouterr().out
    assert main(["models", "list"]) == 75
    assert "Traceback" not in capsys.readouterr().err


@pytest.fixture
def held(house: House) -> House:
    """Put one message into one room's quarantine (which is every room's here: pick by --room)."""
    house.held = [quarantined("0123456789abcdef")]
    return house


def test_quarantine_is_listed_with_reasons(held: House, capsys: pytest.CaptureFixture[str]) -> None:
    """One line an input, with its reason and never its bytes."""
    assert main(["quarantine", "list", "--room", "ingestion"]) == 0
    told = capsys.readouterr().out
    assert "MSH-10 is missing" in told
    assert "MSH|bad" not in told


def test_quarantine_finds_by_the_beginning_of_an_id(
    held: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:
    """show, retry and discard take a short id; the bytes go to a file only when asked for."""
    monkeypatch.setattr("radloop.cli.grpc.Rooms.names", ("ingestion",))
    assert main(["quarantine", "show", "0123", "--payload", str(tmp_path / "m")]) == 0
    assert (tmp_path / "m").read_bytes() == b"MSH|bad"
    assert (tmp_path / "m").stat().st_mode & 0o077 == 0, "it may be PHI"
    assert "7 bytes in" in capsys.readouterr().out
    assert main(["quarantine", "show", "0123", "--payload", str(tmp_path / "m")]) == 1
    assert "is there already: name a new file" in capsys.readouterr().err
    assert main(["quarantine", "show", "0123"]) == 0
    told = capsys.readouterr().out
    assert "7, SHA-256" in told
    assert "MSH|bad" not in told
    assert main(["quarantine", "retry", "0123"]) == 0
    assert capsys.readouterr().out == "01234567 ingestion: recorded\n"
    assert main(["quarantine", "discard", "0123", "--reason", "a test message"]) == 0
    assert held.discarded == ["0123456789abcdef"]
    assert main(["quarantine", "show", "ffff"]) == 1


def test_a_list_that_is_cut_short_says_so(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs that read standard output are not disturbed by it."""
    house.held = [quarantined(f"{number:08x}", number) for number in range(3)]
    assert main(["quarantine", "list", "--room", "ingestion", "--limit", "2", "--json"]) == 0
    told = capsys.readouterr()
    assert [json.loads(line)["id"] for line in told.out.splitlines()] == ["00000002", "00000001"]
    assert "the newest 2 are shown" in told.err


def test_a_list_longer_than_a_page_is_whole(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Page after page, as many as were asked for."""
    house.held = [quarantined(f"{number:08x}", number) for number in range(1200)]
    assert main(["quarantine", "list", "--room", "ingestion", "--limit", "1100", "--json"]) == 0
    ids = [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()]
    assert ids == [f"{number:08x}" for number in range(1199, 99, -1)]


def test_several_are_retried_whatever_becomes_of_one(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each, then how many ended how; 1 where one is back in quarantine or was refused, 75 where one must wait."""
    house.held = [quarantined(f"{name}0000000", number) for number, name in enumerate("abcd")]
    house.outcomes = {"b0000000": "away", "c0000000": "skipped: superseded by a newer revision"}
    assert main(["quarantine", "retry", "--room", "ingestion", "a000", "b000", "c000"]) == 75
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "a0000000 ingestion: recorded"
    assert told[1].startswith("b0000000 ingestion: not now: ")
    assert told[2:] == [
        "c0000000 ingestion: skipped: superseded by a newer revision", "3 in all, 1 recorded, 1 skipped, 1 to be tried again later"]
    house.outcomes["d0000000"] = "refused"
    assert main(["quarantine", "retry", "--room", "ingestion", "b000", "d000"]) == 1
    assert "1 refused" in capsys.readouterr().out


def test_all_of_a_room_are_retried_once_oldest_first(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """More than a page of them; what fails again is not retried again in the same breath."""
    house.held = [quarantined(f"{number:08x}", number) for number in reversed(range(1200))]
    house.outcomes = {"00000003": "quarantined: KeyError in take", "00000004": "refused", "00000005": "away"}
    assert main(["quarantine", "retry", "--room", "ingestion", "--all"]) == 1
    assert house.retried == [f"{number:08x}" for number in range(1200)]
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == "1200 in all, 1 quarantined, 1197 recorded, 1 refused, 1 to be tried again later"
    assert len(told) == 1201


def test_all_of_nothing_is_no_failure(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty quarantine is what everybody wants."""
    assert main(["quarantine", "retry", "--room", "ingestion", "--all"]) == 0
    assert capsys.readouterr().out == "0 in all\n"


@pytest.mark.parametrize("words", [[], ["--all"], ["--room", "ingestion"], ["--room", "ingestion", "--all", "0123"]])
def test_what_to_retry_is_said_in_so_many_words(held: House, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing, everything everywhere, or both at once is wrong usage, and nothing is done."""
    with pytest.raises(SystemExit) as wrong:
        main(["quarantine", "retry", *words])
    assert wrong.value.code == 2
    assert "--room ROOM --all" in capsys.readouterr().err
    assert held.retried == []


def test_several_are_given_up_at_once(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each; where one of them is not there, none is touched."""
    house.held = [quarantined(f"{name}0000000") for name in "ab"]
    assert main(["quarantine", "discard", "--room", "ingestion", "a000", "x000", "--reason", "tests"]) == 1
    assert house.discarded == []
    capsys.readouterr()
    assert main(["quarantine", "discard", "--room", "ingestion", "a000", "b000", "--reason", "tests"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a0000000 ingestion: discarded", "b0000000 ingestion: discarded", "2 in all, 2 discarded"]
    assert house.discarded == ["a0000000", "b0000000"]


@pytest.mark.parametrize(("words", "says"), [
    (["discard", "", "--reason", "tests"], "give its first 4 characters"), (["retry", "a"], "give its first 4 characters"),
    (["discard", "a0000000", "--reason", " "], "say why"),
])
def test_an_empty_word_gives_nothing_up(house: House, words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A variable of a shell that was never set is no id, and no reason."""
    house.held = [quarantined("a0000000")]
    assert main(["quarantine", *words]) == 1
    assert says in capsys.readouterr().err
    assert (house.discarded, house.retried) == ([], [])


@pytest.mark.parametrize("since", ["999999d", "2099-01-01", "nonsense", "-3d"])
def test_a_time_that_nothing_was_said_since_is_wrong_usage(since: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Beyond all calendars, yet to come, or no time at all."""
    with pytest.raises(SystemExit) as wrong:
        main(["replay", "--since", since])
    assert wrong.value.code == 2
    assert "--since" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_a_sentence(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """The bytes stay where they are."""
    house.held = [quarantined("a0000000")]
    assert main(["quarantine", "show", "a0000000", "--room", "ingestion", "--payload", "/no/such/folder/file"]) == 1
    assert "cannot be written (No such file or directory): name a file in a folder that may be written" in capsys.readouterr().err


def test_backfill_hands_over_what_is_dicom_and_says_what_was_refused(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """DICOM files go to ingestion with their purpose; others are passed over; a refusal names its file and fails the command."""
    folder = tmp_path / "studies"
    (folder / "a").mkdir(parents=True)
    (folder / "a/one.dcm").write_bytes(b"\0" * 128 + b"DICM one")
    (folder / "note.txt").write_text("hello")
    assert main(["backfill", str(folder), "--purpose", "pool", "--progress"]) == 0
    assert [purpose for _, purpose in house.datasets] == ["pool"]
    assert "1 objects of 1 studies handed over, 1 other files passed over, 0 refused" in capsys.readouterr().out
    (folder / "two.dcm").write_bytes(b"\0" * 128 + b"DICM broken")
    assert main(["backfill", str(folder), "--purpose", "pool"]) == 1
    assert "two.dcm: ingestion refused: no pixel data" in capsys.readouterr().err


def test_drift_is_a_table_and_a_sentence_a_line(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures of each version, then what they mean; what moved is marked, and it is no failure of the command."""
    assert main(["models", "drift"]) == 0
    told = capsys.readouterr().out
    [row] = [line.split("  ") for line in told.splitlines() if line.startswith("chest  2 ")]
    assert [cell.strip() for cell in row if cell.strip()] == [
        "chest", "2", "production", "1200", "233604007", "0.22 → 0.41", "20% → 45%", "0.31", "1% → 2%", "1.04 times", "0.05"]
    assert "\n  ! Pneumonia: probabilities moved: PSI .31 over .25\n" in told
    assert "\n    out of distribution: 2% of the latest 200\n" in told


def test_drift_has_a_row_of_every_model_that_reads(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """A version that was just added under another name has read nothing, and its row says so; `--model` asks for one."""
    house.versions.append(retraining.ModelVersion(model="adult-chest", version=1, stage="shadow", since=after(0), labels=0))
    none = retraining.DriftVerdict(moved=False, sentence="too few cases to judge: 0 live ones read, 100 are needed")
    house.drifts.append(retraining.VersionDrift(model="adult-chest", version=1, stage="shadow", cases=0, window=0, verdicts=[none]))
    assert main(["models", "drift"]) == 0
    told = capsys.readouterr().out
    assert any(line.split()[:4] == ["adult-chest", "1", "shadow", "0"] for line in told.splitlines())
    assert "adult-chest version 1\n    too few cases to judge: 0 live ones read" in told
    assert main(["models", "drift", "--model", "chest"]) == 0
    assert "adult-chest" not in capsys.readouterr().out
    house.versions = []
    assert main(["models", "drift"]) == 0
    assert "no version reads studies; `radloop models list`" in capsys.readouterr().out


def test_drift_for_programs_is_one_object_a_version(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure that was said, under the names of the contract."""
    assert main(["models", "drift", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["window"], told["findings"][0]["psi"]) == (2, 200, 0.31)
    assert told["embedding"]["mean_distance_expected"] == 8.0
    assert told["quality"][0]["median"] == {"before": 0.45, "now": 0.46}
    assert told["verdicts"][0] == {"moved": True, "sentence": "Pneumonia: probabilities moved: PSI .31 over .25"}


def test_drift_of_too_few_cases_or_of_nobody_is_said(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """A version that read little has no figures, and a model without versions none either."""
    few = retraining.DriftVerdict(moved=False, sentence="too few cases to judge: 63 live ones read, 100 are needed")
    house.drifts = [retraining.VersionDrift(model="chest", version=3, stage="shadow", cases=63, window=0, verdicts=[few])]
    assert main(["models", "drift"]) == 0
    told = capsys.readouterr().out
    assert "too few cases to judge: 63" in told
    assert main(["models", "drift", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["embedding"] is None
    assert main(["models", "drift", "--model", "knee"]) == 0
    assert "no version of knee reads" in capsys.readouterr().out


def test_models_are_listed_promoted_and_rolled_back(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """What retraining answers is shown; what it refuses is a sentence and exit status 1."""
    assert main(["models", "list"]) == 0
    assert "production" in capsys.readouterr().out
    assert main(["models", "promote", "2", "production"]) == 0
    assert main(["models", "rollback"]) == 0
    assert main(["models", "cycle", "--wait"]) == 0
    house.gate = "the gate was not passed"
    assert main(["models", "promote", "2", "production"]) == 1
    assert "the gate was not passed" in capsys.readouterr().err
    assert main(["models", "cycle"]) == 1


def test_a_version_that_no_gate_was_held_for_has_not_failed_one(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """What retraining says of a package it took in reads as no gate held yet; a candidate that missed its margin as not passed."""
    command = AddModel(id="add", subject="chest", site="site-1", at=START, actor=Actor(kind="system", id="test"), package="1" * 64)
    offered = Offered(model="chest", weights="1" * 64, snapshot="2" * 64, labels=20)
    added = add_model((command, offered, None), None, load_plan())
    assert isinstance(added, Record) and added.state
    evidence = {1: added.state.versions[0].evidence, 2: ("AUC: -0.0400, needed -0.0100: missed",)}
    house.versions = [
        retraining.ModelVersion(model="chest", version=number, stage="shadow", since=after(0), labels=20, gate_passed=False, evidence=said)
        for number, said in evidence.items()
    ]
    assert main(["models", "list"]) == 0
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert "none held yet" in first and "not passed" not in first
    assert "not passed" in second


def test_before_the_first_cycle_there_is_none_to_show(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """`models cycle --show` says that there was no cycle, what would start one, and which answers are there; that is no failure."""
    house.cycles = 0
    assert main(["models", "cycle", "--show"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("no cycle yet: ")
    assert "radloop models cycle" in told
    assert "labels: pool 12" in told


def test_a_model_folder_travels_with_the_encoder_beside_it(house: House, tmp_path: Path) -> None:
    """`models add` packs the version folder, and a segmenter's encoder from beside it; code and configuration are made there."""
    version = tmp_path / "lungs/1"
    version.mkdir(parents=True)
    (version / "radloop.yaml").write_text(render(segmenter()))
    (version / "model.onnx").write_bytes(b"onnx")
    encoder = tmp_path / "lungs-encoder/1"
    encoder.mkdir(parents=True)
    (encoder / "model.onnx").write_bytes(b"encoder")
    assert main(["models", "add", str(version)]) == 0
    with tarfile.open(fileobj=io.BytesIO(house.packages[0])) as packed:
        assert sorted(packed.getnames()) == ["encoder.onnx", "model.onnx", "radloop.yaml"]
    assert main(["models", "add", str(tmp_path)]) == 78


def test_undo_reaches_triage_by_accession(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """The accession number is enough; what came of it is printed."""
    assert main(["undo", "ACC1001"]) == 0
    assert house.undone == [CASE]
    assert "undone" in capsys.readouterr().out


def test_the_help_of_every_command_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    """`radloop --help` names each command; each command's own help begins with a sentence."""
    text = parser().format_help()
    for command in ("status", "trace", "quarantine", "models", "backfill", "undo"):
        assert command in text
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert len(capsys.readouterr().out) > 200


def test_the_commands_work_without_the_workbench(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the workbench is not installed `up` and `demo` are not offered, and nothing else is lost."""
    import importlib

    real = importlib.import_module

    def absent(name: str, package: str | None = None):
        if name.startswith("radloop.workbench"):
            raise ModuleNotFoundError(name)
        return real(name, package)

    monkeypatch.setattr("radloop.cli.main.importlib.import_module", absent)
    text = parser().format_help()
    assert "status" in text
    assert "\n    up " not in text
