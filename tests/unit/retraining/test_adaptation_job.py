"""The job that adapts a segmenter, with doubles for the network and for what it learns: who teaches it, and who judges it."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.examples.segmenting import SIDE, segmenter, tiny_decoder, tiny_encoder

from radloop.kit.blobs import Folder
from radloop.kit.jobs import Progress
from radloop.retraining.adapters import adaptation as job
from radloop.retraining.adapters import medsam
from radloop.retraining.adapters.adapting import Confirmed
from radloop.retraining.adapters.confirmed import Pair
from radloop.retraining.adapters.package import assemble_segmenter, pack
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.domain.plan import OutlinePlan, Plan

PATIENTS = 12
IMAGES = 2 * PATIENTS
SPEC = {"model": "lungs", "version": 2, "at": "2026-01-01T00:00:00+00:00", "cycle_id": "cycle-1"}


def whose(image: int) -> str:
    """Return the patient of an image: each has two, which do not stand side by side."""
    return f"p{image % PATIENTS}"


def confirmed() -> bytes:
    """Return images that can be told apart by their grey, and each of their masks by its height."""
    packed = io.BytesIO()

    def add(name: str, data: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))

    with tarfile.open(fileobj=packed, mode="w") as tar:
        add("patients.csv", "\n".join(["name,patient", *(f"{at:02},{whose(at)}" for at in range(IMAGES))]).encode())
        for at in range(IMAGES):
            mask = np.zeros((SIDE, SIDE), np.uint8)
            mask[: 100 + at, :100] = 255
            for folder, levels in (("images", np.full((SIDE, SIDE), 8 * at, np.uint8)), ("masks", mask)):
                out = io.BytesIO()
                Image.fromarray(levels).save(out, "PNG")
                add(f"{folder}/{at:02}.png", out.getvalue())
    return packed.getvalue()


def told_by(embeddings: Any) -> list[int]:
    """Return which images embeddings are of."""
    return [round(float(one.mean()) * 255 / 8) for one in embeddings]


def outlined_on(structures: Any) -> list[int]:
    """Return which images masks are of, one of each."""
    return [int(one.any(axis=1).sum()) - 100 for [one] in structures]


class Bench:
    """The network encodes an image as its grey; who learns and who is judged is noted, and everybody outlines well."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.blobs = Folder(folder)
        self.taught, self.judged = list[int](), list[list[int]]()
        patch.setattr(medsam, "load", lambda: "network")
        patch.setattr(medsam, "Decoder", lambda net: net)
        patch.setattr(medsam, "encode", lambda _, grey: np.full((1, 256, 64, 64), grey.mean(), np.float16))
        patch.setattr(medsam, "exported_decoder", lambda _, into: self.exported(into / "decoder.onnx", tiny_decoder()))
        patch.setattr(medsam, "exported_encoder", lambda _, into: self.exported(into / "encoder.onnx", tiny_encoder()))
        patch.setattr(job, "adapt", self.adapt)
        patch.setattr(job, "judged", self.judge)

    def exported(self, path: Path, graph: bytes) -> Path:
        path.write_bytes(graph)
        return path

    def adapt(self, base: Any, known: Confirmed, recipe: Any, tell: Any) -> Any:
        self.taught = told_by(known.embeddings)
        assert outlined_on(known.structures) == self.taught, "each embedding goes with its own image's masks"
        return base

    def judge(self, decoder: bytes, embeddings: Any, given: list[Pair], clicks: int) -> np.ndarray:
        self.judged.append(told_by(embeddings))
        assert [int(one.name) for one in given] == outlined_on(one.structures for one in given) == self.judged[-1]
        return np.full(len(given), 0.97)

    def run(self, plan: Plan) -> dict[str, Any]:
        before = assemble_segmenter(segmenter(), tiny_decoder(), tiny_encoder())
        spec = {**SPEC, "masks": self.blobs.put(confirmed()).sha256, "predecessor": self.blobs.put(pack(before)).sha256}
        return json.loads(job.adaptation(self.blobs, plan)(json.dumps(spec), Progress(lambda _share, _note: None)))


@pytest.mark.parametrize("most", [3, IMAGES])
def test_whose_images_teach_judges_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Neither a teacher's other image nor one that the plan left out; candidate and predecessor are judged on the same."""
    plan = load_plan()
    assert plan.outlines is not None
    outlines = OutlinePlan(**{**vars(plan.outlines), "adapt_on_at_most": most, "gate_patients_at_least": 3})
    bench = Bench(tmp_path, monkeypatch)
    learnt = bench.run(Plan(**{**vars(plan), "outlines": outlines}))
    candidate, predecessor = bench.judged
    teachers, judges = {whose(at) for at in bench.taught}, {whose(at) for at in candidate}
    assert candidate == predecessor
    assert not teachers & judges
    assert len(judges) >= 3
    assert len(candidate) == 2 * len(judges), "every image of who judges"
    if most == IMAGES:
        assert sorted(bench.taught + candidate) == list(range(IMAGES))
    else:
        assert len(bench.taught) == most
        assert len(judges) < PATIENTS - len(teachers), "a patient who may teach, and does not this time, judges nothing either"
    assert learnt["gate_passed"]
    assert f"adapted on {len(bench.taught)} images of {len(teachers)} patients" in learnt["evidence"]
    assert f"gate set: {len(candidate)} structures of {len(judges)} patients" in learnt["evidence"]
