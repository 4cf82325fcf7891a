"""The RIS over MLLP: a change of priority goes out, ORR^O02 comes back.

HL7 v2.5.1 section 4.5.2 (ORR) and 2.9.2 (acknowledgement). A change counts only with ORC-1 XR; UX is a refusal, which is final.
"""

import socket
from datetime import UTC
from typing import Final

from radloop.kit.clock import Clock
from radloop.kit.deliveries import Answer
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Deliver
from radloop.publishing.adapters.away import Away
from radloop.standards.hl7.answer import Answer as Said
from radloop.standards.hl7.answer import read_answer
from radloop.standards.hl7.errors import Hl7Error
from radloop.standards.hl7.mllp import Broken, Deframer, frame
from radloop.standards.hl7.model import Origin
from radloop.standards.hl7.write import control_id

PIECE: Final = 65_536
ANSWER_LIMIT: Final = 1024 * 1024


class RisReceiver:
    """Sends one message per connection, so that an answer never belongs to another message."""

    def __init__(self, address: tuple[str, int] | None, site: str, timeout: float, clock: Clock) -> None:
        """Take host and port, None where no RIS is configured; the time-out in seconds holds for each step."""
        self._address, self._origin, self._timeout = address, Origin(site, "", UTC), timeout
        self._away = Away(clock)

    def send(self, delivery: Deliver) -> Answer:
        """Send and wait for the answer: delivered with XR, refused with UX; see ports.Receiver."""
        with self._away.watching():
            if self._address is None:
                raise Transient("no RIS is configured: set RADLOOP_PUBLISHING_RIS")
            raw = self._exchange(self._address, delivery.body)
            return _judged(self._read(raw, control_id(delivery.key)), raw)

    def ready(self) -> str:
        """Say why the RIS is away, empty where it is not known to be."""
        return self._away.reason

    def _exchange(self, address: tuple[str, int], message: bytes) -> bytes:
        deframer = Deframer(ANSWER_LIMIT)
        try:
            with socket.create_connection(address, self._timeout) as line:
                line.sendall(frame(message))
                while piece := line.recv(PIECE):
                    for whole in deframer.feed(piece):
                        if isinstance(whole, Broken):
                            raise Transient(f"the RIS's answer is broken: {whole.reason}")
                        return whole
        except OSError as away:
            raise Transient(f"the RIS is away: {type(away).__name__}") from away
        raise Transient("the RIS hung up without an answer")

    def _read(self, raw: bytes, asked: str) -> Said:
        """Read the answer; one that cannot be read, or answers something else, leaves open what the RIS did: ask again."""
        try:
            said = read_answer(raw, self._origin)
        except Hl7Error as wrong:
            raise Transient(f"the RIS's answer cannot be read: {wrong}") from wrong
        if said.control_id != asked:
            raise Transient("the RIS answered another message")
        return said


def _judged(said: Said, raw: bytes) -> Answer:
    """Say what the answer means; the RIS's own words may name the patient and stay in the stored bytes."""
    if said.changed:
        return Answer("delivered", body=raw)
    if said.refused:
        return Answer("refused", f"the RIS is unable to change the order ({said.order_control})", raw)
    if said.code != "AA":
        raise Permanent(f"the RIS answered {said.code}")
    raise Permanent("the RIS took the message and did not say whether it changed the order")
