"""Chest phantoms for a machine without radiographs: drawn, seeded, the same on every machine, and hard enough to learn from.

They are not anatomy. They have what the loop needs: two classes that a frozen image embedding tells apart better with more
labels, differences between patients that outweigh the finding, and shadows in normal images that look like one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 224
_GRID = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64) / SIDE


@dataclass(frozen=True)
class Phantom:
    """One drawn radiograph: its patient, its number among that patient's images, and the truth."""

    patient_key: str
    number: int
    present: bool


def roster(seed: int, positives: int, negatives: int) -> tuple[Phantom, ...]:
    """Return phantoms of patients with one to three images each, positives first; the same seed gives the same people."""
    dice = np.random.default_rng([seed, 1])
    drawn: list[Phantom] = []
    for letter, present, wanted in (("P", True, positives), ("N", False, negatives)):
        count = person = 0
        while count < wanted:
            person += 1
            images = min(int(dice.integers(1, 4)), wanted - count)
            drawn += [Phantom(f"{letter}-{seed}-{person:04d}", number, present) for number in range(images)]
            count += images
    return tuple(drawn)


def _dice(seed: int, phantom: Phantom, what: int) -> np.random.Generator:
    """Return dice for one person (what = 0) or one image of theirs; text becomes numbers that no hash seed changes."""
    return np.random.default_rng([seed, what, *phantom.patient_key.encode()])


def _blob(y: float, x: float, height: float, width: float, sharp: float = 2.0) -> NDArray[np.float64]:
    """Return a soft ellipse with centre and radii in shares of the side, 1 inside and 0 outside."""
    distance = ((_GRID[0] - y) / height) ** 2 + ((_GRID[1] - x) / width) ** 2
    return np.asarray(np.exp(-(distance**sharp)))


def _texture(dice: np.random.Generator, cells: int) -> NDArray[np.float64]:
    """Return smooth noise of about so many cells a side, mean 0, by bilinear interpolation of a coarse grid."""
    coarse = dice.normal(size=(cells + 1, cells + 1))
    place = np.linspace(0, cells, SIDE, endpoint=False)
    low, share = place.astype(int), place % 1
    rows = coarse[low] * (1 - share)[:, None] + coarse[low + 1] * share[:, None]
    return np.asarray(rows[:, low] * (1 - share) + rows[:, low + 1] * share)


def draw(seed: int, phantom: Phantom) -> NDArray[np.uint8]:
    """Return one grey image [224, 224], bright where the body is dense, as on a radiograph."""
    person, image = _dice(seed, phantom, 0), _dice(seed, phantom, 10 + phantom.number)
    shift, wide, tall = person.normal(0, 0.015), person.uniform(0.13, 0.18), person.uniform(0.24, 0.31)
    body = 0.62 * _blob(0.55, 0.5 + shift, 0.62, person.uniform(0.42, 0.52), 4)
    depth = person.uniform(0.30, 0.42)
    lungs = [_blob(0.46 + image.normal(0, 0.01), 0.5 + shift + side * person.uniform(0.19, 0.22), tall, wide, 3)
             for side in (-1, 1)]
    picture = body - depth * (lungs[0] + lungs[1])
    picture += person.uniform(0.12, 0.2) * _blob(0.5, 0.5 + shift, 0.7, 0.05, 2)
    picture += person.uniform(0.15, 0.25) * _blob(person.uniform(0.58, 0.64), 0.55 + shift, 0.15, person.uniform(0.1, 0.15))
    ribs = np.sin(2 * np.pi * (_GRID[0] * person.uniform(9, 12) + 2.2 * (_GRID[1] - 0.5 - shift) ** 2 + person.random()))
    picture += person.uniform(0.02, 0.05) * ribs * body
    field = lungs[0] + lungs[1]
    picture += person.uniform(0.005, 0.025) * _texture(image, 28) * field
    for _ in range(int(image.integers(0, 3))):
        # Shadows that are no finding: a breast, a vessel end on, a fold. Smooth, and not bound to the lung.
        picture += image.uniform(0.02, 0.08) * _blob(
            image.uniform(0.3, 0.85), image.uniform(0.2, 0.8), image.uniform(0.03, 0.16), image.uniform(0.03, 0.16))
    if phantom.present:
        for _ in range(int(image.integers(1, 5))):
            side = int(image.integers(0, 2))
            spot = image.uniform(0.3, 0.66), 0.5 + shift + (2 * side - 1) * image.uniform(0.14, 0.24)
            patch = _blob(*spot, image.uniform(0.08, 0.18), image.uniform(0.07, 0.13), 1.0)
            # Consolidation is patchy: its texture, more than its brightness, is what there is to learn.
            cloud = 1 + 0.45 * _texture(image, 36)
            picture += image.uniform(0.07, 0.28) * patch * cloud * np.maximum(lungs[side], 0.35)
    picture = (picture - 0.3) * person.uniform(0.9, 1.1) + 0.36 + person.normal(0, 0.02)
    picture += image.normal(0, image.uniform(0.008, 0.02), picture.shape)
    return np.asarray(np.clip(picture * 255, 0, 255), dtype=np.uint8)
