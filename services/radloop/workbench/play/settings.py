"""What a platform is told so that a simulated morning can be played on it: the demo's policy, in simulated time, and who is who."""

from importlib.resources import files
from pathlib import Path

import yaml

from radloop.workbench.hospital.patients import ISSUER
from radloop.workbench.hospital.tempo import Tempo

POLICY = "demo-policy.yaml"
QUIET_SECONDS = 30.0
"""After so many simulated seconds without another image a study is complete."""
# Minutes by which a case should have been read. The head start of a lift, routine less raised, is three quarters of the 95th
# percentile that such a morning has first in, first out (about 48 minutes): the hard guard that keeps the longest wait as it was.
ALLOWANCES = {"stat": 10.0, "asap": 20.0, "raised": 24.0, "routine": 60.0}
LIFT_AT, DISAGREEMENT = 0.2, 0.25
"""What such a site would choose: whoever is likelier to have the finding than the average study (one in five) is read sooner, as a lift
costs the others at most the head start; and an ensemble that has learned from some hundred labels agrees less than one that has learned
from thousands. How many lifts are right is in the report."""
_HEAD = """\
# The demo's policy: the packaged one with allowances for a morning of two readers, every duration divided by the demo's speed
# ({speed:g} simulated seconds to a real one), a threshold for lifts and a guard for a site with few labels, and all review
# requests from the pool, so that their number is known.
"""


def settings(home: Path, ehr: str, ris: str, tempo: Tempo) -> dict[str, str]:
    """Return the rooms' settings, the policy's file in this home among them; `ehr` is a FHIR base, `ris` host:port."""
    return {
        "RADLOOP_PUBLISHING_EHR": ehr,
        "RADLOOP_PUBLISHING_RIS": ris,
        "RADLOOP_INGESTION_QUIET_SECONDS": f"{tempo.real(QUIET_SECONDS):g}",
        "RADLOOP_INGESTION_ISSUER": ISSUER,
        "RADLOOP_TRIAGE_POLICY": str(policy(home, tempo)),
    }


def policy(home: Path, tempo: Tempo) -> Path:
    """Write the demo's policy and return where it lies."""
    told = yaml.safe_load((files("radloop.triage") / "triage-policy.yaml").read_text())
    told["version"] = f"{told['version']}-demo"
    told["allowance_minutes"] = {name: tempo.real(minutes) for name, minutes in ALLOWANCES.items()}
    told["prediction_deadline_seconds"] = tempo.real(told["prediction_deadline_seconds"])
    told["guards"]["disagreement"] = DISAGREEMENT
    for finding in told["findings"]:
        finding["lift_at"] = LIFT_AT
    told["reviews"] |= {"live_share": 0, "live_per_day": 0, "expires_hours": tempo.real(told["reviews"]["expires_hours"])}
    file = home / POLICY
    file.write_text(_HEAD.format(speed=tempo.speed) + yaml.safe_dump(told, sort_keys=False))
    return file.resolve()
