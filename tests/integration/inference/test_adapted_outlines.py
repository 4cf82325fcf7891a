"""From confirmed masks to an outline on a real radiograph: the adaptation's job, its package, Triton, and the room's door."""

import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.dicom_making import file_of, radiograph
from tests.examples.inference import released
from tests.examples.shared import completed, study
from tests.integration.inference.test_outlines_with_triton import Conversation, serve_chest, served
from tests.integration.inference_room import Room, eventually

from radloop.kit.blobs import Folder
from radloop.kit.jobs import Progress
from radloop.retraining.adapters.adaptation import adaptation
from radloop.retraining.adapters.confirmed import pairs
from radloop.retraining.adapters.package import described, publish, unpack
from radloop.retraining.adapters.plan import load_plan
from radloop.standards.masks import RunLengths, decode, dice
from radloop.standards.package import Segmenter
from radloop.v1 import inference_service_pb2 as pb

pytestmark = pytest.mark.stack
IMAGES = 6


def confirmed() -> bytes:
    """Return a few radiographs with their lung masks, as they are handed over."""
    data = Path(os.environ["RADLOOP_DATA"]) / "kermany_lung_masks_256"
    if not (data / "index.csv").is_file():
        pytest.skip(f"needs {data.name} in RADLOOP_DATA")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for mask in sorted((data / "masks").glob("IM-*.png"))[:IMAGES]:
            [image] = (data / "images").glob(f"{mask.stem}.*")
            for kind, file in (("images", image), ("masks", mask)):
                tar.add(file, f"{kind}/{file.name}")
    return packed.getvalue()


def test_a_segmenter_is_adapted_judged_packaged_served_and_outlines_a_lung(room: Room, tmp_path: Path) -> None:
    """Two steps teach it little, and the gate says that so few patients hold none; a box still outlines a lung as it did before."""
    blobs, told = Folder(tmp_path / "blobs"), list[tuple[float, str]]()
    plan = load_plan()
    assert plan.outlines is not None
    short = replace(plan, outlines=replace(plan.outlines, steps=2, adapt_on_at_most=2))
    masks = blobs.put(confirmed())
    spec = {
        "model": "lungs", "version": 1, "masks": masks.sha256, "at": "2026-01-01T00:00:00+00:00", "cycle_id": "cycle-1", "predecessor": "",
    }
    learnt = json.loads(adaptation(blobs, short)(json.dumps(spec), Progress(lambda share, note: told.append((share, note)))))
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert {note for _, note in told} >= {"encoding the images", "adapting", "holding the gate", "packaging"}
    assert not learnt["gate_passed"]
    assert learnt["evidence"][0].startswith("no list of patients was given: 6 of 6 images count as a patient each")
    assert learnt["evidence"][1] == "adapted on 2 images of 2 patients"
    assert any("too small" in line for line in learnt["evidence"])
    files = unpack(blobs.get(learnt["package"]))
    says = described(files)
    assert isinstance(says, Segmenter)
    assert (says.kind, says.origin, says.weights_sha256) == ("segmenter", "cycle-1", learnt["weights"])

    serve_chest(room)
    publish(files, room.repository)
    room.hear(replace(released(1, "production", 1, weights_sha256=learnt["weights"]), subject="lungs", model="lungs", id="lungs-1"))
    eventually(lambda: room.warm("lungs", 1) and room.warm(says.encoder.model, 1))
    one = list(pairs(confirmed()))[-1]
    large = np.asarray(Image.fromarray(np.rint(one.grey * 255).astype(np.uint8)).resize((400, 512)))
    instance = replace(study().instances[0], blob=room.blobs.put(file_of(radiograph(large))), rows=512, columns=400)
    room.hear(completed(instances=(instance,)))
    truth = one.structures[0]
    rows, columns = np.nonzero(truth)
    with served(room) as address:
        talk = Conversation(address, sop=instance.sop_instance_uid)
        assert talk.ready().method == "segmenter"
        said = talk.draw(box=pb.BoxPrompt(
            x0=columns.min() * 400 / 256, y0=rows.min() * 2.0, x1=(columns.max() + 1) * 400 / 256, y1=(rows.max() + 1) * 2.0,
        ))
        talk.end()
    found = Image.fromarray(decode(RunLengths(512, 400, tuple(said.outline.counts))).astype(np.uint8) * 255)
    assert dice(np.asarray(found.resize((256, 256))) > 127, truth) > 0.6
    assert 0.0 <= said.outline.quality <= 1.0
