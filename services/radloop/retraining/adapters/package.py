"""Model packages as files: put together in memory, packed as a tar, published into the Triton repository in one rename."""

import hashlib
import io
import os
import py_compile
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from radloop.kit.errors import Permanent, Transient
from radloop.retraining.adapters.export import graph, heads_of
from radloop.retraining.adapters.triton_config import configurations, inputs_of, outputs_of, parsed, types_of
from radloop.retraining.domain.calibration import Platt
from radloop.retraining.domain.conformal import Conformal
from radloop.retraining.domain.distribution import Distribution
from radloop.retraining.domain.heads import Heads
from radloop.retraining.domain.learning import Learned, Reading
from radloop.standards import package as standard
from radloop.standards.strangers import known

CONFIG, GPU_CONFIG, SNAPSHOT_FILE, CODE_FILE = "config.pbtxt", "config.gpu.pbtxt", "snapshot.npz", "model.py"
_OF_THE_MODEL = (CONFIG, GPU_CONFIG)
_CODE = {CODE_FILE, CONFIG, GPU_CONFIG}
"""Always our own, whatever a package from elsewhere brings."""
_KNOWN = {
    standard.WEIGHTS_FILE, standard.FILE, standard.OOD_FILE, standard.ENCODER_FILE, SNAPSHOT_FILE, *_CODE,
}
_LARGEST = 512 * 1024 * 1024

SEGMENTER_INPUTS, SEGMENTER_OUTPUTS = ("EMBEDDING", "PLACES", "LABELS", "MASK", "HAS_MASK"), ("LOGITS", "QUALITY")

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Base:
    """What a new version takes over from the one before it: everything but what was learned."""

    package: standard.Package
    site: str
    trained_at: str
    origin: str = ""


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ood_bytes(distribution: Distribution) -> bytes:
    """Return `ood.npz`: `mean` [D], `precision` [D, D], float32, and `threshold`."""
    file = io.BytesIO()
    np.savez(
        file, mean=distribution.mean.astype("<f4"), precision=distribution.precision.astype("<f4"),
        threshold=np.float64(distribution.threshold),
    )
    return file.getvalue()


def assemble(learned: Learned, snapshot: bytes, backbone: bytes, base: Base) -> dict[str, bytes]:
    """Return the files of a version on a backbone, which is an ONNX file with heads or without.

    They are the weights, the code, `radloop.yaml`, `ood.npz`, the snapshot, and Triton's configurations.
    """
    weights, ood = graph(backbone, learned.heads), ood_bytes(learned.distribution)
    codes = {finding.code.value: finding.code for finding in base.package.findings}
    described = replace(
        base.package, members=learned.heads.weight.shape[0], trained_at=base.trained_at, origin=base.origin,
        weights_sha256=_hash(weights), snapshot_sha256=_hash(snapshot),
        ood=standard.OutOfDistribution(learned.distribution.threshold, _hash(ood)),
        findings=tuple(
            standard.Finding(
                codes[reading.finding], reading.operating_point,
                standard.Calibration(
                    reading.platt.slope, reading.platt.offset, base.site, reading.platt.prevalence, reading.platt.cases,
                ),
                standard.Conformal(
                    reading.conformal.present_from, reading.conformal.absent_to, reading.conformal.coverage,
                    reading.calibrated_on,
                ),
            )
            for reading in learned.readings
        ),
    )
    return {
        standard.WEIGHTS_FILE: weights, standard.OOD_FILE: ood, SNAPSHOT_FILE: snapshot,
        standard.FILE: standard.render(described).encode(), **_code(described.model, weights),
    }


def assemble_segmenter(says: standard.Segmenter, decoder: bytes, encoder: bytes) -> dict[str, bytes]:
    """Return the files of a segmenter's version: both graphs, `radloop.yaml`, the code and Triton's configurations."""
    # Named by its content: another encoder is another model, whose embeddings are its own.
    behind = standard.Behind(f"{says.model}-encoder-{_hash(encoder)[:8]}", 1, _hash(encoder))
    described = replace(says, weights_sha256=_hash(decoder), encoder=behind)
    return {
        standard.WEIGHTS_FILE: decoder, standard.ENCODER_FILE: encoder,
        standard.FILE: standard.render(described).encode(), **_code(described.model, decoder),
    }


def _code(model: str, weights: bytes) -> dict[str, bytes]:
    """Return what Triton runs and reads of a package, from the file it is to serve."""
    here, there = configurations(weights, model)
    code = (files("radloop.retraining") / "adapters" / "triton" / CODE_FILE).read_bytes()
    return {CODE_FILE: code, CONFIG: here.encode(), GPU_CONFIG: there.encode()}


def described(package: Files) -> standard.Package | standard.Segmenter:
    """Return what a package says of itself, after checking its files against the hashes it names."""
    if standard.FILE not in package:
        raise Permanent(f"the package lacks {standard.FILE}")
    says = standard.parse(package[standard.FILE].decode("utf-8", errors="replace"))
    if isinstance(says, standard.Encoder):
        raise Permanent("an encoder comes with the segmenter that it stands behind, never alone")
    snapshot = {SNAPSHOT_FILE: says.snapshot_sha256} if SNAPSHOT_FILE in package else {}
    for name, named in (says.files | snapshot).items():
        if name not in package:
            raise Permanent(f"the package lacks {name}")
        if _hash(package[name]) != named:
            msg = f"{name} is not what {standard.FILE} names"
            raise Permanent(msg)
    fits(says, package[standard.WEIGHTS_FILE])
    if isinstance(says, standard.Segmenter):
        _stands_behind(says, package[standard.ENCODER_FILE])
    if isinstance(says, standard.Package):
        _knows_strangers(says, package)
    return says


def _knows_strangers(says: standard.Package, package: Files) -> None:
    """Raise Permanent where a classifier could not tell strangers: no version is used that cannot."""
    if says.ood is None:
        raise Permanent(f"{standard.FILE}: ood: {standard.OOD_FILE} is needed: what cannot tell the unknown from the known is not served")
    mean, precision = known(package[says.ood.file])
    [width] = outputs_of(parsed(package[standard.WEIGHTS_FILE]))[says.tensors.embedding][1:]
    if width not in {-1, mean.size}:
        raise Permanent(
            f"{says.ood.file}: mean is {mean.shape} and precision {precision.shape},"
            f" {says.tensors.embedding} is [batch, {width}]: they must be [D], [D, D] and [batch, D]",
        )


def _stands_behind(says: standard.Segmenter, encoder: bytes) -> None:
    """Raise Permanent where an encoder does not give what its segmenter takes."""
    model, prepared = parsed(encoder), says.preparation
    held = {**inputs_of(model), **outputs_of(model)}
    wanted = {
        "IMAGE": (prepared.channels, prepared.rows, prepared.columns),
        "IMAGE_EMBEDDING": (256, prepared.rows // 4, prepared.columns // 4),
    }
    for name, shape in wanted.items():
        if name not in held or not _agree(held[name][1:], shape):
            raise Permanent(f"{standard.ENCODER_FILE}: {name} is {held.get(name, 'missing')}, the segmenter needs [1, {shape}]")


def fits(says: standard.Package | standard.Segmenter, weights: bytes) -> None:
    """Raise Permanent where the graph's inputs and outputs are not those that its `radloop.yaml` speaks of."""
    model = parsed(weights)
    if isinstance(says, standard.Segmenter):
        given, wanted = {**inputs_of(model), **outputs_of(model)}, {*SEGMENTER_INPUTS, *SEGMENTER_OUTPUTS}
        if missing := wanted - set(given):
            raise Permanent(f"{standard.WEIGHTS_FILE} has no {', '.join(sorted(missing))}")
        side = says.preparation.rows
        if given["LOGITS"][1:] != (side, side) or given["MASK"][1:] != (side, side):
            raise Permanent(f"{standard.WEIGHTS_FILE}: LOGITS and MASK must be [1, {side}, {side}], as preparation.rows says")
        return
    prepared, tensors, findings = says.preparation, says.tensors, len(says.findings)
    image = (prepared.channels, prepared.rows, prepared.columns)
    wanted_shapes: list[tuple[str, dict[str, tuple[int, ...]], tuple[tuple[int, ...], ...]]] = [
        (tensors.input, inputs_of(model), (image,)),
        (tensors.members, outputs_of(model), ((says.members, findings), *(((findings,),) if says.members == 1 else ()))),
        (tensors.embedding, outputs_of(model), ((-1,),)),
        *([(tensors.evidence, outputs_of(model), ((findings, -1, -1),))] if tensors.evidence else []),
    ]
    for name, held, shapes in wanted_shapes:
        if name not in held:
            raise Permanent(f"{standard.WEIGHTS_FILE} has no {name or 'nameless tensor'}; it has {', '.join(held)}")
        if name == tensors.input and types_of(model)[name] != "FLOAT":
            raise Permanent(f"{standard.WEIGHTS_FILE}: {name} is {types_of(model)[name]}; images are given as FLOAT, 32 bits")
        if held[name][:1] != (-1,):
            raise Permanent(f"{standard.WEIGHTS_FILE}: the first dimension of {name}, the batch, must be free")
        if not any(_agree(held[name][1:], shape) for shape in shapes):
            raise Permanent(f"{standard.WEIGHTS_FILE}: {name} is {held[name]}, {standard.FILE} says [batch, {shapes[0]}]")
    if extra := set(inputs_of(model)) - {tensors.input}:
        raise Permanent(f"{standard.WEIGHTS_FILE} wants more than an image: {', '.join(sorted(extra))}")


def _agree(held: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Say whether shapes agree, -1 standing for any."""
    return len(held) == len(wanted) and all(-1 in pair or pair[0] == pair[1] for pair in zip(held, wanted, strict=True))


def renumbered(package: Files, version: int) -> dict[str, bytes]:
    """Return the package as another version of its model."""
    says = replace(described(package), version=version)
    return {**package, standard.FILE: standard.render(says).encode()}


def readings_of(says: standard.Package) -> tuple[Reading, ...]:
    """Return the readings that a package describes, in the order of its findings."""
    return tuple(
        Reading(
            finding.code.value,
            Platt(
                finding.calibration.slope, finding.calibration.offset, finding.calibration.prevalence,
                finding.calibration.cases,
            ),
            Conformal(finding.conformal.present_from, finding.conformal.absent_to, finding.conformal.coverage),
            finding.operating_point, finding.conformal.cases,
        )
        for finding in says.findings
    )


def comparable(package: Files) -> tuple[Heads, tuple[Reading, ...]]:
    """Return what the gate compares of a version: its heads and readings; raise Permanent where it is not on the shared backbone."""
    return heads_of(package[standard.WEIGHTS_FILE]), readings_of(standard.classifier(described(package)))


def pack(package: Files) -> bytes:
    """Return the files as a tar whose bytes depend on nothing but them."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(package):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(package[name]), 0o644
            tar.addfile(entry, io.BytesIO(package[name]))
    return held.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the files of a tar, by their plain names; refuse anything but the known files of one version.

    Code and configuration are not taken from it: a package is weights and what they say of themselves, never a program.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for entry in tar:
                name = entry.name.removeprefix("./")
                if entry.isdir() and name in {"", "."}:
                    continue  # as `tar -C folder -cf x.tar .` packs it
                if not entry.isfile() or entry.size > _LARGEST or name not in _KNOWN:
                    msg = f"the package holds something that is no file of a model version: {entry.name[:60]!r}"
                    raise Permanent(msg)
                held = tar.extractfile(entry)
                found[name] = held.read() if held is not None else b""
    except tarfile.TarError as broken:
        msg = "the package is not a tar"
        raise Permanent(msg) from broken
    says = described(found)
    if SNAPSHOT_FILE in found:
        try:
            with zipfile.ZipFile(io.BytesIO(found[SNAPSHOT_FILE])) as held_rows:
                held_rows.testzip()
        except zipfile.BadZipFile as broken:
            msg = f"{SNAPSHOT_FILE} is damaged"
            raise Permanent(msg) from broken
    return {**found, **_code(says.model, found[standard.WEIGHTS_FILE])}


def from_folder(version: Path) -> dict[str, bytes]:
    """Read a version's folder of a model repository back, with the configuration beside it, and a segmenter's encoder."""
    places = {name: (version.parent if name in _OF_THE_MODEL else version) / name for name in _KNOWN}
    found = {name: place.read_bytes() for name, place in places.items() if place.is_file()}
    says = standard.read(version)
    if isinstance(says, standard.Segmenter):
        encoder = version.parents[1] / says.encoder.model / str(says.encoder.version)
        found[standard.ENCODER_FILE] = (encoder / standard.WEIGHTS_FILE).read_bytes()
    return found


def _write(place: Path, data: bytes) -> None:
    with place.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def publish(package: Files, repository: Path) -> Path:
    """Put a version into the Triton repository without touching the running ones, and return its folder.

    It is written under a dot-name, compiled (or the first load would change the folder and reload every version) and
    renamed. Publishing the same version again changes nothing; another version of the same number is refused.
    A segmenter's encoder goes first, and nothing is written before both are known to fit.
    """
    says = described(package)
    parts = [({name: data for name, data in package.items() if name != standard.ENCODER_FILE}, says.model, says.version)]
    if isinstance(says, standard.Segmenter):
        encoder = package[standard.ENCODER_FILE]
        behind = standard.Encoder(says.encoder.model, says.encoder.version, says.preparation, _hash(encoder))
        files = {
            standard.WEIGHTS_FILE: encoder, standard.FILE: standard.render(behind).encode(), **_code(behind.model, encoder),
        }
        parts.insert(0, (files, behind.model, behind.version))
    try:
        for held, model, version in parts:
            _fits_beside(held[standard.WEIGHTS_FILE], repository / model, version)
        *_, target = [_publish(*part, repository) for part in parts]
    except OSError as away:
        msg = f"the model repository cannot be written: {away.strerror}"
        raise Transient(msg) from away
    return target


def _fits_beside(weights: bytes, home: Path, version: int) -> None:
    """Raise Permanent where a version is there with other weights, or those there have other tensors.

    One configuration, with the outputs' dimensions, is for all versions of a model, and those that run need it.
    """
    if (same := home / str(version)).exists():
        if standard.sha256_of(same / standard.WEIGHTS_FILE) != _hash(weights):
            raise Permanent(f"version {version} of {home.name} is already there with other weights")
        return
    names = [one.name for one in home.iterdir() if (one / standard.WEIGHTS_FILE).is_file()] if home.exists() else []
    newest = max((int(name) for name in names if name.isdigit()), default=0)
    if not newest:
        return
    new, old = parsed(weights), parsed((home / str(newest) / standard.WEIGHTS_FILE).read_bytes())
    if any(part(new) != part(old) for part in (inputs_of, outputs_of, types_of)):
        raise Permanent(
            f"its tensors are not those of {home.name} {newest}, and versions of one model share them: give it a name of its own",
        )


def _publish(package: Files, model: str, version: int, repository: Path) -> Path:
    home = repository / model
    target = home / str(version)
    if target.exists():
        return target
    home.mkdir(parents=True, exist_ok=True)
    # What a killed publisher of this version left; one version has one publisher at a time.
    for left in repository.glob(f".{model}-{version}-*"):
        shutil.rmtree(left)
    staged = Path(tempfile.mkdtemp(prefix=f".{model}-{version}-", dir=repository))
    staged.chmod(0o755)
    for name in set(package) - set(_OF_THE_MODEL):
        _write(staged / name, package[name])
    py_compile.compile(
        str(staged / CODE_FILE), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    for name in _OF_THE_MODEL:
        if name in package and (not (home / name).exists() or (home / name).read_bytes() != package[name]):
            _write(home / f".{name}", package[name])
            (home / f".{name}").replace(home / name)
    staged.rename(target)
    return target
