"""The change-control plan: margins agreed beforehand, as data. No number of a gate lives in code."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar, get_type_hints

from radloop.kit.errors import Misconfigured


@dataclass(frozen=True)
class GatePlan:
    """What a candidate must show on the gate set before it may leave the candidate stage."""

    positives_at_least: int
    negatives_at_least: int
    confidence: float
    replicates: int
    auc_not_worse_by: float
    sensitivity_not_worse_by: float
    auc_at_least_without_predecessor: float


@dataclass(frozen=True)
class TrainingPlan:
    """How heads are trained and what they may learn from."""

    labels_to_start: int
    quiet_seconds: float
    patience_seconds: float
    members: int
    penalty: float
    seed: int


@dataclass(frozen=True)
class CalibrationPlan:
    """What is fitted on the site's acceptance set, and from how many cases of each class it may be."""

    each_class_at_least: int
    coverage: float
    sensitivity: float
    distribution_quantile: float


@dataclass(frozen=True)
class ReleasePlan:
    """Where a version goes that passed its gate: production, or canary with its share of cases."""

    stage_after_gate: str
    canary_share: float


@dataclass(frozen=True)
class OutlinePlan:
    """How a segmenter is adapted to confirmed masks, and what its outlines must show; `steps` are of two images."""

    adapt_on_at_most: int
    steps: int
    seed: int
    gate_patients_at_least: int
    clicks: int
    dice_at_least: float
    dice_not_worse_by: float


@dataclass(frozen=True)
class Plan:
    """One change-control plan; `sha256` names the bytes it was read from and is part of every change record.

    Without `outlines` no segmenter is adapted: nothing was agreed on what it would have to show. `prevalence` is the share of live
    studies that show a finding, by its code, where the acceptance set has another mix.
    """

    model: str
    version: str
    gate: GatePlan
    training: TrainingPlan
    calibration: CalibrationPlan
    release: ReleasePlan
    sha256: str
    outlines: OutlinePlan | None = None
    prevalence: Mapping[str, float] = field(default_factory=dict)


P = TypeVar("P", GatePlan, TrainingPlan, CalibrationPlan, ReleasePlan, OutlinePlan)
_STAGES_AFTER_GATE = ("canary", "production")


def _section(kind: type[P], name: str, data: Mapping[str, object]) -> P:
    """Read one section, refusing what is missing, unknown or of another type: a misspelt margin must not pass as none."""
    values = data.get(name)
    types = get_type_hints(kind)
    if not isinstance(values, Mapping) or set(values) != {one.name for one in fields(kind)}:
        msg = f"change-control plan, section {name}: exactly these keys are needed: {', '.join(types)}"
        raise Misconfigured(msg)
    read = {}
    for key, value in values.items():
        wanted = types[key]
        fits = isinstance(value, (int, float) if wanted is float else wanted) and not isinstance(value, bool)
        if not fits:
            msg = f"change-control plan, {name}.{key}: not a {wanted.__name__}"
            raise Misconfigured(msg)
        read[key] = wanted(value)
    return kind(**read)


def plan_from(data: Mapping[str, object], sha256: str) -> Plan:
    """Build the plan from the parsed file; raise Misconfigured with the key that is wrong."""
    release = _section(ReleasePlan, "release", data)
    if release.stage_after_gate not in _STAGES_AFTER_GATE:
        msg = f"change-control plan, release.stage_after_gate: one of {', '.join(_STAGES_AFTER_GATE)}"
        raise Misconfigured(msg)
    calibration = _section(CalibrationPlan, "calibration", data)
    gate = _section(GatePlan, "gate", data)
    shares = (calibration.coverage, calibration.sensitivity, calibration.distribution_quantile, gate.confidence)
    if not all(0 < share < 1 for share in shares) or not 0 < release.canary_share < 1:
        msg = "change-control plan: coverage, sensitivity, quantile, confidence and share lie between 0 and 1"
        raise Misconfigured(msg)
    outlines = _section(OutlinePlan, "outlines", data) if "outlines" in data else None
    if outlines is not None:
        _in_range(outlines)
    return Plan(
        model=str(data.get("model", "")), version=str(data.get("version", "")), sha256=sha256,
        gate=gate, training=_section(TrainingPlan, "training", data), calibration=calibration, release=release,
        outlines=outlines, prevalence=_prevalence(data.get("prevalence", {})),
    )


def _prevalence(shares: object) -> dict[str, float]:
    """Read the site's mix; at either end no score would say anything."""
    if not isinstance(shares, Mapping) or not all(
        isinstance(code, str) and isinstance(share, float) and 0 < share < 1 for code, share in shares.items()
    ):
        raise Misconfigured("change-control plan, prevalence: codes of findings (in quotation marks), each with a share between 0 and 1")
    return dict(shares)


def _in_range(outlines: OutlinePlan) -> None:
    """Raise Misconfigured where a count counts nothing or a Dice coefficient is none: a gate with them would hold nobody back."""
    for name in ("adapt_on_at_most", "steps", "gate_patients_at_least", "clicks"):
        if getattr(outlines, name) < 1:
            raise Misconfigured(f"change-control plan, outlines.{name}: at least 1")
    if outlines.seed < 0:
        raise Misconfigured("change-control plan, outlines.seed: not below 0")
    for name in ("dice_at_least", "dice_not_worse_by"):
        if not 0 <= getattr(outlines, name) <= 1:
            raise Misconfigured(f"change-control plan, outlines.{name}: from 0 to 1")
