"""`radloop models add|validate|describe|schema|adapt`, with rooms that answer and without."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from tests.examples import elsewhere
from tests.examples.segmenting import segmenter
from tests.unit.cli.house import ROOT, House, after

from radloop.cli.main import main
from radloop.standards.package import render
from radloop.v1 import retraining_service_pb2 as retraining


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have no room anywhere."""
    monkeypatch.setenv("RADLOOP_HOME", str(tmp_path / "nothing"))


def names(package: bytes) -> list[str]:
    """Return the names of the files in a tar."""
    with tarfile.open(fileobj=io.BytesIO(package)) as packed:
        return sorted(packed.getnames())


def test_a_package_in_order_is_checked_here_and_there(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fields and hashes are looked at here, the graph by retraining, which registers nothing."""
    assert main(["models", "validate", str(elsewhere.folder(tmp_path / "made"))]) == 0
    told = capsys.readouterr().out
    assert "adult-chest version 7, a classifier; its fields and the hashes of its files are in order" in told
    assert "retraining would take it" in told
    assert (names(house.checked[0]), house.packages) == (["model.onnx", "ood.npz", "radloop.yaml"], [])


def test_without_a_room_the_rest_is_checked_and_the_graph_said_to_be_open(
    nobody: None, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """A vendor has no platform at hand."""
    assert main(["models", "validate", str(elsewhere.folder(tmp_path / "made"))]) == 0
    told = capsys.readouterr().out
    assert "are in order" in told
    assert "its ONNX graph was not looked at: " in told


def test_what_retraining_would_not_take_fails_the_command(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its own words."""
    house.not_taken = "model.onnx has no EMBEDDING; it has SCORES"
    assert main(["models", "validate", str(elsewhere.folder(tmp_path / "made"))]) == 1
    assert "retraining would not take it: model.onnx has no EMBEDDING; it has SCORES" in capsys.readouterr().err


def test_what_is_wrong_with_a_folder_is_said_before_anybody_is_asked(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """A missing file, a wrong hash with the right one to write down, a wrong field, no package at all."""
    made = elsewhere.folder(tmp_path / "made")
    (made / "ood.npz").write_bytes(b"other")
    assert main(["models", "validate", str(made)]) == 1
    assert "ood.npz is not what radloop.yaml names: its SHA-256 is d9298a10d1b0" in capsys.readouterr().err
    (made / "model.onnx").unlink()
    assert main(["models", "validate", str(made)]) == 1
    assert "model.onnx is missing" in capsys.readouterr().err
    (made / "radloop.yaml").write_text("model: adult-chest\n")
    assert main(["models", "validate", str(made)]) == 1
    assert f"radloop: {made / 'radloop.yaml'}: version: is missing; " in capsys.readouterr().err
    for text, says in ((b"model: a: b", "no YAML: line 1, column 9: mapping values are not allowed here"), (b"\xff", "")):
        (made / "radloop.yaml").write_bytes(text)
        assert main(["models", "add", str(made)]) == 1
        assert (told := capsys.readouterr().err).startswith(f"radloop: {made / 'radloop.yaml'}")
        assert says in told
    (made / "radloop.yaml").unlink()
    assert main(["models", "validate", str(made)]) == 78
    assert "has no radloop.yaml; give the numbered version folder" in capsys.readouterr().err
    assert house.checked == []


def test_a_tar_is_handed_over_as_it_is(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A package may come as one file; what is no tar is said to be none."""
    made = elsewhere.folder(tmp_path / "made")
    with tarfile.open(tmp_path / "made.tar", "w") as tar:
        for file in made.iterdir():
            tar.add(file, file.name)
    with tarfile.open(tmp_path / "dot.tar", "w") as tar:
        tar.add(made, ".")  # as tar itself packs a folder
    assert main(["models", "validate", str(tmp_path / "dot.tar")]) == 0
    house.checked.clear()
    capsys.readouterr()
    assert main(["models", "validate", str(tmp_path / "made.tar")]) == 0
    assert main(["models", "add", str(tmp_path / "made.tar")]) == 0
    assert house.packages == house.checked == [(tmp_path / "made.tar").read_bytes()]
    assert "adult-chest version 1, in shadow" in capsys.readouterr().out
    (made / "radloop.yaml").write_text("kind: other")
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.add(made / "radloop.yaml", "radloop.yaml")
    assert main(["models", "add", str(tmp_path / "other.tar")]) == 1
    assert f"{tmp_path / 'other.tar'}: radloop.yaml: kind: one of classifier, segmenter, encoder" in capsys.readouterr().err
    (tmp_path / "note.tar").write_text("no tar")
    assert main(["models", "add", str(tmp_path / "note.tar")]) == 78
    assert f"{tmp_path / 'note.tar'}: not a tar" in capsys.readouterr().err
    with tarfile.open(tmp_path / "below.tar", "w") as tar:
        tar.add(made, "made")
    assert main(["models", "add", str(tmp_path / "below.tar")]) == 78
    assert "no radloop.yaml at its top; `tar -C FOLDER -cf below.tar .` packs one" in capsys.readouterr().err


def test_a_tar_that_is_none_is_in_order_for_nobody(nobody: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where no room is there to say so."""
    (tmp_path / "note.tar").write_text("no tar")
    assert main(["models", "validate", str(tmp_path / "note.tar")]) == 78
    assert "note.tar: not a tar" in capsys.readouterr().err


def test_a_package_is_added_under_the_name_it_names(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to repeat it, and what is refused is a sentence."""
    made = elsewhere.folder(tmp_path / "made")
    assert main(["models", "add", str(made)]) == 0
    assert "adult-chest version 1, in shadow" in capsys.readouterr().out
    house.not_taken = "the package is of adult-chest, not of chest"
    assert main(["models", "add", str(made), "--model", "chest"]) == 1
    assert "not taken: the package is of adult-chest, not of chest" in capsys.readouterr().err


def test_a_package_that_is_there_already_is_not_announced_anew(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """The same weights are the version that they were: it may serve, or be retired."""
    made = elsewhere.folder(tmp_path / "made")
    house.versions.append(retraining.ModelVersion(model="adult-chest", version=1, stage="production", since=after(0), labels=0))
    assert main(["models", "add", str(made)]) == 0
    assert capsys.readouterr().out == "adult-chest version 1 is there already, in stage production; nothing was added\n"


def test_a_segmenters_encoder_is_looked_for_beside_it(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the folder, else in the encoder's own; where it is in neither, that is said."""
    version = tmp_path / "lungs/1"
    version.mkdir(parents=True)
    (version / "radloop.yaml").write_text(render(segmenter()))
    (version / "model.onnx").write_bytes(b"onnx")
    assert main(["models", "validate", str(version)]) == 78
    assert "has no encoder.onnx, and lungs-encoder/1/model.onnx is not beside lungs" in capsys.readouterr().err
    (version / "encoder.onnx").write_bytes(b"encoder")
    assert main(["models", "validate", str(version)]) == 1
    assert "model.onnx is not what radloop.yaml names" in capsys.readouterr().err


def test_a_version_is_described(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """What people ask of it, a line each; or its radloop.yaml; or that there is none such."""
    house.versions = [retraining.ModelVersion(
        model="adult-chest", version=7, stage="shadow", since=after(0), labels=0, evidence=["added by hand: no gate was held"])]
    house.described = elsewhere.files()["radloop.yaml"].decode()
    assert main(["models", "describe", "7", "--model", "adult-chest"]) == 0
    told = capsys.readouterr().out
    for line in (
        "adult-chest version 7, shadow since ", "intended use: Pneumothorax and effusion",
        "sees: 128 × 96 pixels, 1 channel, window full-range",
        "reads: DX, CR; CHEST; AP, PA; F, M; 18 to 120 years; at least 256 × 192 pixels",
        "answers: Pneumothorax (RID5352), fitted on 900 cases of elsewhere", "answers: Pleural effusion (RID34539)",
        "ensemble: 1; out of distribution: mahalanobis", "learned from: 5555", "change record: none yet",
        "evidence: added by hand: no gate was held",
    ):
        assert line in told, line
    assert main(["models", "describe", "7", "--model", "adult-chest", "--yaml"]) == 0
    assert capsys.readouterr().out == house.described
    assert main(["models", "describe", "8", "--model", "adult-chest"]) == 1
    assert "there is no version 8 of adult-chest" in capsys.readouterr().err


def test_a_segmenter_is_described(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """What it outlines, and what stands behind it."""
    house.versions = [retraining.ModelVersion(model="lungs", version=1, stage="production", since=after(0), labels=0)]
    house.described = render(segmenter())
    assert main(["models", "describe", "1", "--model", "lungs"]) == 0
    told = capsys.readouterr().out
    assert "outlines: Lung structure" in told
    assert "behind it: lungs-encoder version 1" in told


def test_the_schema_is_printed_as_the_documentation_has_it(nobody: None, capsys: pytest.CaptureFixture[str]) -> None:
    """No room is needed for it."""
    assert main(["models", "schema"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["title"] == "radloop.yaml"
    assert printed == (ROOT / "docs/radloop.schema.json").read_text()


@pytest.fixture
def drawn(tmp_path: Path) -> tuple[Path, Path]:
    """Put three images and two masks into folders, and a note among them."""
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    for name in ("a.png", "b.dcm", "c.jpg", "note.txt"):
        (images / name).write_bytes(b"image")
    for name in ("a.png", "b.png", "note.png"):
        (masks / name).write_bytes(b"mask")
    return images, masks


def test_images_with_masks_are_handed_over(house: House, drawn: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """With their patients where those are known, no more than wanted; and how the cycle ended is told."""
    patients = drawn[0].parent / "patients.csv"
    patients.write_text("name,patient\na,p1\nb,p2\n")
    words = ["models", "adapt", "--images", str(drawn[0]), "--masks", str(drawn[1])]
    assert main([*words, "--patients", str(patients)]) == 0
    assert [model for model, _ in house.masks] == ["lungs"]
    assert names(house.masks[0][1]) == ["images/a.png", "images/b.dcm", "masks/a.png", "masks/b.png", "patients.csv"]
    told = capsys.readouterr().out
    assert "cycle c1 started: 2 images with masks" in told
    assert "cycle c1: released, version 3" in told
    assert main([*words, "--most", "1", "--model", "hearts", "--no-wait"]) == 0
    assert house.masks[1][0] == "hearts"
    assert main(["models", "cycle", "--show", "--model", "hearts"]) == 0
    assert house.shown == ["lungs", "hearts"], "each is asked about by its own name"
    assert names(house.masks[1][1]) == ["images/b.dcm", "masks/b.png"], "drawn by the name's hash"
    house.gate = "a cycle is running"
    assert main(words) == 1
    assert "not started: a cycle is running" in capsys.readouterr().err


def test_more_than_a_message_carries_is_not_sent(
    house: House, drawn: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    """The room would only look as if it were away; what to do is said instead."""
    monkeypatch.setattr("radloop.kit.rpc.MESSAGE_BYTES", 20_000)
    (drawn[0] / "a.png").write_bytes(bytes(20_000))
    assert main(["models", "adapt", "--images", str(drawn[0]), "--masks", str(drawn[1])]) == 1
    assert "more than a message carries" in capsys.readouterr().err
    made = elsewhere.folder(tmp_path / "made", ood=bytes(20_000))
    for verb in ("add", "validate"):
        assert main(["models", verb, str(made)]) == 1
        assert "more than a message carries" in capsys.readouterr().err
    assert house.masks == house.packages == house.checked == []


def test_what_cannot_be_handed_over_is_said(house: House, drawn: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """No mask for any image, a list of patients without its columns, a folder that is not there, an option that is missing."""
    images, masks = drawn
    for mask in masks.iterdir():
        mask.unlink()
    words = ["models", "adapt", "--images", str(images), "--masks", str(masks)]
    assert main(words) == 1
    assert "has a mask of the same name" in capsys.readouterr().err
    (images.parent / "patients.csv").write_text("file;person\n")
    assert main([*words, "--patients", str(images.parent / "patients.csv")]) == 78
    assert "needs the columns name and patient" in capsys.readouterr().err
    with_folders = {"--images": str(images), "--masks": str(masks), "--patients": str(images / "none.csv")}
    for option in with_folders:
        nowhere = [word for pair in {**with_folders, option: "/nope"}.items() for word in pair]
        assert main(["models", "adapt", *nowhere]) == 78
        assert f"{option}: /nope " in capsys.readouterr().err
    with pytest.raises(SystemExit) as wrong:
        main(["models", "adapt", "--images", str(images)])
    assert wrong.value.code == 2
    assert house.masks == []


def test_masks_are_proposed_for_what_has_none_the_doubtful_ones_first(
    house: House, drawn: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Each by its image's name, and a table that says which to look at first; what cannot be read is named, and the rest is done."""
    images, masks = drawn
    (masks / "b.png").unlink()
    (images / "b.dcm").write_bytes(b"longer")
    (images / "d.png").write_bytes(b"broken")
    out = tmp_path / "out"
    assert main(["models", "propose", "--images", str(images), "--masks", str(masks), "--out", str(out)]) == 1
    told = capsys.readouterr()
    assert "look at c first" in told.out
    assert "d.png: inference refused: neither a DICOM object" in told.err
    assert (out / "proposals.csv").read_text().split() == ["name,quality", "c,0.500", "b,0.600"]
    assert sorted(one.name for one in out.glob("*.png")) == ["b.png", "c.png"]
    assert (out / "b.png").read_bytes() == b"mask of longer"
    assert main(["models", "propose", "--images", str(masks), "--masks", str(masks), "--out", str(out)]) == 1
    assert "is without a mask" in capsys.readouterr().err
