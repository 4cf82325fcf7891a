"""What the documentation shows is so: its commands run, its links lead somewhere, its settings are the rooms' own."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import helm_python
import pytest
import yaml

from radloop.cli.main import main, parser
from radloop.workbench.demo import DEFAULT_SEED
from radloop.workbench.hospital.books import enrol
from radloop.workbench.hospital.cohort import FULL_POOL, draw, sizes
from radloop.workbench.hospital.irregular import KINDS
from radloop.workbench.hospital.sources import Phantoms
from radloop.v1 import retraining_service_pb2 as retraining
from tests.examples import elsewhere
from tests.house import settings_page
from tests.house.rules import ROOMS
from tests.unit.cli.house import after, opened, quarantined

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "services/README.md",
                *ROOT.glob("services/decisions/*.md")])


# A study that comes in every whole demo: the first ordinary one of its morning.
MORNING = enrol(DEFAULT_SEED, draw(Phantoms(DEFAULT_SEED), DEFAULT_SEED, sizes(60, FULL_POOL)), datetime.now(UTC)).morning
FIRST = next(entry.order.accession for entry in MORNING if not entry.irregular)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    return [
        (page.relative_to(ROOT).as_posix(), line.strip())
        for page in PAGES for block in blocks(page, "sh") for line in block.splitlines() if line.strip() and not line.startswith("#")
    ]


# What starts a whole stack is played in CI; here only its words are checked.
RADLOOP = ("radloop", ".venv/bin/radloop")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as a reader's: an archive of studies, a model package, a house that answers."""
    archive = tmp_path / "archive/2025"
    archive.mkdir(parents=True)
    (archive / "one.dcm").write_bytes(b"\0" * 128 + b"DICM")
    elsewhere.folder(tmp_path / "models/chest/1", model="chest")
    elsewhere.folder(tmp_path / "models/adult-chest/1")
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.png").write_bytes(b"pixels")
    (tmp_path / "images/another.png").write_bytes(b"pixels")
    (tmp_path / "patients.csv").write_text("name,patient\none,p1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RADLOOP_HOME", str(tmp_path))
    with opened(tmp_path) as house:
        house.accessions = {"ACC1001", FIRST}
        house.held = [quarantined("0123456789abcdef")]
        house.versions.append(retraining.ModelVersion(model="adult-chest", version=1, stage="shadow", since=after(0), labels=0))
        house.described = elsewhere.files()["radloop.yaml"].decode()
        monkeypatch.setattr("radloop.cli.grpc.Rooms.names", ("ingestion",))
        yield tmp_path


@pytest.mark.parametrize(("page", "command"), commands())
def test_every_command_shown_runs(here: Path, page: str, command: str) -> None:
    """A command of the documentation does what it says against rooms that answer; one that starts a stack is at least well formed."""
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        done = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = next((word.removeprefix("ARGS=") for word in words if word.startswith("ARGS=")), "")
        if words[1] in {"demo", "up", "hospital", "drill"}:
            parser().parse_args([words[1], *shlex.split(told)])
    elif words[0] in RADLOOP:
        if words[1] in {"up", "demo", "hospital", "drill"}:
            parser().parse_args(words[1:])
        else:
            assert main(words[1:]) == 0, command
    elif words[0] == "helm":
        # What helm would send: the chart it names, with the values that the same page shows.
        [shown] = blocks(ROOT / page, "yaml")
        with helm_python.Chart.load(str(ROOT / words[words.index("--install") + 2])) as chart:
            assert chart.render(yaml.safe_load(shown), name="radloop", namespace="radloop")
    else:
        assert words[0] in {"git", "cd"}, f"{page} shows a command that nothing runs: {command}"


def test_the_documentation_shows_commands() -> None:
    """The test above has something to run: the two commands of the README among it."""
    shown = {command for _, command in commands()}
    assert len(shown) > 15
    assert {"make demo", "make test"} <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture is there."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_no_command_hides_from_the_test_above() -> None:
    """Commands stand in blocks marked sh, which are run; a block of another kind, or none, begins with no command of ours."""
    for page in PAGES:
        text = page.read_text()
        unmarked = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line.strip() for block in unmarked for line in block.splitlines()] + re.findall(r"^(?: {4}|\t)(\S.*)", text, re.MULTILINE)
        assert [line for line in lines if line.split(" ")[0] in {*RADLOOP, "make", "helm", "git"}] == [], page


@pytest.mark.parametrize("command", sorted({
    command for page in PAGES if page.name != "CHANGELOG.md" for command in re.findall(r"`((?:make|radloop) [^`…]+)`", page.read_text())
}))
def test_every_command_named_in_a_sentence_exists(command: str) -> None:
    """A verb of make's or a command of radloop's that the text names is there, with the options it is named with."""
    words = shlex.split(command)
    if words[0] == "make":
        assert subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, check=False).returncode == 0
    else:
        parser().parse_args(words[1:])


def test_a_page_that_shows_commands_says_first_where_the_command_is() -> None:
    """A stranger finds no `radloop` on the PATH: the path to it stands before the first block that shows it."""
    for page in PAGES:
        before, shown, _ = page.read_text().partition("```sh\nradloop ")
        assert not shown or ".venv/bin/radloop" in before, page


def test_the_readme_names_the_demos_own_numbers() -> None:
    """The study to trace is one that the demo plays; what comes beside a small pool is what is drawn then."""
    text, small = (ROOT / "README.md").read_text(), sizes(12, 100)
    gate = small.gate_positives + small.gate_negatives
    assert f".venv/bin/radloop trace {FIRST}\n" in text
    for number in (small.acceptance + gate, small.acceptance, gate):
        assert re.search(rf"\b{number}\b", text), number


def test_the_page_on_the_morning_says_how_each_irregularity_ends() -> None:
    """The table is what the demo holds them against."""
    text = (ROOT / "docs/simulated-morning.md").read_text()
    for kind in KINDS:
        assert f"| {kind.happens} | {kind.ends} |" in text


def test_every_setting_is_on_the_settings_page() -> None:
    """The page is what the rooms' settings are: `python -m tests.house.settings_page > docs/settings.md` writes it anew."""
    assert (ROOT / "docs/settings.md").read_text() == settings_page.page()


@pytest.mark.parametrize("variable", sorted({
    name for page in PAGES for name in re.findall(r"RADLOOP_[A-Z0-9_]+", page.read_text())
}))
def test_every_variable_named_is_read_by_something(variable: str) -> None:
    """A variable in the documentation is a room's setting or stands in the code."""
    sources = "\n".join(file.read_text() for file in (ROOT / "services/radloop").rglob("*.py") if "v1" not in file.parts)
    on_page = f"`{variable}`" in (ROOT / "docs/settings.md").read_text()
    assert on_page or variable in sources or variable.rstrip("_") in sources or variable == "RADLOOP_ADDRESS_"


def test_the_map_names_every_room() -> None:
    """services/README.md is the map of the house."""
    text = (ROOT / "services/README.md").read_text()
    for room in ROOMS:
        assert f"`radloop/{room}/`" in text


def test_every_decision_says_when_to_look_again() -> None:
    """A decision record holds context, decision, what was rejected, and when to look again."""
    records = sorted((ROOT / "services/decisions").glob("*.md"))
    assert records
    for record in records:
        text = record.read_text().lower()
        for part in ("context", "decision", "rejected", "look again"):
            assert part in text, f"{record.name}: {part}"
