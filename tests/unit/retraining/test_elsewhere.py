"""A package that somebody else made is taken without code, and one that is wrong is refused with what is wrong named."""

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf import text_format
from onnx import TensorProto, helper
from tests.examples import elsewhere
from tests.examples.elsewhere import FIELD, LABEL, OUTPUTS, SCORES, VECTOR, files, known, weights
from tests.examples.segmenting import SIDE, segmenter, tiny_decoder, tiny_encoder
from tritonclient.grpc import model_config_pb2

from radloop.kit.errors import Permanent
from radloop.retraining.adapters.package import assemble_segmenter, described, from_folder, pack, publish, renumbered, unpack
from radloop.retraining.adapters.repository import offered
from radloop.retraining.adapters.triton_config import configurations
from radloop.retraining.handlers import not_taken, unlike
from radloop.standards import package as standard
from radloop.standards.package import Applicability, Behind, Encoder, Tensors


def test_a_package_made_elsewhere_is_taken_as_it_is() -> None:
    """Three files are enough; code and configurations are made from the ONNX file's own inputs and outputs."""
    taken = unpack(pack(files()))
    assert set(taken) == {"model.onnx", "ood.npz", "radloop.yaml", "model.py", "config.pbtxt", "config.gpu.pbtxt"}
    says = described(taken)
    assert (says.model, says.version, [one.code.value for one in says.findings]) == ("adult-chest", 7, ["RID5352", "RID34539"])
    found = offered(pack(files()))
    assert (found.reason, found.model, found.labels, found.case_ids) == ("", "adult-chest", 0, ())


def test_the_graph_of_the_example_does_what_it_is_described_to_do() -> None:
    """The example is an ONNX file like any other: checked, and run."""
    onnx.checker.check_model(onnx.load_from_string(weights()))
    session = onnxruntime.InferenceSession(weights(), providers=["CPUExecutionProvider"])
    scores, vector, label = session.run([SCORES, VECTOR, LABEL], {FIELD: np.full((2, 1, 128, 96), 0.75, np.float32)})
    assert scores == pytest.approx(np.array([[0.8808, 0.1192]] * 2), abs=1e-3)
    assert (vector.shape, label.tolist()) == ((2, 2), [0, 0])


def test_both_configurations_are_read_from_the_graph() -> None:
    """Triton's own parser reads them; the python backend serves one, its native backend the other, on a GPU."""
    here, there = (text_format.Parse(text, model_config_pb2.ModelConfig()) for text in configurations(weights(), "adult-chest"))
    for config in (here, there):
        assert (config.name, config.max_batch_size) == ("adult-chest", 32)
        assert [(one.name, list(one.dims)) for one in config.input] == [(FIELD, [1, 128, 96])]
        assert {one.name: list(one.dims) for one in config.output} == {SCORES: [2], VECTOR: [2], LABEL: [1]}
        assert [one.name for one in config.output if one.HasField("reshape")] == [LABEL]
    kinds = model_config_pb2.ModelInstanceGroup
    assert (here.backend, here.instance_group[0].kind) == ("python", kinds.KIND_CPU)
    assert (there.platform, there.instance_group[0].kind) == ("onnxruntime_onnx", kinds.KIND_GPU)


def wrong(**shapes: Any) -> dict[str, Any]:
    """Return outputs of which one is declared otherwise, or (None) not at all."""
    return {name: shape for name, shape in {**OUTPUTS, **shapes}.items() if shape is not None}


@pytest.mark.parametrize(("graph", "said"), [
    (b"no model", "not an ONNX file"),
    (b"", "not an ONNX file"),
    (weights(outputs=wrong(**{SCORES: None})), f"has no {SCORES}; it has {VECTOR}, {LABEL}"),
    (weights(outputs=wrong(**{VECTOR: None})), f"has no {VECTOR}"),
    (weights(field=("n", 1, 96, 128)), rf"{FIELD} is \(-1, 1, 96, 128\), radloop.yaml says \[batch, \(1, 128, 96\)\]"),
    (weights(field=("n", 3, 128, 96)), rf"{FIELD} is \(-1, 3, 128, 96\)"),
    (weights(outputs=wrong(**{SCORES: ("n", 3)})), rf"{SCORES} is \(-1, 3\)"),
    (weights(outputs=wrong(**{VECTOR: ("n", 2, 1)})), rf"{VECTOR} is \(-1, 2, 1\)"),
    (weights(outputs=wrong(**{VECTOR: ("n", 3)})), r"ood.npz: mean is \(2,\) and precision \(2, 2\), pooled/vector is \[batch, 3\]"),
    (weights(field=(1, 1, 128, 96)), f"the first dimension of {FIELD}, the batch, must be free"),
    (weights(outputs=wrong(**{SCORES: (1, 2)})), f"the first dimension of {SCORES}, the batch, must be free"),
    (weights(more=("age",)), "wants more than an image: age"),
    (weights(kind=TensorProto.FLOAT16), f"{FIELD} is FLOAT16; images are given as FLOAT"),
    (weights(outputs=wrong(**{'x" } ] backend: "evil': ("n", 1)})), "a tensor's name is letters, digits"),
    (weights(outputs={**OUTPUTS, "count": ()}), "count: a single number without dimensions"),
])
def test_a_graph_that_is_not_what_its_package_says_is_refused_by_name(graph: bytes, said: str) -> None:
    """Whoever made it learns which tensor to mend, before anything is registered."""
    with pytest.raises(Permanent, match=said):
        unpack(pack(files(graph)))


def test_the_ensemble_dimension_may_be_left_out_by_one_member_only() -> None:
    """[B, F] is one member's; of two members it would be nobody's."""
    whole = weights(outputs=wrong(**{SCORES: ("n", 1, 2)}))
    assert unpack(pack(files(whole)))
    with pytest.raises(Permanent, match=rf"{SCORES} is \(-1, 2\), radloop.yaml says \[batch, \(2, 2\)\]"):
        unpack(pack(files(members=2)))


def test_evidence_that_is_promised_must_be_there() -> None:
    """A name that is not empty is looked for."""
    with pytest.raises(Permanent, match="has no heat"):
        unpack(pack(files(tensors=Tensors(FIELD, SCORES, VECTOR, "heat", "probabilities"))))


def test_weights_in_another_file_are_refused() -> None:
    """An ONNX file that points elsewhere would be another model on another day."""
    model = onnx.load_from_string(weights())
    [slopes] = [one for one in model.graph.initializer if one.name == "slopes"]
    slopes.ClearField("raw_data")
    slopes.data_location = TensorProto.EXTERNAL
    slopes.external_data.append(onnx.StringStringEntryProto(key="location", value="../../secrets.bin"))
    with pytest.raises(Permanent, match="save it as one file"):
        unpack(pack(files(model.SerializeToString())))


def test_outputs_that_no_server_has_a_type_for_are_refused() -> None:
    """A sequence of maps, as some exporters write probabilities, is named."""
    model = onnx.load_from_string(weights())
    model.graph.output.append(helper.make_tensor_value_info("words", TensorProto.STRING, ["n", 2]))
    with pytest.raises(Permanent, match="words: tensors of this type are not served: STRING"):
        unpack(pack(files(model.SerializeToString())))


@pytest.mark.parametrize(("name", "said"), [("model.onnx", "model.onnx is not what radloop.yaml names"), ("ood.npz", "ood.npz is not")])
def test_a_file_that_was_changed_is_noticed(name: str, said: str) -> None:
    """Hashes name the weights, and what is known."""
    changed = files()
    with pytest.raises(Permanent, match=said):
        unpack(pack({**changed, name: changed[name] + b" "}))


@pytest.mark.parametrize(("name", "said"), [
    ("model.onnx", "lacks model.onnx"), ("ood.npz", "lacks ood.npz"), ("radloop.yaml", "lacks radloop.yaml"),
])
def test_a_file_that_is_missing_is_named(name: str, said: str) -> None:
    """Each of the three is needed."""
    with pytest.raises(Permanent, match=said):
        unpack(pack({kept: data for kept, data in files().items() if kept != name}))


@pytest.mark.parametrize(("before", "after", "said"), [
    ("intended_use:", "intended_user:", "intended_user"),
    ("kind: classifier", "kind: oracle", "kind: one of classifier, segmenter, encoder"),
    ("kind: classifier", "kind: [classifier]", "kind: one of"),
    ("slope: 1.5", "slope: .nan", r"findings.0.calibration.slope"),
    ("threshold: 4.0", "threshold: .inf", r"ood.threshold"),
    ("rows: 128", "rows: '128'", r"preparation.rows"),
    ("file: ood.npz", "file: ../ood.npz", r"ood.file"),
    ("value: RID34539", "value: RID5352\n    ", "a code stands there twice"),
    ("display: Pneumothorax", "displya: Pneumothorax", r"findings.0.code.displya"),
    ("- DX", "- dx", r"applicability.modalities.0"),
    ("system: http://radlex.org\n    value: RID5352", "system: http://radlex.org\n    value: 5352", r"findings.0.code.value"),
])
def test_a_wrong_radloop_yaml_is_refused_field_by_field(before: str, after: str, said: str) -> None:
    """Unknown fields, unknown kinds and numbers that are none are typing errors, never defaults."""
    text = files()["radloop.yaml"].decode()
    assert before in text
    told = text.replace(before, after, 1).replace("display: Pleural effusion", "display: Pneumothorax")
    with pytest.raises(Permanent, match=said):
        unpack(pack({**files(), "radloop.yaml": told.encode()}))


def test_a_model_that_cannot_tell_strangers_is_not_taken() -> None:
    """Inference would not use it: that is said when it is added, not when the first patient waits."""
    text = standard.render(elsewhere.package(weights(), known(), ood=None))
    with pytest.raises(Permanent, match=r"ood: ood\.npz is needed"):
        unpack(pack({"model.onnx": weights(), "radloop.yaml": text.encode()}))


@pytest.mark.parametrize(("ood", "said"), [
    (known(value=float("nan")), "ood.npz holds a number that is not finite"),
    (known(3), r"ood.npz: mean is \(3,\)"),
    (b"no npz", "ood.npz is no npz with the arrays mean and precision"),
])
def test_what_is_known_must_be_numbers_of_the_embeddings_width(ood: bytes, said: str) -> None:
    """An npz of another model would make every distance nonsense."""
    with pytest.raises(Permanent, match=said):
        unpack(pack(files(ood=ood)))


def test_an_encoder_alone_is_refused() -> None:
    """It answers nothing, and nobody has agreed on a gate for it."""
    graph = tiny_encoder()
    says = Encoder("lungs-encoder", 1, segmenter().preparation, hashlib.sha256(graph).hexdigest())
    with pytest.raises(Permanent, match="comes with the segmenter"):
        unpack(pack({"model.onnx": graph, "radloop.yaml": standard.render(says).encode()}))


def test_a_segmenter_brings_its_encoder_under_another_name() -> None:
    """Both are published; one name for both would have each overwrite the other."""
    says = segmenter()
    assert unpack(pack(assemble_segmenter(says, tiny_decoder(), tiny_encoder())))
    with pytest.raises(Permanent, match=r"encoder\.model needs a name of its own"):
        standard.render(replace(says, encoder=Behind("lungs", 1, "0" * 64)))
    other = pack(assemble_segmenter(says, weights(), tiny_encoder()))
    with pytest.raises(Permanent, match="has no EMBEDDING, HAS_MASK, LABELS, LOGITS, MASK, PLACES, QUALITY"):
        unpack(other)


def test_another_encoder_is_a_model_of_its_own(tmp_path: Path) -> None:
    """A segmenter adapted after an upgrade may stand before other weights: the version before goes on with its own."""
    first = assemble_segmenter(segmenter(1), tiny_decoder(), tiny_encoder())
    other = onnx.load_from_string(tiny_encoder())
    other.producer_name = "exported anew"
    second = assemble_segmenter(segmenter(2), tiny_decoder(0.7), other.SerializeToString())
    for package in (first, second):
        publish(package, tmp_path)
    assert len([one for one in tmp_path.iterdir() if one.name.startswith("lungs-encoder-")]) == 2
    assert from_folder(tmp_path / "lungs" / "2") == second
    assert from_folder(tmp_path / "lungs" / "1") == first


def test_an_encoder_must_give_what_its_segmenter_takes() -> None:
    """Another graph behind it is found when it is added, not at a reader's first click."""
    with pytest.raises(Permanent, match=r"encoder.onnx: IMAGE is missing|encoder.onnx: IMAGE_EMBEDDING"):
        unpack(pack(assemble_segmenter(segmenter(), tiny_decoder(), tiny_decoder())))


def test_a_package_packed_by_tar_itself_is_taken(tmp_path: Path) -> None:
    """`tar -C folder -cf x.tar .` names each file from a dot, and the folder too."""
    for name, data in files().items():
        (tmp_path / name).write_bytes(data)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(tmp_path, ".")
    assert unpack(packed.getvalue()) == unpack(pack(files()))


def test_something_else_in_the_folder_is_named() -> None:
    """A note to the reader is no file of a version."""
    with pytest.raises(Permanent, match=r"no file of a model version: 'README.txt'"):
        unpack(pack({**files(), "README.txt": b"hello"}))


def test_the_next_version_has_the_tensors_of_those_that_run(tmp_path: Path) -> None:
    """One configuration is for all versions of a model: another input would break the one that serves patients."""
    publish(renumbered(unpack(pack(files())), 1), tmp_path)
    better = onnx.load_from_string(weights())
    better.producer_name = "trained anew"
    publish(renumbered(unpack(pack(files(better.SerializeToString()))), 2), tmp_path)
    before = (tmp_path / "adult-chest/config.pbtxt").read_text()
    larger = replace(elsewhere.package(weights(), known()).preparation, rows=256)
    other = unpack(pack(files(weights(field=("n", 1, 256, 96)), preparation=larger)))
    with pytest.raises(Permanent, match="its tensors are not those of adult-chest 2"):
        publish(renumbered(other, 3), tmp_path)
    assert (tmp_path / "adult-chest/config.pbtxt").read_text() == before
    assert sorted(path.name for path in (tmp_path / "adult-chest").iterdir()) == ["1", "2", "config.gpu.pbtxt", "config.pbtxt"]


def test_the_next_version_has_outputs_of_the_same_dimensions(tmp_path: Path) -> None:
    """A configuration names them: another width under the same names would break the one that serves as well."""
    publish(renumbered(unpack(pack(files())), 1), tmp_path)
    wide = unpack(pack(files(weights(outputs={**OUTPUTS, VECTOR: ("n", "width")}))))
    with pytest.raises(Permanent, match="its tensors are not those of adult-chest 1"):
        publish(renumbered(wide, 2), tmp_path)


def test_a_segmenter_that_does_not_fit_leaves_no_encoder_behind(tmp_path: Path) -> None:
    """Both are looked at before either is written."""
    publish(assemble_segmenter(segmenter(1), tiny_decoder(), tiny_encoder()), tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    other = onnx.load_from_string(tiny_encoder())
    other.producer_name = "exported anew"
    more = onnx.load_from_string(tiny_decoder())
    more.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1, SIDE, SIDE]))
    for version, decoder, said in ((1, tiny_decoder(0.7), "already there"), (2, more.SerializeToString(), "its tensors are not")):
        with pytest.raises(Permanent, match=said):
            publish(assemble_segmenter(segmenter(version), decoder, other.SerializeToString()), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_package_tells_what_it_says_but_not_its_number_and_making() -> None:
    """The same model exported again is the same version; another threshold on the same weights is not."""
    first, again = offered(pack(files())), offered(pack(files(version=1, trained_at="2026-01-01T00:00:00Z", origin="cycle-1")))
    assert unlike(again, first, 1) == ""
    other = offered(pack(files(ood=known(value=2.0), applicability=Applicability(("DX",)))))
    assert "otherwise of applicability, ood." in unlike(other, first, 1)


def test_under_another_name_it_is_not_taken() -> None:
    """Not as another model; and not as the one that learns, where no cycle could start from it."""
    found = offered(pack(files()))
    assert not_taken(found, "adult-chest", "chest") == ""
    assert not_taken(found, "chest", "chest") == "the package is of adult-chest, not of chest"
    assert not_taken(offered(pack(files(model="chest"))), "chest", "chest") == "the package lacks snapshot.npz"
