"""Liveness, readiness and metrics over HTTP: /live, /ready (503 with the reasons), /metrics (Prometheus)."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from radloop.kit.settings import host_and_port

Reasons = Callable[[], list[str]]


class Health:
    """Serves a room's health; `reasons` returns one sentence per reason why it is not ready."""

    def __init__(self, address: str, reasons: Reasons) -> None:
        class Handler(BaseHTTPRequestHandler):
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

        self._server = ThreadingHTTPServer(host_and_port(address), Handler)
        self._server.daemon_threads = True
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
