"""A trained version becomes a package: one graph that torch and ONNX agree on, files that prove themselves, one rename."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import onnxruntime
import pytest

from radloop.kit.errors import Permanent
from radloop.retraining.adapters import backbone, export
from radloop.retraining.adapters.package import (
    comparable, described, from_folder, pack, publish, renumbered, unpack,
)
from radloop.retraining.domain.heads import Heads
from radloop.retraining.domain.snapshot import from_bytes
from radloop.standards.package import IMAGENET
from radloop.workbench.phantoms import draw, roster
from radloop.workbench.workshop import first_package, package_tar


@cache
def images() -> np.ndarray:
    """Return 20 prepared phantoms [20, 3, 224, 224], half of them with the finding."""
    mean, std = (np.array(values, dtype=np.float32)[:, None, None] for values in (IMAGENET.mean, IMAGENET.std))
    return np.stack([(draw(1, one)[None].astype(np.float32) / 255 - mean) / std for one in roster(1, 10, 10)])


@cache
def made() -> Path:
    """Return a first package made by the workshop, once for all tests."""
    people = roster(1, 10, 10)
    truth = np.array([one.present for one in people])
    return first_package(images(), truth, [one.patient_key for one in people], 3, Path(mkdtemp()))


def test_torch_and_onnx_agree() -> None:
    """One pass of the exported graph gives what torch and the heads give, alone and in a batch, within 1e-4."""
    dice = np.random.default_rng(0)
    heads = Heads(dice.normal(size=(5, 2, 1280)) * 0.05, dice.normal(size=(5, 2)))
    # The second pair of heads takes the place of the first, as a new version's do.
    bare = backbone.exported(made().parents[1] / ".backbone").read_bytes()
    graph = export.graph(export.graph(bare, Heads(heads.weight[:, :1], heads.bias[:, :1])), heads)
    assert graph == export.graph(bare, heads)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    maps = backbone.feature_maps(backbone.load(), images()[:3])
    embeddings = maps.mean(axis=(2, 3))
    for count in (1, 3):
        members, embedding, evidence = session.run(
            ["MEMBERS", "EMBEDDING", "EVIDENCE"], {"IMAGE": images()[:count]},
        )
        assert (members.shape, embedding.shape, evidence.shape) == ((count, 5, 2), (count, 1280), (count, 2, 7, 7))
        np.testing.assert_allclose(embedding, embeddings[:count], atol=1e-4)
        np.testing.assert_allclose(members, heads.members(embeddings[:count]), atol=1e-4)
        np.testing.assert_allclose(evidence.mean(axis=(2, 3)), members.mean(axis=1), atol=1e-4)


def test_the_heads_come_back_from_the_graph() -> None:
    """A predecessor is compared by the weights it carries, and a file without them cannot be."""
    heads, readings = comparable(from_folder(made()))
    assert heads.weight.shape == (5, 1, 1280)
    assert [reading.finding for reading in readings] == ["233604007"]
    with pytest.raises(Permanent):
        export.heads_of(b"no model")


def test_a_first_package_says_what_it_was_trained_on() -> None:
    """Its snapshot holds the seed labels, it claims no calibration, and its hashes fit its files."""
    package = from_folder(made())
    says = described(package)
    assert from_bytes(package["snapshot.npz"]).labels == 20
    assert says.findings[0].calibration.cases == 0
    assert says.ood is not None
    assert (made().parent / "config.pbtxt").read_text().count("dims: [ 5, 1 ]") == 1


def test_a_package_survives_its_tar() -> None:
    """Packing and unpacking gives the same files, and the same files the same bytes."""
    tar = package_tar(made())
    assert unpack(tar) == from_folder(made())
    assert pack(unpack(tar)) == tar


def test_a_changed_weight_is_noticed() -> None:
    """A package whose files do not fit its hashes is refused."""
    package = from_folder(made())
    with pytest.raises(Permanent, match=r"model\.onnx"):
        unpack(pack({**package, "model.onnx": package["model.onnx"] + b" "}))


def test_a_tar_with_a_stranger_in_it_is_refused() -> None:
    """Only the known files of one version are taken: nothing can be written elsewhere."""
    with pytest.raises(Permanent):
        unpack(pack({**from_folder(made()), "../evil.py": b""}))


def test_publishing_is_one_rename_and_repeats_quietly(tmp_path: Path) -> None:
    """The version is there whole with its code compiled, a repeat changes nothing, and no dot-name is left."""
    package = renumbered(from_folder(made()), 2)
    target = publish(package, tmp_path)
    before = target.stat().st_mtime_ns
    assert publish(package, tmp_path) == target
    assert target.stat().st_mtime_ns == before
    assert list((target / "__pycache__").glob("model.*.pyc"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chest"]


def test_the_same_number_with_other_weights_is_refused(tmp_path: Path) -> None:
    """A version that is there is never overwritten."""
    target = publish(renumbered(from_folder(made()), 2), tmp_path)
    (target / "model.onnx").write_bytes(b"other")
    with pytest.raises(Permanent):
        publish(renumbered(from_folder(made()), 2), tmp_path)


def test_a_killed_publisher_leaves_nothing_for_long(tmp_path: Path) -> None:
    """What a kill left under a dot-name goes with the next try, and the version is there whole."""
    half = tmp_path / ".chest-2-abc"
    half.mkdir()
    (half / "model.onnx").write_bytes(b"half")
    publish(renumbered(from_folder(made()), 2), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chest"]


def test_a_package_from_elsewhere_brings_no_code() -> None:
    """What Triton runs is always our own: a changed model.py or configuration in a tar is not taken."""
    honest = unpack(package_tar(made()))
    hostile = {**honest, "model.py": b"import os\nos.abort()\n", "config.pbtxt": b'name: "chest" backend: "evil"'}
    assert unpack(pack(hostile)) == honest
