"""Is a part ready? Each probe asks once, quickly, in the part's own protocol."""

import contextlib
import json
import socket
import struct
import urllib.error
import urllib.request

import psycopg

QUICK = 1.0


def answers_http(url: str) -> bool:
    """Say whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=QUICK) as answer:  # noqa: S310 - loopback addresses that we chose
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def reasons(url: str) -> str:
    """Return why a room says that it is not ready, empty where it does not answer or is ready."""
    try:
        urllib.request.urlopen(url, timeout=QUICK).close()  # noqa: S310 - loopback addresses that we chose
    except urllib.error.HTTPError as refused:
        with refused, contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            return "; ".join(json.load(refused)["reasons"])
    except OSError:
        pass
    return ""


def answers_kafka(address: str) -> bool:
    """Say whether a broker answers ApiVersions v0 (KIP-35), which needs neither topic nor login."""
    correlation = 7
    client = b"radloop"
    body = struct.pack(">hhih", 18, 0, correlation, len(client)) + client
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=QUICK) as link:
            link.sendall(struct.pack(">i", len(body)) + body)
            head = link.recv(8, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(head) == 8 and struct.unpack(">ii", head)[1] == correlation


def answers_postgres(dsn: str) -> bool:
    """Say whether the database takes a connection and a statement."""
    try:
        with psycopg.connect(dsn, connect_timeout=2) as connection:
            connection.execute("select 1")
    except psycopg.Error:
        return False
    return True


def answers_tcp(address: str) -> bool:
    """Say whether something listens."""
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=QUICK):
            return True
    except OSError:
        return False
