"""`radloop models adapt|propose`: a segmenter taught by confirmed masks, and masks proposed for what is not outlined yet."""

import argparse
import csv
import uuid
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from radloop.cli.cycles import followed, told
from radloop.cli.grpc import Rooms
from radloop.cli.packages import tar_of, wrong
from radloop.kit.errors import Misconfigured, Permanent
from radloop.standards.names import composed

_IMAGES = (".png", ".jpg", ".jpeg", ".dcm")
_TABLE = "proposals.csv"


def add_verbs(verbs: Any) -> None:
    """Add the verbs."""
    adapting = verbs.add_parser(
        "adapt", help="teach a segmenter by confirmed masks; minutes on 2 cores, and released only through its gate",
        description="A share of the patients teaches, the others judge. In a mask 255 is inside, all else outside;"
        " its connected parts are outlined each on its own.",
    )
    adapting.add_argument("--images", type=Path, required=True, metavar="DIR", help="images: .png, .jpg or .dcm")
    adapting.add_argument("--masks", type=Path, required=True, metavar="DIR", help="masks: .png, by the images' names")
    adapting.add_argument(
        "--patients", type=Path, metavar="CSV",
        help="columns name,patient; without it DICOM's PatientID says whose an image is, and any other is a patient of its own",
    )
    adapting.add_argument("--most", type=int, default=400, metavar="N",
                          help="hand over so many images at most (%(default)s), drawn by a hash of patient or name: each time the same")
    adapting.add_argument("--model", default="lungs", help="the segmenter's name (%(default)s)")
    adapting.add_argument("--no-wait", action="store_true", help="return at once; `models cycle --show --model NAME` tells how it stands")
    adapting.set_defaults(ask=adapt)
    proposing = verbs.add_parser(
        "propose", help="propose masks for images that have none, those worth the first look first",
        description="Each mask is written to the folder by its image's name, and proposals.csv lists them: the least quality that the"
        " segmenter expects of itself comes first. Confirm or correct them, then adapt again. What a folder's table lists is not proposed"
        " again: a run that was ended goes on, and a new segmenter's proposals want another folder.",
    )
    proposing.add_argument("--images", type=Path, required=True, metavar="DIR", help="images: .png, .jpg or .dcm")
    proposing.add_argument("--masks", type=Path, metavar="DIR", help="masks that are confirmed: their images are left out")
    proposing.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the proposals go; made where it is not there")
    proposing.add_argument("--model", default="", help="the segmenter (the one that serves)")
    proposing.set_defaults(ask=propose)


def adapt(rooms: Rooms, args: argparse.Namespace) -> int:
    """Hand over confirmed masks and follow what becomes of them."""
    _folder("--images", args.images)
    _folder("--masks", args.masks)
    whose = dict(_listed(args.patients)) if args.patients is not None else {}
    pairs, without = _paired(args.images, args.masks)
    if not pairs:
        return wrong(f"no image in {args.images} has a mask of the same name in {args.masks}")
    chosen = _drawn(pairs, whose, args.most)
    files = [("patients.csv", args.patients)] if args.patients is not None else []
    files += [named for image, mask in chosen for named in ((f"images/{image.name}", image), (f"masks/{mask.name}", mask))]
    cycle_id, reason = rooms.adapt(args.model, tar_of(files), str(uuid.uuid4()))
    if reason:
        return wrong(f"not started: {reason}")
    left_out = f"; {without} {'has' if without == 1 else 'have'} none and {'was' if without == 1 else 'were'} left out" if without else ""
    print(f"cycle {cycle_id} started: {len(chosen)} images with masks{left_out}")
    if args.no_wait:
        return 0
    ended = followed(rooms, cycle_id, args.model)
    told(ended, args.model)
    return 0 if ended.state == "released" else 1


def _paired(images: Path, masks: Path) -> tuple[list[tuple[Path, Path]], int]:
    """Return the images that have a mask, each with it, and how many have none."""
    of_name = _by_name("--masks", masks.glob("*.png"))
    found = [(image, of_name.get(composed(image.stem))) for image in _images(images)]
    return [(image, mask) for image, mask in found if mask is not None], sum(mask is None for _, mask in found)


def _images(folder: Path) -> list[Path]:
    """Return the images of a folder, by name."""
    return [one for one in sorted(folder.iterdir()) if one.suffix.lower() in _IMAGES]


def _by_name(option: str, files: Iterable[Path]) -> dict[str, Path]:
    """Return files by their names as they are compared; raise Misconfigured where two have the same one."""
    found: dict[str, Path] = {}
    for one in sorted(files):
        if found.setdefault(composed(one.stem), one) != one:
            raise Misconfigured(f"{option}: two files of {one.parent} hold one name twice ({one.name}), in both of Unicode's forms")
    return found


def _drawn(pairs: list[tuple[Path, Path]], whose: Mapping[str, str], most: int) -> list[tuple[Path, Path]]:
    """Return so many pairs at most: whole patients before the next, each time the same."""
    def by_patient(pair: tuple[Path, Path]) -> bytes:
        name = composed(pair[0].stem)
        return sha256(whose.get(name, name).encode()).digest()

    # The first by name would be the first year's, or one scanner's.
    return sorted(sorted(pairs, key=by_patient)[:most])


def _listed(patients: Path) -> Iterator[tuple[str, str]]:
    """Yield names and patients of a list, as spreadsheets write it: with a mark at its head, or without."""
    try:
        with patients.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            rows = csv.DictReader(file)
            if not {"name", "patient"} <= set(rows.fieldnames or ()):
                raise Misconfigured(f"{patients} needs the columns name and patient")
            for row in rows:
                yield composed(row["name"] or ""), composed(row["patient"] or "")
    except OSError as failed:
        raise Misconfigured(f"--patients: {patients} cannot be read ({failed.strerror})") from failed
    except csv.Error as other:
        raise Misconfigured(f"{patients} is no table of values with commas between") from other


def propose(rooms: Rooms, args: argparse.Namespace) -> int:
    """Have masks proposed and write them down; exit status 1 where one image could not be read."""
    from rich.console import Console
    from rich.progress import track

    _folder("--images", args.images)
    if args.masks is not None:
        _folder("--masks", args.masks)
    if args.out.exists():
        _folder("--out", args.out)
    done = _by_name("--masks", args.masks.glob("*.png")) if args.masks else {}
    images = [one for one in _images(args.images) if composed(one.stem) not in done]
    if not images:
        return wrong(f"no image in {args.images} is without a mask")
    lying = {composed(mask.stem) for mask in args.out.glob("*.png")}
    wanted = {composed(image.stem) for image in images} & lying
    found = {name: quality for name, quality in _proposed(args.out / _TABLE) if composed(name) in wanted}
    before, unread = len(found), dict[str, str]()
    listed = {composed(name) for name in found}
    ahead = [image for image in images if composed(image.stem) not in listed]
    try:
        for image in track(ahead, "proposing", console=Console(stderr=True), transient=True):
            try:
                mask, quality = rooms.propose(image.read_bytes(), args.model)
            except Permanent as never:
                unread[image.name] = never.reason
                continue
            args.out.mkdir(parents=True, exist_ok=True)  # not before there is something to put into it
            (args.out / f"{image.stem}.png").write_bytes(mask)
            found[image.stem] = quality
    finally:  # whatever ends it: what was proposed is not asked for again
        if found or (args.out / _TABLE).is_file():
            _list(args.out / _TABLE, found)
    if not found and len(unread) > 1 and len(reasons := set(unread.values())) == 1:
        reason = reasons.pop()
        teach = "; `radloop models adapt` teaches one" if "no segmenter" in reason else ""
        return wrong(f"no mask was proposed for any of {len(unread)} images: {reason}{teach}")
    first = min(found, key=lambda name: (found[name], name), default="")
    if found:
        told = f"{len(found) - before} masks and {_TABLE} are in {args.out}"
        print(told + (f", beside {before} of before" if before else "") + f"; look at {first} first")
    for name, reason in unread.items():
        wrong(f"{name}: {reason}")
    return 1 if unread else 0


def _folder(option: str, named: Path) -> None:
    """Raise Misconfigured, with the option, where what it names is no folder."""
    if not named.is_dir():
        raise Misconfigured(f"{option}: {named} is {'not a folder' if named.exists() else 'not there'}")


def _proposed(table: Path) -> Iterator[tuple[str, float]]:
    """Yield what an earlier run proposed: names and the quality expected of each."""
    if not table.is_file():
        return
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                yield row["name"], float(row["quality"])
    except (KeyError, TypeError, ValueError, csv.Error) as other:
        raise Misconfigured(f"{table} is no table with the columns name and quality: choose another folder") from other


def _list(table: Path, found: Mapping[str, float]) -> None:
    """Write the table in the place of the one before, the least quality first."""
    fresh = table.with_suffix(".part")
    with fresh.open("w", newline="", encoding="utf-8") as file:
        written = csv.writer(file)
        written.writerow(("name", "quality"))
        written.writerows((name, f"{quality:.3f}") for quality, name in sorted((quality, name) for name, quality in found.items()))
    fresh.replace(table)
