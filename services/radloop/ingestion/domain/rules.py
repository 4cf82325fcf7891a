"""What the site decides: how its messages are to be read, which are its own, how long a study is quiet before it is whole."""

from dataclasses import dataclass
from datetime import timedelta

from radloop.standards.hl7.model import Origin


@dataclass(frozen=True, kw_only=True)
class Rules:
    """`processing_id` is MSH-11 of this site (P, T or D); `quiet` is the pause after which a study's images are all here.

    `own_names` are those by which MSH-3 or ORC-19 say that a message is the echo of a change that we asked for ourselves.
    """

    origin: Origin
    processing_id: str = "P"
    own_names: frozenset[str] = frozenset()
    quiet: timedelta = timedelta(seconds=5)
