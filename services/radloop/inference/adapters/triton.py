"""Triton over its own gRPC protocol (KServe v2 and the model repository extension): asking, loading, unloading.

Its client is for one thread at a time, so each thread has its own.
"""

import json
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tritonclient.grpc as triton
from google.protobuf import json_format, text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from radloop.inference.adapters.sight import Tensors
from radloop.kit import telemetry
from radloop.kit.errors import Permanent, RadloopError, Transient
from radloop.standards.package import LARGEST_REQUEST

_SHORT = ("out of memory", "failed to allocate", "bad alloc", "std::bad_alloc")
_AWAY = ("UNAVAILABLE", "CANCELLED", "RESOURCE_EXHAUSTED", "ABORTED")
_NOT_LOADED = ("not found", "is not ready", "not at ready state", "no available versions", "unknown model")
_CONNECT_SECONDS = 5.0
_LOAD_SECONDS = 120.0


class DeadStubError(Transient):
    """The process that runs a version under Triton has died; Triton never starts it again by itself."""


class BusyError(Transient):
    """The version serves, but has no room for one more just now."""


class LateError(Transient):
    """No answer in time: the version has much to do, or hangs."""


class Triton:
    """One Triton server; `deadline_seconds` is the most that a request may take."""

    def __init__(self, address: str, deadline_seconds: float) -> None:
        self._address, self._deadline = address, deadline_seconds
        self._own = threading.local()

    def infer(
        self, model: str, version: int, tensors: Tensors, outputs: Sequence[str], within: float | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the named outputs of a version for these tensors, which travel as what they are: float32, int64 and so on."""
        size = sum(values.nbytes for values in tensors.values())
        if size > LARGEST_REQUEST:
            raise Permanent(f"{-(-size // 2**20)} MiB for {model} {version} are more than the {LARGEST_REQUEST // 2**20} MiB of a request")
        parent = telemetry.traceparent()
        with _translated(f"{model} {version}"):
            said = self._client.infer(
                model, [_input(name, values) for name, values in tensors.items()], model_version=str(version),
                outputs=[triton.InferRequestedOutput(name) for name in outputs],
                client_timeout=self._deadline if within is None else min(within, self._deadline),
                headers={"traceparent": parent} if parent else None,
            )
        try:
            values = {name: said.as_numpy(name) for name in outputs}
        except (ValueError, TypeError, struct.error) as broken:  # the bytes are all there, and are no array of the shape they say
            raise Permanent(f"{model} {version} answered with what cannot be decoded") from broken
        missing = [name for name, value in values.items() if value is None]
        if missing:
            raise Permanent(f"{model} {version} did not answer with {', '.join(missing)}")
        return values

    def held(self, model: str) -> dict[int, bool]:
        """Return the versions that Triton says are ready (True; a dead one is among them, see `infer`) or being loaded (False)."""
        with _translated(model):
            index = self._client.get_model_repository_index(client_timeout=_CONNECT_SECONDS)
        held = [one for one in index.models if one.name == model and one.version and one.state in {"READY", "LOADING"}]
        return {int(one.version): one.state == "READY" for one in held}

    def load(self, model: str, versions: set[int], config: Path) -> None:
        """Have exactly these versions loaded; those running go on serving until the new ones are up."""
        try:
            described = text_format.Parse(config.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
        except (OSError, text_format.ParseError) as broken:
            raise Permanent(f"{config.name} of {model} cannot be read") from broken
        described.ClearField("version_policy")
        described.version_policy.specific.versions.extend(sorted(versions))
        told = json_format.MessageToJson(described, preserving_proto_field_name=True, indent=None)
        with _translated(model):
            self._client.load_model(model, config=json.dumps(json.loads(told)), client_timeout=_LOAD_SECONDS)

    def unload(self, model: str) -> None:
        """Unload all versions; what is in flight is finished."""
        with _translated(model):
            self._client.unload_model(model, client_timeout=_LOAD_SECONDS)

    @property
    def _client(self) -> Any:
        client = getattr(self._own, "client", None)
        if client is None:
            client = self._own.client = triton.InferenceServerClient(
                self._address,
                channel_args=[
                    ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
                    ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 100),
                    ("grpc.max_reconnect_backoff_ms", 1000),
                ],
            )
        return client


def _input(name: str, values: NDArray[Any]) -> Any:
    given = triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    given.set_data_from_numpy(np.ascontiguousarray(values))
    return given


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Translate Triton's errors: away, not loaded, dead, or never."""
    try:
        yield
    except InferenceServerException as failed:
        raise _meaning(what, str(failed.status() or "").rpartition(".")[2], str(failed.message() or "")) from failed
    except (grpc.RpcError, ValueError) as failed:
        # A channel that is being closed.
        raise Transient(f"triton cannot be asked: {type(failed).__name__}", after=1.0) from failed


def _meaning(what: str, status: str, said: str) -> RadloopError:
    """Return what Triton's status and words amount to; the words decide, where one status stands for several things."""
    if "is not healthy" in said:
        return DeadStubError(f"the process of {what} under Triton has died", after=0.5)
    if "maximum queue size" in said:
        return BusyError(f"the queue of {what} is full", after=0.2)
    if "shared memory" in said:
        return BusyError("triton is out of shared memory", after=2.0)
    if any(word in said.lower() for word in _SHORT):
        return BusyError(f"triton is short of memory for {what}", after=2.0)
    if status == "DEADLINE_EXCEEDED":
        return LateError(f"{what} did not answer in time", after=0.5)
    if "out-dated" in said:
        return Transient(f"somebody else loads or unloads {what} at this moment", after=0.5)
    if status == "INVALID_ARGUMENT":
        return Permanent(f"triton refused {what}: {' '.join(said.split())[:200]}")
    if status == "NOT_FOUND" or any(word in said for word in _NOT_LOADED):
        return Transient(f"{what} is not loaded", after=0.3)
    if status in _AWAY:
        return Transient(f"triton is away: {status}", after=1.0)
    return Permanent(f"triton refused {what}: {status}: {' '.join(said.split())[:200]}")
