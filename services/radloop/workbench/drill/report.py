"""The page of a drill: what was struck and how long it took to recover, then the figures, then what was not as promised."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from radloop.workbench.drill.accounts import Account
from radloop.workbench.drill.conductor import Struck

FILE = "drill-report.json"
_SHOWN = 40


@dataclass(frozen=True)
class Drilled:
    """One round as it was: its seed, its strikes, its account, the seconds it streamed, and those until everything was at rest."""

    seed: int
    kafka: str
    struck: tuple[Struck, ...]
    account: Account
    streamed: float
    to_rest: float | None

    @property
    def met(self) -> bool:
        """Say whether any strike found what it was to strike."""
        return any(one.met for one in self.struck)

    @property
    def holds(self) -> bool:
        """Say whether every promise was kept and every strike recovered from."""
        recovered = all(one.recovery is not None for one in self.struck)
        clean = not (self.account.broken or self.account.lost or self.account.duplicated)
        return self.met and recovered and clean and self.to_rest is not None and self.account.accepted > 0


def figures(rounds: Sequence[Drilled]) -> dict[str, float | str]:
    """Return the figures of all rounds together.

    Studies and strikes are counted by round; what was sent twice is told by the whole stack's books, and so by the last account.
    """
    accounts = [one.account for one in rounds]
    struck = [one for drilled in rounds for one in drilled.struck]
    recoveries = sorted(one.recovery for one in struck if one.recovery is not None)
    streamed = sum(one.streamed for one in rounds)
    accepted = sum(one.accepted for one in accounts)
    return {
        "seed": ",".join(str(one.seed) for one in rounds), "kafka": rounds[0].kafka if rounds else "", "rounds": float(len(rounds)),
        "strikes": float(len(struck)), "kills": float(sum(one.kills for one in struck)),
        "not_recovered": float(sum(one.recovery is None for one in struck)),
        "accepted": float(accepted), "delivered": float(sum(one.delivered for one in accounts)),
        "superseded": float(sum(one.superseded for one in accounts)), "quarantined": float(sum(one.quarantined for one in accounts)),
        "lost": float(sum(one.lost for one in accounts)), "duplicated": float(max((one.duplicated for one in accounts), default=0)),
        "resent": float(max((one.resent for one in accounts), default=0)), "taken_again": float(sum(one.taken_again for one in accounts)),
        "broken": float(sum(len(one.broken) for one in accounts)),
        "recovery_p50_s": _quantile(recoveries, 0.5), "recovery_p95_s": _quantile(recoveries, 0.95),
        "recovery_max_s": recoveries[-1] if recoveries else math.nan,
        "to_rest_s": max((one.to_rest if one.to_rest is not None else math.inf for one in rounds), default=math.nan),
        "streamed_s": round(streamed, 1), "studies_per_s": round(accepted / streamed, 2) if streamed else 0.0,
    }


def show(drilled: Drilled, console: Console) -> None:
    """Print the page of one round."""
    table = Table(title=f"drill, seed {drilled.seed}, {drilled.kafka} broker", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("at", justify="right")
    table.add_column("strike")
    table.add_column("recovery", justify="right")
    table.add_column("")
    for one in sorted(drilled.struck, key=lambda struck: struck.at):
        recovery = "never" if one.recovery is None else f"{one.recovery:.1f} s"
        table.add_row(f"{one.at:.0f} s", one.name, recovery, one.note)
    console.print(table)
    for line in lines(drilled):
        console.print(line, highlight=False, soft_wrap=True)


def lines(drilled: Drilled) -> tuple[str, ...]:
    """Return the figures and the verdict of one round in words."""
    account, told = drilled.account, figures([drilled])
    kills, p95 = told["kills"], told["recovery_p95_s"]
    rest = "never came to rest" if drilled.to_rest is None else f"at rest {drilled.to_rest:.0f} s after the last study"
    shown = account.broken[:_SHOWN]
    more = len(account.broken) - len(shown)
    return (
        *(() if drilled.met else ("NOT KEPT: nothing was struck, so nothing is shown; give it more --seconds",)),
        "",
        f"{len(drilled.struck)} strikes with {kills:.0f} kills in {drilled.streamed:.0f} s; recovery p95 {p95:.1f} s; {rest}",
        (
            f"accepted {account.accepted} = delivered {account.delivered} + superseded {account.superseded}"
            f" + quarantined {account.quarantined} + lost {account.lost}"
        ),
        f"duplicated {account.duplicated}; sent again to the far ends {account.resent}, by the hospital to us {account.taken_again}",
        *(f"NOT KEPT: {one}" for one in shown), *((f"… and {more} more",) if more > 0 else ()),
        "every promise was kept" if drilled.holds else "NOT every promise was kept",
    )


def leave(rounds: Sequence[Drilled], home: Path) -> Path:
    """Write everything into the home and return the file."""
    file = home / FILE
    told = {"figures": plain(figures(rounds)), "rounds": [asdict(one) for one in rounds]}
    file.write_text(json.dumps(told, indent=1, allow_nan=False))
    return file


def plain(told: dict[str, float | str]) -> dict[str, float | str | None]:
    """Return figures as JSON has them: there is no number for what never was."""
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in told.items()}


def _quantile(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 2) if ordered else math.nan
