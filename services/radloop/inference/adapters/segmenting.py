"""Outlining an image on request: opened once, encoded ahead where it could be, then answered prompt by prompt.

Where no segmenter serves, does not read such images or is away, a classical method stands in and is named.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from radloop.events.common import Blob, Instance
from radloop.inference.adapters.grabcut import grabcut
from radloop.inference.adapters.sight import Infer, encode_through, outline_through
from radloop.inference.domain.answer import Singles
from radloop.inference.domain.case import Case, Images
from radloop.inference.domain.fitness import refusal
from radloop.inference.domain.model import Model, Version
from radloop.inference.domain.outline import CLASSICAL, SEGMENTER, Answered, Outline
from radloop.inference.ports import Desk, Files, Packages, Preparer
from radloop.kit.errors import Permanent, Transient
from radloop.standards.dicom import header
from radloop.standards.dicom.elements import is_dicom
from radloop.standards.dicom.errors import Unfit
from radloop.standards.dicom.header import InstanceFacts
from radloop.standards.dicom.pixels import resize
from radloop.standards.masks import Mask
from radloop.standards.pictures import grey_of
from radloop.standards.package import Preparation, Segmenter
from radloop.standards.prompts import Box, Prompt, tokens

_PLAIN = Preparation(rows=256, columns=256, channels=1, mean=(0.0,), std=(1.0,))
PrepareBytes = Callable[[bytes, Preparation, Collection[str]], Singles]
"""A DICOM file at hand, kept nowhere, as a model takes it that lies in one of these ways."""


class Encodings(Protocol):
    """Image embeddings that were made before, by the image's SHA-256 and how they are made."""

    def find(self, image_sha256: str, frame: int, method_sha256: str) -> str:
        """Return the embedding's SHA-256, empty where it was not made yet."""
        ...

    def keep(self, image_sha256: str, frame: int, method_sha256: str, embedding_sha256: str) -> None:
        """Keep where an embedding lies."""
        ...


@dataclass(frozen=True)
class Canvas:
    """An open image: grey values as the method sees them [H, W], and either a segmenter with an embedding, or why there is none."""

    rows: int
    columns: int
    grey: Singles
    image_sha256: str
    segmenter: Segmenter | None = None
    embedding: NDArray[np.float16] | None = None
    reason: str = ""


@dataclass(frozen=True)
class Proposal:
    """A mask [rows, columns] that nobody asked for yet, the IoU that the segmenter expects, and the segmenter."""

    mask: Mask
    quality: float
    segmenter: Segmenter


class Segmenters:
    """The segmenters that serve, as a stream of prompts uses them."""

    def __init__(
        self, desk: Desk, files: Files, packages: Packages, preparer: Preparer, infer: Infer, encodings: Encodings,
        prepare_bytes: PrepareBytes,
    ) -> None:
        self._desk, self._files, self._packages, self._preparer = desk, files, packages, preparer
        self._prepare_bytes = prepare_bytes
        self._infer, self._encodings = infer, encodings

    def open(self, case_id: str, sop_instance_uid: str, frame: int, model: str = "") -> Canvas:
        """Open an image of a case; raise Permanent where there is none or it cannot be shown."""
        case = self._desk.case(case_id)
        alone = _alone(case, sop_instance_uid)
        if case is None or alone is None:
            raise Permanent("no such image in this case")
        [image] = alone.instances
        if not 1 <= frame <= max(image.frames, 1):
            raise Permanent(f"there is no frame {frame} of {max(image.frames, 1)}")
        segmenter, reason = self._serving(case, alone, model)
        try:
            prepared = self._seen(image, frame, segmenter) if segmenter is not None else None
        except Unfit as lies:
            prepared, reason = None, lies.reason
        if segmenter is None or prepared is None:
            plain = self._preparer.prepare(image.blob.sha256, _PLAIN, frame=frame)
            return Canvas(image.rows, image.columns, plain[0], image.blob.sha256, reason=reason)
        grey = prepared[0] * np.float32(segmenter.preparation.std[0]) + np.float32(segmenter.preparation.mean[0])
        try:
            embedding = self._embedding(image, frame, segmenter, prepared)
        except (Transient, Permanent) as without:
            return Canvas(image.rows, image.columns, grey, image.blob.sha256, reason=without.reason)
        return Canvas(image.rows, image.columns, grey, image.blob.sha256, segmenter, embedding)

    def encode_ahead(self, case_id: str) -> None:
        """Encode every image of a case's newest study that a segmenter outlines; see `ports.Encoder`."""
        case = self._desk.case(case_id)
        if case is None or case.live is None or case.signed or case.cancelled:
            return  # nobody will outline it soon
        for image in case.live.instances:
            segmenter, _ = self._serving(case, replace(case.live, instances=(image,)), "")
            if segmenter is not None:
                with suppress(Unfit):  # it is not outlined by this segmenter, and the others of the study are
                    self._embedding(image, 1, segmenter, None)

    def propose(self, image: bytes, model: str = "") -> Proposal:
        """Outline all that a segmenter was adapted to on an image at hand, a DICOM object, a PNG or a JPEG.

        Raise Permanent where none serves, none was made for what the object says it is, or it cannot be read.
        """
        facts = header.read(image) if is_dicom(image) else None
        if facts is not None and facts.not_acquired:
            raise Permanent(facts.not_acquired)
        segmenter, reason = self._fit(model, lambda known: known.production, _at_hand(image, facts) if facts is not None else None)
        if segmenter is None:
            raise Permanent(reason)
        return self._proposed(image, facts, segmenter)

    def _segmenters(self, model: str, serving: Callable[[Model], Version | None]) -> Iterator[tuple[Segmenter | None, str]]:
        """Yield the segmenters of this name (empty: of any) that serve, or why one cannot."""
        for known in self._desk.models():
            version = serving(known) if model in {"", known.model} else None
            if version is None:
                continue
            try:
                described = self._packages.describe(known.model, version.version, version.weights_sha256)
            except Permanent as wrong:
                if model:
                    yield None, wrong.reason
                continue
            if isinstance(described, Segmenter):
                yield described, ""

    def _proposed(self, image: bytes, facts: InstanceFacts | None, segmenter: Segmenter) -> Proposal:
        prepared, encoder = segmenter.preparation, segmenter.encoder
        if facts is not None:
            seen = self._prepare_bytes(image, prepared, segmenter.applicability.orientations)
            rows, columns = facts.rows, facts.columns
        else:
            shown = grey_of(image)
            rows, columns = shown.shape
            grey = resize(shown, prepared.rows, prepared.columns)
            mean, std = (np.asarray(numbers, np.float32)[:, None, None] for numbers in (prepared.mean, prepared.std))
            seen = (grey[None] - mean) / std
        embedding = encode_through(self._infer, encoder.model, encoder.version, prepared, seen)
        canvas = Canvas(rows, columns, seen[0], hashlib.sha256(image).hexdigest(), segmenter, embedding)
        everything = (Box(0.0, 0.0, float(columns), float(rows)),)
        answered = self._segmented(canvas, segmenter, embedding, everything, None)
        return Proposal(full_size(answered.mask, answered.logits, rows, columns), answered.quality or 0.0, segmenter)

    def answer(self, canvas: Canvas, prompts: Sequence[Prompt], outline: Outline) -> Answered:
        """Return the answer to all prompts, the last answer fed back; the classical method's where the segmenter is away."""
        before = outline.last.logits if outline.last is not None else None
        if canvas.segmenter is not None and canvas.embedding is not None:
            try:
                return self._segmented(canvas, canvas.segmenter, canvas.embedding, prompts, before)
            except Transient:
                pass  # the reader's hand is on the image now: a lesser answer that says so beats none
        return Answered(grabcut(canvas.grey, prompts, canvas.rows, canvas.columns), CLASSICAL)

    def _segmented(
        self, canvas: Canvas, segmenter: Segmenter, embedding: NDArray[np.float16], prompts: Sequence[Prompt], before: Singles | None,
    ) -> Answered:
        side = segmenter.preparation.rows
        places, labels = tokens(prompts, canvas.rows, canvas.columns, side)
        said = outline_through(self._infer, segmenter, {
            "EMBEDDING": embedding, "PLACES": places[None], "LABELS": labels[None],
            "MASK": before[None] if before is not None else np.zeros((1, side, side), np.float32),
            "HAS_MASK": np.array([before is not None], np.float32),
        })
        if not np.isfinite(said.logits).all() or not np.isfinite(said.quality):
            raise Permanent("the segmenter's answer is not finite")
        return Answered(said.logits > 0, SEGMENTER, said.logits, min(max(said.quality, 0.0), 1.0))

    def _serving(self, case: Case, images: Images, model: str) -> tuple[Segmenter | None, str]:
        """Return the segmenter that outlines the one image of these, or None and why not."""
        return self._fit(model, lambda known: known.serving(case), (images, case.procedure))

    def _fit(
        self, model: str, serving: Callable[[Model], Version | None], shown: tuple[Images, str] | None,
    ) -> tuple[Segmenter | None, str]:
        """Return the first segmenter made for an image and its procedure, or for one of which nothing is known; or None and why not."""
        reason = _none(model)
        for segmenter, wrong in self._segmenters(model, serving):
            if segmenter is None:
                reason = wrong
            elif shown is not None and (why := refusal(*shown, segmenter.applicability)):
                reason = f"{segmenter.model} {segmenter.version} does not outline it: {why}"
            else:
                return segmenter, ""
        return None, reason

    def _embedding(self, image: Instance, frame: int, segmenter: Segmenter, seen: Singles | None) -> NDArray[np.float16]:
        """Return an image's embedding [1, 256, 64, 64]: the one kept, or one that is made and kept now."""
        prepared, encoder, method = segmenter.preparation, segmenter.encoder, _method(segmenter)
        known = self._encodings.find(image.blob.sha256, frame, method)
        if known:
            try:
                kept = np.frombuffer(self._files.get(known), "<f2")
                return kept.reshape(1, -1, prepared.rows // 4, prepared.columns // 4).astype(np.float16)
            except (Permanent, ValueError):
                pass  # lost, or of another shape: it is made again
        seen = seen if seen is not None else self._seen(image, frame, segmenter)
        embedding = encode_through(self._infer, encoder.model, encoder.version, prepared, seen)
        self._encodings.keep(image.blob.sha256, frame, method, self._files.put(embedding.astype("<f2").tobytes()).sha256)
        return embedding

    def _seen(self, image: Instance, frame: int, segmenter: Segmenter) -> Singles:
        return self._preparer.prepare(image.blob.sha256, segmenter.preparation, segmenter.applicability.orientations, frame)


def _none(model: str) -> str:
    return f"no segmenter {model} serves" if model else "no segmenter serves"


def _at_hand(image: bytes, facts: InstanceFacts) -> tuple[Images, str]:
    """Return an image that is of no case as a study of its own, and the code of the procedure that it names itself."""
    alone = Instance(
        sop_instance_uid=facts.sop_instance_uid, sop_class_uid=facts.sop_class_uid, series_uid=facts.series_uid,
        blob=Blob(hashlib.sha256(image).hexdigest(), len(image)), modality=facts.modality, body_part=facts.body_part, view=facts.view,
        rows=facts.rows, columns=facts.columns, frames=facts.frames,
    )
    study = Images(
        revision=0, instances=(alone,), arrived_at=datetime.min.replace(tzinfo=UTC), age_years=facts.age_years, sex=facts.sex,
    )
    return study, facts.procedure_code


def _method(segmenter: Segmenter) -> str:
    """Name how an embedding is made: by which weights, of an image prepared how."""
    prepared = repr(segmenter.preparation)
    return hashlib.sha256(f"{segmenter.encoder.weights_sha256}|{prepared}".encode()).hexdigest()


def _alone(case: Case | None, sop_instance_uid: str) -> Images | None:
    """Return an image of a case as the only one of its study."""
    studies = (case.live, case.earlier) if case is not None else ()
    return next((
        replace(images, instances=(one,)) for images in studies if images is not None for one in images.instances
        if one.sop_instance_uid == sop_instance_uid
    ), None)


def full_size(mask: Mask, logits: Singles | None, rows: int, columns: int) -> Mask:
    """Return a mask in stored pixels [rows, columns]: its edge where the logits cross zero between the method's own pixels."""
    values = logits if logits is not None else mask.astype(np.float32) - np.float32(0.5)
    return np.asarray(cv2.resize(values, (columns, rows), interpolation=cv2.INTER_LINEAR) > 0)


def png(mask: Mask) -> bytes:
    """Return a mask as a PNG file, 255 inside, 0 outside."""
    written, data = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    assert written  # to memory, of an array that is one
    return data.tobytes()
