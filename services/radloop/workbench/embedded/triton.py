"""The embedded model server: the real Triton Inference Server on the CPU, with explicit model control.

It starts with no model: inference alone loads and unloads versions. `python -m radloop.workbench.embedded.triton setup`
installs it ahead of the first start.
"""

import argparse
import compileall
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from radloop.kit.errors import Misconfigured
from radloop.workbench.embedded.probes import answers_http
from radloop.workbench.embedded.process import Program
from radloop.workbench.embedded.triton_home import TritonHome, ensure_venv

# Triton may take up to 13 s to leave; nothing is lost when it is killed, as it keeps nothing.
GRACE = 6.0


@dataclass(frozen=True)
class Listens:
    """Where the server listens."""

    host: str
    http: int
    grpc: int
    metrics: int


def program(home: TritonHome, repository: Path, at: Listens, region_prefix: str, collector: str = "") -> Program:
    """Return the server's program; its shared memory gets names with the prefix, its traces go to the OTLP/HTTP collector."""
    repository.mkdir(parents=True, exist_ok=True)
    precompile(repository)
    return Program(
        part="triton",
        argv=(
            str(home.server / "bin" / "tritonserver"),
            f"--backend-directory={home.server / 'backends'}",
            f"--cache-directory={home.server / 'caches'}",
            f"--backend-config=python,shm-region-prefix-name={region_prefix}",
            f"--model-repository={repository}",
            "--model-control-mode=explicit",
            f"--http-address={at.host}", f"--http-port={at.http}",
            f"--grpc-address={at.host}", f"--grpc-port={at.grpc}",
            f"--metrics-address={at.host}", f"--metrics-port={at.metrics}",
            "--allow-metrics=true", "--allow-gpu-metrics=false", "--cuda-memory-pool-byte-size=0:0",
            "--metrics-config=summary_latencies=true",
            "--grpc-header-forward-pattern=(traceparent|x-.*)",
            f"--exit-timeout-secs={GRACE - 1:.0f}",
            *_tracing(collector),
        ),
        env={
            "LD_LIBRARY_PATH": home.library_path,
            # The stub takes its Python from here.
            "PATH": f"{home.venv / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
            "OMP_NUM_THREADS": "1",
        },
        without=("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"),
        cwd=repository,
        is_ready=lambda: answers_http(f"http://{at.host}:{at.http}/v2/health/ready"),
        grace=GRACE,
        address=f"{at.host}:{at.grpc}",
    )


def precompile(repository: Path) -> None:
    """Compile every model.py: a first load that wrote __pycache__ would change the folder and reload all versions."""
    for model in repository.glob("*/[0-9]*/model.py"):
        compileall.compile_file(model, quiet=1)


def region_prefix(home: Path) -> str:
    """Return the prefix of the shared memory regions of the stack that lives in this home: its own and nobody else's."""
    return f"radloop_{hashlib.sha256(str(home).encode()).hexdigest()[:10]}_"


def _tracing(collector: str) -> tuple[str, ...]:
    if not collector:
        return ()
    return (
        "--trace-config=mode=opentelemetry", f"--trace-config=opentelemetry,url={collector}",
        "--trace-config=opentelemetry,resource=service.name=triton", "--trace-config=rate=1",
        "--trace-config=level=TIMESTAMPS",
    )


def main() -> int:
    """Install the server ahead of the first start; say what is missing where it cannot run."""
    parser = argparse.ArgumentParser(prog="python -m radloop.workbench.embedded.triton", description=main.__doc__)
    parser.add_argument("what", choices=["setup"])
    parser.parse_args()
    try:
        home = ensure_venv(lambda text: print(text, flush=True))
    except Misconfigured as missing:
        print(missing.reason, file=sys.stderr)
        return 2
    print(f"Triton is ready in {home.venv.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
