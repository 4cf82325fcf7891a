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
from string import Template

import numpy as np

from radloop.kit.errors import Permanent, Transient
from radloop.retraining.adapters.export import graph, heads_of
from radloop.retraining.domain.calibration import Platt
from radloop.retraining.domain.conformal import Conformal
from radloop.retraining.domain.distribution import Distribution
from radloop.retraining.domain.heads import Heads
from radloop.retraining.domain.learning import Learned, Reading
from radloop.standards import package as standard

CONFIG, GPU_CONFIG, SNAPSHOT_FILE, CODE_FILE = "config.pbtxt", "config.gpu.pbtxt", "snapshot.npz", "model.py"
_OF_THE_MODEL = (CONFIG, GPU_CONFIG)
_NEEDED = {standard.WEIGHTS_FILE, CODE_FILE, standard.FILE, SNAPSHOT_FILE, CONFIG}
_KNOWN = {*_NEEDED, standard.OOD_FILE, GPU_CONFIG}
_LARGEST = 512 * 1024 * 1024
_CELLS = 7

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Base:
    """What a new version takes over from the one before it: everything but what was learned."""

    package: standard.Package
    site: str
    trained_at: str


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
        base.package, members=learned.heads.weight.shape[0], trained_at=base.trained_at, weights_sha256=_hash(weights),
        snapshot_sha256=_hash(snapshot), ood=standard.OutOfDistribution(learned.distribution.threshold, _hash(ood)),
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
        standard.FILE: standard.render(described).encode(), **_code(described, learned.heads),
    }


def _code(says: standard.Package, heads: Heads) -> dict[str, bytes]:
    """Return what Triton runs and reads of a package: always our own, whatever a package from elsewhere brings."""
    members, findings, width = heads.weight.shape
    values = {
        "model": says.model, "channels": says.preparation.channels, "rows": says.preparation.rows,
        "columns": says.preparation.columns, "members": members, "findings": findings, "embedding": width, "cells": _CELLS,
    }
    folder = files("radloop.retraining") / "adapters" / "triton"
    return {
        CODE_FILE: (folder / CODE_FILE).read_bytes(),
        **{name: Template((folder / name).read_text()).substitute(values).encode() for name in _OF_THE_MODEL},
    }


def described(package: Files) -> standard.Package:
    """Return what a package says of itself, after checking its files against the hashes it names."""
    missing = _NEEDED - set(package)
    if missing:
        msg = f"the package lacks {', '.join(sorted(missing))}"
        raise Permanent(msg)
    says = standard.parse(package[standard.FILE].decode("utf-8", errors="replace"))
    expected = {standard.WEIGHTS_FILE: says.weights_sha256, SNAPSHOT_FILE: says.snapshot_sha256}
    if says.ood is not None:
        expected[says.ood.file] = says.ood.sha256
    for name, named in expected.items():
        if name not in package or _hash(package[name]) != named:
            msg = f"{name} is not what {standard.FILE} names"
            raise Permanent(msg)
    return says


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
    """Return what the gate compares of a version: its heads and readings."""
    return heads_of(package[standard.WEIGHTS_FILE]), readings_of(described(package))


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
                if not entry.isfile() or entry.size > _LARGEST or entry.name not in _KNOWN:
                    msg = "the package holds something that is no file of a model version"
                    raise Permanent(msg)
                held = tar.extractfile(entry)
                found[entry.name] = held.read() if held is not None else b""
    except tarfile.TarError as broken:
        msg = "the package is not a tar"
        raise Permanent(msg) from broken
    code = _code(described(found), heads_of(found[standard.WEIGHTS_FILE]))
    try:
        with zipfile.ZipFile(io.BytesIO(found[SNAPSHOT_FILE])) as held_rows:
            held_rows.testzip()
    except zipfile.BadZipFile as broken:
        msg = f"{SNAPSHOT_FILE} is damaged"
        raise Permanent(msg) from broken
    return {**found, **code}


def from_folder(version: Path) -> dict[str, bytes]:
    """Read a version's folder of a model repository back, with the configuration beside it."""
    places = {name: (version.parent if name in _OF_THE_MODEL else version) / name for name in _KNOWN}
    return {name: place.read_bytes() for name, place in places.items() if place.is_file()}


def _write(place: Path, data: bytes) -> None:
    with place.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def publish(package: Files, repository: Path) -> Path:
    """Put a version into the Triton repository without touching the running ones, and return its folder.

    It is written under a dot-name, compiled (or the first load would change the folder and reload every version) and
    renamed. Publishing the same version again changes nothing; another version of the same number is refused.
    """
    says = described(package)
    home = repository / says.model
    target = home / str(says.version)
    try:
        if target.exists():
            if standard.sha256_of(target / standard.WEIGHTS_FILE) != says.weights_sha256:
                msg = f"version {says.version} is already there with other weights"
                raise Permanent(msg)
            return target
        home.mkdir(parents=True, exist_ok=True)
        # What a killed publisher of this version left; one version has one publisher at a time.
        for left in repository.glob(f".{says.model}-{says.version}-*"):
            shutil.rmtree(left)
        staged = Path(tempfile.mkdtemp(prefix=f".{says.model}-{says.version}-", dir=repository))
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
    except OSError as away:
        msg = f"the model repository cannot be written: {away.strerror}"
        raise Transient(msg) from away
    return target

