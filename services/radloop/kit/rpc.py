"""gRPC between the rooms: a server and a channel that carry the traceparent, and errors translated at the edge."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from radloop.kit import telemetry
from radloop.kit.errors import Misconfigured, Permanent, Transient

MESSAGE_BYTES = 128 * 1024 * 1024
AT_ONCE, CALLS = 8, 64
"""Calls that are answered at once, and all that are taken, waiting ones too; the next is told to come again."""
_LIMITS = (("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES))
AWAY = {
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED,
}


class _Traced(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in its stubs only
    """Opens a span per call, under the caller's, and turns our errors into gRPC statuses."""

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        parent = dict(details.invocation_metadata or ()).get("traceparent", "")
        name = details.method.rpartition("/")[2]

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            with telemetry.span(name, str(parent)):
                try:
                    return handler.unary_unary(request, context)
                except Transient as away:
                    context.abort(grpc.StatusCode.UNAVAILABLE, away.reason)
                except Permanent as never:
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, never.reason)

        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)


def server(
    address: str, register: tuple[Callable[[grpc.Server], None], ...], streams: int = 0,
) -> tuple[grpc.Server, int]:
    """Start a server on host:port (0 picks one) with these services, and return it with its port.

    `streams` calls may stay open beside those that are answered at once: each holds a thread for as long.
    """
    pool = ThreadPoolExecutor(AT_ONCE + streams, thread_name_prefix="grpc")
    started = grpc.server(pool, interceptors=[_Traced()], options=_LIMITS, maximum_concurrent_rpcs=CALLS + streams)
    for add in register:
        add(started)
    try:
        port = started.add_insecure_port(address)
    except RuntimeError as taken:
        raise Misconfigured(f"cannot listen on {address}: {taken}") from taken
    started.start()
    return started, port


def channel(address: str) -> grpc.Channel:
    """Open a channel to another room; it connects when it is used, and again when the room comes back."""
    return grpc.insecure_channel(address, options=(*_LIMITS, ("grpc.max_reconnect_backoff_ms", 2_000)))


@contextmanager
def calling(room: str) -> Iterator[dict[str, Any]]:
    """Lend the arguments of a call (deadline, traceparent); raise Transient where the room is away, Permanent where it refused."""
    parent = telemetry.traceparent()
    try:
        yield {"timeout": 30, "metadata": (("traceparent", parent),) if parent else ()}
    except grpc.RpcError as failed:
        code, said = failed.code(), failed.details()
        if code in AWAY:
            raise Transient(f"{room} is away: {said}") from failed
        raise Permanent(f"{room} refused: {said}") from failed
