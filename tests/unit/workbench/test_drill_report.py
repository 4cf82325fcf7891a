"""What a drill says in the end: no promise is kept by a drill that did nothing, and figures are such that JSON has them."""

import json
from dataclasses import replace
from pathlib import Path

from radloop.workbench.drill.accounts import Account
from radloop.workbench.drill.conductor import Struck
from radloop.workbench.drill.report import Drilled, figures, leave, lines

ACCOUNT = Account(accepted=2, delivered=2, superseded=0, quarantined=0, lost=0, duplicated=0, resent=3, taken_again=0, broken=())
GOOD = Drilled(7, "embedded", (Struck(1.0, "kill triage", 1, "", 2.0),), ACCOUNT, 60.0, 1.0)


def test_a_drill_that_struck_nothing_shows_nothing() -> None:
    """Everything went well, for nothing went on."""
    assert GOOD.holds
    assert "every promise was kept" in lines(GOOD)
    missed = replace(GOOD.struck[0], kills=0, note="it did not run", met=False)
    for idle in (replace(GOOD, struck=()), replace(GOOD, struck=(missed,))):
        assert not idle.holds
        assert "nothing was struck" in " ".join(lines(idle))
    assert replace(GOOD, struck=(*GOOD.struck, missed)).holds


def test_what_never_was_is_no_number(tmp_path: Path) -> None:
    """Whoever reads the report reads JSON."""
    file = leave([replace(GOOD, struck=(), to_rest=None)], tmp_path)
    told = json.loads(file.read_text(), parse_constant=lambda name: 1 / 0)
    assert (told["figures"]["recovery_p50_s"], told["figures"]["to_rest_s"]) == (None, None)


def test_what_the_whole_stack_has_resent_is_counted_once() -> None:
    """Each round reads the books of all rounds before it; studies are its own."""
    told = figures([GOOD, replace(GOOD, seed=8)])
    assert (told["accepted"], told["resent"], told["strikes"]) == (4.0, 3.0, 2.0)
