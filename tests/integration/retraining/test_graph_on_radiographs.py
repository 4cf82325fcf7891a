"""The graph that is served says of real radiographs what torch and the heads say."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from radloop.retraining.adapters import backbone, export
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.domain.arrays import Singles
from radloop.retraining.domain.heads import Recipe
from radloop.retraining.domain.learning import train_heads
from radloop.retraining.domain.snapshot import Row, take
from radloop.standards.codes import PNEUMONIA
from radloop.workbench.hospital.sources import KERMANY, Candidate, Radiographs
from radloop.workbench.play.loop import prepared

DATA = Path(os.environ.get("RADLOOP_DATA", "/nowhere"))
AGREE = 1e-4


def _trained_on(source: Radiographs, each: int) -> tuple[list[Candidate], Singles]:
    """Return as many training patients of each class, and their images as the platform prepares them."""
    people = source.training()
    chosen = [
        Candidate(patient, positive, images[0])
        for wanted in (True, False)
        for patient, positive, images in [one for one in people if one[1] is wanted][:each]
    ]
    return chosen, prepared(source, chosen)


def _apart(served: Sequence[Singles], torch: Sequence[Singles]) -> list[float]:
    return [float(np.abs(one - other).max()) for one, other in zip(served, torch, strict=True)]


@pytest.mark.skipif(not (DATA / KERMANY / "labels.csv").is_file(), reason="RADLOOP_DATA has no radiographs")
def test_torch_and_onnx_agree_on_radiographs(tmp_path: Path) -> None:
    """Members, embedding and evidence of the whole graph are torch's within 1e-4, alone and in a batch, and the same when asked again."""
    source, plan = Radiographs(DATA), load_plan().training
    chosen, images = _trained_on(source, 20)
    features = backbone.load()
    rows = (
        Row(case_id=one.image, patient_key=one.patient, finding=PNEUMONIA.value, present=one.positive, weight=1.0, source="reader",
            drawn="seed")
        for one in chosen
    )
    recipe = Recipe(plan.members, plan.penalty, plan.seed)
    heads = train_heads(take(zip(rows, backbone.embed(features, images), strict=True)), (PNEUMONIA.value,), recipe)
    session = onnxruntime.InferenceSession(
        export.graph(backbone.exported(tmp_path).read_bytes(), heads), providers=["CPUExecutionProvider"],
    )
    shown = prepared(source, source.test()[::40])
    maps = backbone.feature_maps(features, shown)
    evidence = np.einsum("ndhw,fd->nfhw", maps, heads.weight.mean(axis=0)) + heads.bias.mean(axis=0)[:, None, None]
    embedding = maps.mean(axis=(2, 3))
    torch = [heads.members(embedding), embedding, evidence]
    # What is compared is no flat answer: the scores differ from image to image by far more than they may from runtime to runtime.
    assert torch[0].std(axis=0).min() > 0.5

    def served(batch: Singles) -> list[Singles]:
        return session.run(["MEMBERS", "EMBEDDING", "EVIDENCE"], {"IMAGE": batch})

    together = served(shown)
    one_by_one = [np.concatenate(parts) for parts in zip(*(served(image[None]) for image in shown), strict=True)]
    assert [one.shape for one in together] == [one.shape for one in torch]
    assert max(_apart(together, torch)) < AGREE
    assert max(_apart(one_by_one, torch)) < AGREE
    for one, again in zip(together, served(shown), strict=True):
        np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(backbone.feature_maps(backbone.load(), shown), maps)
