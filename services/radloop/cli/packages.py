"""`radloop models validate|describe|schema`: what a model package is, and whether it is in order."""

import argparse
import io
import json
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from radloop.cli.addresses import addresses
from radloop.cli.grpc import Rooms
from radloop.cli.table import local
from radloop.kit.errors import Misconfigured, Transient
from radloop.standards import package as standard


def add_verbs(verbs: Any) -> None:
    """Add the verbs."""
    checking = verbs.add_parser(
        "validate", help="look at a package made elsewhere: schema, hashes and, where retraining answers, its ONNX graph",
    )
    checking.add_argument("folder", type=Path, help="a version folder (model.onnx, radloop.yaml, …) or a .tar of one")
    checking.set_defaults(run=validate)
    describing = verbs.add_parser("describe", help="what one version is: whom it reads, what it answers, what became of it")
    describing.add_argument("version", type=int)
    describing.add_argument("--model", default="chest", help="which model (%(default)s)")
    describing.add_argument("--yaml", action="store_true", help="the package's radloop.yaml as it is")
    describing.set_defaults(ask=describe)
    verbs.add_parser("schema", help="print the JSON Schema of radloop.yaml").set_defaults(run=schema)


def packed(folder: Path) -> bytes:
    """Return a package as a tar: the version folder's files, and a segmenter's encoder from beside it."""
    if folder.is_file():
        return folder.read_bytes()
    return tar_of(_files(folder))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what a package consists of, by name."""
    if not (folder / standard.FILE).is_file():
        raise Misconfigured(f"{folder} has no {standard.FILE}; give the numbered version folder of a model package, or a .tar of one")
    files = {file.name: file for file in sorted(folder.iterdir()) if file.is_file()}
    says = standard.read(folder, str(folder / standard.FILE))
    if isinstance(says, standard.Segmenter) and standard.ENCODER_FILE not in files:
        encoder = folder.resolve().parents[1] / says.encoder.model / str(says.encoder.version) / standard.WEIGHTS_FILE
        if not encoder.is_file():
            raise Misconfigured(
                f"{folder} has no {standard.ENCODER_FILE}, and {'/'.join(encoder.parts[-3:])} is not beside {says.model}",
            )
        files[standard.ENCODER_FILE] = encoder
    yield from files.items()


def named(package: bytes, file: Path) -> str:
    """Return the model that a package's radloop.yaml names; `file` is where it came from."""
    try:
        with tarfile.open(fileobj=io.BytesIO(package), mode="r:") as tar:
            entry = next((one for one in tar if one.name.removeprefix("./") == standard.FILE), None)
            held = tar.extractfile(entry) if entry is not None else None
            if held is None:
                raise Misconfigured(f"{file}: no {standard.FILE} at its top; `tar -C FOLDER -cf {file.name} .` packs one that has it")
            return standard.parse(held.read().decode("utf-8", errors="replace"), f"{file}: {standard.FILE}").model
    except tarfile.TarError as other:
        raise Misconfigured(f"{file}: not a tar") from other


def tar_of(files: Iterable[tuple[str, Path]]) -> bytes:
    """Return files as a tar, by these names."""
    packed_files = io.BytesIO()
    with tarfile.open(fileobj=packed_files, mode="w") as archive:
        for name, file in files:
            entry = tarfile.TarInfo(name)
            entry.size = file.stat().st_size
            with file.open("rb") as content:
                archive.addfile(entry, content)
    return packed_files.getvalue()


def validate(args: argparse.Namespace) -> int:
    """Look at a package here and, where retraining answers, there."""
    package = packed(args.folder)
    if args.folder.is_dir():
        says = standard.read(args.folder)
        files = dict(_files(args.folder))
        for name, hashed in says.files.items():
            if name not in files:
                return wrong(f"{name} is missing")
            if (found := standard.sha256_of(files[name])) != hashed:
                return wrong(f"{name} is not what {standard.FILE} names: its SHA-256 is {found}")
        print(f"{standard.FILE}: {says.model} version {says.version}, a {says.kind}; its fields and the hashes of its files are in order")
    else:
        print(f"{standard.FILE}: {named(package, args.folder)}; its fields are in order")
    try:
        with Rooms(addresses(), actor="cli") as rooms:
            rooms.check_model(package)
    except (Transient, Misconfigured) as away:
        print(f"its ONNX graph was not looked at: {away.reason}")
    else:
        print("retraining would take it: its ONNX graph has the inputs and outputs that are named")
    return 0


def wrong(sentence: str) -> int:
    """Say what is wrong, and return the exit status for it."""
    print(f"radloop: {sentence}", file=sys.stderr)
    return 1


def schema(args: argparse.Namespace) -> int:  # noqa: ARG001 - a verb's shape
    """Print the JSON Schema."""
    print(json.dumps(standard.schema(), indent=2))
    return 0


def describe(rooms: Rooms, args: argparse.Namespace) -> int:
    """Print what one version is."""
    version, text = rooms.describe_model(args.model, args.version)
    if version is None:
        return wrong(f"there is no version {args.version} of {args.model}; `radloop models list` shows those there are")
    if args.yaml:
        print(text, end="")
        return 0
    print(f"{version.model} version {version.version}, {version.stage} since {local(version.since)[:19]}")
    for line in sentences(standard.parse(text)):
        print(f"  {line}")
    print(f"  change record: {version.change_record or 'none yet'}")
    for sentence in version.evidence:
        print(f"  evidence: {sentence}")
    return 0


def sentences(says: standard.AnyPackage) -> Iterator[str]:
    """Yield what people ask of a package, a line each."""
    yield f"intended use: {says.intended_use}"
    prepared = says.preparation
    channels = "1 channel" if prepared.channels == 1 else f"{prepared.channels} channels"
    yield f"sees: {prepared.rows} × {prepared.columns} pixels, {channels}, window {prepared.voi}"
    if isinstance(says, standard.Encoder):
        return
    rule = says.applicability
    ages = f"{rule.ages.low:g} to {rule.ages.high:g} years" if rule.ages else ""
    least = f"at least {rule.pixels.rows_at_least} × {rule.pixels.columns_at_least} pixels" if rule.pixels else ""
    terms = (rule.modalities, rule.body_parts, rule.views, rule.orientations, rule.sexes, rule.procedure_codes)
    asked = [", ".join(part) for part in terms if part]
    yield "reads: " + "; ".join([*asked, *(one for one in (ages, least) if one)])
    if isinstance(says, standard.Segmenter):
        yield "outlines: " + ", ".join(one.display or one.value for one in says.structures)
        yield f"behind it: {says.encoder.model} version {says.encoder.version}"
    else:
        for finding in says.findings:
            fitted = finding.calibration
            told = f"fitted on {fitted.cases} cases of {fitted.site}" if fitted.cases else "not calibrated yet"
            yield f"answers: {finding.code.display or finding.code.value} ({finding.code.value}), {told}"
        yield f"ensemble: {says.members}; out of distribution: {says.ood.kind if says.ood else 'cannot tell'}"
    yield f"weights: {says.weights_sha256}"
    yield f"learned from: {says.snapshot_sha256}" + (f", cycle {says.origin}" if says.origin else "")
