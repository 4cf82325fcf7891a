"""What the demo comes to, counted at the far end, and whether it holds. Pure: everything is handed in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WITHDRAWN = "entered-in-error"
CURRENT = "partial"
WITHDRAWN_WITHIN_S = 5.0


@dataclass(frozen=True)
class Played:
    """One case of the morning, as the outside knows it.

    `predicted`: the list showed a serving version's reading; `closed_first`: signed or cancelled before the report could
    go out; `taken_back`: rejected, or its order cancelled; `reports`: the statuses of this case's reports in the EHR; `reason`: why
    it has none, in the platform's words.
    """

    case_id: str
    predicted: bool
    closed_first: bool
    taken_back: bool
    reports: tuple[str, ...]
    reason: str = ""
    matched: bool = True

    @property
    def owed(self) -> bool:
        """Whether the EHR must have a report of it."""
        return self.predicted and self.matched and not self.closed_first


@dataclass(frozen=True)
class Counted:
    """How reports stand."""

    read_by_model: int
    reports_in_ehr: int
    reports_lost: int
    reports_twice: int
    unexplained: int


@dataclass(frozen=True)
class Required:
    """What the figures must come to; None where a small demo does not ask for it."""

    labels_asked: int | None = 100
    priority_changes: int | None = 5
    releases: int | None = 1
    auc_gain: float | None = 0.005
    before_opened_share: float | None = 0.95
    read_by_model: int | None = 1
    irregularities: int | None = 13


def count(played: Sequence[Played], reports_elsewhere: int) -> Counted:
    """Count reports; `reports_elsewhere` are reports of ours in the EHR that belong to no case of the morning."""
    owed = [one for one in played if one.owed]
    return Counted(
        read_by_model=len(owed),
        reports_in_ehr=sum(len(one.reports) for one in played) + reports_elsewhere,
        reports_lost=sum(not one.reports for one in owed),
        reports_twice=sum(len(one.reports) > 1 for one in owed),
        unexplained=sum(unexplained(one) for one in played) + reports_elsewhere,
    )


def unexplained(one: Played) -> bool:
    """Say whether a case fits neither: a report whose status nothing explains, or none without a reason, or one too many."""
    if one.owed:
        expected = WITHDRAWN if one.taken_back else CURRENT
        return any(status != expected for status in one.reports)
    return bool(one.reports) or not one.reason


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile, 0.0 where nothing was measured."""
    return float(np.percentile(values, share)) if values else 0.0


def failures(figures: Mapping[str, float | None], required: Required, problems: Sequence[str]) -> list[str]:
    """Return what does not hold, in words; empty where everything does."""
    wrong = [f"{name} is {figures[name]:g}, not 0" for name in _NONE if figures[name]]
    if figures["reports_in_ehr"] != figures["read_by_model"]:
        wrong.append(f"reports_in_ehr is {figures['reports_in_ehr']:g} for {figures['read_by_model']:g} cases read")
    if required.labels_asked is not None and figures["labels_asked"] != required.labels_asked:
        wrong.append(f"labels_asked is {figures['labels_asked']:g}, not {required.labels_asked}")
    if figures["irregularities_as_expected"] != figures["irregularities"]:
        wrong.append(f"{figures['irregularities_as_expected']:g} of {figures['irregularities']:g} irregularities ended as documented")
    wrong += [
        f"{name} is {_said(figures[name])}, less than {least:g}"
        for name, least in (
            ("priority_changes", required.priority_changes),
            ("model_versions_released", required.releases),
            ("auc_gain", required.auc_gain),
            ("before_opened_share", required.before_opened_share),
            ("read_by_model", required.read_by_model),
            ("irregularities", required.irregularities),
        )
        if least is not None and not (figures[name] or 0.0) >= least
    ]
    return [*wrong, *problems]


def _said(value: float | None) -> str:
    return "of none" if value is None else f"{value:g}"


_NONE = ("reports_lost", "reports_twice", "unexplained")
