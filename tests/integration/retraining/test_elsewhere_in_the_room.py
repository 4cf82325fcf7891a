"""A model that somebody else made, handed over to the room of retraining: by gRPC, under its own name, beside the chest model."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.retraining.test_retraining_room import ACTOR, Site
from tests.examples import elsewhere
from tests.examples.elsewhere import MODEL

from radloop.kit.errors import Permanent
from radloop.retraining.adapters.package import pack
from radloop.standards.package import parse
from radloop.v1 import retraining_service_pb2 as pb


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[Site]:
    """Open a site."""
    opened = Site(database, tmp_path)
    yield opened
    opened.close()


def asked(name: str = MODEL, command: str = "add", /, *, only_check: bool = False, **changes: object) -> pb.AddModelRequest:
    """Ask for the model from elsewhere to be taken in."""
    package = pack(elsewhere.files(**changes))
    return pb.AddModelRequest(model=name, package_tar=package, actor=ACTOR, command_id=command, only_check=only_check)


def test_it_begins_in_shadow_beside_the_chest_model(site: Site) -> None:
    """Its name is its own, its number is given here, and what it says of itself can be asked for."""
    site.add()
    answer = site.ask.AddModel(asked())
    assert (answer.version, answer.reason) == (1, "")
    site.deliver()
    listed = {(one.model, one.version): one for one in site.ask.ListModels(pb.ListModelsRequest()).models}
    assert {known: one.stage for known, one in listed.items()} == {("chest", 1): "shadow", (MODEL, 1): "shadow"}
    assert (listed[MODEL, 1].labels, list(listed[MODEL, 1].evidence)) == (0, ["added by hand: no gate was held"])
    told = site.ask.DescribeModel(pb.DescribeModelRequest(model=MODEL, version=1))
    assert (told.version.stage, parse(told.package_yaml).version) == ("shadow", 1)
    assert "RID34539" in told.package_yaml
    folder = site.folder / "models" / MODEL
    assert sorted(one.name for one in folder.iterdir()) == ["1", "config.gpu.pbtxt", "config.pbtxt"]
    assert sorted(one.name for one in (folder / "1").iterdir() if one.is_file()) == ["model.onnx", "model.py", "ood.npz", "radloop.yaml"]


def test_the_same_weights_again_are_the_same_version(site: Site) -> None:
    """By another command as well."""
    assert site.ask.AddModel(asked()).version == site.ask.AddModel(asked(MODEL, "again")).version == 1


def test_the_same_weights_in_another_package_are_not_taken_for_it(site: Site) -> None:
    """Checking says so too; the version that is there stays as it is."""
    site.ask.AddModel(asked())
    for answer in (site.ask.AddModel(asked(MODEL, "again", intended_use="Another")), site.ask.AddModel(
        asked("", only_check=True, intended_use="Another"),
    )):
        assert answer.version == 0
        assert answer.reason.startswith("version 1 holds these weights, and its package says otherwise of intended_use.")


def test_without_a_gate_it_reaches_no_patient(site: Site) -> None:
    """No cycle trains it, so it passes none: production and canary are refused, and so is a cycle of its own."""
    site.ask.AddModel(asked())
    site.deliver()
    for stage in ("production", "canary"):
        answer = site.ask.Promote(pb.PromoteRequest(model=MODEL, version=1, stage=stage, actor=ACTOR, command_id=stage))
        assert (answer.promoted, answer.reason) == (False, "version 1 has passed no gate")
    retired = site.ask.Promote(pb.PromoteRequest(model=MODEL, version=1, stage="retired", actor=ACTOR, command_id="out"))
    assert retired.promoted


def test_only_checking_registers_nothing(site: Site) -> None:
    """What is in order and what is not is told, and no version, file or blob comes of it."""
    fine = site.ask.AddModel(asked("", only_check=True))
    assert (fine.version, fine.reason) == (0, "")
    wrong = site.ask.AddModel(asked("", only_check=True, members=3))
    assert wrong.reason == "model.onnx: probabilities is (-1, 2), radloop.yaml says [batch, (3, 2)]"
    assert list(site.ask.ListModels(pb.ListModelsRequest()).models) == []
    assert [one for one in (site.folder / "blobs").rglob("*") if one.is_file()] == []


def test_it_is_not_taken_as_the_model_that_learns(site: Site) -> None:
    """Neither under that name nor by that name: cycles would start from it, and cannot."""
    site.add()
    named = site.ask.AddModel(asked("chest"))
    assert (named.version, named.reason) == (0, "the package is of adult-chest, not of chest")
    for only_check in (False, True):
        calls_itself = site.ask.AddModel(asked("chest", f"two-{only_check}", only_check=only_check, model="chest"))
        assert (calls_itself.version, calls_itself.reason) == (0, "the package lacks snapshot.npz")
    assert site.models() == {1: "shadow"}


def test_what_there_is_no_version_of_is_described_by_nothing(site: Site) -> None:
    """An unknown number, and an unknown model."""
    assert not site.ask.DescribeModel(pb.DescribeModelRequest(model=MODEL, version=1)).HasField("version")


def test_a_version_with_other_tensors_is_not_published(site: Site) -> None:
    """The first goes on as it is, and the reason stands at the second."""
    site.ask.AddModel(asked())
    site.deliver()
    before = (site.folder / "models" / MODEL / "config.pbtxt").read_bytes()
    outputs = {**elsewhere.OUTPUTS, "probabilities": ("n", 1, 2)}
    smaller = elsewhere.weights(outputs={name: shape for name, shape in outputs.items() if name != "label"})
    assert site.ask.AddModel(asked(MODEL, "second", onnx_file=smaller)).version == 2
    with pytest.raises(Permanent, match="its tensors are not those of adult-chest 1"):
        site.deliver()
    assert (site.folder / "models" / MODEL / "config.pbtxt").read_bytes() == before
