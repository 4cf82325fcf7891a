"""What can go wrong, named for what the caller can do about it.

RadloopError
├── Transient      a dependency is away: try again, as long as it lasts, never counted
├── Permanent      can never succeed as it is: reject, quarantine, tell the sender
└── Misconfigured  refuse to start, and say what to set
"""


class RadloopError(Exception):
    """The root of the tree; never raised itself."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Transient(RadloopError):  # noqa: N818 - the vocabulary names the state, not the class of error
    """A dependency is away; `after` is its own hint in seconds, None where it gave none."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Permanent(RadloopError):  # noqa: N818 - see Transient
    """It can never succeed as it is; the reason is for people and carries no PHI."""


class Misconfigured(RadloopError):  # noqa: N818 - see Transient
    """A setting is missing or wrong; the reason says which and what to do."""
