"""The model package: `radloop.yaml` beside each version in the Triton repository says all that its weights cannot.

    <repository>/chest/config.pbtxt
    <repository>/chest/3/{model.onnx, model.py, ood.npz, radloop.yaml}

Which studies the model reads, how their pixels are prepared, what its outputs mean, how its scores become probabilities
and answers at this site, and the hashes that name the weights. Whoever writes one and whoever reads one use this module.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from radloop.kit.errors import Permanent
from radloop.standards.codes import Code

FILE: Final = "radloop.yaml"
OOD_FILE: Final = "ood.npz"
WEIGHTS_FILE: Final = "model.onnx"

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class BadPackage(Permanent):
    """A `radloop.yaml` that cannot be read as a package; the reason names each field that is wrong."""


class _Strict:
    """A typing error in a package must not be read as a default: unknown fields are refused."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Ages(_Strict):
    """Patient ages in years at the study date: from `low` (included) to `high` (excluded)."""

    low: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    high: Positive


@dataclass(frozen=True)
class Applicability(_Strict):
    """Which images a model reads, in DICOM's own terms; an empty tuple and a None age ask nothing."""

    modalities: Annotated[tuple[str, ...], Field(min_length=1)]
    body_parts: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    ages: Ages | None = None
    sexes: tuple[Literal["M", "F", "O"], ...] = ()
    procedure_codes: tuple[str, ...] = ()
    orientations: tuple[Annotated[str, Field(pattern=r"^[LRAPHF]{1,3}\\[LRAPHF]{1,3}$")], ...] = ()
    r"""Patient Orientation (0020,0020) of rows and columns as stored, `L\F`; an image that states another is not read."""


@dataclass(frozen=True)
class Preparation(_Strict):
    """How a stored frame becomes the model's input: window, size, channels and scale.

    Grey values after modality LUT, VOI LUT or window and MONOCHROME1 inversion run from 0 to 1, are resized whole to
    rows × columns (`keep_aspect` false: the training images were), repeated over the channels and normalised:
    (value - mean) / std per channel.
    """

    rows: Count
    columns: Count
    mean: Annotated[tuple[Finite, ...], Field(min_length=1)]
    std: Annotated[tuple[Positive, ...], Field(min_length=1)]
    channels: Literal[1, 3] = 3
    voi: Literal["stored", "full-range"] = "stored"
    """`stored`: the object's VOI LUT, else its window, else its full range; `full-range`: least to greatest value."""
    resize: Literal["area", "bilinear"] = "area"
    keep_aspect: Literal[False] = False


IMAGENET: Final = Preparation(rows=224, columns=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What the chest classifier's backbone was pretrained with."""


@dataclass(frozen=True)
class Calibration(_Strict):
    """probability = sigmoid(slope * logit + offset) of the mean member logit, fitted at one site."""

    slope: Positive
    offset: Finite
    site: str
    prevalence: Probability
    cases: Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Conformal(_Strict):
    """Class-conditional thresholds: present is possible from `present_from`, absent up to `absent_to`."""

    present_from: Probability
    absent_to: Probability
    coverage: Probability
    cases: Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Finding(_Strict):
    """One finding that the model answers, in the order of the model's outputs."""

    code: Code
    operating_point: Probability
    calibration: Calibration
    conformal: Conformal


@dataclass(frozen=True)
class Tensors(_Strict):
    """The names of the Triton model's input [B, C, H, W] and outputs [B, K, F] (logits), [B, D] and [B, F, h, w]."""

    input: str = "IMAGE"
    members: str = "MEMBERS"
    embedding: str = "EMBEDDING"
    evidence: str = "EVIDENCE"


@dataclass(frozen=True)
class OutOfDistribution(_Strict):
    """When an embedding is not of the kind the model knows: its squared distance exceeds the threshold.

    The file beside is an npz with `mean` [D] and `precision` [D, D].
    """

    threshold: Positive
    sha256: Sha256
    kind: Literal["mahalanobis"] = "mahalanobis"
    file: str = OOD_FILE


@dataclass(frozen=True)
class Package(_Strict):
    """One version of a model with everything that is needed to use it rightly."""

    model: Name
    version: Count
    intended_use: str
    applicability: Applicability
    preparation: Preparation
    findings: Annotated[tuple[Finding, ...], Field(min_length=1)]
    members: Count
    """The size of the ensemble: the first dimension of the members' logits [K, F]."""
    ood: OutOfDistribution | None
    weights_sha256: Sha256
    snapshot_sha256: Sha256
    """The training snapshot."""
    trained_at: str = ""
    """ISO 8601, empty where unknown."""
    tensors: Tensors = Tensors()


_PACKAGE: Final = TypeAdapter(Package)


def parse(text: str) -> Package:
    """Return the package that a `radloop.yaml` describes, BadPackage with every wrong field where it does not."""
    try:
        fields = yaml.safe_load(text)
    except yaml.YAMLError as broken:
        raise BadPackage(f"{FILE} is not YAML: {broken}") from broken
    try:
        package = _PACKAGE.validate_python(fields)
    except ValidationError as wrong:
        raise BadPackage(f"{FILE}: {_sentences(wrong)}") from wrong
    _consistent(package)
    return package


def render(package: Package) -> str:
    """Return the `radloop.yaml` of a package; BadPackage where a value is out of range."""
    text = yaml.safe_dump(_plain(asdict(package)), sort_keys=False, allow_unicode=True, width=120)
    parse(text)
    return text


def read(folder: Path) -> Package:
    """Return the package of a version's folder; BadPackage where its file is missing or wrong."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except FileNotFoundError as missing:
        raise BadPackage(f"{folder.name} has no {FILE}") from missing
    return parse(text)


def write(folder: Path, package: Package) -> None:
    """Write the package's `radloop.yaml` into a version's folder."""
    (folder / FILE).write_text(render(package), encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file, as the hashes of a package name it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: object) -> object:
    """Return the value with lists for tuples: YAML has no tuples."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _sentences(wrong: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, error['loc'])) or 'document'}: {error['msg']}" for error in wrong.errors())


def _consistent(package: Package) -> None:
    preparation = package.preparation
    if not len(preparation.mean) == len(preparation.std) == preparation.channels:
        raise BadPackage(f"{FILE}: preparation.mean and preparation.std need one number per channel")
    ages = package.applicability.ages
    if ages is not None and ages.low >= ages.high:
        raise BadPackage(f"{FILE}: applicability.ages.low must lie below applicability.ages.high")
