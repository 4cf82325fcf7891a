"""MLLP framing: messages come out whole, whatever pieces they arrive in, and a broken one spoils no other."""

from hypothesis import given
from hypothesis import strategies as st

from radloop.standards.hl7.mllp import Broken, Deframer, frame

MESSAGE = st.binary(max_size=40).map(lambda raw: raw.translate(None, b"\x0b\x1c"))


@given(st.lists(MESSAGE, max_size=5), st.integers(min_value=1, max_value=50))
def test_messages_come_out_as_they_went_in(messages: list[bytes], size: int) -> None:
    """However the stream is cut into pieces, the same messages come out in order."""
    stream = b"".join(frame(message) for message in messages)
    deframer = Deframer()
    out = [item for at in range(0, len(stream), size) for item in deframer.feed(stream[at : at + size])]
    assert out + deframer.close() == messages


def test_a_message_cut_short_does_not_spoil_the_next() -> None:
    """A start block inside a message ends the old one as truncated; the new one is whole."""
    assert Deframer().feed(b"\x0bhalf" + frame(b"whole")) == [Broken("truncated", b"half"), b"whole"]


def test_the_end_of_the_connection_truncates() -> None:
    """What is still open when the connection closes is truncated."""
    deframer = Deframer()
    assert deframer.feed(b"\x0bhalf") == []
    assert deframer.close() == [Broken("truncated", b"half")]


def test_a_message_beyond_the_limit_is_dropped_and_said() -> None:
    """At most the limit is held, and the next message is taken."""
    assert Deframer(4).feed(frame(b"12345678") + frame(b"1234")) == [Broken("too large", b"1234"), b"1234"]


def test_bytes_outside_a_frame_are_said() -> None:
    """White space between frames is nothing; anything else is not framed."""
    deframer = Deframer()
    assert deframer.feed(b"\r\n" + frame(b"a") + b"GET / HTTP/1.1") == [b"a"]
    assert deframer.close() == [Broken("not framed", b"GET / HTTP/1.1")]


def test_a_missing_carriage_return_is_forgiven() -> None:
    """The end block alone ends a message."""
    assert Deframer().feed(b"\x0ba\x1c\x0bb\x1c") == [b"a", b"b"]
