"""What the documentation shows is so: its commands run, its links lead somewhere, its settings are the rooms' own."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import helm_python
import pytest
import yaml

from radloop.cli.main import main, parser
from tests.house import settings_page
from tests.house.rules import ROOMS
from tests.unit.cli.house import opened, quarantined

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "services/README.md",
                *ROOT.glob("services/decisions/*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    return [
        (page.relative_to(ROOT).as_posix(), line.strip())
        for page in PAGES for block in blocks(page, "sh") for line in block.splitlines() if line.strip() and not line.startswith("#")
    ]


# These start a whole stack: what they start and print is played in CI, here only their words are checked.
STACK = ("make demo", "make up", "make test", "make check", "radloop up", "radloop demo", "make bench")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as a reader's: an archive of studies, a model package, a house that answers."""
    archive = tmp_path / "archive/2025"
    archive.mkdir(parents=True)
    (archive / "one.dcm").write_bytes(b"\0" * 128 + b"DICM")
    package = tmp_path / "models/chest/1"
    package.mkdir(parents=True)
    (package / "radloop.yaml").write_text("model: chest\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RADLOOP_HOME", str(tmp_path))
    with opened(tmp_path) as house:
        house.held = [quarantined("0123456789abcdef")]
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
        if words[1] in {"demo", "up"}:
            parser().parse_args([words[1], *shlex.split(told)])
    elif words[0] == "radloop":
        if command.startswith(STACK):
            parser().parse_args(words[1:])
        else:
            assert main(words[1:]) == 0, command
    else:
        assert words[0] in {"git", "cd"}, f"{page} shows a command that nothing runs: {command}"


def test_the_documentation_shows_commands() -> None:
    """The test above has something to run: the two commands of the README among it."""
    shown = {command for _, command in commands()}
    assert len(shown) > 15
    assert any(command.startswith("make demo") for command in shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture is there."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_the_values_shown_are_enough_for_the_chart() -> None:
    """The platform guide's least values file renders."""
    [shown] = blocks(ROOT / "docs/platform.md", "yaml")
    with helm_python.Chart.load(str(ROOT / "deploy/helm/radloop")) as chart:
        assert chart.render(yaml.safe_load(shown), name="radloop", namespace="radloop")


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
