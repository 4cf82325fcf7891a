"""The RIS over MLLP: a change of priority goes out, ORR^O02 comes back.

HL7 v2.5.1 section 4.5.2 (ORR) and 2.9 (acknowledgement). A change counts only with ORC-1 XR for the order that was asked
about; UX is a refusal, which is final. A RIS that took the message and does not say whether it changed the order is not
asked again: it would only answer the same, and a human must look.
"""

import socket
from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import UTC
from typing import Final

from radloop.kit.clock import Clock
from radloop.kit.deliveries import Answer
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Deliver
from radloop.publishing.adapters.away import PATIENCE, Away
from radloop.standards.hl7.answer import Answer as Said
from radloop.standards.hl7.answer import is_about, read_answer
from radloop.standards.hl7.errors import Hl7Error
from radloop.standards.hl7.mllp import Broken, Deframer, frame
from radloop.standards.hl7.model import Origin
from radloop.standards.hl7.write import control_id

PIECE: Final = 65_536
ANSWER_LIMIT: Final = 64 * 1024
"""What a RIS may send in all before its answer is whole: an ORR has some hundred bytes."""
UNCONFIRMED: Final = (
    "not confirmed: the RIS took the message and did not say whether it changed the order. Look at the order's priority there;"
    " have the RIS or the engine answer on the same connection with ORR^O02 (XR or UX)"
)
OTHER_ORDER: Final = (
    "not confirmed: the RIS answered about another order than the one that was asked about. Look at the priority of both there"
)
BY_HAND: Final = "it did not take the change, and is not asked again: change the priority there by hand, and see what the RIS logged"


class RisReceiver:
    """Sends one message per connection, so that an answer never belongs to another message."""

    def __init__(self, address: tuple[str, int] | None, site: str, timeout: float, clock: Clock) -> None:
        """Take host and port, None where no RIS is configured; the time-out in seconds holds for each step."""
        self._address, self._origin, self._timeout = address, Origin(site, "", UTC), timeout
        self._away, self._clock = Away(clock), clock

    def send(self, delivery: Deliver) -> Answer:
        """Send and wait for the answer: delivered with XR, refused with UX, unconfirmed; see ports.Receiver."""
        with self._away.watching():
            if self._address is None:
                raise Transient("no RIS is configured: set RADLOOP_PUBLISHING_RIS")
            with closing(self._heard(self._address, delivery.body)) as heard:
                return self._judged(heard, delivery)

    def ready(self) -> str:
        """Say why the RIS is away, empty where it is not known to be."""
        return self._away.reason

    def _heard(self, address: tuple[str, int], message: bytes) -> Generator[bytes, None, None]:
        """Send, then yield what comes back, message by message; ends with Transient, which says why nothing more comes."""
        deframer, size, until = Deframer(ANSWER_LIMIT), 0, self._clock.monotonic() + PATIENCE * self._timeout
        try:
            with socket.create_connection(address, self._timeout) as line:
                line.sendall(frame(message))
                while (left := until - self._clock.monotonic()) > 0:
                    line.settimeout(min(self._timeout, left))
                    piece = line.recv(PIECE)
                    if not piece:
                        raise Transient("the RIS hung up without an answer")
                    size += len(piece)
                    for whole in deframer.feed(piece):
                        if isinstance(whole, Broken):
                            raise Transient(f"the RIS's answer is broken: {whole.reason}; does an HL7 interface listen there?")
                        yield whole
                    if size > ANSWER_LIMIT:
                        raise Transient(f"the RIS sent more than {ANSWER_LIMIT >> 10} kB and no answer")
        except TimeoutError as slow:
            raise Transient("the RIS did not answer in time") from slow
        except OSError as away:
            raise Transient(f"the RIS is away: {type(away).__name__}") from away
        raise Transient("the RIS did not answer in time")

    def _judged(self, heard: Iterator[bytes], delivery: Deliver) -> Answer:
        """Say what the answers mean. What leaves open whether the RIS has the message is Transient: it knows it by MSH-10.

        The RIS's own words may name the patient and stay in the stored bytes.
        """
        committed, trouble = b"", ""
        try:
            for raw in heard:
                said = self._read(raw)
                if said.control_id != control_id(delivery.key):
                    trouble = "the RIS answered another message"
                elif said.committed and said.code == "AA":
                    committed = raw  # the application's own answer may follow on the same line
                else:
                    return self._final(said, raw, delivery)
        except Transient as ended:
            if committed:
                return Answer("unconfirmed", UNCONFIRMED, committed)
            raise Transient(trouble or ended.reason) from ended
        raise AssertionError("what is heard ends with Transient")

    def _final(self, said: Said, raw: bytes, delivery: Deliver) -> Answer:
        if said.code != "AA":
            raise Permanent(f"the RIS answered {said.code}{f' ({said.error.lower()})' if said.error else ''}: {BY_HAND}")
        if not is_about(said, delivery.body, self._origin):
            return Answer("unconfirmed", OTHER_ORDER, raw)
        if said.changed:
            return Answer("delivered", body=raw)
        if said.refused:
            return Answer("refused", f"the RIS is unable to change the order ({said.order_control})", raw)
        return Answer("unconfirmed", UNCONFIRMED, raw)

    def _read(self, raw: bytes) -> Said:
        try:
            return read_answer(raw, self._origin)
        except Hl7Error as wrong:
            raise Transient(f"the RIS's answer cannot be read: {wrong}") from wrong
