"""How cycles and versions are told: once each, with the evidence of their gate, by the finding's name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from radloop.cli.grpc import Cycle
from radloop.standards.codes import FINDINGS
from radloop.workbench.grpc import Version
from radloop.workbench.hospital.tempo import o_clock
from radloop.workbench.telling import Teller

RELEASED = frozenset({"production", "retired"})
FIRST = ("added by hand: no gate was held",)


@dataclass
class Said:
    """How the cycles ended and which versions began to speak, told as they did, each once."""

    cycles: list[Cycle] = field(default_factory=list)
    told: set[int] = field(default_factory=set)
    speaking: int = 0

    def tell_cycle(self, cycle: Cycle, teller: Teller) -> None:
        """Keep how a cycle ended and say it with its evidence, once."""
        if not cycle.id or cycle.id in {one.id for one in self.cycles}:
            return
        self.cycles.append(cycle)
        if cycle.version in self.told:
            return
        if cycle.version:
            self.told.add(cycle.version)
        for line in told_of(cycle):
            teller.line(line)

    def tell_versions(self, versions: Sequence[Version], teller: Teller) -> None:
        """Say what became of the versions that were not told yet: those of cycles that began by themselves."""
        for one in versions:
            if one.number not in self.told and one.evidence != FIRST:
                self.told.add(one.number)
                for line in told_of_version(one):
                    teller.line(line)

    def tell_speaking(
        self, speaks: Sequence[tuple[int, float]], before: int, versions: Callable[[], Sequence[Version]], teller: Teller,
    ) -> None:
        """Say which versions began to speak since this was last asked, how their gates went first; `before` spoke before the morning.

        Several may have passed in quick succession, and cycles begin by themselves: whoever started none hears of their gates here.
        """
        began = [one for one in speaks if one[0] != before]
        if len(began) == self.speaking:
            return
        # One that is still on its way to its stage would be told as a candidate.
        self.tell_versions([one for one in versions() if one.stage != "candidate" or not one.gate_passed], teller)
        for version, at in began[self.speaking:]:
            begins = ": lifts begin" if not (before or self.speaking) else ""
            teller.line(f"{o_clock(at)}  version {version} speaks on the list{begins}")
            self.speaking += 1

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
