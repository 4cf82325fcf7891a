"""Liveness, readiness and metrics over HTTP: /live, /ready (503 with the reasons), /metrics (Prometheus)."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from radloop.kit.settings import host_and_port

Reasons = Callable[[], list[str]]
AT_ONCE, SILENCE_S = 16, 5.0
"""Callers at once, and how long one may say nothing: a probe that is not taken comes again, and threads do not pile up."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(address, handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - socketserver's shape
        return self._free.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class Health:
    """Serves a room's health; `reasons` returns one sentence per reason why it is not ready."""

    def __init__(self, address: str, reasons: Reasons) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = SILENCE_S

            def do_GET(self) -> None:
                if self.path == "/live":
                    self._answer(200, b"alive\n", "text/plain")
                elif self.path == "/ready":
                    why_not = reasons()
                    body = json.dumps({"ready": not why_not, "reasons": why_not}).encode()
                    self._answer(503 if why_not else 200, body, "application/json")
                elif self.path == "/metrics":
                    self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
                else:
                    self._answer(404, b"try /live, /ready or /metrics\n", "text/plain")

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Probes are not worth a line each."""

        self._server = _Server(host_and_port(address), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
