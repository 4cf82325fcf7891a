"""Adapting a segmenter as a job: confirmed masks are divided by patient, some teach, the others judge, and a package results."""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from radloop.kit.blobs import Blobs
from radloop.kit.errors import Permanent
from radloop.kit.jobs import Job, Progress
from radloop.retraining.adapters import judging, medsam
from radloop.retraining.adapters.adapting import Confirmed, Recipe, adapt
from radloop.retraining.adapters.clicks import next_click
from radloop.retraining.adapters.confirmed import Pair, pairs
from radloop.retraining.adapters.package import Files, assemble_segmenter, described, pack, unpack
from radloop.retraining.domain.arrays import Floats, Halves
from radloop.retraining.domain.commands import Learnt
from radloop.retraining.domain.outlines import SIDE, divide, hold_gate, sentences
from radloop.retraining.domain.plan import OutlinePlan, Plan
from radloop.standards.codes import BODY_PARTS
from radloop.standards.masks import dice
from radloop.standards.package import ENCODER_FILE, WEIGHTS_FILE, Applicability, Behind, Preparation, Segmenter

_INTENDED_USE = (
    "Outlines on radiographs what a reader points at, for the reader to accept or to correct; never without a reader."
    " Demonstration; not a medical device."
)
_PREPARED = Preparation(rows=SIDE, columns=SIDE, mean=(0.0,) * 3, std=(1.0,) * 3)
_UNKNOWN = "0" * 64
_ENCODING, _ADAPTING, _JUDGING = 0.3, 0.8, 0.95
"""The shares of the work that are done when each part ends."""


def described_as(model: str, version: int, snapshot: str, trained_at: str, origin: str) -> Segmenter:
    """Return what a segmenter's `radloop.yaml` says, the hashes of its files excepted."""
    return Segmenter(
        model=model, version=version, intended_use=_INTENDED_USE, applicability=Applicability(modalities=("DX", "CR")),
        preparation=_PREPARED, structures=(BODY_PARTS["LUNG"],), encoder=Behind(f"{model}-encoder", 1, _UNKNOWN),
        weights_sha256=_UNKNOWN, snapshot_sha256=snapshot, trained_at=trained_at, origin=origin,
    )


def encoded(net: object, given: list[Pair], tell: Callable[[float], object]) -> Halves:
    """Return the image embeddings [N, 256, 64, 64] of pairs; `tell` hears the share that is done."""
    parts = []
    for at, one in enumerate(given):
        parts.append(medsam.encode(net, one.grey[None]))
        tell((at + 1) / len(given))
    return np.concatenate(parts)


def judged(decoder: bytes, embeddings: Iterable[Halves], given: list[Pair], clicks: int) -> Floats:
    """Return the Dice coefficient of every structure after so many simulated clicks, image after image."""
    outline, found = judging.outliner(decoder), []
    for embedding, one in zip(embeddings, given, strict=True):
        for wanted in one.structures:
            first = next_click(wanted, np.zeros_like(wanted))
            assert first is not None  # a structure is not empty
            found.append(dice(judging.play(outline, embedding, wanted, first, clicks)[-1].mask, wanted))
    return np.array(found)


def judged_before(package: Files, encoder: bytes, embeddings: Iterable[Halves], given: list[Pair], clicks: int) -> Floats:
    """Return what `judged` would of a predecessor's package: each decoder is judged on what the encoder it stands behind makes.

    The embeddings are those of `encoder`; where the predecessor has another one, its own encodes the images.
    """
    says = described(package)
    if not isinstance(says, Segmenter) or says.preparation != _PREPARED:
        raise Permanent("the version that serves is shown images that are prepared otherwise: the two cannot be compared")
    if package[ENCODER_FILE] != encoder:
        encode = judging.encoder(package[ENCODER_FILE])
        embeddings = (encode(one.grey) for one in given)
    return judged(package[WEIGHTS_FILE], embeddings, given, clicks)


def adaptation(blobs: Blobs, plan: Plan) -> Job:
    """Return the job of one room."""

    def run(text: str, progress: Progress) -> str:
        spec = json.loads(text)
        if plan.outlines is None:
            raise Permanent("the change-control plan has no section `outlines`")
        progress.tell(0.01, "opening the masks")
        given = list(pairs(blobs.get(spec["masks"])))
        teach, judge = divide([one.patient for one in given], plan.outlines.adapt_on_at_most, plan.outlines.seed)
        if not teach:
            raise Permanent("there is no mask to learn from")
        net = medsam.load()
        chosen = [given[at] for at in (*teach, *judge)]
        embeddings = encoded(net, chosen, lambda share: progress.tell(_ENCODING * share, "encoding the images"))
        decoder = _adapted(medsam.Decoder(net), embeddings[: len(teach)], chosen[: len(teach)], plan.outlines, progress)
        progress.tell(_ADAPTING, "writing ONNX")
        with tempfile.TemporaryDirectory() as folder:
            graphs = (
                medsam.exported_decoder(decoder, Path(folder)).read_bytes(), medsam.exported_encoder(net, Path(folder)).read_bytes(),
            )
        progress.tell(_ADAPTING, "holding the gate")
        judges, held = chosen[len(teach) :], embeddings[len(teach) :]
        # What is judged is what will be served.
        after = judged(graphs[0], held, judges, plan.outlines.clicks)
        predecessor = unpack(blobs.get(spec["predecessor"])) if spec["predecessor"] else None
        before = judged_before(predecessor, graphs[1], held, judges, plan.outlines.clicks) if predecessor else None
        result = hold_gate(
            after, before, [one.patient for one in judges for _ in one.structures], plan.outlines, plan.gate,
        )
        progress.tell(_JUDGING, "packaging")
        says = described_as(spec["model"], spec["version"], spec["masks"], spec["at"], spec["cycle_id"])
        package = assemble_segmenter(says, *graphs)
        return json.dumps(asdict(Learnt(
            package=blobs.put(pack(package)).sha256, weights=described(package).weights_sha256, snapshot=spec["masks"],
            snapshot_size=len(blobs.get(spec["masks"])), version=spec["version"], case_ids=(), gate_passed=result.passed,
            evidence=(*_evidence(given, teach), *sentences(result)),
            model=spec["model"],
        )))

    return run


def _evidence(given: list[Pair], teach: list[int]) -> Iterator[str]:
    """Yield what was adapted on, and first that patients may have crossed where nobody said whose the images are."""
    if alone := sum(one.alone for one in given):
        yield f"no list of patients was given: {alone} of {len(given)} images count as a patient each, and one patient may teach and judge"
    yield f"adapted on {len(teach)} images of {len({given[at].patient for at in teach})} patients"


def _adapted(
    base: medsam.Decoder, embeddings: Halves, teachers: list[Pair], plan: OutlinePlan, progress: Progress,
) -> medsam.Decoder:
    return adapt(
        base, Confirmed(embeddings, [one.structures for one in teachers]), Recipe(steps=plan.steps, seed=plan.seed),
        lambda share: progress.tell(_ENCODING + (_ADAPTING - _ENCODING) * share, "adapting"),
    )
