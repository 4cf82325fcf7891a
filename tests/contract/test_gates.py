"""Every gate bites: each is shown a small sample that it must refuse, with the project's own settings."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.house import proto, rules

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def run(*command: str | Path, at: Path = ROOT) -> tuple[int, str]:
    """Run one gate; its status and all that it said."""
    done = subprocess.run([str(part) for part in command], cwd=at, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("code", "rule"), [
    ("import os\n", "F401"),
    ('"""A module."""\n\n\ndef f(x: list = []) -> None:\n    """Do."""\n', "B006"),
    ('"""A module."""\n\n\ndef f() -> None:\n    pass\n', "D103"),
    ('"""A module."""\n\nimport logging\n\nlogging.getLogger().info(f"{__name__}")\n', "G004"),
    ('"""A module."""\n\nx = "' + "x" * 140 + '"\n', "E501"),
    ('"""A module."""\n\nprint(1)\n', "T201"),
])
def test_ruff_refuses(tmp_path: Path, code: str, rule: str) -> None:
    """Ruff runs with every rule that is not ignored for a reason."""
    sample = tmp_path / "sample.py"
    sample.write_text(code)
    status, said = run(BIN / "ruff", "check", "--config", ROOT / "pyproject.toml", "--output-format", "concise", sample)
    assert status == 1
    assert rule in said


def test_every_ignored_rule_says_why() -> None:
    """No rule of ruff is switched off without its reason on the same line."""
    text = (ROOT / "pyproject.toml").read_text()
    ignored = [line for line in text[text.index("[tool.ruff.lint]"):text.index("[tool.ruff.lint.pycodestyle]")].splitlines()
               if line.startswith('  "')]
    assert len(ignored) > 20
    assert [line for line in ignored if "# " not in line] == []


@pytest.mark.parametrize(("code", "complaint"), [
    ("def f(x):\n    return x\n", "no-untyped-def"),
    ("def f() -> int:\n    return 'x'\n", "return-value"),
    ("def f(x: list) -> None: ...\n", "type-arg"),
    (dedent("""
        from radloop.kit.flow import At, Due, Event, Record, on
        def due(seen: Due, state: str | None) -> Record[str]:
            return Record(state)
        on(Event, due, keeps=str)
    """), "arg-type"),
])
def test_mypy_refuses(tmp_path: Path, code: str, complaint: str) -> None:
    """Types are strict, and a handler routed to the wrong input is a type error."""
    (tmp_path / "sample.py").write_text(code)
    status, said = run(BIN / "mypy", "--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache/samples",
                       tmp_path / "sample.py")
    assert status == 1
    assert complaint in said


ROOMS = ("ingestion", "inference", "triage", "feedback", "retraining", "publishing", "worklist")


def house(at: Path, extra: dict[str, str]) -> None:
    """Draw a small house of the real one's layout, and put something into it that does not belong there."""
    places = {"": "", "workbench": "", "workbench/grpc": "", "cli": "", "cli/grpc": "", "standards": "", "events": "",
              "events/wire": "from radloop.v1 import order_pb2", "kit": "", "kit/admin": "", "v1": "", "v1/order_pb2": ""}
    for room in ROOMS:
        places |= {room: "", f"{room}/main": f"from radloop.{room}.adapters import grpc", f"{room}/handlers": "",
                   f"{room}/domain": "", f"{room}/config": "", f"{room}/adapters": "", f"{room}/adapters/grpc": ""}
    places |= extra
    folders = {path for path in places if any(other.startswith(f"{path}/") for other in places)} | {"", *ROOMS}
    for path, text in places.items():
        module = at / "radloop" / path
        file = module / "__init__.py" if path in folders or "/" not in path else module.with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    settings = (ROOT / "pyproject.toml").read_text()
    begin = settings.index("[tool.importlinter]")
    (at / "pyproject.toml").write_text(settings[begin:settings.index("[tool.pytest", begin)])


def layers(at: Path) -> tuple[int, str]:
    """Run import-linter over a drawn house, not over the installed one."""
    return run(sys.executable, "-c", "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()",
               "--no-cache", at=at)


def test_import_linter_lets_the_layout_of_the_house_pass(tmp_path: Path) -> None:
    """The drawn house is sound, so what the next test sees refused is refused for its own sake."""
    house(tmp_path, {})
    status, said = layers(tmp_path)
    assert status == 0, said


@pytest.mark.parametrize(("place", "text", "complaint"), [
    ("triage/domain", "from radloop.worklist import domain", "radloop.triage is not allowed to import radloop.worklist"),
    ("kit/store", "from radloop import events", "radloop.kit is not allowed to import radloop.events"),
    ("standards/hl7", "from radloop.triage import domain", "radloop.standards is not allowed to import radloop.triage"),
    ("cli/main", "from radloop import workbench", "radloop.cli is not allowed to import radloop.workbench"),
    ("attic", "", "attic"),
    ("triage/utils", "", "utils"),
    ("triage/domain", "from radloop.triage import handlers", "radloop.triage.domain is not allowed to import radloop.triage.handlers"),
    ("triage/handlers", "from radloop.triage.adapters import grpc", "radloop.triage.handlers is not allowed to import"),
    ("triage/handlers", "from radloop.v1 import order_pb2", "radloop.triage.handlers -> radloop.v1.order_pb2"),
    ("cli/main", "from radloop.v1 import order_pb2", "radloop.cli.main -> radloop.v1.order_pb2"),
    ("inference/domain", "import torch", "radloop.inference is not allowed to import torch"),
])
def test_import_linter_refuses(tmp_path: Path, place: str, text: str, complaint: str) -> None:
    """No room reaches into another, no floor looks up, nothing stands where nobody placed it, the wire stays at the wire."""
    house(tmp_path, {place: text})
    status, said = layers(tmp_path)
    assert status == 1, said
    assert complaint in " ".join(said.split()), said


GOOD = 'syntax = "proto3";\npackage radloop.v1;\n// A thing.\nmessage Thing {\n  string name = 1;\n  string case_id = 2;\n}\n'


def contracts(at: Path, text: str) -> Path:
    """Lay out a folder of contracts with the project's own buf.yaml."""
    (at / "radloop/v1").mkdir(parents=True)
    (at / "buf.yaml").write_text((ROOT / "proto/buf.yaml").read_text())
    (at / "radloop/v1/thing.proto").write_text(text)
    return at


def test_buf_lets_a_good_contract_pass(tmp_path: Path) -> None:
    """The sample that the next tests spoil is good."""
    assert proto.lint(contracts(tmp_path, GOOD)) == 0


@pytest.mark.parametrize("spoil", [
    ("case_id", "caseId"), ("message Thing", "message thing"), ("package radloop.v1", "package radloop"),
    ("// A thing.", "// A thing.\nservice Things { rpc Get(Thing) returns (stream Thing); }"),
])
def test_buf_lint_refuses(tmp_path: Path, spoil: tuple[str, str]) -> None:
    """Names, packages and calls follow buf's standard."""
    assert proto.lint(contracts(tmp_path, GOOD.replace(*spoil))) != 0


@pytest.mark.parametrize(("spoil", "status"), [
    (("string name = 1;", ""), False), (("name = 1", "name = 3"), False), (("string case_id", "bytes case_id"), False),
    (("string name = 1;", "string name = 1;\n  string more = 3;"), True),
])
def test_buf_breaking_refuses_all_but_additions(tmp_path: Path, spoil: tuple[str, str], status: bool) -> None:
    """Within v1 a field may be added, and nothing taken away or changed."""
    before, after = contracts(tmp_path / "before", GOOD), contracts(tmp_path / "after", GOOD.replace(*spoil))
    assert (proto.breaking(after, str(before)) == 0) is status


def test_the_committed_messages_are_those_of_the_contracts(tmp_path: Path) -> None:
    """What `make proto` would generate is what is committed, file by file, byte by byte."""
    assert proto.generate(tmp_path) == 0
    made = {file.name: file.read_bytes() for file in (tmp_path / "services/radloop/v1").iterdir()}
    kept = {file.name: file.read_bytes() for file in (ROOT / "services/radloop/v1").glob("*_pb2*")}
    assert sorted(made) == sorted(kept)
    assert [name for name in made if made[name] != kept[name]] == []


def test_the_house_rules_read_every_file_that_git_would_keep(tmp_path: Path) -> None:
    """A finding in a file that is not yet committed, of whatever kind, fails the gate."""
    run("git", "init", "-q", at=tmp_path)
    (tmp_path / "note.md").write_text("cd /" + "root/checkout\n")
    room = tmp_path / "services/radloop/triage"
    room.mkdir(parents=True)
    (room / "handlers.py").write_text("import socket\n")
    assert {(finding.path, finding.rule) for finding in rules.check_tree(tmp_path)} == {
        ("note.md", "forbidden"), ("services/radloop/triage/handlers.py", "purity"),
    }


def test_make_check_runs_every_gate() -> None:
    """`make check` names each gate, so that none is left out quietly."""
    status, said = run("make", "--dry-run", "check")
    assert status == 0
    for gate in ("ruff check", "bin/mypy", "lint-imports", "proto.py lint", "rules.py"):
        assert gate in said
