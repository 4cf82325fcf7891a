"""How cycles and versions are told: once each, with the evidence of their gate, by the finding's name."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from radloop.standards.codes import FINDINGS
from radloop.workbench.grpc import Cycle, Version
from radloop.workbench.telling import Teller

RELEASED = frozenset({"production", "retired"})
FIRST = ("added by hand: no gate was held",)


@dataclass
class Said:
    """How the cycles ended, told as they did."""

    cycles: list[Cycle] = field(default_factory=list)

    def tell_cycle(self, cycle: Cycle, teller: Teller) -> None:
        """Keep how a cycle ended and say it with its evidence, once."""
        if not cycle.id or cycle.id in {one.id for one in self.cycles}:
            return
        self.cycles.append(cycle)
        for line in told_of(cycle):
            teller.line(line)

    def tell_versions(self, versions: Sequence[Version], teller: Teller) -> None:
        """Say what became of the versions of cycles that began by themselves."""
        told = {cycle.version for cycle in self.cycles}
        for one in versions:
            if one.number not in told and one.evidence != FIRST:
                for line in told_of_version(one):
                    teller.line(line)

    @property
    def released(self) -> tuple[int, ...]:
        """Return the versions that were released."""
        return tuple(sorted(one.version for one in self.cycles if one.state == "released"))


def told_of_version(one: Version) -> tuple[str, ...]:
    """Return where a version stands, a line, and its evidence, a line each."""
    stage = one.stage if one.stage in RELEASED or one.gate_passed or one.evidence == FIRST else "not released"
    return (f"version {one.number}: {stage}", *(f"    {_named(sentence)}" for sentence in one.evidence))


def told_of(cycle: Cycle) -> tuple[str, ...]:
    """Return how a cycle ended, a line, and its evidence, a line each."""
    head = f"version {cycle.version}: {cycle.state}" if cycle.version else f"the cycle ended: {cycle.state}"
    return (head, *(f"    {_named(sentence)}" for sentence in cycle.evidence))


def _named(sentence: str) -> str:
    """Return a sentence of the evidence with the finding's name before its code's place."""
    code, colon, rest = sentence.partition(":")
    return next((f"{one.display.lower()}{colon}{rest}" for one in FINDINGS if one.value == code), sentence)
