"""Decoders that are real processes, really crashing and hanging: neither the room nor another image notices."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.adapters.failing_decoder import DIARY, marked
from tests.conftest import wait_until
from tests.examples.inference import Files
from tests.unit.standards.test_dicom import sample_files

from radloop.inference.adapters import preparing
from radloop.inference.adapters.preparing import Decoders
from radloop.kit.errors import Transient
from radloop.standards.dicom.decode import is_plain
from radloop.standards.dicom.errors import DicomError, Undecodable
from radloop.standards.dicom.pixels import prepare_file
from radloop.standards.package import IMAGENET

Start = Callable[..., Decoders]


@pytest.fixture
def files() -> Files:
    """Return a store of images."""
    return Files()


@pytest.fixture
def diary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name the file in which the decoders write what they were given."""
    monkeypatch.setenv(DIARY, str(tmp_path / "diary"))
    return tmp_path / "diary"


@pytest.fixture
def start(files: Files, diary: Path) -> Iterator[Start]:
    """Start decoders; none of their processes is left at the end."""
    before, begun = set(processes()), list[Decoders]()

    def begin(count: int = 2, deadline_s: float = 30.0, module: str = "tests.adapters.failing_decoder") -> Decoders:
        begun.append(Decoders(files, count, deadline_s, module))
        return begun[-1]

    yield begin
    for decoders in begun:
        decoders.stop()
    assert set(processes()) - before == set()


def processes() -> list[psutil.Process]:
    """Return the decoders that this process has."""
    return [child for child in psutil.Process().children() if "decoder" in " ".join(child.cmdline())]


def compressed() -> bytes:
    """Return an image in JPEG 2000 of pydicom's wheel."""
    return next(path for path in sample_files() if path.name == "JPEG2000.dcm").read_bytes()


def test_every_compressed_sample_comes_out_as_in_the_thread(files: Files, start: Start) -> None:
    """Prepared to the same numbers or refused with the same words, whichever process did it."""
    decoders = start(module="radloop.inference.adapters.decoder")
    decoders.start()
    there = outcomes = 0
    for path in sample_files():
        file = path.read_bytes()
        if is_plain(file):
            continue
        there += 1
        try:
            here = prepare_file(file, 1, IMAGENET)
        except DicomError as refused:
            with pytest.raises(type(refused)) as also:
                decoders.prepare(files.put(file).sha256, IMAGENET)
            assert also.value.reason == refused.reason  # noqa: PT017 - both outcomes are compared
        else:
            outcomes += 1
            assert np.array_equal(decoders.prepare(files.put(file).sha256, IMAGENET), here)
    assert there >= 60
    assert outcomes >= 30


def test_what_needs_no_decoder_is_prepared_where_it_is_read(files: Files, start: Start) -> None:
    """Uncompressed images ask no process, and with no decoders at all nothing does."""
    nowhere = start(module="no.such.module")
    assert nowhere.prepare("a" * 64, IMAGENET).shape == (3, 224, 224)
    alone = start(count=0, module="no.such.module")
    assert alone.prepare(files.put(compressed()).sha256, IMAGENET).shape == (3, 224, 224)
    assert processes() == []


@pytest.mark.parametrize(("does", "how"), [
    ("crash", "SIGSEGV"), ("exit", "exit 3"), ("babble", "makes no sense"), ("flood", "makes no sense"),
    ("other-shape", "makes no sense"), ("hang", "not done in 1 s"), ("hang-deaf", "not done in 1 s"),
])
def test_a_file_that_ends_its_decoder_twice_is_refused_by_tag(
    files: Files, diary: Path, start: Start, does: str, how: str,
) -> None:
    """It is tried once more in a fresh process; the pixel data is named, and the next image finds a decoder."""
    decoders = start(count=1, deadline_s=1.0)
    with pytest.raises(Undecodable) as refused:
        decoders.prepare(files.put(marked(does)).sha256, IMAGENET)
    assert refused.value.reason.startswith("(7FE0,0010) Pixel Data: ends its decoder")
    assert how in refused.value.reason
    assert diary.read_text().splitlines() == [does, does]
    assert decoders.prepare(files.put(compressed()).sha256, IMAGENET).shape == (3, 224, 224)


def test_a_real_file_of_which_one_byte_is_wrong_is_refused(files: Files, start: Start) -> None:
    """The length of a JPEG's first segment: libjpeg (pylibjpeg-libjpeg 2.5) aborts its process over it, and only that one."""
    whole = next(path for path in sample_files() if path.name == "SC_rgb_small_odd_jpeg.dcm").read_bytes()
    damaged = whole.replace(b"\xff\xd8\xff\xe0\x00\x10", b"\xff\xd8\xff\xe0\x00\x73")
    assert damaged != whole
    decoders = start(module="radloop.inference.adapters.decoder")
    with pytest.raises(Undecodable, match=r"\(7FE0,0010\) Pixel Data"):
        decoders.prepare(files.put(damaged).sha256, IMAGENET)
    assert decoders.prepare(files.put(whole).sha256, IMAGENET).shape == (3, 224, 224)


def test_a_file_whose_decoder_was_killed_by_chance_is_read_after_all(files: Files, diary: Path, start: Start) -> None:
    """The kernel takes memory back from whomever it likes: once is no proof."""
    name = files.put(marked("crash-once", compressed())).sha256
    assert start().prepare(name, IMAGENET).shape == (3, 224, 224)
    assert diary.read_text().splitlines() == ["crash-once"] * 2


def test_a_crash_is_nobody_elses(files: Files, diary: Path, start: Start) -> None:
    """While one reader's images crash and hang, the others' are prepared, each of them once."""
    decoders = start(count=2, deadline_s=1.0)
    good = [files.put(marked(f"number {number}", compressed())).sha256 for number in range(12)]
    bad = [files.put(marked(f"{does} {number}")).sha256 for number, does in enumerate(("crash", "hang", "exit", "crash"))]

    def outcome(name: str) -> bool:
        try:
            return decoders.prepare(name, IMAGENET).shape == (3, 224, 224)
        except Undecodable:
            return False

    with ThreadPoolExecutor(3) as readers:
        told = list(readers.map(outcome, [*bad[:2], *good[:6], *bad[2:], *good[6:]]))
    assert told == [False] * 2 + [True] * 6 + [False] * 2 + [True] * 6
    given = diary.read_text().splitlines()
    assert sorted(line for line in given if line.startswith("number")) == sorted(f"number {number}" for number in range(12))


def test_a_decoder_that_cannot_start_blames_no_image(files: Files, start: Start) -> None:
    """A broken installation is a dependency that is away: the reading waits."""
    with pytest.raises(Transient, match="does not start"):
        start(module="no.such.module").prepare(files.put(compressed()).sha256, IMAGENET)


def test_the_room_closes_over_an_image_that_hangs_and_blames_it_not(
    files: Files, start: Start, diary: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its reading is given back, and the next process tries."""
    monkeypatch.setattr(preparing, "_CLOSE_S", 0.2)
    decoders = start(count=1)
    with ThreadPoolExecutor(2) as readers:
        hanging = readers.submit(decoders.prepare, files.put(marked("hang")).sha256, IMAGENET)
        wait_until(lambda: diary.exists() and diary.read_text() != "", 20)
        waiting = readers.submit(decoders.prepare, files.put(compressed()).sha256, IMAGENET)
        decoders.stop()
        for reading in (hanging, waiting):
            with pytest.raises(Transient, match="closing"):
                reading.result(10)
    assert processes() == []


@pytest.mark.parametrize(("at", "deadline_s"), [("idle", 30.0), ("hang", 3.0)])
def test_no_decoder_outlives_a_room_that_is_killed(diary: Path, at: str, deadline_s: float) -> None:
    """An idle one notices at once, one that hangs when its time is over."""
    room = subprocess.Popen(
        [sys.executable, "-m", "tests.adapters.room_with_decoders", at, str(deadline_s)], stdout=subprocess.PIPE, text=True,
    )
    assert room.stdout is not None
    decoders = [psutil.Process(int(number)) for number in room.stdout.readline().split()]
    assert len(decoders) == 2
    if at == "hang":
        wait_until(lambda: diary.exists() and "hang" in diary.read_text(), 20)
    room.kill()
    room.wait()
    room.stdout.close()
    wait_until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in decoders), 20)


def test_a_decoder_knows_no_password(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings stay in the room: whoever takes a decoder over finds none, and the kernel ends it first."""
    monkeypatch.setenv("RADLOOP_POSTGRES", "a secret")
    decoders = start(count=1)
    decoders.start()
    [one] = processes()
    assert "a secret" not in Path(f"/proc/{one.pid}/environ").read_bytes().decode()
    assert "PATH" in one.environ()
    wait_until(lambda: Path(f"/proc/{one.pid}/oom_score_adj").read_text().strip() == "1000", 20)


def test_of_several_compressed_frames_the_one_that_was_asked_for_comes_out(files: Files, start: Start) -> None:
    """The process is told which one it is; a frame that is not there is refused in the same words as in the thread."""
    file = next(path for path in sample_files() if path.name == "rtdose_rle.dcm").read_bytes()
    name, decoders = files.put(file).sha256, start(module="radloop.inference.adapters.decoder")
    first, last = (decoders.prepare(name, IMAGENET, frame=frame) for frame in (1, 15))
    assert np.array_equal(last, prepare_file(file, 15, IMAGENET))
    assert not np.array_equal(first, last)
    with pytest.raises(DicomError, match="there is no frame 16 of 15"):
        decoders.prepare(name, IMAGENET, frame=16)
