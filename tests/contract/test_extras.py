"""Each room starts with only its own extra installed, so that an image carries what its room needs and no more."""

import json
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOUSE = Path(__file__).resolve().parents[2] / "services/radloop"
ROOMS = ("ingestion", "inference", "triage", "feedback", "retraining", "publishing", "worklist")
PROCESSES = [*((room, f"radloop.{room}.main") for room in ROOMS), ("cli", "radloop.cli.main")]

# Run in a process of its own: whatever is not of the extra is as absent as if it had never been installed.
_ALONE = """
import importlib, json, sys
absent = set(json.loads(sys.argv[1]))
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is not in the extra", name=name)
sys.meta_path.insert(0, Absent())
importlib.import_module(sys.argv[2])
"""


@cache
def installed() -> dict[str, list[str]]:
    """Return every importable top-level name here, with the distributions it comes from."""
    return dict(packages_distributions())


def closure(extra: str) -> set[str]:
    """Return every distribution that `pip install radloop[extra]` brings."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [("radloop", frozenset({extra, ""}))]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in found:
            continue
        found.add((name, extras))
        try:
            wanted = requires(name) or []
        except PackageNotFoundError:
            continue
        for line in wanted:
            requirement = Requirement(line)
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": one}) for one in extras | {""}):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras) | {""}))
    return {name for name, _ in found}


@pytest.mark.parametrize(("extra", "module"), PROCESSES)
def test_a_process_starts_with_its_own_extra_only(extra: str, module: str) -> None:
    """Its main module imports with everything outside base and extra taken away."""
    if not (HOUSE / extra / "main.py").exists():
        pytest.fail(f"{module} is missing")
    brought = closure(extra)
    absent = sorted(
        top for top, distributions in installed().items()
        if not {canonicalize_name(one) for one in distributions} & brought and top not in sys.stdlib_module_names
    )
    done = subprocess.run([sys.executable, "-c", _ALONE, json.dumps(absent), module], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1500:]


def test_what_is_not_in_the_extra_is_really_absent() -> None:
    """The gate bites: torch is nowhere to be found for triage."""
    assert "torch" not in closure("triage")
    assert "torch" in closure("retraining")
    done = subprocess.run([sys.executable, "-c", _ALONE, '["json5", "torch"]', "torch"], capture_output=True, text=True, check=False)
    assert "torch is not in the extra" in done.stderr
