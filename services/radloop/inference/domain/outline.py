"""An outline in the making: prompts accumulate, each with the answer it got, and the last can be taken back."""

from dataclasses import dataclass, replace

from radloop.inference.domain.answer import Singles
from radloop.kit.errors import Permanent
from radloop.standards.masks import Mask
from radloop.standards.prompts import MOST_PROMPTS, Prompt, check

SEGMENTER, CLASSICAL = "segmenter", "grabcut"


@dataclass(frozen=True)
class Answered:
    """What a method said: a mask at the method's own size, the logits behind it, and the IoU it expects.

    A classical method has no logits and expects nothing.
    """

    mask: Mask
    method: str
    logits: Singles | None = None
    quality: float | None = None


@dataclass(frozen=True)
class Outline:
    """What was drawn on an image of rows × columns (stored pixels), and the answer after each prompt."""

    rows: int
    columns: int
    prompts: tuple[Prompt, ...] = ()
    answers: tuple[Answered, ...] = ()

    def admitted(self, prompt: Prompt) -> tuple[Prompt, ...]:
        """Return all prompts with one more; raise Permanent where it lies outside the image or there are too many."""
        if len(self.prompts) >= MOST_PROMPTS:
            raise Permanent(f"more than {MOST_PROMPTS} prompts on one image: take some back, or draw by hand")
        return (*self.prompts, check(prompt, self.rows, self.columns))

    def drawn(self, prompts: tuple[Prompt, ...], answered: Answered) -> "Outline":
        """Return the outline after one more prompt was answered."""
        return replace(self, prompts=prompts, answers=(*self.answers, answered))

    def undone(self) -> "Outline":
        """Return the outline without its last prompt; raise Permanent where nothing was drawn."""
        if not self.prompts:
            raise Permanent("there is nothing to take back")
        return replace(self, prompts=self.prompts[:-1], answers=self.answers[:-1])

    @property
    def last(self) -> Answered | None:
        """The answer that stands, None before the first prompt."""
        return self.answers[-1] if self.answers else None
