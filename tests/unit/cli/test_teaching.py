"""`radloop models adapt|propose` where something ends them midway, and which images are handed over."""

import io
import tarfile
from pathlib import Path
from unicodedata import normalize

import pytest
from tests.unit.cli.house import House

from radloop.cli import cycles
from radloop.cli.grpc import Rooms
from radloop.cli.main import main


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of ten images, and beside it masks of all."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for at in range(10):
            (tmp_path / folder / f"i{at}.png").write_bytes(b"image" + bytes(at))
    return tmp_path / "images"


def test_proposals_outlast_what_ends_the_command(
    house: House, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    """The table lists what there is, whether the room went away or somebody pressed Ctrl-C; the next run does the rest only."""
    out = images.parent / "out"
    words = ["models", "propose", "--images", str(images), "--out", str(out)]
    (images / "i2.png").write_bytes(b"away")
    assert main(words) == 75
    assert (out / "proposals.csv").read_text().split() == ["name,quality", "i0,0.500", "i1,0.600"]
    (images / "i2.png").write_bytes(b"i")
    (out / "i1.png").write_bytes(b"corrected")
    ask = Rooms.propose
    monkeypatch.setattr(Rooms, "propose", lambda rooms, image, model: ask(rooms, image, model) if image == b"i" else _pressed())
    assert main(words) == 130
    assert (out / "proposals.csv").read_text().split() == ["name,quality", "i2,0.100", "i0,0.500", "i1,0.600"]
    monkeypatch.undo()
    monkeypatch.setenv("RADLOOP_HOME", str(images.parent))
    capsys.readouterr()
    assert main(words) == 0
    assert "7 masks and proposals.csv are in" in (told := capsys.readouterr().out)
    assert "beside 3 of before; look at i2 first" in told
    assert (out / "i1.png").read_bytes() == b"corrected"
    assert main(words) == 0
    assert "0 masks and proposals.csv" in capsys.readouterr().out


def _pressed() -> None:
    raise KeyboardInterrupt


def test_a_folder_that_is_not_there_is_no_empty_one(house: House, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error would have everything proposed anew; and a table of another kind is not overwritten."""
    out = images.parent / "out"
    words = ["models", "propose", "--images", str(images), "--out", str(out)]
    assert main([*words, "--masks", str(images / "none")]) == 78
    assert f"--masks: {images / 'none'} is not there" in capsys.readouterr().err
    assert main(["models", "propose", "--images", "/nope", "--out", str(out)]) == 78
    assert "--images: /nope is not there" in capsys.readouterr().err
    assert main([*words[:-1], str(images / "i0.png")]) == 78
    assert f"--out: {images / 'i0.png'} is not a folder" in capsys.readouterr().err
    assert not out.exists()
    out.mkdir()
    (out / "proposals.csv").write_text("file;quality\na;1\n")
    (out / "i1.png").write_bytes(b"mine")
    assert main(words) == 78
    assert (out / "proposals.csv").read_text() == "file;quality\na;1\n"


def test_nothing_is_left_where_nothing_can_propose(house: House, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no segmenter serves, that is said once, not of each image, and no folder is made; nor where a room is away."""
    out = images.parent / "out"
    words = ["models", "propose", "--images", str(images), "--out", str(out)]
    house.no_segmenter = "no segmenter serves"
    assert main(words) == 1
    told = capsys.readouterr()
    said = "radloop: no mask was proposed for any of 10 images: inference refused: no segmenter serves; `radloop models adapt` teaches one"
    assert (told.out, told.err.strip()) == ("", said)
    assert not out.exists()
    house.no_segmenter = ""
    (images / "i0.png").write_bytes(b"away")
    assert main(words) == 75
    assert not out.exists()


def test_more_images_than_wanted_are_drawn_by_patient(house: House, images: Path) -> None:
    """The same ones each time, whole patients before the next, and not the first by name."""
    patients = images.parent / "patients.csv"
    patients.write_bytes(b"\xef\xbb\xbfname,patient\r\n" + b"".join(b"i%d,p%d\r\n" % (at, at % 5) for at in range(10)))
    words = ["models", "adapt", "--images", str(images), "--masks", str(images.parent / "masks"), "--no-wait", "--most", "4"]
    for more in (["--patients", str(patients)], ["--patients", str(patients)], []):
        assert main([*words, *more]) == 0
    drawn = []
    for _, packed in house.masks:
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            drawn.append([Path(name).stem for name in tar.getnames() if name.startswith("images/")])
    assert drawn[0] == drawn[1]
    assert [len(one) for one in drawn] == [4, 4, 4]
    assert len({int(name[1:]) % 5 for name in drawn[0]}) == 2
    assert drawn[2] != ["i0", "i1", "i2", "i3"]


COMPOSED, APART = (normalize(form, "Müller") for form in ("NFC", "NFD"))


def test_an_image_finds_its_mask_in_either_of_unicodes_forms(
    house: House, images: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """A folder copied from a Mac has other bytes in its names than the masks drawn elsewhere; how many have none is said."""
    (images / f"{APART}.png").write_bytes(b"i")
    (images.parent / "masks" / f"{COMPOSED}.png").write_bytes(b"m")
    (images.parent / "masks" / "i3.png").unlink()
    adapting = ["models", "adapt", "--images", str(images), "--masks", str(images.parent / "masks"), "--no-wait"]
    assert main(adapting) == 0
    with tarfile.open(fileobj=io.BytesIO(house.masks[0][1])) as tar:
        assert {f"images/{APART}.png", f"masks/{COMPOSED}.png"} <= set(tar.getnames())
    assert "cycle c1 started: 10 images with masks; 1 has none and was left out" in capsys.readouterr().out
    out = images.parent / "out"
    proposing = ["models", "propose", "--images", str(images), "--masks", str(images.parent / "masks"), "--out", str(out)]
    assert main(proposing) == 0
    assert [mask.name for mask in out.glob("*.png")] == ["i3.png"]
    (images.parent / "masks" / f"{APART}.png").write_bytes(b"another")
    for words in (adapting, proposing):
        assert main(words) == 78
        assert "hold one name twice" in capsys.readouterr().err


def test_a_proposal_that_was_carried_over_is_not_made_again(house: House, images: Path) -> None:
    """The masks' names and the table's may have come back in the other form from whoever corrected them."""
    (images / f"{APART}.png").write_bytes(b"i")
    out = images.parent / "out"
    out.mkdir()
    (out / f"{COMPOSED}.png").write_bytes(b"corrected")
    (out / "proposals.csv").write_text(f"name,quality\n{COMPOSED},0.5\n", encoding="utf-8")
    assert main(["models", "propose", "--images", str(images), "--out", str(out)]) == 0
    assert not (out / f"{APART}.png").exists()
    assert (out / "proposals.csv").read_text(encoding="utf-8").count("ller,") == 1


def test_a_patient_is_drawn_as_one_in_either_of_unicodes_forms(house: House, images: Path) -> None:
    """All of a patient's images stay together, whichever list an accent or a blank came from."""
    patients = images.parent / "patients.csv"
    for at in range(10):
        (images / f"i{at}.png").rename(images / f"{APART}{at}.png")
        (images.parent / "masks" / f"i{at}.png").rename(images.parent / "masks" / f"{COMPOSED}{at}.png")
    rows = (f"{COMPOSED if at % 2 else APART}{at} ,{COMPOSED if at % 3 else APART}{at % 5}\n" for at in range(10))
    patients.write_text("name,patient\n" + "".join(rows), encoding="utf-8")
    words = ["models", "adapt", "--images", str(images), "--masks", str(images.parent / "masks"), "--no-wait"]
    assert main([*words, "--most", "4", "--patients", str(patients)]) == 0
    with tarfile.open(fileobj=io.BytesIO(house.masks[0][1])) as tar:
        drawn = [Path(name).stem for name in tar.getnames() if name.startswith("images/")]
    assert len(drawn) == 4
    assert len({int(name[-1]) % 5 for name in drawn}) == 2


def test_a_cycle_is_followed_while_retraining_is_away(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    """One answer that does not come ends nothing; minutes without one do, and the command says to try again."""
    monkeypatch.setattr(cycles, "_LOOK_EVERY_S", 0.01)
    house.away = 3
    assert main(["models", "cycle", "--wait"]) == 0
    assert (house.away, len(house.shown)) == (0, 4)
    assert "cycle c1: released, version 3" in capsys.readouterr().out
    monkeypatch.setattr(cycles, "_PATIENCE_S", 0.05)
    house.away = 1_000_000
    assert main(["models", "cycle", "--wait"]) == 75
    assert "retraining does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(("ended", "status"), [("released", 0), ("unchanged", 0), ("gated-out", 1), ("failed", 1), ("given-up", 1)])
def test_a_cycle_is_followed_until_it_is_under_way_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ended: str, status: int,
) -> None:
    """Where nothing new was learned there is no alarm; a state that this command does not know yet ends it like any other."""
    monkeypatch.setattr(cycles, "_LOOK_EVERY_S", 0.01)
    house.states = ["waiting", "training", ended, "asked for once too often"]
    assert main(["models", "cycle", "--wait"]) == status
    told = [line for line in capsys.readouterr().err.splitlines() if line]
    assert told[:2] == ["waiting", "training"]  # no terminal: a line for each step
    assert house.states == ["asked for once too often"]


def test_a_segmenter_that_never_learned_waits_for_masks(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """No cycle of it starts by itself, and the readers' labels are not its own."""
    house.cycles = 0
    assert main(["models", "cycle", "--show", "--model", "lungs"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("no cycle of lungs yet: it does not learn from answers")
    assert "radloop models adapt --model lungs" in told
    assert "labels" not in told
