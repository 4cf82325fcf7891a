"""A simulated reader plays through a segmenter as it will be served: its ONNX file, prompt after prompt, the truth known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime

from radloop.retraining.adapters.clicks import next_click
from radloop.retraining.domain.arrays import Halves, Singles
from radloop.retraining.domain.outlines import SIDE
from radloop.standards.masks import Mask
from radloop.standards.prompts import Prompt, tokens

Outliner = Callable[[Halves, Sequence[Prompt], Singles | None], tuple[Singles, float]]
"""An image's embedding [256, 64, 64], all that was drawn and the logits before, to logits [256, 256] and the expected IoU."""


@dataclass(frozen=True)
class Answered:
    """What a segmenter said after one more prompt: a mask [256, 256] and the IoU it expects."""

    mask: Mask
    quality: float


def outliner(decoder: bytes) -> Outliner:
    """Return what a decoder's ONNX file answers, run in this process."""
    session = onnxruntime.InferenceSession(decoder, providers=["CPUExecutionProvider"])

    def outline(embedding: Halves, drawn: Sequence[Prompt], before: Singles | None) -> tuple[Singles, float]:
        places, labels = tokens(drawn, SIDE, SIDE, SIDE)
        logits, quality = session.run(("LOGITS", "QUALITY"), {
            "EMBEDDING": embedding[None], "PLACES": places[None], "LABELS": labels[None],
            "MASK": before[None] if before is not None else np.zeros((1, SIDE, SIDE), np.float32),
            "HAS_MASK": np.array([before is not None], np.float32),
        })
        return logits[0], float(quality[0])

    return outline


def encoder(graph: bytes) -> Callable[[Singles], Halves]:
    """Return what an image encoder's ONNX file makes of an image, grey 0 to 1 [256, 256]: its embedding [256, 64, 64]."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def encode(grey: Singles) -> Halves:
        found: Halves = session.run(("IMAGE_EMBEDDING",), {"IMAGE": np.repeat(grey[None, None], 3, axis=1)})[0][0]
        return found

    return encode


def play(outline: Outliner, embedding: Halves, wanted: Mask, first: Prompt, prompts: int) -> list[Answered]:
    """Return the answers to a reader who draws `first`, then clicks on the largest error until there are `prompts`.

    Where nothing is wrong any more the last answer stands.
    """
    drawn: list[Prompt] = [first]
    answers: list[Answered] = []
    before: Singles | None = None
    while len(answers) < prompts:
        before, quality = outline(embedding, drawn, before)
        answers.append(Answered(before > 0, quality))
        more = next_click(wanted, answers[-1].mask)
        if more is None:
            break
        drawn.append(more)
    return answers + answers[-1:] * (prompts - len(answers))
