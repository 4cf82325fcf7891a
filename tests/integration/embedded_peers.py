"""Stand-ins for the tests of the embedded runtime: a room that only says it is ready, a tiny model, ways to look for leftovers."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from radloop.workbench.embedded.options import Room

ROOM = """
import http.server, os, signal, sys
name = sys.argv[1].upper()
host, port = os.environ[f"RADLOOP_{name}_HEALTH"].split(":")
print("hello from", name, flush=True)
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
if "broken" in sys.argv:
    sys.exit("cannot start: RADLOOP_THING is not set")
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        away = b'{"ready": false, "reasons": ["the EHR is away"]}' if "excused" in sys.argv else b""
        self.send_response(503 if away else 200); self.end_headers(); self.wfile.write(away)
    def log_message(self, *_): pass
http.server.HTTPServer((host, int(port)), Ready).serve_forever()
"""

MODEL_PY = """
import os
import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        folder = os.path.join(args["model_repository"], args["model_version"])
        self.session = onnxruntime.InferenceSession(folder + "/model.onnx", providers=["CPUExecutionProvider"])

    def execute(self, requests):
        answers = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
            y = self.session.run(["Y"], {"X": x})[0]
            answers.append(pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("Y", y)]))
        return answers
"""

CONFIG = """
name: "tiny"
backend: "python"
max_batch_size: 8
input [ { name: "X" data_type: TYPE_FP32 dims: [ 3 ] } ]
output [ { name: "Y" data_type: TYPE_FP32 dims: [ 2 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
version_policy: { all { } }
"""

WEIGHTS = np.array([[1, 0], [0, 2], [3, 3]], np.float32)


def room(name: str, *manners: str) -> Room:
    """Return a stand-in for a room."""
    return Room(name, (sys.executable, "-c", ROOM, name, *manners))


def write_tiny_model(repository: Path) -> None:
    """Write a linear model `tiny` version 1, Y = X W, to be served by onnxruntime in Triton's Python backend."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["X", "W"], ["Y"])], "tiny",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(WEIGHTS, "W")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    version = repository / "tiny" / "1"
    version.mkdir(parents=True)
    onnx.save(model, str(version / "model.onnx"))
    (version / "model.py").write_text(MODEL_PY)
    (repository / "tiny" / "config.pbtxt").write_text(CONFIG)


def ask_tiny(address: str) -> np.ndarray:
    """Load `tiny` on the Triton at this gRPC address and ask it one question."""
    import tritonclient.grpc as triton

    client = triton.InferenceServerClient(address)
    try:
        client.load_model("tiny")
        asked = triton.InferInput("X", [1, 3], "FP32")
        asked.set_data_from_numpy(np.array([[1, 1, 1]], np.float32))
        return client.infer("tiny", [asked]).as_numpy("Y")
    finally:
        client.close()


def processes_of(home: Path) -> list[str]:
    """Return the command lines of live processes that mention this home, in arguments, folder or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        try:
            told = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            where = str((process / "cwd").readlink())
            around = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if told and (str(home) in told or where.startswith(str(home)) or str(home) in around):
            found.append(told)
    return found


def eventually(what: Callable[[], bool], within: float = 10.0) -> bool:
    """Look until it is so, at most so many seconds."""
    deadline = time.monotonic() + within
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def home_of_its_own() -> Iterator[Path]:
    """Lend a home outside pytest's folder: each new pytest session shuts that to all others, Postgres's user among them."""
    with tempfile.TemporaryDirectory(prefix="radloop-home-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "home"


def read_pids(home: Path) -> dict[str, int]:
    """Return the process ids of the stack that runs in this home."""
    pids: dict[str, int] = json.loads((home / "stack.json").read_text())["parts"]
    return pids


def is_alive(pid: int) -> bool:
    """Say whether a process lives (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
