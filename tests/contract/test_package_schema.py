"""`docs/radloop.schema.json` is what the parser reads: current, and of one mind with it on what is right and what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import text_format
from jsonschema import Draft202012Validator
from tests.examples import elsewhere, segmenting
from tests.examples.inference import package as chest
from tritonclient.grpc import model_config_pb2

from radloop.cli.main import main
from radloop.retraining.adapters.triton_config import configurations
from radloop.standards.package import BadPackage, Encoder, parse, render

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/radloop.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)


def shown() -> list[str]:
    """Return the radloop.yaml files that the documentation shows whole."""
    blocks = (ROOT / "docs/model-packages.md").read_text().split("```yaml\n")[1:]
    texts = [block.split("```")[0] for block in blocks]
    return [text for text in texts if "weights_sha256" in text]


EXAMPLES = {
    "chest": render(chest()), "elsewhere": elsewhere.files()["radloop.yaml"].decode(), "segmenter": render(segmenting.segmenter()),
    "encoder": render(Encoder("lungs-encoder", 1, segmenting.segmenter().preparation, "0" * 64)),
    **{f"documented-{number}": text for number, text in enumerate(shown(), start=1)},
}


def valid(text: str) -> bool:
    """Say what an independent validator thinks of it."""
    return VALIDATOR.is_valid(yaml.safe_load(text))


def parsed(text: str) -> bool:
    """Say what the platform thinks of it."""
    try:
        parse(text)
    except BadPackage:
        return False
    return True


def test_the_schema_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    """`radloop models schema > docs/radloop.schema.json` writes it anew."""
    assert main(["models", "schema"]) == 0
    assert capsys.readouterr().out == (ROOT / "docs/radloop.schema.json").read_text()
    Draft202012Validator.check_schema(SCHEMA)


def test_the_documentation_shows_one_whole() -> None:
    """Whoever writes one begins with a copy."""
    assert len(shown()) >= 1


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_valid(name: str) -> None:
    """To the platform, and to a validator that knows nothing of it."""
    assert [str(error.message) for error in VALIDATOR.iter_errors(yaml.safe_load(EXAMPLES[name]))] == []
    assert parsed(EXAMPLES[name])


def at(*path: str | int, value: Any = None) -> Callable[[Any], None]:
    """Return what puts a value somewhere, or with None takes away what is there."""
    def change(fields: Any) -> None:
        for step in path[:-1]:
            fields = fields[step]
        if value is None:
            del fields[path[-1]]
        else:
            fields[path[-1]] = value
    return change


@pytest.mark.parametrize(("name", "change"), [
    ("chest", at("weights_sha256")),
    ("chest", at("findings", value=[])),
    ("chest", at("intended_user", value="somebody")),
    ("chest", at("version", value=0)),
    ("chest", at("version", value="1")),
    ("chest", at("members", value=True)),
    ("chest", at("kind", value="oracle")),
    ("chest", at("kind", value="segmenter")),
    ("chest", at("preparation", "rows", value="224")),
    ("chest", at("preparation", "channels", value=1)),
    ("chest", at("preparation", "channels", value=2)),
    ("chest", at("preparation", "mean", value=[0.5])),
    ("chest", at("preparation", "std", value=[1.0, 1.0, 0.0])),
    ("chest", at("preparation", "keep_aspect", value=True)),
    ("chest", at("applicability", "modalities", value=["dx"])),
    ("chest", at("applicability", "orientations", value=["L/F"])),
    ("chest", at("applicability", "ages", "low", value=-1.0)),
    ("chest", at("findings", 0, "code", "displya", value="Pneumonia")),
    ("chest", at("findings", 0, "code", "value", value=233604007)),
    ("chest", at("findings", 0, "operating_point", value=1.5)),
    ("chest", at("findings", 0, "calibration", "slope", value=0.0)),
    ("chest", at("ood", "file", value="other.npz")),
    ("chest", at("weights_sha256", value="B" * 64)),
    ("chest", at("model", value="../chest")),
    ("elsewhere", at("preparation", "channels")),
    ("elsewhere", at("preparation", "channels", value=3)),
    ("elsewhere", at("tensors", "scores", value="percent")),
    ("segmenter", at("kind")),
    ("segmenter", at("structures", value=[])),
    ("segmenter", at("encoder", "weights_sha256", value="none")),
    ("encoder", at("kind")),
    ("encoder", at("findings", value=[])),
])
def test_both_refuse_what_is_wrong(name: str, change: Callable[[Any], None]) -> None:
    """A file that an editor calls valid is not refused when it is handed over, and the other way round."""
    fields = yaml.safe_load(EXAMPLES[name])
    change(fields)
    text = yaml.safe_dump(fields)
    assert (valid(text), parsed(text)) == (False, False)


@pytest.mark.parametrize(("name", "change"), [
    ("chest", at("kind")), ("chest", at("trained_at")), ("chest", at("applicability", "ages", value={"low": 0, "high": 18})),
    ("elsewhere", at("applicability", "pixels")), ("chest", at("preparation", "channels")),
])
def test_both_take_what_is_left_out_or_whole(name: str, change: Callable[[Any], None]) -> None:
    """A default may be left out, and a whole number stand for a decimal one."""
    fields = yaml.safe_load(EXAMPLES[name])
    change(fields)
    text = yaml.safe_dump(fields)
    assert (valid(text), parsed(text)) == (True, True)


def test_every_field_is_explained() -> None:
    """What the schema knows stands in the documentation, by its name."""
    page = (ROOT / "docs/model-packages.md").read_text()
    fields = {name for part in SCHEMA["$defs"].values() for name in part["properties"]}
    assert {name for name in fields if f"`{name}`" not in page} == set()


def test_the_documented_accelerator_is_one_that_triton_reads() -> None:
    """Triton's own definition of a configuration takes the GPU's, with the block of the documentation added to it."""
    [block] = [part.split("```")[0] for part in (ROOT / "docs/model-packages.md").read_text().split("```pbtxt\n")[1:]]
    _, there = configurations(elsewhere.weights(), "adult-chest")
    config = text_format.Parse(there + block, model_config_pb2.ModelConfig())
    [accelerator] = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert (accelerator.name, accelerator.parameters["precision_mode"]) == ("tensorrt", "FP32")
    assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
