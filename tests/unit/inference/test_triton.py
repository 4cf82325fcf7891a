"""What goes to Triton and what its answers amount to, with a double for its client library."""

from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from radloop.inference.adapters import triton
from radloop.inference.adapters.triton import BusyError, DeadStubError, LateError, Triton
from radloop.inference.config import Settings
from radloop.kit import telemetry
from radloop.kit.errors import Misconfigured, Permanent, RadloopError, Transient
from radloop.standards.package import LARGEST_REQUEST


class Client:
    """Remembers what it was asked, and answers the first output alone."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def infer(self, model: str, inputs: Any, **told: Any) -> Any:
        self.asked.append(SimpleNamespace(model=model, inputs=inputs, **told))
        first = told["outputs"][0].name()
        return SimpleNamespace(as_numpy=lambda name: np.zeros(1) if name == first else None)


@pytest.fixture
def asked() -> tuple[Triton, Client]:
    """Return a Triton over the double."""
    server, client = Triton("127.0.0.1:1", 15.0), Client()
    server._own.client = client
    return server, client


def test_tensors_travel_as_what_they_are(asked: tuple[Triton, Client]) -> None:
    """Each kind of number has Triton's own name, whatever the model asks for; its answer must be whole."""
    server, client = asked
    server.infer("sam", 3, {"IMAGE": np.zeros((1, 2), np.float32), "CLICK": np.zeros((4, 2), np.int64)}, ("MASK",))
    [one] = client.asked
    assert (one.model, one.model_version) == ("sam", "3")
    assert [(given.name(), given.datatype(), given.shape()) for given in one.inputs] == [
        ("IMAGE", "FP32", [1, 2]), ("CLICK", "INT64", [4, 2]),
    ]
    with pytest.raises(Permanent, match="did not answer with SCORE"):
        server.infer("sam", 3, {"IMAGE": np.zeros(1, np.float32)}, ("MASK", "SCORE"))


def test_each_request_has_its_deadline(asked: tuple[Triton, Client]) -> None:
    """The setting's, or what the caller has left, whichever is sooner."""
    server, client = asked
    for within in (None, 2.5, 60.0):
        server.infer("chest", 1, {"IMAGE": np.zeros(1, np.float32)}, ("MEMBERS",), within)
    assert [one.client_timeout for one in client.asked] == [15.0, 2.5, 15.0]


def test_a_request_carries_the_trace_it_belongs_to(asked: tuple[Triton, Client]) -> None:
    """Triton's own spans hang below the reading's."""
    server, client = asked
    trace = "0af7651916cd43dd8448eb211c80319c"
    with telemetry.span("reading", f"00-{trace}-b7ad6b7169203331-01"):
        server.infer("chest", 1, {"IMAGE": np.zeros(1, np.float32)}, ("MEMBERS",))
    assert trace in client.asked[0].headers["traceparent"]


def test_more_than_a_request_may_carry_is_refused_at_our_edge() -> None:
    """Triton has no limit: it would be killed for want of memory, and everybody's readings with it."""
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (LARGEST_REQUEST // 4 + 1,), (0,))
    with pytest.raises(Permanent, match="257 MiB for chest 1 are more than the 256 MiB of a request"):
        Triton("127.0.0.1:1", 1.0).infer("chest", 1, {"IMAGE": huge}, ("MEMBERS",))


@pytest.mark.parametrize(("status", "said", "kind", "after"), [
    ("INTERNAL", "Stub process 'chest_0_0' is not healthy.", DeadStubError, 0.5),
    ("UNAVAILABLE", "[request id: <id_unknown>] Exceeds maximum queue size", BusyError, 0.2),
    ("INTERNAL", "Failed to increase the shared memory pool size for key 'x'", BusyError, 2.0),
    ("DEADLINE_EXCEEDED", "Deadline Exceeded", LateError, 0.5),
    ("INVALID_ARGUMENT", "unexpected shape for input 'IMAGE' for model 'chest'", Permanent, None),
    ("NOT_FOUND", "Request for unknown model: 'chest' version 9 is not found", Transient, 0.3),
    ("UNAVAILABLE", "Request for unknown model: 'chest' version 1 is not at ready state", Transient, 0.3),
    ("UNAVAILABLE", "failed to connect to all addresses", Transient, 1.0),
    ("INVALID_ARGUMENT", "Newer operation has been applied to the model lifecycle, current load operation is out-dated.", Transient, 0.5),
    ("INTERNAL", "something else", Permanent, None),
])
def test_what_triton_says_is_named_for_what_can_be_done(status: str, said: str, kind: type[RadloopError], after: float | None) -> None:
    """One status stands for several things: the words decide."""
    with pytest.raises(kind) as meant, triton._translated("chest 1"):
        raise InferenceServerException(said, status=str(grpc.StatusCode[status]))
    assert type(meant.value) is kind
    assert getattr(meant.value, "after", None) == after


def test_several_tritons_are_named_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no address stops the room at its start, with the variable's name."""
    for name, value in {"postgres": "x", "kafka": "k:1", "blobs": "b", "model_repository": "m"}.items():
        monkeypatch.setenv(f"RADLOOP_{name}".upper(), value)
    monkeypatch.setenv("RADLOOP_INFERENCE_TRITON", "a:8001, b:8001")
    assert Settings.load("inference").tritons() == ("a:8001", "b:8001")
    monkeypatch.setenv("RADLOOP_INFERENCE_TRITON", "a:8001,,b:8001")
    with pytest.raises(Misconfigured, match="RADLOOP_INFERENCE_TRITON"):
        Settings.load("inference")
