"""Courses of events that once ended badly, each told by hand; `test_kit_model.py` is where they are found."""

import pytest
from examples.echo import Rooms

CASE = "case-a"


def say(rooms: Rooms, name: str, count: int) -> None:
    """Have the sayer say so many events of the case, and the broker take them."""
    rooms.sayer.turn(lambda: rooms.sayer.runner.submit(rooms.command(name, CASE, count)))
    rooms.sayer.turn(rooms.sayer.relay._turn)


def end_well(rooms: Rooms) -> tuple[str, ...]:
    """Let everybody take some turns, and return what was heard."""
    for _ in range(3):
        rooms.sayer.turn(rooms.sayer.relay._turn)
        rooms.hearer.turn(rooms.hearer.consumer._turn)
    return rooms.book(CASE)


@pytest.mark.parametrize("point", range(12))
def test_a_relay_killed_while_it_sends_again_sends_all_of_it_again(point: int) -> None:
    """Back after minutes the broker has lost two events; wherever the relay dies in sending them, its successor sends both."""
    rooms = Rooms()
    say(rooms, "a", 2)
    rooms.broker.lose_tail()
    rooms.pass_time(300)
    rooms.sayer.restart()
    rooms.sayer.turn(rooms.sayer.relay._turn, "kill", point)
    assert end_well(rooms) == ("a-1", "a-2")
