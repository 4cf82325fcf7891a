"""The embedded broker: `noida-db`, a Kafka-protocol server in a wheel."""

from importlib.util import find_spec
from pathlib import Path

from radloop.kit.errors import Misconfigured
from radloop.workbench.embedded.probes import answers_kafka
from radloop.workbench.embedded.process import Program


def program(folder: Path, host: str, port: int) -> Program:
    """Return the broker's program; SIGTERM makes it save everything it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    address = f"{host}:{port}"
    return Program(
        part="kafka",
        argv=(
            str(_binary()), "start", "--only", "kafka", "--host", host, "--kafka-port", str(port),
            "--data-dir", str(folder),
        ),
        is_ready=lambda: answers_kafka(address),
        address=address,
    )


def _binary() -> Path:
    spec = find_spec("noida_db")
    if spec is None or spec.origin is None:
        raise Misconfigured(
            "the embedded broker is not installed: pip install 'radloop[workbench]', or use your own with --kafka HOST:PORT",
        )
    return Path(spec.origin).parent / "noida-db"
