"""How much of what is on its way a door holds: each sender a share, a few of them more, and none while its last one is being kept.

Who may not go on is not read from, and TCP holds the sender back. So what many large objects at once take is bounded.
"""

import threading
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True)
class Room:
    """What may be held: a share of bytes for each sender, so many senders with more, an object's largest size, patience in seconds."""

    share_bytes: int = 4 * MEGABYTE
    large_at_once: int = 4
    object_bytes: int = 1024 * MEGABYTE
    patience_s: float = 30.0


@dataclass
class _Sender:
    held: int = 0
    large: bool = False
    answering: bool = False


class Crowd:
    """The senders that something is being read from."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._changed = threading.Condition()
        self._senders: dict[Hashable, _Sender] = {}
        self._large = 0

    def arrived(self, who: Hashable, count: int) -> bool:
        """Take note of so many bytes more, and return once the sender may be read on; False where it may not, for too long or at all."""
        with self._changed:
            sender = self._senders.setdefault(who, _Sender())
            sender.held += count
            if sender.held > self._room.object_bytes:
                return False
            return self._changed.wait_for(lambda: self._may_go_on(sender), self._room.patience_s)

    def answering(self, who: Hashable) -> None:
        """Note that an object of this sender is whole, and being kept."""
        with self._changed:
            self._senders.setdefault(who, _Sender()).answering = True

    def gone(self, who: Hashable) -> None:
        """Note that nothing is held of this sender any more: it was answered, or has hung up."""
        with self._changed:
            sender = self._senders.pop(who, None)
            if sender is not None:
                self._large -= sender.large
                sender.large = sender.answering = False
            self._changed.notify_all()

    def _may_go_on(self, sender: _Sender) -> bool:
        if sender.answering:
            return False
        if sender.large or sender.held <= self._room.share_bytes:
            return True
        if self._large >= self._room.large_at_once:
            return False
        self._large += 1
        sender.large = True
        return True
