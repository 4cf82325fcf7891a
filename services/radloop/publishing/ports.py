"""What publishing asks of the world outside: receivers, which the kit's deliveries speak to.

Handlers ask nobody: what the EHR knows of a case is asked for by a delivery and comes back as its answer, so that a report
is ready-made bytes before it is sent, and a resend is the same bytes.
"""

from typing import Protocol

from radloop.kit.deliveries import Answer
from radloop.kit.flow import Deliver


class Receiver(Protocol):
    """The EHR or the RIS."""

    def send(self, delivery: Deliver) -> Answer:
        """Send ready-made bytes; raise Transient while it is away, Permanent for what it can never take."""
        ...

    def ready(self) -> str:
        """Say why it is away, empty where it is not known to be."""
        ...
