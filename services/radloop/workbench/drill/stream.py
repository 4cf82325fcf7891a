"""The hospital's senders: each sends its study's messages and images again, the same bytes, until they are acknowledged.

What was acknowledged is noted here, in memory: that is what the platform has promised to bring to its end.
"""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from pydicom.dataset import FileDataset

from radloop.kit.clock import SystemClock
from radloop.kit.errors import Permanent, Transient
from radloop.workbench.drill.stories import Image, Message, Pause, Story
from radloop.workbench.hospital.objects import EARLIER, dx, unreadable
from radloop.workbench.hospital.sender import MllpLine, Modality
from radloop.workbench.hospital.sources import Pixels

SENDERS = 8
_AGAIN, _EASED = 0.25, 4.0
_PATIENCE = 15.0


@dataclass
class Told:
    """How far one story has come: what was acknowledged, and with what."""

    story: Story
    messages: dict[str, str] = field(default_factory=dict)
    """MSA-1 by the digest of each message that was answered."""
    images: set[str] = field(default_factory=set)
    """SOP Instance UIDs that were answered with 0x0000."""
    refused: str = ""
    again: int = 0
    """How often something was sent again, as an answer was lost or never came."""

    @property
    def whole(self) -> bool:
        """Say whether every step was acknowledged."""
        wanted = sum(isinstance(one, Message | Image) for one in self.story.steps)
        return len(self.messages) + len(self.images) == wanted


class Stream:
    """Sends stories at a steady rate, several at once, until it is told to end; what has begun is finished."""

    def __init__(
        self, mllp: tuple[str, int], dicom: tuple[str, int], pixels: Sequence[Pixels], plan: Iterator[Story], rate: float,
    ) -> None:
        self._mllp, self._dicom, self._pixels = mllp, dicom, pixels
        self._plan, self._every = plan, 1.0 / rate
        self._taking, self._due = threading.Lock(), time.monotonic()
        self._ending, self._giving_up = threading.Event(), threading.Event()
        self._eased = False
        self._told: list[Told] = []
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="sender")
        self._senders: list[Future[None]] = []

    def start(self) -> None:
        """Begin to send."""
        self._due = time.monotonic()
        self._senders = [self._pool.submit(self._send) for _ in range(SENDERS)]

    def ease(self, *, eased: bool) -> None:
        """Send at a fraction of the rate for as long as the platform has much in hand: a drill is no test of throughput."""
        self._eased = eased

    def end(self) -> None:
        """Begin no further story; return at once."""
        self._ending.set()

    def finished(self) -> bool:
        """Say whether every story that was begun is told; raise what a sender did not foresee."""
        done = all(one.done() for one in self._senders)
        for one in self._senders:
            if one.done():
                one.result()
        return done

    def stop(self) -> None:
        """Give up what is not acknowledged, and end."""
        self._ending.set()
        self._giving_up.set()
        self._pool.shutdown(wait=True)

    def told(self) -> tuple[Told, ...]:
        """Return how far every story has come."""
        with self._taking:
            return tuple(self._told)

    def _next(self) -> Told | None:
        """Wait for a story's turn, at the stream's rate; what was missed while nobody could send is not made up for."""
        with self._taking:
            now = time.monotonic()
            every = self._every * (_EASED if self._eased else 1.0)
            begins = self._due = max(self._due + every, now - every)
        if self._ending.wait(max(0.0, begins - time.monotonic())):
            return None
        with self._taking:
            story = next(self._plan, None)
            if story is None:
                return None
            self._told.append(Told(story))
            return self._told[-1]

    def _send(self) -> None:
        with MllpLine(*self._mllp, timeout=_PATIENCE) as line, Modality(*self._dicom) as modality:
            while (told := self._next()) is not None:
                tell(told, line, modality, self._pixels, self._giving_up)


def tell(
    told: Told, line: MllpLine, modality: Modality, pixels: Sequence[Pixels], giving_up: threading.Event,
) -> None:
    """Tell one story to its end, however often each step has to be sent; `giving_up` ends it early."""
    for step in told.story.steps:
        if giving_up.is_set():
            return
        match step:
            case Pause():
                giving_up.wait(step.seconds)
            case Message():
                _tell_message(told, step, line, giving_up)
            case Image():
                _tell_image(told, picture(told.story, step, pixels, SystemClock().now()), modality, giving_up)


def picture(story: Story, image: Image, pixels: Sequence[Pixels], taken: datetime) -> FileDataset:
    """Return the DICOM object of one step."""
    made = dx(story.order, pixels[story.number % len(pixels)], taken, EARLIER, image.number)
    return unreadable(made) if image.damaged else made


def _tell_message(told: Told, message: Message, line: MllpLine, giving_up: threading.Event) -> None:
    for tries in itertools.count():
        try:
            answered = line.send(message.raw)
        except Transient:
            if giving_up.wait(_AGAIN):
                return
            continue
        answer = answered.get("MSA-1", "")
        told.again += tries
        if answered.get("MSA-2", "") != message.control:
            told.refused = "a message got another one's answer"
        told.messages[message.digest] = answer
        if (answer in {"AA", "CA"}) is not message.good:
            told.refused = f"a message was answered {answer}"
        return


def _tell_image(told: Told, image: FileDataset, modality: Modality, giving_up: threading.Event) -> None:
    for tries in itertools.count():
        try:
            modality.store(image)
        except Transient:
            if giving_up.wait(_AGAIN):
                return
            continue
        except Permanent as refused:
            told.refused = f"an image was refused: {refused.reason}"
            return
        told.again += tries
        told.images.add(str(image.SOPInstanceUID))
        return
