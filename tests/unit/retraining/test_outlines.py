"""Confirmed masks: who teaches and who judges, what the gate asks, where a simulated reader clicks, and how they are handed over."""

import gzip
import io
import tarfile

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from radloop.kit.errors import Permanent
from radloop.retraining.adapters.clicks import box_around, next_click, next_scribble
from radloop.retraining.adapters.confirmed import pairs
from radloop.retraining.adapters.judging import outliner, play
from radloop.retraining.adapters.plan import load_plan
from radloop.retraining.domain.outlines import divide, hold_gate, sentences
from radloop.standards.masks import dice
from radloop.standards.prompts import Box, Point
from tests.dicom_making import file_of, radiograph
from tests.examples.segmenting import SIDE, tiny_decoder, tiny_encoder

PLAN = load_plan()


def test_no_patient_teaches_and_judges() -> None:
    """No more images than agreed teach; the same seed draws the same ones."""
    patients = [f"p{at % 40}" for at in range(100)]
    teach, judge = divide(patients, 30, seed=1)
    assert len(teach) == 30
    assert not {patients[at] for at in teach} & {patients[at] for at in judge}
    assert (teach, judge) == divide(patients, 30, seed=1)
    assert teach != divide(patients, 30, seed=2)[0]
    with pytest.raises(Permanent, match="patient"):
        divide(["", "p"], 30, seed=1)


def test_a_patient_stays_on_one_side_however_the_set_grows() -> None:
    """Who judges a version has taught none before it; some half teach, and whoever comes leaves the others where they are."""
    people = [f"p{at}" for at in range(2000)]
    sides = [{few[at] for at in side} for few in (people[:300], people[::-1]) for side in divide(few, 2000, seed=1)]
    assert sides[0] <= sides[2]
    assert sides[1] <= sides[3]
    assert 900 < len(sides[2]) < 1100
    assert {people[at] for at in divide(people[:300], 40, seed=1)[0]} <= sides[0]


def test_the_gate_asks_for_the_lower_bound_and_not_to_be_worse() -> None:
    """Good outlines pass; worse ones than the predecessor's do not, whatever they reach; few patients hold no gate."""
    assert PLAN.outlines is not None
    good = np.linspace(0.9, 0.99, 60)
    patients = [f"p{at // 2}" for at in range(60)]
    assert hold_gate(good, None, patients, PLAN.outlines, PLAN.gate).passed
    assert not hold_gate(good - 0.2, None, patients, PLAN.outlines, PLAN.gate).passed
    worse = hold_gate(good - 0.05, good, patients, PLAN.outlines, PLAN.gate)
    assert [one.passed for one in worse.criteria] == [True, False]
    few = hold_gate(good[:6], None, patients[:6], PLAN.outlines, PLAN.gate)
    assert not few.passed
    assert "too small" in sentences(few)[1]


@pytest.mark.parametrize("most", [1, 7, 30, 200])
def test_patients_never_cross_whatever_is_drawn(most: int) -> None:
    """Several images a patient, any number that may teach, any seed."""
    patients = [f"p{at // 3}" for at in range(90)]
    for seed in range(20):
        teach, judge = divide(patients, most, seed)
        assert not {patients[at] for at in teach} & {patients[at] for at in judge}
        assert len(teach) == min(most, 90 - len(judge))
        assert 20 < len(judge) < 70


def test_the_gate_goes_by_the_lower_bound_and_an_equal_version_is_not_worse() -> None:
    """A mean above the floor does not pass where so few patients spread so widely."""
    assert PLAN.outlines is not None
    spread = np.array([0.99, 0.74] * 15)
    patients = [f"p{at}" for at in range(30)]
    gate = hold_gate(spread, None, patients, PLAN.outlines, PLAN.gate)
    assert gate.criteria[0].estimate > PLAN.outlines.dice_at_least > gate.criteria[0].lower_bound
    assert not gate.passed
    steady = np.full(30, 0.95)
    assert hold_gate(steady, steady, patients, PLAN.outlines, PLAN.gate).passed
    assert not hold_gate(steady, steady + 0.02, patients, PLAN.outlines, PLAN.gate).passed


def test_the_next_click_goes_to_the_middle_of_the_largest_error() -> None:
    """A large miss before a small excess; inside is positive, outside negative; where nothing is wrong there is none."""
    truth, said = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    truth[5:16, 5:16] = True
    said[30:33, 30:33] = True
    assert next_click(truth, said) == Point(10.5, 10.5, positive=True)
    assert next_click(truth, truth | said) == Point(31.5, 31.5, positive=False)
    assert next_click(truth, truth) is None
    assert box_around(truth) == Box(5, 5, 16, 16)


def test_a_scribble_stays_within_what_is_wrong() -> None:
    """Along the longer side, and every corner on the error."""
    truth = np.zeros((60, 60), bool)
    truth[5:55, 20:30] = True
    drawn = next_scribble(truth, np.zeros_like(truth))
    assert drawn is not None and drawn.positive
    assert all(truth[int(y), int(x)] for x, y in drawn.path)
    assert max(y for _, y in drawn.path) - min(y for _, y in drawn.path) > 35
    assert next_scribble(truth, truth) is None


def test_a_reader_who_clicks_on_errors_gets_nearer() -> None:
    """Three discs are outlined better with each click, by the graph itself; the mask before is not needed by it."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    wanted = np.zeros((SIDE, SIDE), bool)
    for x, y in ((60, 60), (128, 190), (190, 70)):
        wanted |= (rows - y) ** 2 + (columns - x) ** 2 < 28**2
    embedding = onnxruntime.InferenceSession(tiny_encoder()).run(None, {"IMAGE": np.full((1, 3, SIDE, SIDE), 0.25, np.float32)})[0][0]
    first = next_click(wanted, np.zeros_like(wanted))
    assert first is not None
    answers = play(outliner(tiny_decoder()), embedding, wanted, first, 3)
    reached = [dice(one.mask, wanted) for one in answers]
    assert reached == sorted(reached)
    assert reached[0] < 0.6
    assert reached[2] > 0.9
    assert answers[0].quality == pytest.approx(0.75, abs=1e-3)


def archive(**files: bytes) -> bytes:
    """Pack files; `__` stands for the slash and `_dot_` for the dot."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/").replace("_dot_", "."))
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def png(levels: np.ndarray) -> bytes:
    """Return a PNG of grey levels."""
    out = io.BytesIO()
    Image.fromarray(levels).save(out, "PNG")
    return out.getvalue()


def two_squares() -> np.ndarray:
    """Return a mask with two structures, a speck, and a part that is not judged."""
    mask = np.zeros((512, 256), np.uint8)
    mask[40:200, 20:100], mask[40:140, 150:230], mask[500:502, 1:3], mask[300:310, 0:50] = 255, 255, 255, 127
    return mask


def test_confirmed_masks_are_resized_and_taken_apart() -> None:
    """Each connected part is a structure, the largest first; specks and what is not judged are none."""
    given = archive(
        images__a_dot_png=png(np.full((512, 256), 51, np.uint8)), masks__a_dot_png=png(two_squares()),
        patients_dot_csv=b"name,patient\na,P7\n",
    )
    (one,) = pairs(given)
    assert (one.name, one.patient, one.structures.shape) == ("a", "P7", (2, SIDE, SIDE))
    assert one.grey == pytest.approx(np.full((SIDE, SIDE), 0.2), abs=1e-6)
    assert one.structures[0].sum() == 80 * 80
    assert one.structures[1].sum() == 80 * 50


def test_without_a_list_dicom_says_whose_an_image_is() -> None:
    """Two objects of one patient are one patient's; an image that cannot say counts as one, and is known to; a list goes before."""
    object_, mask, other = file_of(radiograph()), png(two_squares()), png(np.full((9, 9), 51, np.uint8))
    given = {
        "images__a_dot_dcm": object_, "masks__a_dot_png": mask, "images__b_dot_dcm": object_, "masks__b_dot_png": mask,
        "images__c_dot_png": other, "masks__c_dot_png": mask,
        "images__d_dot_dcm": file_of(radiograph(PatientID=None)), "masks__d_dot_png": mask,
    }
    told = [(one.patient, one.alone) for one in pairs(archive(**given))]
    assert told == [("EX-0001", False), ("EX-0001", False), ("c", True), ("d", True)]
    table = b"\xef\xbb\xbfname,patient\r\na, p1\r\na,p1\r\nb,p2\r\nc,p3\r\nd,p4\r\n"
    assert [(one.patient, one.alone) for one in pairs(archive(**given, patients_dot_csv=table))] == [
        (f"p{at}", False) for at in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (b"no tar", "tar"), (gzip.compress(archive(images__a_dot_png=b"x")), "tar"),
        (archive(images__a_dot_png=b"x", masks__a_dot_png=b"y", patients_dot_csv=b"name,patient\na.png,p\n"), "lists 1 of the images not"),
        (archive(notes_dot_txt=b""), "no images"), (archive(images__a_dot_png=b"x"), "1 have none"),
        (archive(images__a_dot_png=b"x", masks__a_dot_png=b"y"), "the mask of image 1: neither"),
        (archive(images__a_dot_png=b"x", masks__a_dot_png=png(two_squares())), "image 1: neither"),
        (
            archive(images__a_dot_dcm=file_of(radiograph())[:400], masks__a_dot_png=png(two_squares())),
            r"image 1: \(",
        ),
        (archive(images__a_dot_png=b"x", masks__a_dot_png=b"y", patients_dot_csv=b"name,patient\na,p\na,q\n"), "a name twice"),
        (archive(images__a_dot_png=b"x", masks__a_dot_png=b"y", patients_dot_csv=b"name,patient\na\n"), "without its patient"),
        (archive(images__a_dot_png=b"x", masks__a_dot_png=b"y", patients_dot_csv=b"name,patient\na," + b"p" * 200_000), "no table"),
    ],
)
def test_what_is_wrong_with_them_is_named(given: bytes, why: str) -> None:
    """Where and why; never by a file's name, which may be a patient's."""
    with pytest.raises(Permanent, match=why):
        list(pairs(given))
