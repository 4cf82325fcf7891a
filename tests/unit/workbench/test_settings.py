"""What a platform is told for a simulated morning: durations in simulated time, and nothing clinical but the allowances."""

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from radloop.kit.errors import Misconfigured
from radloop.triage.adapters.policy import read_policy
from radloop.workbench.hospital.tempo import Tempo
from radloop.workbench.play.settings import ALLOWANCES, policy, settings


def test_the_demos_policy_is_the_packaged_one_in_simulated_time(tmp_path: Path) -> None:
    """Allowances, deadline and expiry are divided by the speed; codes and shares are what everybody has; a guard is a guard."""
    packaged = yaml.safe_load((files("radloop.triage") / "triage-policy.yaml").read_text())
    told = yaml.safe_load(policy(tmp_path, Tempo(60)).read_text())
    assert told["allowance_minutes"] == {name: minutes / 60 for name, minutes in ALLOWANCES.items()}
    assert told["prediction_deadline_seconds"] == packaged["prediction_deadline_seconds"] / 60
    assert told["reviews"]["expires_hours"] == packaged["reviews"]["expires_hours"] / 60
    assert told["priority_codes"] == packaged["priority_codes"]
    assert told["guards"].keys() == packaged["guards"].keys()
    assert 0 < told["guards"]["disagreement"] < 0.5
    assert [one["value"] for one in told["findings"]] == [one["value"] for one in packaged["findings"]]
    assert told["reviews"]["audit_share"] == packaged["reviews"]["audit_share"]


def test_triage_takes_the_demos_policy(tmp_path: Path) -> None:
    """It is a policy like any other, and one that never makes an AI lift pass a clinician's own class."""
    allowed = read_policy(str(policy(tmp_path, Tempo(60)))).allowance_minutes
    assert allowed.stat < allowed.asap < allowed.raised < allowed.routine


def test_requests_come_from_the_pool_alone(tmp_path: Path) -> None:
    """So their number is known."""
    reviews = yaml.safe_load(policy(tmp_path, Tempo(1)).read_text())["reviews"]
    assert (reviews["live_share"], reviews["live_per_day"]) == (0, 0)


def test_the_quiet_period_is_simulated_too(tmp_path: Path) -> None:
    """Half a minute of the morning is half a second at the usual speed."""
    assert settings(tmp_path, "http://ehr/fhir", "ris:1", Tempo(60))["RADLOOP_INGESTION_QUIET_SECONDS"] == "0.5"


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf"), 1e6])
def test_a_speed_nobody_could_play_at_is_refused(speed: float) -> None:
    """In words."""
    with pytest.raises(Misconfigured, match="--speed"):
        Tempo(speed)
