"""Adapting the mask decoder to what a site outlines: a small share of confirmed masks teaches it clicks, scribbles and proposals.

The image encoder stays frozen and its embeddings are kept, so that a step costs the decoder only. A step plays a reader
(`clicks`) who first draws a box, a click or a scribble, or nothing yet, and then corrects the largest error a few times; the
mask before is fed back (Sofiiuk et al. 2021), and the last answer is held against the truth by cross-entropy and Dice loss:
as often the first answer as a later one, since only what is held against the truth costs a pass backwards. The quality
estimate learns the IoU that was really reached, as in Segment Anything.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator, default_rng
from torch.nn import functional

from radloop.retraining.adapters.clicks import box_around, next_click, next_scribble
from radloop.retraining.adapters.medsam import Decoder
from radloop.retraining.domain.arrays import Halves, Singles, Truths
from radloop.retraining.domain.outlines import SIDE
from radloop.standards.prompts import PAD, Box, Prompt, tokens

WHOLE = Box(0.0, 0.0, float(SIDE), float(SIDE))
"""Nothing drawn yet: all there is on the image is wanted, every structure at once."""
_JITTER = 12.0
_FIRST = (("box", 0.25), ("click", 0.45), ("scribble", 0.15), ("whole", 0.15))
_CORRECTIONS = (0.4, 0.2, 0.15, 0.15, 0.1)
"""How likely it is that the answer after so many corrections is held against the truth."""


@dataclass(frozen=True)
class Recipe:
    """How long and how fast; `steps` of two images each."""

    steps: int
    rate: float = 2e-4
    seed: int = 1
    warm_up: int = 50


@dataclass(frozen=True)
class Confirmed:
    """What was confirmed: image embeddings [N, 256, 64, 64], and per image its structures' masks [S, 256, 256]."""

    embeddings: Halves
    structures: Sequence[Truths]


def _first(truths: Truths, kind: str, random: Generator) -> tuple[Truths, list[Prompt]]:
    """Return what a reader wants of an image, and the first thing drawn."""
    if kind == "whole":
        return np.asarray(truths.any(axis=0)), [WHOLE]
    wanted: Truths = truths[random.integers(len(truths))]
    if kind == "box":
        around = box_around(wanted)
        shift = random.uniform(-_JITTER, _JITTER, 4)
        x0, y0 = max(around.x0 + shift[0], 0.0), max(around.y0 + shift[1], 0.0)
        x1, y1 = min(around.x1 + shift[2], float(SIDE)), min(around.y1 + shift[3], float(SIDE))
        return wanted, [Box(x0, y0, max(x1, x0 + 1.0), max(y1, y0 + 1.0))]
    nothing = np.zeros_like(wanted)
    drawn = next_scribble(wanted, nothing) if kind == "scribble" else next_click(wanted, nothing)
    return wanted, [drawn] if drawn is not None else [WHOLE]


def _loss(logits: torch.Tensor, quality: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return cross-entropy + Dice loss of logits [N, H, W], and the error of the guess of IoU [N]."""
    probability = logits.sigmoid()
    overlap = (probability * truth).sum((1, 2))
    dice = 1 - (2 * overlap + 1) / (probability.sum((1, 2)) + truth.sum((1, 2)) + 1)
    said = logits.detach() > 0
    both, either = (said & (truth > 0)).sum((1, 2)), (said | (truth > 0)).sum((1, 2))
    reached = both / either.clamp(min=1)
    return functional.binary_cross_entropy_with_logits(logits, truth) + dice.mean() + functional.mse_loss(quality, reached)


def adapt(base: Decoder, known: Confirmed, recipe: Recipe, tell: Callable[[float], object] = lambda _: None) -> Decoder:
    """Return a copy of the decoder that has learned from the confirmed masks; `tell` hears the share that is done.

    The same masks, recipe and machine give the same weights.
    """
    torch.manual_seed(recipe.seed)
    random = default_rng(recipe.seed)
    decoder = copy.deepcopy(base).requires_grad_().train()
    decoder.prompts.pe_layer.requires_grad_(requires_grad=False)
    optimiser = torch.optim.AdamW([one for one in decoder.parameters() if one.requires_grad], lr=recipe.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=recipe.steps, pct_start=min(recipe.warm_up / recipe.steps, 0.3), anneal_strategy="cos",
    )
    for step in range(recipe.steps):
        kind = str(random.choice([name for name, _ in _FIRST], p=[share for _, share in _FIRST]))
        places = random.integers(len(known.embeddings), size=2)
        pairs = [_first(known.structures[at], kind, random) for at in places]
        wanted = np.stack([pair[0] for pair in pairs])
        drawn = [pair[1] for pair in pairs]
        embedding = torch.from_numpy(known.embeddings[places])
        logits: torch.Tensor | None = None
        for _ in range(int(random.choice(len(_CORRECTIONS), p=_CORRECTIONS))):
            with torch.no_grad():
                logits, _ = _answer(decoder, embedding, drawn, logits)
            _correct(drawn, wanted, (logits > 0).numpy(), scribbling=kind == "scribble")
        loss = _loss(*_answer(decoder, embedding, drawn, logits), torch.from_numpy(wanted.astype(np.float32)))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch itself
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        tell((step + 1) / recipe.steps)
    return decoder.eval().requires_grad_(requires_grad=False)


def _correct(drawn: Sequence[list[Prompt]], wanted: Truths, said: Truths, *, scribbling: bool) -> None:
    """Draw one more on each image of a batch: through or into the largest error; where nothing is wrong, on what is there."""
    for prompts, right, answered in zip(drawn, wanted, said, strict=True):
        more = next_scribble(right, answered) if scribbling else next_click(right, answered)
        more = more or next_click(right, np.zeros_like(right))
        if more is not None:
            prompts.append(more)


def told(drawn: Sequence[Sequence[Prompt]]) -> tuple[Singles, Singles]:
    """Return the tokens of what was drawn on each image of a batch: places [N, T, 2] and labels [N, T].

    A scribble through an error of one pixel is one token, others are a handful: the shorter ones are padded.
    """
    each = [tokens(one, SIDE, SIDE, SIDE) for one in drawn]
    most = max(len(labels) for _, labels in each)
    places = np.zeros((len(each), most, 2), np.float32)
    labels = np.full((len(each), most), PAD, np.float32)
    for at, (where, what) in enumerate(each):
        places[at, : len(what)], labels[at, : len(what)] = where, what
    return places, labels


def _answer(
    decoder: Decoder, embedding: torch.Tensor, drawn: Sequence[Sequence[Prompt]], before: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and quality for what was drawn on each image of a batch."""
    places, labels = (torch.from_numpy(part) for part in told(drawn))
    has = torch.full((len(drawn),), float(before is not None))
    mask = before if before is not None else torch.zeros(len(drawn), SIDE, SIDE)
    answered: tuple[torch.Tensor, torch.Tensor] = decoder(embedding, places, labels, mask, has)
    return answered
