"""HAPI's R4 instance validator, from outside: what the reference of the field says of a file of FHIR JSON."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_TOOLS: Final = "../shared/tools"
MINUTES: Final = 5


@dataclass(frozen=True)
class Verdict:
    """What was said of one file: its errors as sentences with their places, and how many warnings."""

    file: Path
    errors: tuple[str, ...]
    warnings: int


def missing() -> str:
    """Say why the validator cannot run here, empty where it can."""
    if shutil.which("java") is None:
        return "no java on this machine"
    if not _program().is_file():
        return "no fhir-validator under RADLOOP_TOOLS"
    return ""


def validate(files: Sequence[Path]) -> tuple[Verdict, ...]:
    """Validate files in one run of the program. Raises OSError where it cannot run or says something else."""
    asked = [str(_program()), *(str(file) for file in files)]
    done = subprocess.run(asked, capture_output=True, check=False, timeout=60 * MINUTES)
    lines = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]
    if len(lines) != len(files):
        raise OSError(f"the validator answered {len(lines)} of {len(files)} files")
    return tuple(
        Verdict(Path(line["file"]), tuple(
            f"{issue['location']}: {issue['message']}" for issue in line["issues"]
            if issue["severity"] in {"error", "fatal"}
        ), line["warnings"])
        for line in lines
    )


def _program() -> Path:
    return Path(os.environ.get("RADLOOP_TOOLS", DEFAULT_TOOLS)).resolve() / "fhir-validator" / "fhir-validator"
