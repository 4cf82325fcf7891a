"""The triage policy: clinical thresholds as data, versioned, never in code or environment."""

from dataclasses import dataclass

from radloop.events.common import Code


@dataclass(frozen=True, kw_only=True)
class FindingPolicy:
    """From which calibrated probability on a finding may lift a routine case."""

    system: str
    value: str
    display: str
    lift_at: float

    @property
    def code(self) -> Code:
        """The finding's code."""
        return Code(system=self.system, value=self.value, display=self.display)


@dataclass(frozen=True, kw_only=True)
class Allowances:
    """Minutes from arrival by which a human should have read a case, by class."""

    stat: float
    asap: float
    raised: float
    routine: float

    def of(self, name: str) -> float:
        """Return the allowance of a class in minutes."""
        return float(getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class PriorityCodes:
    """HL7 table 0485 codes of the classes."""

    stat: str
    asap: str
    raised: str
    routine: str

    def of(self, name: str) -> str:
        """Return the code of a class."""
        return str(getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class Guards:
    """When the model counts as unsure: standard deviation of the members' probabilities above `disagreement`."""

    disagreement: float


@dataclass(frozen=True, kw_only=True)
class Reviews:
    """Which answers are asked for, and how many."""

    audit_share: float
    live_share: float
    live_per_day: int
    expires_hours: float
    cost_seconds: float


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The whole policy, by version."""

    version: str
    allowance_minutes: Allowances
    prediction_deadline_seconds: float
    priority_codes: PriorityCodes
    guards: Guards
    findings: tuple[FindingPolicy, ...]
    reviews: Reviews
