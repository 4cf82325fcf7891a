"""Several Tritons as one reader: each reading goes to one of them, and to the next where that one cannot."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from radloop.inference.adapters.sight import Tensors, read_through
from radloop.inference.domain.answer import Outputs
from radloop.kit.clock import Clock
from radloop.kit.errors import Transient
from radloop.kit.worker import Worker
from radloop.standards.package import Package


class One(Protocol):
    """One Triton, kept in step with the releases."""

    name: str
    worker: Worker

    def start(self) -> None:
        """Begin to keep step."""
        ...

    def stop(self) -> None:
        """End."""
        ...

    def infer(
        self, model: str, version: int, tensors: Tensors, outputs: Sequence[str], within: float | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the named outputs of a version that is warm; raise Transient where it is not."""
        ...

    def warm(self, model: str, version: int) -> bool:
        """Say whether a version takes traffic."""
        ...

    def ready(self) -> str:
        """Return why it is not in step."""
        ...


class Fleet:
    """Takes those that are warm in turn; `deadline_seconds` is for all that one request tries."""

    def __init__(self, servers: Sequence[One], deadline_seconds: float, clock: Clock) -> None:
        self._servers, self._deadline, self._clock = tuple(servers), deadline_seconds, clock
        self._turns = count()

    def start(self) -> None:
        """Begin to keep all in step."""
        for one in self._servers:
            one.start()

    def stop(self) -> None:
        """Leave the servers as they are."""
        for one in self._servers:
            one.worker.ask_to_stop()
        for one in self._servers:
            one.stop()

    def infer(
        self, model: str, version: int, tensors: Tensors, outputs: Sequence[str], within: float | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the named outputs by the first server that can; what one refuses for good is not asked of another."""
        end = self._clock.monotonic() + (self._deadline if within is None else within)
        order = self._in_turn(model, version)
        last = Transient(f"{model} {version} is being loaded", after=0.2)
        for place, one in enumerate(order):
            left = end - self._clock.monotonic()
            if left <= 0:
                break
            try:
                # A server that hangs may not use up the time of those that would answer.
                return one.infer(model, version, tensors, outputs, left / (len(order) - place))
            except Transient as away:
                last = away
        raise last

    def read(self, package: Package, images: NDArray[np.float32]) -> Outputs:
        """Return the outputs for images [N, C, H, W]; see `ports.Reader`."""
        return read_through(self.infer, package, images)

    def warm(self, model: str, version: int) -> bool:
        """Say whether a version takes traffic anywhere."""
        return any(one.warm(model, version) for one in self._servers)

    def ready(self) -> str:
        """Return what keeps every server from being in step, empty as long as one is."""
        whys = [(one.name, one.ready()) for one in self._servers]
        if not all(why for _, why in whys):
            return ""
        return "; ".join(f"{name}: {why}" for name, why in whys) if len(whys) > 1 else whys[0][1]

    def _in_turn(self, model: str, version: int) -> tuple[One, ...]:
        first = next(self._turns) % len(self._servers)
        servers = self._servers[first:] + self._servers[:first]
        # Those that are cold say so at once, and are woken by it.
        return tuple(one for one in servers if one.warm(model, version)) or servers
