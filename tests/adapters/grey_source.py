"""A source of radiographs that show nothing, for tests in which only the way of an image matters."""

from collections.abc import Sequence

import numpy as np

from radloop.workbench.hospital.sources import Candidate, Pixels


class Grey:
    """Nobody to train on, nobody to test on, and a black square whatever is asked for."""

    name = "grey"

    def __init__(self, side: int = 8) -> None:
        """`side` is the square's, in pixels."""
        self._side = side

    def training(self) -> Sequence[tuple[str, bool, tuple[str, ...]]]:
        """Return nobody."""
        return ()

    def test(self) -> Sequence[Candidate]:
        """Return nobody."""
        return ()

    def pixels(self, image: str) -> Pixels:
        """Return black."""
        return np.zeros((self._side, self._side), np.uint8)
