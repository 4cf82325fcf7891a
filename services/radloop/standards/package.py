"""The model package: `radloop.yaml` beside each version in the Triton repository says all that its weights cannot.

    <repository>/chest/config.pbtxt
    <repository>/chest/3/{model.onnx, model.py, ood.npz, radloop.yaml}

Which studies the model reads, how their pixels are prepared, what its outputs mean, how its scores become probabilities
and answers at this site, and the hashes that name the weights. Whoever writes one and whoever reads one use this module.
There are three kinds: a classifier (`Package`) answers findings; a segmenter (`Segmenter`) outlines what a reader points at,
with an image encoder (`Encoder`) behind it.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from radloop.kit.errors import Permanent
from radloop.kit.wording import misfits
from radloop.kit.yaml import NotYaml, yaml_of
from radloop.standards.codes import Code

FILE: Final = "radloop.yaml"
OOD_FILE: Final = "ood.npz"
WEIGHTS_FILE: Final = "model.onnx"
ENCODER_FILE: Final = "encoder.onnx"
LARGEST: Final = 256 * 1024
"""Bytes of a `radloop.yaml`. One of a hundred findings takes 30 KiB; one of 1 MiB keeps a processor for a quarter of a minute and more."""
LARGEST_REQUEST: Final = 256 * 1024 * 1024
"""Bytes of the images that are asked about at once. Triton has no limit of its own, and below the 2 GiB of protobuf's it is killed for want
of memory; the largest batch of the chest model is 19 MB."""
LARGEST_IMAGE: Final = LARGEST_REQUEST // 4
"""Bytes of one prepared image, so that some travel together; of the largest, a whole batch of 32 would already be protobuf's 2 GiB."""

# Strict: `rows: "224"` is a typing error, and the JSON Schema calls it one.
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]
Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
Cases = Annotated[int, Field(ge=0, strict=True)]
_HASH: Final = "^[0-9a-f]{64}$"
Sha256 = Annotated[str, Field(pattern=_HASH)]
NAME: Final = "^[A-Za-z0-9][A-Za-z0-9_-]*$"
Name = Annotated[str, Field(pattern=NAME)]
_TERM: Final = "^[A-Z0-9_ ]{1,16}$"
Term = Annotated[str, Field(pattern=_TERM)]
"""A DICOM Code String: in capitals, or it would never match."""
_ORIENTATION: Final = r"^[LRAPHF]{1,3}\\[LRAPHF]{1,3}$"
_FORMS: Final = {
    _HASH: "a SHA-256 is expected: 64 signs of 0 to 9 and a to f", NAME: "a name of letters, digits, - and _ is expected",
    _TERM: "a DICOM term is expected: 1 to 16 capitals, digits, _ or spaces",
    _ORIENTATION: r"a Patient Orientation is expected: rows and columns with a backslash between, as L\F",
}


class BadPackage(Permanent):
    """A `radloop.yaml` that cannot be read as a package; the reason names each field that is wrong."""


class _Strict:
    """A typing error in a package must not be read as a default: unknown fields are refused."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Ages(_Strict):
    """Patient ages in years at the study date: from `low` (included) to `high` (excluded)."""

    low: NotNegative
    high: Positive


@dataclass(frozen=True)
class Pixels(_Strict):
    """What an image must hold at least, in stored rows and columns: less cannot show what the model looks for."""

    rows_at_least: Count
    columns_at_least: Count


@dataclass(frozen=True)
class Applicability(_Strict):
    """Which images a model reads, in DICOM's own terms; an empty tuple and a None age ask nothing."""

    modalities: Annotated[tuple[Term, ...], Field(min_length=1)]
    body_parts: tuple[Term, ...] = ()
    views: tuple[Term, ...] = ()
    ages: Ages | None = None
    sexes: tuple[Literal["M", "F", "O"], ...] = ()
    procedure_codes: tuple[str, ...] = ()
    pixels: Pixels | None = None
    orientations: tuple[Annotated[str, Field(pattern=_ORIENTATION)], ...] = ()
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

    @property
    def image_bytes(self) -> int:
        """The size of one prepared image, four bytes a number."""
        return 4 * self.channels * self.rows * self.columns


_CHANNELS: Final = 3
IMAGENET: Final = Preparation(rows=224, columns=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What the chest classifier's backbone was pretrained with."""


@dataclass(frozen=True)
class Calibration(_Strict):
    """probability = sigmoid(slope * logit + offset) of the mean member logit, fitted at one site."""

    slope: Positive
    offset: Finite
    site: str
    prevalence: Probability
    cases: Cases


@dataclass(frozen=True)
class Conformal(_Strict):
    """Class-conditional thresholds: present is possible from `present_from`, absent up to `absent_to`."""

    present_from: Probability
    absent_to: Probability
    coverage: Probability
    cases: Cases


@dataclass(frozen=True)
class Finding(_Strict):
    """One finding that the model answers, in the order of the model's outputs."""

    code: Code
    operating_point: Probability
    calibration: Calibration
    conformal: Conformal


@dataclass(frozen=True)
class Tensors(_Strict):
    """The names of the ONNX file's input [B, C, H, W] and outputs [B, K, F] (of one member also [B, F]), [B, D] and [B, F, h, w]."""

    input: str = "IMAGE"
    members: str = "MEMBERS"
    embedding: str = "EMBEDDING"
    evidence: str = "EVIDENCE"
    """Empty where the model says nothing of where: its evidence is then the same all over the image."""
    scores: Literal["logits", "probabilities"] = "logits"
    """What the members' numbers are."""


@dataclass(frozen=True)
class OutOfDistribution(_Strict):
    """When an embedding is not of the kind the model knows: its squared distance exceeds the threshold.

    The file beside is an npz with `mean` [D] and `precision` [D, D].
    """

    threshold: Positive
    sha256: Sha256
    kind: Literal["mahalanobis"] = "mahalanobis"
    file: Literal["ood.npz"] = OOD_FILE


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
    origin: str = ""
    """The cycle that made it, empty where it was made elsewhere; the change records are found by it and by the weights."""
    tensors: Tensors = Tensors()
    kind: Literal["classifier"] = "classifier"

    @property
    def files(self) -> dict[str, str]:
        """The files beside `radloop.yaml` that it names, with their SHA-256."""
        ood = {OOD_FILE: self.ood.sha256} if self.ood else {}
        return {WEIGHTS_FILE: self.weights_sha256, **ood}


@dataclass(frozen=True)
class Behind(_Strict):
    """The encoder that a segmenter's images go through once, before anything is drawn."""

    model: Name
    version: Count
    weights_sha256: Sha256


@dataclass(frozen=True)
class Encoder(_Strict):
    """One version of an image encoder: IMAGE [N, C, rows, columns] to IMAGE_EMBEDDING [N, 256, rows / 4, columns / 4], half precision."""

    model: Name
    version: Count
    preparation: Preparation
    weights_sha256: Sha256
    intended_use: str = "Serves segmenters; answers nothing by itself."
    kind: Literal["encoder"] = "encoder"

    @property
    def files(self) -> dict[str, str]:
        """The files beside `radloop.yaml` that it names, with their SHA-256."""
        return {WEIGHTS_FILE: self.weights_sha256}


@dataclass(frozen=True)
class Segmenter(_Strict):
    """One version of an interactive segmentation model: prompts and an image embedding become a mask and a guess of its quality.

    Its `model.onnx` takes EMBEDDING [1, 256, 64, 64] half precision, PLACES [1, T, 2], LABELS [1, T], MASK [1, side, side]
    and HAS_MASK [1] and answers LOGITS [1, side, side] and QUALITY [1] (expected IoU): Segment Anything's own interface.
    """

    model: Name
    version: Count
    intended_use: str
    applicability: Applicability
    preparation: Preparation
    structures: Annotated[tuple[Code, ...], Field(min_length=1)]
    """What it was adapted to outline."""
    encoder: Behind
    weights_sha256: Sha256
    snapshot_sha256: Sha256
    """The confirmed masks it learned from."""
    trained_at: str = ""
    """ISO 8601, empty where unknown."""
    origin: str = ""
    """The cycle that made it, empty where it was made elsewhere."""
    kind: Literal["segmenter"] = "segmenter"

    @property
    def files(self) -> dict[str, str]:
        """The files beside `radloop.yaml` that it names, with their SHA-256."""
        return {WEIGHTS_FILE: self.weights_sha256, ENCODER_FILE: self.encoder.weights_sha256}


AnyPackage = Package | Segmenter | Encoder
_KINDS: Final = {
    "classifier": TypeAdapter[AnyPackage](Package), "segmenter": TypeAdapter[AnyPackage](Segmenter),
    "encoder": TypeAdapter[AnyPackage](Encoder),
}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `radloop.yaml`, for whoever writes one elsewhere."""
    told = TypeAdapter(AnyPackage).json_schema()
    parts = told["$defs"]
    for kind in (Segmenter, Encoder):  # a file without `kind` is a classifier's
        parts[kind.__name__]["required"].append("kind")
    parts["Preparation"]["oneOf"] = [
        {
            "properties": {"channels": {"const": count}, **{name: {"minItems": count, "maxItems": count} for name in ("mean", "std")}},
            **({} if count == _CHANNELS else {"required": ["channels"]}),
        }
        for count in (1, _CHANNELS)
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": FILE,
        "description": "A model package: one version of a classifier, of a segmenter, or of the encoder behind one.", **told,
    }


def parse(text: str, where: str = FILE) -> AnyPackage:
    """Return the package that a `radloop.yaml` describes.

    BadPackage, with `where` it lies, names the wrong fields; a text that is too large is refused unread.
    """
    _require_small(where, len(text.encode(errors="replace")))
    try:
        fields = yaml_of(text)
    except NotYaml as broken:
        raise BadPackage(f"{where}: {broken.reason}") from broken
    kind = fields.get("kind", "classifier") if isinstance(fields, dict) else "classifier"
    if not isinstance(kind, str) or kind not in _KINDS:
        raise BadPackage(f"{where}: kind: one of {', '.join(_KINDS)} is expected")
    try:
        package = _KINDS[kind].validate_python(fields)
    except ValidationError as wrong:
        raise BadPackage(f"{where}: {misfits(wrong, _FORMS)}") from wrong
    _consistent(package, where)
    return package


def classifier(package: AnyPackage) -> Package:
    """Return the package as a classifier's; BadPackage where it is of another kind."""
    if not isinstance(package, Package):
        raise BadPackage(f"{package.model} {package.version} is a {package.kind}, no classifier")
    return package


def render(package: AnyPackage) -> str:
    """Return the `radloop.yaml` of a package; BadPackage where a value is out of range."""
    text = yaml.safe_dump(_plain(asdict(package)), sort_keys=False, allow_unicode=True, width=120)
    parse(text)
    return text


def read(folder: Path, where: str = FILE) -> AnyPackage:
    """Return the package of a version's folder; BadPackage, with `where` its file lies, where it is missing, too large or wrong."""
    try:
        _require_small(where, (folder / FILE).stat().st_size)
        text = (folder / FILE).read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError) as missing:
        raise BadPackage(f"{folder.name} has no {FILE}") from missing
    except UnicodeDecodeError as damaged:
        raise BadPackage(f"{where if where != FILE else f'{FILE} of {folder.name}'} is not UTF-8") from damaged
    return parse(text, where)


def write(folder: Path, package: AnyPackage) -> None:
    """Write the package's `radloop.yaml` into a version's folder."""
    (folder / FILE).write_text(render(package), encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file, as the hashes of a package name it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_small(name: str, size: int) -> None:
    if size > LARGEST:
        raise BadPackage(f"{name} has {size:,} bytes, and at most {LARGEST:,} are read")


def _plain(value: object) -> object:
    """Return the value with lists for tuples: YAML has no tuples."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _consistent(package: AnyPackage, where: str) -> None:
    preparation = package.preparation
    if not len(preparation.mean) == len(preparation.std) == preparation.channels:
        raise BadPackage(f"{where}: preparation.mean and preparation.std need one number per channel")
    if preparation.image_bytes > LARGEST_IMAGE:
        raise BadPackage(f"{where}: preparation: an image of these rows, columns and channels is more than {LARGEST_IMAGE >> 20} MiB")
    if isinstance(package, Segmenter) and package.encoder.model == package.model:
        raise BadPackage(f"{where}: encoder.model needs a name of its own, other than the segmenter's")
    if isinstance(package, Package) and len({finding.code for finding in package.findings}) < len(package.findings):
        raise BadPackage(f"{where}: findings: a code stands there twice")
    ages = package.applicability.ages if not isinstance(package, Encoder) else None
    if ages is not None and ages.low >= ages.high:
        raise BadPackage(f"{where}: applicability.ages.low must lie below applicability.ages.high")
