"""The contracts' gate and their generator: `proto.py lint` and `proto.py generate [FOLDER]`.

Lint holds proto/ to buf's STANDARD and UNARY_RPC rules and, once there is a release, refuses a change that would break it.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUF = str(Path(sys.executable).with_name("buf"))


def lint(proto: Path = ROOT / "proto") -> int:
    """Lint one folder of contracts; the findings go to standard output."""
    return subprocess.run([BUF, "lint", "--error-format=text"], cwd=proto, check=False).returncode


def last_release() -> str:
    """Return the newest version tag, empty before the first release."""
    tags = subprocess.run(
        ["git", "tag", "--list", "v[0-9]*", "--sort=-v:refname"], cwd=ROOT, check=True, capture_output=True, text=True)
    return tags.stdout.split("\n", 1)[0]


def breaking(proto: Path, against: str) -> int:
    """Compare one folder of contracts with an earlier one (a folder, or git's `.git#tag=v1,subdir=proto`)."""
    return subprocess.run([BUF, "breaking", ".", "--against", against], cwd=proto, check=False).returncode


def generate(out: Path = ROOT) -> int:
    """Generate `services/radloop/v1` below `out`, the same bytes every time."""
    return subprocess.run(
        [BUF, "generate", "proto", "--template", "proto/buf.gen.yaml", "--output", str(out)], cwd=ROOT, check=False).returncode


def main(arguments: list[str]) -> int:
    """Do what was asked."""
    match arguments:
        case ["lint"]:
            release = last_release()
            return lint() or (breaking(ROOT / "proto", f"../.git#tag={release},subdir=proto") if release else 0)
        case ["generate"]:
            return generate()
        case ["generate", folder]:
            return generate(Path(folder))
    sys.stderr.write("usage: proto.py lint | generate [FOLDER]\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
