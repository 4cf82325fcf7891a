"""The lines to the brokers: cut by an outage, laid anew in time, and not alarmed by one node of several."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from radloop.kit.clock import ManualClock
from radloop.kit.line import AGAIN_S, RENEW_S, Line


class Listener:
    """A broker that takes calls, hangs up idle ones when told, dies and comes back at its old address."""

    def __init__(self) -> None:
        self._calls: list[socket.socket] = []
        self.address = ("127.0.0.1", 0)
        self.rise()

    def rise(self) -> None:
        """Listen, at the address it had."""
        self._socket = socket.create_server(self.address)
        self._socket.setblocking(False)
        self.address = ("127.0.0.1", self._socket.getsockname()[1])

    def calls(self) -> int:
        """Take what calls there are and count the lines that are open at the other end."""
        while True:
            try:
                self._calls.append(self._socket.accept()[0])
            except BlockingIOError:
                break
        for call in self._calls:
            call.setblocking(False)
        return sum(self._open(call) for call in self._calls)

    def hang_up(self) -> None:
        """End all calls, as a broker does with idle ones."""
        self.calls()
        for call in self._calls:
            call.close()
        self._calls.clear()

    def die(self) -> None:
        """End all calls and take no more."""
        if self._socket.fileno() != -1:
            self.hang_up()
            self._socket.close()

    @staticmethod
    def _open(call: socket.socket) -> bool:
        try:
            return bool(call.recv(1))
        except BlockingIOError:
            return True


@pytest.fixture
def brokers() -> Iterator[list[Listener]]:
    """Three brokers."""
    three = [Listener() for _ in range(3)]
    yield three
    for one in three:
        one.die()


def lines(brokers: list[Listener]) -> tuple[Line, ManualClock]:
    """Lay a line to each of them, by a clock that stands still."""
    clock = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
    line = Line([one.address for one in brokers], clock)
    assert not line.was_cut()
    return line, clock


def test_a_line_is_laid_anew_before_a_broker_hangs_up_on_an_idle_one(brokers: list[Listener]) -> None:
    """After four minutes the new line stands and the old one is gone, and nobody was away."""
    line, clock = lines(brokers[:1])
    clock.advance(RENEW_S - 1)
    assert not line.was_cut()
    assert brokers[0].calls() == 1
    clock.advance(1)
    assert not line.was_cut()
    assert brokers[0].calls() == 1
    assert len(brokers[0]._calls) == 2, "the one that stands is the second"
    line.close()


def test_an_outage_is_told_once_also_when_the_line_was_due_to_be_laid_anew(brokers: list[Listener]) -> None:
    """Down and back between two looks, at the very moment of the renewal."""
    line, clock = lines(brokers[:1])
    for pause in (1.0, RENEW_S):
        brokers[0].die()
        brokers[0].rise()
        clock.advance(pause)
        assert line.was_cut()
        assert not line.was_cut()
    line.close()


def test_as_long_as_nobody_answers_the_brokers_are_away(brokers: list[Listener]) -> None:
    """Told at every look, and no more once one is back."""
    line, _ = lines(brokers[:1])
    brokers[0].die()
    assert line.was_cut()
    assert line.was_cut()
    brokers[0].rise()
    assert not line.was_cut()
    line.close()


def test_one_node_of_three_may_die_and_come_back(brokers: list[Listener]) -> None:
    """The others stood all the while: nothing that was acknowledged is lost. The node is watched again when it is back."""
    line, clock = lines(brokers)
    brokers[0].die()
    assert not line.was_cut()
    brokers[0].rise()
    clock.advance(AGAIN_S)
    assert not line.was_cut()
    assert brokers[0].calls() == 1
    line.close()


def test_two_nodes_of_three_at_once_may_have_lost_something(brokers: list[Listener]) -> None:
    """A power cut of a rack: what lay on these two alone may be gone."""
    line, _ = lines(brokers)
    brokers[0].die()
    brokers[1].die()
    assert line.was_cut()
    assert not line.was_cut()
    line.close()


def test_nodes_that_die_one_after_another_were_away_when_the_last_one_was(brokers: list[Listener]) -> None:
    """Two were down already; that the third fell too is told, though they answer again when it is looked at."""
    line, clock = lines(brokers)
    for one in brokers[:2]:
        one.die()
        clock.advance(1)
        assert not line.was_cut()
    brokers[2].die()
    brokers[0].rise()
    brokers[1].rise()
    assert line.was_cut()
    assert not line.was_cut()
    line.close()


def test_a_dead_node_is_not_called_at_every_look(brokers: list[Listener], monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that says nothing costs two seconds a call, and relay and consumer look four times a second."""
    line, clock = lines(brokers)
    brokers[0].die()
    assert not line.was_cut()
    called: list[object] = []
    connect = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: (called.append(address), connect(address, timeout))[1])
    for _ in range(10):
        clock.advance(AGAIN_S / 10)
        assert not line.was_cut()
    assert called == [brokers[0].address]
    line.close()
