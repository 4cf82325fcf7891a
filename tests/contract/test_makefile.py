"""What the Makefile says while it installs: a stranger sees what takes so long, and what went wrong."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# As pip tells it, of an index and of its cache.
PIP = """\
Looking in indexes: https://index.example/simple
Obtaining file:///here
Collecting onnxruntime<2,>=1.23 (from radloop==0.1.0)
  Downloading onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (4.5 kB)
Collecting hl7==0.4.5
  Using cached hl7-0.4.5-py3-none-any.whl (1.2 MB)
Downloading onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_x86_64.whl (27.8 MB)
Using cached torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (820.4 MB)
Installing collected packages: hl7, onnxruntime, torch
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose virtual environment has a Python that only talks as pip does."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    (tmp_path / "pip").write_text(PIP)
    python.write_text('#!/bin/sh\ncase "$*" in *"-m pip"*) cat pip; test ! -e broken;; *) echo "Triton is ready";; esac\n')
    python.chmod(0o755)
    return tmp_path


def make(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `make venv` there."""
    return subprocess.run(["make", "venv", f"PYTHON={sys.executable}"], cwd=folder, capture_output=True, text=True, check=False)


def test_an_install_is_told_step_by_step_and_only_once(checkout: Path) -> None:
    """What and how long comes first, then each large package, then what takes longest; a second time there is nothing to tell."""
    done = make(checkout)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "installing radloop into .venv (once; 1 to 4 minutes)", "  looking up what it needs", "  onnxruntime, 27.8 MB", "  torch, 820.4 MB",
        "  unpacking all of it (the last part, and the longest)", "Triton is ready",
    ]
    again = make(checkout)
    assert "installing" not in again.stdout


def test_an_install_that_fails_ends_with_pips_own_words(checkout: Path) -> None:
    """What pip said last is shown, and the next try installs again."""
    (checkout / "broken").touch()
    (checkout / "pip").write_text(f"{PIP}ERROR: No matching distribution found for torch==2.13.0\n")
    for _ in range(2):
        done = make(checkout)
        assert done.returncode == 2
        assert "ERROR: No matching distribution found for torch==2.13.0" in done.stdout
