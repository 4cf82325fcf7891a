"""A RIS that answers what it should not, on a real socket: nothing counts as changed but XR to the change that was asked for."""

import time
from datetime import UTC, datetime

import pytest
from examples.shared import PATIENT, order

from radloop.kit.clock import SystemClock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Deliver
from radloop.publishing.adapters.away import PATIENCE
from radloop.publishing.adapters.mllp import ANSWER_LIMIT, RisReceiver
from radloop.publishing.domain.priority import message
from radloop.publishing.domain.said import Raised
from radloop.standards.hl7.mllp import frame
from radloop.standards.hl7.write import Interface, control_id
from tests.integration.publishing.far_ends import Lie, Line, LyingRis, acknowledged, changed

STEP_S = 0.4
AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
RAISED = Raised(order=order(), patient=PATIENT, code="A", triage_revision=1, number=1)
LIFT = Deliver(
    key="c:priority:1", receiver="ris", subject="c", kind="priority", content_type="x",
    body=message(Interface("RADLOOP", "AI", "RIS", "RAD"), "c:priority:1", AT, RAISED, "A", "why"),
)
XR = changed(LIFT.body)
OURS = f"MSA|AA|{control_id(LIFT.key)}".encode()


def half_a_frame(line: Line) -> None:
    """The line is cut in the middle of the answer."""
    line.send(frame(XR)[:40])


def half_a_frame_and_then_nothing(line: Line) -> None:
    """The line stays, the answer does not come."""
    line.send(frame(XR)[:40])
    line.hang()


def byte_by_byte(line: Line) -> None:
    """Always one byte more, each in time."""
    line.trickle(b"\x0b" + b"MSH|" * 5_000)


def without_end(line: Line) -> None:
    """A frame that is never closed, 100 MB of it."""
    line.send(b"\x0b")
    for _ in range(1600):
        line.send(b"A" * 65_536)


def frame_after_frame(line: Line) -> None:
    """Answers to others, one after the other, for as long as anybody listens."""
    other = frame(XR.replace(OURS, b"MSA|AA|OTHER"))
    for _ in range(100_000):
        line.send(other)


OPEN: dict[str, Lie] = {
    "garbage": frame(b"\x00\xff garbage"), "no HL7 at all": b"HTTP/1.1 400 Bad Request\r\n\r\n", "an empty frame": frame(b""),
    "no MSA": frame(XR.replace(b"MSA", b"ZSA")), "an unknown code": frame(acknowledged(LIFT.body, "OK")),
    "another message's": frame(XR.replace(OURS, b"MSA|AA|OTHER")), "half a frame": half_a_frame,
    "half a frame and then nothing": half_a_frame_and_then_nothing, "nothing": lambda line: line.hang(), "hangs up": b"",
    "byte by byte": byte_by_byte, "without end": without_end, "frame after frame": frame_after_frame,
}
"""What leaves open whether the RIS took the message."""


def receiver(ris: LyingRis) -> RisReceiver:
    """The real receiver, in a hurry."""
    return RisReceiver(("127.0.0.1", ris.port), "site-1", STEP_S, SystemClock())


@pytest.mark.parametrize("lie", OPEN)
def test_what_leaves_open_what_the_ris_did_is_asked_again_with_the_same_bytes(lie: str) -> None:
    """In time, with little memory, with a reason; and when it is honest again the change is made once."""
    with LyingRis() as ris:
        to_ris, ris.lie = receiver(ris), OPEN[lie]
        began = time.monotonic()
        with pytest.raises(Transient) as raised:
            to_ris.send(LIFT)
        assert time.monotonic() - began < PATIENCE * STEP_S + 1
        assert to_ris.ready() == raised.value.reason != ""
        assert max(line.sent for line in ris.lines) < ANSWER_LIMIT + 16 * 1024 * 1024
        ris.lie = None
        assert to_ris.send(LIFT).outcome == "delivered"
        assert (len(ris.heard), ris.changes) == (2, 1)
        assert to_ris.ready() == ""


@pytest.mark.parametrize("lie", [
    frame(acknowledged(LIFT.body)), frame(acknowledged(LIFT.body, "CA")),
    frame(acknowledged(LIFT.body, more=b"ORC|OK|PL-1^EHR|FL-1^RIS\r")),
    frame(acknowledged(LIFT.body, more=b"NTE|1|L|Erin Example\r")),
], ids=["a bare AA", "a commit and no more", "an ORC that says nothing of the change", "words"])
def test_a_ris_that_takes_the_message_and_does_not_say_changed_is_not_confirmed(lie: bytes) -> None:
    """It counts as neither changed nor refused, it is asked no more, and the reason says what to do."""
    with LyingRis() as ris:
        ris.lie = lie
        answer = receiver(ris).send(LIFT)
    assert answer.outcome == "unconfirmed"
    assert answer.reason.startswith("not confirmed")
    assert "ORR^O02" in answer.reason
    assert "Erin" not in answer.reason
    assert answer.body


def test_an_order_response_about_another_order_confirms_nothing() -> None:
    """A RIS that answers our message and changed somebody else's order: a human must look at both."""
    with LyingRis() as ris:
        ris.lie = frame(changed(LIFT.body, "XR", ("PL-9", "FL-9")))
        answer = receiver(ris).send(LIFT)
    assert answer.outcome == "unconfirmed"
    assert "another order" in answer.reason


@pytest.mark.parametrize("numbers", [("PL-1", ""), ("", "FL-1"), ("", ""), ("OTHER", "FL-1"), ("PL-1", "NEW")])
def test_a_number_that_agrees_is_enough(numbers: tuple[str, str]) -> None:
    """A RIS may give one number of the two, both anew, or none: it still names our message in MSA-2."""
    with LyingRis() as ris:
        ris.lie = frame(changed(LIFT.body, "XR", numbers))
        assert receiver(ris).send(LIFT).outcome == "delivered"


@pytest.mark.parametrize("lies", [
    (acknowledged(LIFT.body, "CA"), XR), (XR.replace(OURS, b"MSA|AA|OTHER"), XR), (XR, acknowledged(LIFT.body, "AE")),
], ids=["a commit, then XR", "another message's, then ours", "XR, then anything"])
def test_of_two_frames_the_one_that_answers_us_counts(lies: tuple[bytes, bytes]) -> None:
    """In two phases on one connection, or behind what was meant for somebody else."""
    with LyingRis() as ris:
        ris.lie = b"".join(frame(one) for one in lies)
        assert receiver(ris).send(LIFT).outcome == "delivered"


def test_a_refusal_after_a_commit_is_a_refusal() -> None:
    """The commit says that the message is safe there; the application says what became of it."""
    with LyingRis() as ris:
        ris.lie = frame(acknowledged(LIFT.body, "CA")) + frame(changed(LIFT.body, "UX"))
        assert receiver(ris).send(LIFT).outcome == "refused"


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_an_error_is_final_and_says_what_to_do(code: str) -> None:
    """The same message would fare the same: it is kept with its reason, and a human changes the priority if they wish to."""
    with LyingRis() as ris:
        ris.lie = frame(acknowledged(LIFT.body, code, b"ERR||ORC^1^2|204^Unknown key identifier^HL70357|E||||Erin Example\r"))
        with pytest.raises(Permanent) as raised:
            receiver(ris).send(LIFT)
    assert f"answered A{code[1]} (unknown key identifier): it did not take the change" in raised.value.reason
    assert "by hand" in raised.value.reason
    assert "Erin" not in raised.value.reason
