"""A virtual environment of its own for the Triton server, because its Python backend needs NumPy 1.

The wheel `nvidia-pytriton` carries the server. Its Python backend lacks the stub for our Python beside it, so the server
is assembled once in a folder of its own, and every library it needs is looked up before anybody starts it: without a
shared libpython the server would wait for its stub for ever, and say so nowhere.
"""

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from radloop.kit.errors import Misconfigured

# The server alone is wanted of this wheel, not the client library around it: installed without its dependencies.
SERVER_WHEEL = "nvidia-pytriton==0.7.0"
# What model.py imports. NumPy 2 gives wrong numbers without an error: the stub is built for the ABI of NumPy 1.
MODEL_WHEELS = ("numpy>=1.26,<2", "onnxruntime>=1.23,<2")
_OLDEST_GLIBC = (2, 35)
_ELSEWHERE = "or run Triton elsewhere and use it with --triton HOST:PORT --model-repository DIR"


@dataclass(frozen=True)
class TritonHome:
    """An installed server: its virtual environment, the assembled folder and where its libraries lie."""

    venv: Path
    server: Path
    libraries: tuple[Path, ...]

    @property
    def library_path(self) -> str:
        """Return LD_LIBRARY_PATH: outside site-packages the binaries' own search paths lead nowhere."""
        return os.pathsep.join(str(folder) for folder in self.libraries)


def place() -> Path:
    """Return where the virtual environment lies: RADLOOP_TRITON_VENV, else `.venv-triton` beside ours."""
    told = os.environ.get("RADLOOP_TRITON_VENV")
    return Path(told).resolve() if told else Path(sys.prefix).parent / ".venv-triton"


def ensure_venv(say: Callable[[str], None] = lambda _: None) -> TritonHome:
    """Install and assemble the server where it is not there yet; raise Misconfigured with what to install if it cannot run."""
    _check_platform()
    venv = place()
    packages = venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    home = TritonHome(venv, venv / "server", (packages / "nvidia_pytriton.libs", *_python_library()))
    with _alone(venv):
        marker = venv / "radloop.json"
        wanted = json.dumps({"wheels": [SERVER_WHEEL, *MODEL_WHEELS], "python": sys.version_info[:2]})
        if not marker.exists() or marker.read_text() != wanted:
            say(f"installing Triton into {venv.name} (once; about 250 MB, 1 to 3 minutes)")
            _install(venv)
            _assemble(packages / "pytriton" / "tritonserver", home.server)
            marker.write_text(wanted)
    _check_libraries(home)
    return home


def _check_platform() -> None:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise Misconfigured(
            f"the embedded Triton runs on Linux x86_64 only, and this is {platform.system()} {platform.machine()}:"
            f" use a Linux machine or container, {_ELSEWHERE}",
        )
    name, version = platform.libc_ver()
    if name == "glibc" and tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_GLIBC:
        raise Misconfigured(
            f"the embedded Triton needs glibc 2.35 or newer (Debian 12, Ubuntu 22.04), and this is {version}:"
            f" upgrade the system, {_ELSEWHERE}",
        )


@contextmanager
def _alone(venv: Path) -> Iterator[None]:
    """Let one process at a time install."""
    venv.mkdir(parents=True, exist_ok=True)
    with (venv / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(venv: Path) -> None:
    python = venv / "bin" / "python"
    if not python.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True, check=False)
        if made.returncode:
            raise Misconfigured(
                "cannot make a virtual environment for Triton. Debian and Ubuntu:"
                f" apt-get install python{sys.version_info.major}.{sys.version_info.minor}-venv",
            )
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for wanted in (["--no-deps", SERVER_WHEEL], list(MODEL_WHEELS)):
        done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Misconfigured(
                f"cannot install Triton: {venv.name}/bin/pip install {' '.join(wanted)} said:"
                f" {done.stderr.strip().splitlines()[-1:]}; look at the network or pip's settings, {_ELSEWHERE}",
            )


def _assemble(wheel: Path, server: Path) -> None:
    """Copy the server and put the stub for this Python beside its backend."""
    stub = wheel / "python_backend_stubs" / f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.rmtree(server, ignore_errors=True)
    for folder in ("bin", "backends", "caches"):
        shutil.copytree(wheel / folder, server / folder)
    shutil.copy2(stub / "triton_python_backend_stub", server / "backends" / "python")


def _python_library() -> tuple[Path, ...]:
    """Return the folder of this Python's own shared library, if it has one outside the loader's path."""
    folder, name = sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME")
    return (Path(folder),) if folder and name and (Path(folder) / name).exists() else ()


def _check_libraries(home: TritonHome) -> None:
    stub = home.server / "backends" / "python" / "triton_python_backend_stub"
    for binary in (home.server / "bin" / "tritonserver", stub):
        looked = subprocess.run(
            ["ldd", str(binary)], capture_output=True, text=True, check=False,
            env={**os.environ, "LD_LIBRARY_PATH": home.library_path},
        )
        if missing := missing_libraries(looked.stdout):
            raise Misconfigured(what_to_install(missing))


def missing_libraries(told_by_ldd: str) -> tuple[str, ...]:
    """Return the libraries that ldd did not find."""
    return tuple(line.split()[0] for line in told_by_ldd.splitlines() if line.endswith("=> not found"))


def what_to_install(missing: tuple[str, ...]) -> str:
    """Return the sentence that names the missing libraries and the packages that bring them."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if any(name.startswith("libpython") for name in missing):
        return (
            f"the embedded Triton needs a shared libpython{version}. Debian and Ubuntu: apt-get install libpython{version};"
            f" pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {version}; {_ELSEWHERE}"
        )
    return (
        f"the embedded Triton needs {', '.join(missing)}. Debian and Ubuntu: apt-get install libstdc++6 zlib1g libexpat1;"
        f" {_ELSEWHERE}"
    )
