"""What the demo says of its cycles."""

from dataclasses import replace
from io import StringIO

from radloop.workbench.grpc import Cycle
from radloop.workbench.cycles import Said
from radloop.workbench.telling import Teller

CYCLE = Cycle(
    id="c1", state="released", version=2, evidence=("233604007: AUC: +0.9, passed", "calibrated on 200 cases"), labels={"pool": 75},
)


def test_a_cycle_is_told_once_and_by_the_findings_name() -> None:
    """Asked again it may hold more labels; it is the same cycle."""
    out, said = StringIO(), Said()
    for cycle in (CYCLE, replace(CYCLE, labels={"pool": 99})):
        said.tell_cycle(cycle, Teller(out))
    assert (said.released, len(said.cycles)) == ((2,), 1)
    told = out.getvalue()
    assert told.count("version 2: released") == 1
    assert "pneumonia: AUC: +0.9" in told
    assert "233604007" not in told
