"""What a stack is told for a drill: a policy that lifts often, a plan whose gate a small archive can hold, a hospital behind proxies."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from radloop.workbench.hospital.cohort import Sizes
from radloop.workbench.hospital.patients import ISSUER

QUIET_SECONDS = 0.5
"""After so many seconds without another image a study is complete."""
# Long after the drill: that a prediction comes late is what a drill brings about, and it must not change what is said.
_NO_DEADLINE = 86_400.0
_LIFT_AT, _DISAGREEMENT = 0.1, 0.5
SIZES = Sizes(
    seeds=20, acceptance=40, pool=30, gate_positives=26, gate_negatives=26, morning=60, irregular=0, prevalence=0.5,
)
"""The archive that a first release needs under the drill's plan, and the images that its stream sends."""
LABELS = 24
_EACH_CLASS, _FLOOR = 14, 0.5
_NEVER = 1_000_000


def settings(home: Path, ehr: str, ris: str) -> dict[str, str]:
    """Return the rooms' settings, with the policy and the plan they name written into this home; `ris` is host:port."""
    return {
        "RADLOOP_PUBLISHING_EHR": ehr,
        "RADLOOP_PUBLISHING_RIS": ris,
        "RADLOOP_INGESTION_QUIET_SECONDS": f"{QUIET_SECONDS:g}",
        "RADLOOP_INGESTION_ISSUER": ISSUER,
        "RADLOOP_TRIAGE_POLICY": str(_written(home / "drill-policy.yaml", policy())),
        "RADLOOP_RETRAINING_PLAN": str(_written(home / "drill-plan.yaml", plan())),
    }


def policy() -> Mapping[str, Any]:
    """Return the packaged policy without a deadline, with many lifts, and with no question to a reader."""
    told: dict[str, Any] = yaml.safe_load((files("radloop.triage") / "triage-policy.yaml").read_text())
    told["version"] = f"{told['version']}-drill"
    told["prediction_deadline_seconds"] = _NO_DEADLINE
    told["guards"]["disagreement"] = _DISAGREEMENT
    for finding in told["findings"]:
        finding["lift_at"] = _LIFT_AT
    told["reviews"] |= {"live_share": 0, "live_per_day": 0}
    return told


def plan() -> Mapping[str, Any]:
    """Return the packaged plan with smaller counts: every gate is held, on fewer cases. No cycle begins by itself."""
    told: dict[str, Any] = yaml.safe_load((files("radloop.retraining") / "change-control.yaml").read_text())
    told["version"] = f"{told['version']}-drill"
    told["training"]["labels_to_start"] = _NEVER
    told["calibration"]["each_class_at_least"] = _EACH_CLASS
    told["gate"] |= {
        "positives_at_least": SIZES.gate_positives - 6, "negatives_at_least": SIZES.gate_negatives - 6,
        "auc_at_least_without_predecessor": _FLOOR, "auc_not_worse_by": 0.5, "sensitivity_not_worse_by": 0.9,
    }
    return told


def _written(file: Path, told: Mapping[str, Any]) -> Path:
    file.write_text(yaml.safe_dump(dict(told), sort_keys=False))
    return file.resolve()
