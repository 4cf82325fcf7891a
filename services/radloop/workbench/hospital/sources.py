"""Where radiographs come from: real ones in a folder, or phantoms where there is no folder."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from radloop.kit.errors import Misconfigured
from radloop.workbench.phantoms import Phantom, roster
from radloop.workbench.phantoms import draw as draw_phantom

KERMANY = "kermany_cxr_224"
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Candidate:
    """One patient with one radiograph; `positive` is the truth, which stays in this process."""

    patient: str
    positive: bool = field(repr=False)
    image: str = field(repr=False)


class Source(Protocol):
    """Where radiographs come from: real ones in a folder, or phantoms."""

    name: str

    def training(self) -> Sequence[tuple[str, bool, tuple[str, ...]]]:
        """Return (patient, positive, images) of the training side, without anybody of the test split."""
        ...

    def test(self) -> Sequence[Candidate]:
        """Return the test split: it reports, and decides nothing."""
        ...

    def pixels(self, image: str) -> Pixels:
        """Return one image as uint8 [rows, columns], brighter where denser."""
        ...


class Radiographs:
    """The paediatric radiographs in `RADLOOP_DATA`; labels.csv says whom to leave out."""

    name = "radiographs"

    def __init__(self, data: Path) -> None:
        self._root = data / KERMANY
        try:
            with (self._root / "labels.csv").open(newline="", encoding="utf-8") as file:
                self._rows = list(csv.DictReader(file))
        except OSError as missing:
            raise Misconfigured(f"no labels.csv under RADLOOP_DATA: {KERMANY} is not there") from missing

    def training(self) -> Sequence[tuple[str, bool, tuple[str, ...]]]:
        """Return the training patients; a key that also occurs in the publisher's test split is left out."""
        images: dict[str, list[str]] = defaultdict(list)
        positive: dict[str, bool] = {}
        tested = {
            row["patient_key_from_filename"]
            for row in self._rows
            if row["split"] == "test" or row["patient_also_in_test"]
        }
        for row in self._rows:
            key = row["patient_key_from_filename"]
            if row["split"] == "train" and key not in tested:
                images[key].append(row["file"])
                positive[key] = row["label"] == "PNEUMONIA"
        return [(key, positive[key], tuple(sorted(files))) for key, files in sorted(images.items())]

    def test(self) -> Sequence[Candidate]:
        """Return every image of the test split."""
        return [
            Candidate(row["patient_key_from_filename"], row["label"] == "PNEUMONIA", row["file"])
            for row in self._rows
            if row["split"] == "test"
        ]

    def pixels(self, image: str) -> Pixels:
        """Return one image, grey."""
        with Image.open(self._root / image) as opened:
            return np.asarray(opened.convert("L"), dtype=np.uint8)


class Phantoms:
    """Drawn chests for a machine without radiographs: as many patients as the full demo takes, and a test split."""

    name = "phantoms"
    _TRAINING = (1_600, 2_400)
    _TEST = (110, 200)

    def __init__(self, seed: int) -> None:
        self._seeds = (2 * seed, 2 * seed + 1)
        self._known: dict[str, tuple[int, Phantom]] = {}

    def training(self) -> Sequence[tuple[str, bool, tuple[str, ...]]]:
        """Return the phantom patients, each with their images."""
        people: dict[str, list[Phantom]] = defaultdict(list)
        for phantom in roster(self._seeds[0], *self._TRAINING):
            people[phantom.patient_key].append(phantom)
        return [(key, images[0].present, tuple(self._name(0, one) for one in images)) for key, images in people.items()]

    def test(self) -> Sequence[Candidate]:
        """Return the test split: people of a roster of its own."""
        drawn = roster(self._seeds[1], *self._TEST)
        return [Candidate(one.patient_key, one.present, self._name(1, one)) for one in drawn]

    def pixels(self, image: str) -> Pixels:
        """Return one phantom, drawn anew."""
        side, phantom = self._known[image]
        return draw_phantom(self._seeds[side], phantom)

    def _name(self, side: int, phantom: Phantom) -> str:
        name = f"{side}/{phantom.patient_key}/{phantom.number}"
        self._known[name] = (side, phantom)
        return name


def open_source(data: Path | None, seed: int) -> Source:
    """Return the radiographs under a data folder, or phantoms where it is None or has none."""
    if data is not None and (data / KERMANY / "labels.csv").is_file():
        return Radiographs(data)
    return Phantoms(seed)
