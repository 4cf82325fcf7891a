"""What the RIS receiver makes of what comes back over MLLP."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from radloop.kit.clock import ManualClock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Deliver
from radloop.publishing.adapters.away import FORGOTTEN_AFTER_S
from radloop.publishing.adapters.mllp import RisReceiver
from radloop.standards.hl7.mllp import frame
from radloop.standards.hl7.write import control_id

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
DELIVERY = Deliver(key="k", receiver="ris", subject="c", kind="priority", body=b"MSH|^~\\&|...", content_type="x")
MSA = f"MSH|^~\\&|RIS|R|RADLOOP|AI|20260302||ORR^O02|A1|P|2.5.1\rMSA|AA|{control_id('k')}\r"


@contextmanager
def peer(reply: bytes) -> Iterator[RisReceiver]:
    """A receiver of a peer that reads one message, answers these bytes and hangs up."""
    class Line(socketserver.BaseRequestHandler):
        """One connection."""

        def handle(self) -> None:
            """Answer once the end block is there."""
            heard = b""
            while b"\x1c" not in heard:
                heard += self.request.recv(4096)
            self.request.sendall(reply)

    with socketserver.TCPServer(("127.0.0.1", 0), Line) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield RisReceiver(("127.0.0.1", server.server_address[1]), "site-1", 2.0, ManualClock(AT))
        server.shutdown()


@pytest.mark.parametrize(("control", "outcome"), [("XR", "delivered"), ("UX", "refused"), ("UA", "refused")])
def test_an_order_response_says_changed_or_unable(control: str, outcome: str) -> None:
    """XR counts as changed; unable is a refusal, whose stored answer has the RIS's own words and whose reason has none."""
    with peer(frame(f"{MSA}NTE|1|L|Jane Doe\rORC|{control}|P1|F1\r".encode())) as ris:
        answer = ris.send(DELIVERY)
    assert answer.outcome == outcome
    assert "Doe" not in answer.reason
    assert b"Doe" in answer.body


def test_a_bare_acknowledgement_confirms_nothing() -> None:
    """AA without an order response is no XR: it is said as unconfirmed, and the reason says where to look."""
    with peer(frame(MSA.encode())) as ris:
        answer = ris.send(DELIVERY)
    assert answer.outcome == "unconfirmed"
    assert answer.reason.startswith("not confirmed")


@pytest.mark.parametrize("code", ["AE", "AR"])
def test_an_error_is_final(code: str) -> None:
    """Somebody must look."""
    with peer(frame(MSA.replace("MSA|AA", f"MSA|{code}").encode())) as ris, pytest.raises(Permanent):
        ris.send(DELIVERY)


@pytest.mark.parametrize("reply", [b"", frame(b"nonsense")], ids=["hung up", "unreadable"])
def test_what_leaves_open_what_the_ris_did_is_asked_again(reply: bytes) -> None:
    """The same bytes go again; the RIS tells them by MSH-10."""
    with peer(reply) as ris:
        with pytest.raises(Transient):
            ris.send(DELIVERY)
        assert ris.ready()


def test_a_ris_that_is_away_is_named_until_nobody_asks_any_more() -> None:
    """Readiness says so while something waits, and forgets it when nothing does."""
    clock = ManualClock(AT)
    ris = RisReceiver(None, "site-1", 1.0, clock)
    assert ris.ready() == ""
    with pytest.raises(Transient):
        ris.send(DELIVERY)
    assert "RADLOOP_PUBLISHING_RIS" in ris.ready()
    clock.advance(FORGOTTEN_AFTER_S)
    assert ris.ready() == ""
