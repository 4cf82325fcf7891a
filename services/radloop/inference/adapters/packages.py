"""Model packages from the Triton repository's folder, each read and checked once."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from radloop.inference.domain.answer import Home
from radloop.inference.domain.model import NEED, Model, Version
from radloop.inference.ports import Described, Known, Packages
from radloop.kit.clock import Clock, SystemClock
from radloop.kit.errors import Permanent, Transient
from radloop.kit.worker import places
from radloop.standards import package as standard
from radloop.standards.package import Segmenter
from radloop.standards.strangers import known

MENDED_AFTER_S = 5.0
"""A version that is not in order is looked at again after this: it may be mended where it lies."""
UNFORESEEN = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, SyntaxError, RuntimeError)
"""What comes of a version's files or answers in a way that nobody thought of: its own fault, and no reason to leave the others unloaded."""
KEPT = 64
"""More than is ever served at once, as all of it is asked for twice a second; a classifier's known embeddings take some 13 MB."""


def unforeseen(surprise: Exception) -> str:
    """Return what is told of it: where, and never its message, which may repeat anything."""
    return f"{type(surprise).__name__} at {places(surprise)[-1]}, which nobody foresaw"


class RepositoryPackages:
    """Packages by model, version and released weights, the last ones kept; a version's folder never changes once it is there."""

    def __init__(self, repository: Path, clock: Clock | None = None) -> None:
        self._repository, self._clock = repository, clock or SystemClock()
        self._wrong: dict[tuple[str, int, str], tuple[str, float]] = {}
        self._useless: dict[str, str] = {}
        """Why an `ood.npz` of this SHA-256 was refused: seconds of work, with everybody waiting, and again whenever it is looked at."""
        self._known: OrderedDict[tuple[str, int, str], Known] = OrderedDict()
        self._lock = threading.Lock()

    def describe(self, model: str, version: int, weights_sha256: str) -> Known:
        """Return what a version is; Permanent where it is missing, wrong, or its weights are not those released."""
        key = (model, version, weights_sha256)
        with self._lock:
            if key not in self._known:
                self._known[key] = self._looked_at(key)
                if len(self._known) > KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]

    def _looked_at(self, key: tuple[str, int, str]) -> Known:
        """Read a version, and what is wrong with it once in a while only: every reading asks, and weights take long to hash."""
        reason, until = self._wrong.get(key, ("", 0.0))
        if reason and self._clock.monotonic() < until:
            raise Permanent(reason)
        try:
            found = self._read(*key)
        except (Permanent, *UNFORESEEN) as wrong:
            reason = wrong.reason if isinstance(wrong, Permanent) else f"{key[0]} {key[1]} cannot be looked at: {unforeseen(wrong)}"
            self._wrong[key] = reason, self._clock.monotonic() + MENDED_AFTER_S
            raise Permanent(reason) from wrong
        self._wrong.pop(key, None)
        return found

    def _read(self, model: str, version: int, weights_sha256: str) -> Known:
        folder = self._repository / model / str(version)
        try:
            package = standard.read(folder)
            weights = standard.sha256_of(folder / standard.WEIGHTS_FILE)
            if isinstance(package, Segmenter):
                _check_encoder(self._repository, package.encoder)
            found = Described(package, self._home(folder, package)) if isinstance(package, standard.Package) else package
        except FileNotFoundError as missing:
            raise Permanent(f"{model} {version} is not whole: {Path(missing.filename or '').name} is missing") from missing
        except OSError as away:
            raise Transient(f"the model repository cannot be read: {away.strerror}") from away
        if (package.model, package.version) != (model, version):
            raise Permanent(f"the package of {model} {version} calls itself {package.model} {package.version}")
        if weights != package.weights_sha256 or (weights_sha256 and weights != weights_sha256):
            raise Permanent(f"the weights of {model} {version} are not those that were released")
        return found

    def _home(self, folder: Path, package: standard.Package) -> Home:
        """Return the embeddings a version knows; Permanent where it cannot tell strangers by them: it is not used."""
        if package.ood is None:
            raise Permanent(f"{package.model} {package.version} has no out-of-distribution parameters")
        data = (folder / package.ood.file).read_bytes()
        if hashlib.sha256(data).hexdigest() != package.ood.sha256:
            raise Permanent(f"{package.ood.file} of {package.model} {package.version} is not what its package names")
        useless = self._useless.get(package.ood.sha256, "")
        if not useless:
            try:
                mean, precision = known(data)
                return Home(mean, precision, package.ood.threshold)
            except Permanent as refused:
                useless = self._useless[package.ood.sha256] = refused.reason
        raise Permanent(f"{package.model} {package.version}: {useless}")


def with_encoders(models: Sequence[Model], packages: Packages) -> tuple[Model, ...]:
    """Return the models that Triton should hold: those released, and the encoders behind the segmenters among them."""
    behind: dict[tuple[str, int], Version] = {}
    for model in models:
        for version in model.to_load():
            try:
                described = packages.describe(model.model, version.version, version.weights_sha256)
            except (Permanent, Transient, *UNFORESEEN):
                continue  # it is not loaded either, and the loader says why
            if isinstance(described, Segmenter):
                encoder = described.encoder
                needed = replace(
                    version, version=encoder.version, weights_sha256=encoder.weights_sha256,
                    stage="production" if version.stage == "retired" else version.stage,
                )
                known = behind.get((encoder.model, encoder.version))
                if known is None or NEED.index(needed.stage) < NEED.index(known.stage):
                    behind[encoder.model, encoder.version] = needed
    names = {name for name, _ in behind}
    return (*models, *(Model(model=name, versions=tuple(one for (of, _), one in behind.items() if of == name)) for name in sorted(names)))


def _check_encoder(repository: Path, encoder: standard.Behind) -> None:
    """Raise Permanent where the encoder beside a segmenter is not the one that it was adapted behind."""
    if standard.sha256_of(repository / encoder.model / str(encoder.version) / standard.WEIGHTS_FILE) != encoder.weights_sha256:
        raise Permanent(f"the weights of {encoder.model} {encoder.version} are not those that its segmenter names")
