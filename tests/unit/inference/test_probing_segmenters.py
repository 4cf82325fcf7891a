"""A segmenter and its encoder are seen to answer before they take traffic, as a classifier is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.examples import inference as example
from tests.examples.segmenting import SIDE, encoder, segmenter
from tests.unit.inference.doubles import Server, clock, model

from radloop.inference.adapters.loading import Loaded
from radloop.kit.errors import Permanent, Transient

IMAGE = {"IMAGE": ((1, 3, SIDE, SIDE), "float32")}
PROMPTED = {
    "EMBEDDING": ((1, 256, SIDE // 4, SIDE // 4), "float16"), "PLACES": ((1, 2, 2), "float32"), "LABELS": ((1, 2), "float32"),
    "MASK": ((1, SIDE, SIDE), "float32"), "HAS_MASK": ((1,), "float32"),
}

ANSWERED = {"IMAGE_EMBEDDING": (1, 256, SIDE // 4, SIDE // 4), "LOGITS": (1, SIDE, SIDE), "QUALITY": (1,)}


class Sent(Server):
    """Notes the tensors it is sent and the outputs that are wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[dict[str, Any], tuple[str, ...]]] = []

    def infer(self, model: str, version: int, tensors: Any, outputs: Any, within: float | None = None) -> dict[str, np.ndarray]:
        if self.failure:
            raise self.failure
        self.sent.append(({name: (one.shape, str(one.dtype)) for name, one in tensors.items()}, tuple(outputs)))
        return {name: np.zeros(ANSWERED[name], np.float32) for name in outputs}


@pytest.mark.parametrize(("described", "tensors", "outputs"), [
    (encoder(), IMAGE, ("IMAGE_EMBEDDING",)), (segmenter(), PROMPTED, ("LOGITS", "QUALITY")),
])
def test_what_outlines_takes_no_traffic_before_it_answered(described: Any, tensors: dict[str, Any], outputs: tuple[str, ...]) -> None:
    """One that cannot answer is said in readiness and tried again; the probe is all that a real request is, of nothing at all."""
    class Outlining(example.Packages):
        def describe(self, model: str, version: int, weights_sha256: str) -> Any:
            return described

    time, server = clock(), Sent()
    keeper = Loaded(server, Outlining(), lambda: (model(example.released(1)),), Path(), time)
    server.failure = Permanent("it has no such input")
    keeper._turn()
    assert (server.loads, keeper.warm("chest", 1), keeper.ready()) == ([{1}], False, "chest 1: it has no such input")
    with pytest.raises(Transient, match="cannot be loaded"):
        keeper.infer("chest", 1, {}, outputs)
    server.failure = None
    time.advance(6)
    keeper._turn()
    assert (keeper.warm("chest", 1), keeper.ready()) == (True, "")
    assert server.sent
    assert all(one == (tensors, outputs) for one in server.sent)
