"""What keeps a Triton in step, with a double for the server."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.examples import inference as example
from tests.examples.segmenting import encoder
from tests.unit.inference.doubles import BLANK, Server, clock, loaded, model

from radloop.inference.adapters.loading import MOST_ENCODINGS, MOST_UNDER_WAY, Loaded
from radloop.inference.adapters.triton import BusyError, DeadStubError, LateError
from radloop.kit.errors import Permanent, Transient


def test_a_version_takes_traffic_only_once_it_was_seen_to_answer() -> None:
    """Before, its readings wait; what runs is not loaded again."""
    server = Server()
    keeper = loaded(server, example.released(1), example.released(2, "shadow", 2))
    with pytest.raises(Transient, match="being loaded"):
        keeper.read(example.package(1), BLANK)
    keeper._turn()
    assert server.loads == [{1}, {1, 2}]
    assert {version for version, _ in server.asked} == {1, 2}
    keeper.read(example.package(1), BLANK)
    keeper._turn()
    assert server.loads == [{1}, {1, 2}]


def test_what_serves_patients_is_loaded_first() -> None:
    """After a restart of Triton nobody waits for the versions that only read along."""
    server = Server()
    loaded(
        server, example.released(1, "retired", 1), example.released(2, "shadow", 2), example.released(3, "production", 3),
        example.released(4, "canary", 4),
    )._turn()
    assert server.loads == [{3}, {3, 4}, {2, 3, 4}, {1, 2, 3, 4}]


def test_a_version_that_was_withdrawn_is_let_go() -> None:
    """A rolled-back version is unloaded, a superseded one is kept for the revisions of its cases."""
    server = Server({1, 2, 3})
    loaded(
        server, example.released(1, "retired", 1), example.released(2, "production", 3), example.released(3, "retired", 4),
    )._turn()
    assert server.loads == [{1, 2}]


def test_a_dead_process_is_unloaded_and_loaded_anew() -> None:
    """Triton calls it ready and never restarts it."""
    server = Server()
    keeper = loaded(server, example.released(1))
    keeper._turn()
    server.failing[1] = DeadStubError("died", after=0.1)
    with pytest.raises(DeadStubError):
        keeper.read(example.package(1), BLANK)
    assert not keeper.warm("chest", 1)
    keeper._turn()
    assert (server.unloads, server.loads, keeper.warm("chest", 1)) == (1, [{1}, {1}], True)


def test_beside_a_dead_version_the_others_go_on() -> None:
    """Only the version whose process died is loaded anew."""
    server = Server()
    keeper = loaded(server, example.released(1), example.released(2, "shadow", 2))
    keeper._turn()
    server.failing[2] = DeadStubError("died", after=0.1)
    with pytest.raises(DeadStubError):
        keeper.read(example.package(2), BLANK)
    keeper.read(example.package(1), BLANK)
    keeper._turn()
    assert (server.unloads, server.loads[2:], keeper.warm("chest", 2)) == (0, [{1}, {1, 2}], True)


def test_what_fails_of_a_dead_process_says_nothing_of_its_successor() -> None:
    """Several requests are under way when it dies: the last of them fails when it is loaded anew already."""
    class Late(Server):
        dying = True

        def infer(self, *args: Any) -> Any:
            if self.dying and self.loads and len(self.asked) == 2:
                self.dying, self.failing[1] = False, DeadStubError("died", after=0.1)
                with pytest.raises(DeadStubError):
                    keeper.read(example.package(1), BLANK)
                keeper._turn()
                raise DeadStubError("died", after=0.1)
            return super().infer(*args)

    server = Late()
    keeper = loaded(server, example.released(1))
    keeper._turn()
    with pytest.raises(DeadStubError):
        keeper.read(example.package(1), BLANK)
    keeper._turn()
    assert keeper.warm("chest", 1)
    assert server.loads == [{1}, {1}]


def test_a_process_that_died_unasked_is_found_by_a_probe() -> None:
    """Nobody reads at night; in the morning it answers."""
    time, server = clock(), Server()
    keeper = loaded(server, example.released(1), time=time)
    keeper._turn()
    server.failing[1] = DeadStubError("died", after=0.1)
    keeper._turn()
    assert keeper.warm("chest", 1)
    time.advance(31)
    keeper._turn()
    assert not keeper.warm("chest", 1)
    keeper._turn()
    assert keeper.warm("chest", 1)


def test_a_version_that_dies_of_every_image_is_let_be_for_a_while() -> None:
    """It would be loaded again and again, at the cost of those that serve."""
    time, server = clock(), Server()
    keeper = loaded(server, example.released(1), example.released(2, "shadow", 2), time=time)
    server.failure = DeadStubError("the process has died")
    keeper._turn()
    server.failure = None
    keeper._turn()
    assert not keeper.warm("chest", 1)
    assert "chest 1: the process has died" in keeper.ready()
    time.advance(6)
    keeper._turn()
    assert (keeper.warm("chest", 1), keeper.warm("chest", 2), keeper.ready()) == (True, True, "")


def test_a_version_that_cannot_be_loaded_does_not_stop_the_others() -> None:
    """Wherever it stands: it is said in readiness and tried again, and what is loaded is loaded all the same."""
    time, server = clock(), Server()
    keeper = loaded(server, example.released(1), example.released(2, "shadow", 2), example.released(3, "canary", 3), time=time)
    server.refuses = {3}
    keeper._turn()
    assert (keeper.warm("chest", 1), keeper.warm("chest", 2), keeper.warm("chest", 3)) == (True, True, False)
    assert "refused" in keeper.ready()
    with pytest.raises(Transient, match="cannot be loaded"):
        keeper.read(example.package(3), BLANK)
    tries = len(server.loads)
    keeper._turn()
    server.refuses = set()
    assert len(server.loads) == tries
    time.advance(6)
    keeper._turn()
    assert (keeper.warm("chest", 3), keeper.ready()) == (True, "")


def test_a_package_of_other_weights_is_not_loaded() -> None:
    """What was released is what is served, or nothing."""
    class Wrong(example.Packages):
        def describe(self, model: str, version: int, weights_sha256: str) -> Any:
            raise Permanent("the weights are not those that were released")

    server = Server()
    keeper = Loaded(server, Wrong(), lambda: (model(example.released(1)),), Path(), clock())
    keeper._turn()
    assert server.loads == []
    with pytest.raises(Permanent, match="not those"):
        keeper.read(example.package(1), BLANK)


def test_a_full_queue_costs_a_version_nothing() -> None:
    """It serves: that one request found no room is no reason to probe it or to send the next one elsewhere."""
    server = Server()
    keeper = loaded(server, example.released(1))
    keeper._turn()
    asked = len(server.asked)
    server.failure = BusyError("its queue is full", after=0.2)
    with pytest.raises(BusyError):
        keeper.read(example.package(1), BLANK)
    server.failure = None
    keeper._turn()
    assert (keeper.warm("chest", 1), len(server.asked), server.unloads) == (True, asked, 0)


def test_what_is_under_way_to_a_version_is_bounded() -> None:
    """One more is told at once, so that it is asked elsewhere; there is room again once one is answered."""
    server = Server()
    keeper = loaded(server, example.released(1))
    keeper._turn()
    keeper._under_way["chest", 1] = MOST_UNDER_WAY
    with pytest.raises(BusyError, match="queue of chest 1 is full"):
        keeper.read(example.package(1), BLANK)
    keeper._under_way["chest", 1] -= 1
    keeper.read(example.package(1), BLANK)
    server.failing[1] = Transient("triton is away")
    with pytest.raises(Transient):
        keeper.read(example.package(1), BLANK)
    assert keeper._under_way["chest", 1] == MOST_UNDER_WAY - 1


def test_fewer_encodings_are_under_way_than_readings() -> None:
    """Each takes the better part of a second: thirty-two of them would keep the last one past its deadline."""
    class Encoders(example.Packages):
        def describe(self, model: str, version: int, weights_sha256: str) -> Any:
            return encoder()

    keeper = Loaded(Server(), Encoders(), lambda: (model(example.released(1)),), Path(), clock())
    keeper._turn()
    keeper._under_way["chest", 1] = MOST_ENCODINGS
    with pytest.raises(BusyError):
        keeper.infer("chest", 1, {"IMAGE": BLANK}, ("IMAGE_EMBEDDING",))


def test_what_has_just_answered_is_not_probed() -> None:
    """A probe would wait behind what is under way, and be late; nobody's answer for half a minute, and it is probed."""
    time, server = clock(), Server()
    keeper = loaded(server, example.released(1), time=time)
    keeper._turn()
    time.advance(20)
    keeper.read(example.package(1), BLANK)
    asked = len(server.asked)
    time.advance(20)
    keeper._turn()
    assert len(server.asked) == asked
    time.advance(31)
    keeper._turn()
    assert len(server.asked) == asked + 1


def test_what_serves_goes_on_where_another_instance_loads_at_this_moment() -> None:
    """That one version cannot be let go just now is no failure of the others."""
    server = Server({1, 2, 3})
    keeper = loaded(server, example.released(1, "retired", 1), example.released(2, "production", 3), example.released(3, "shadow", 4))
    keeper._turn()
    keeper._models = lambda: (model(example.released(2, "production", 3)),)
    server.loading_elsewhere = True
    with pytest.raises(Transient, match="somebody else"):
        keeper._turn()
    assert keeper.warm("chest", 2)


def test_a_late_answer_has_the_version_probed_and_a_late_probe_takes_its_traffic() -> None:
    """Under load it goes on; where it hangs others are asked, until it is seen to answer."""
    server = Server()
    keeper = loaded(server, example.released(1))
    keeper._turn()
    asked = len(server.asked)
    server.failure = LateError("no answer in time", after=0.5)
    with pytest.raises(LateError):
        keeper.read(example.package(1), BLANK)
    assert keeper.warm("chest", 1)
    server.failure = None
    keeper._turn()
    assert (keeper.warm("chest", 1), len(server.asked)) == (True, asked + 1)
    server.failure = LateError("no answer in time", after=0.5)
    with pytest.raises(LateError):
        keeper.read(example.package(1), BLANK)
    with pytest.raises(LateError):
        keeper._turn()
    assert not keeper.warm("chest", 1)
    server.failure = None
    keeper._turn()
    assert keeper.warm("chest", 1)
    assert server.loads == [{1}]


def test_a_version_that_answers_no_probe_is_loaded_anew() -> None:
    """Triton may wait for ever for what a killed process held."""
    server = Server()
    keeper = loaded(server, example.released(1), example.released(2, "shadow", 2))
    keeper._turn()
    server.failing[1] = LateError("no answer in time", after=0.5)
    with pytest.raises(LateError):
        keeper.read(example.package(1), BLANK)
    for _ in range(3):
        with pytest.raises(LateError):
            keeper._turn()
        assert keeper.warm("chest", 2)
    keeper._turn()
    assert (keeper.warm("chest", 1), server.unloads, server.loads[2:]) == (True, 0, [{2}, {1, 2}])


def test_a_server_that_says_nothing_at_all_gets_no_traffic() -> None:
    """It hangs as a whole: not even what it holds can be asked, so no probe gets that far."""
    class Hangs(Server):
        def held(self, model: str) -> dict[int, bool]:
            if self.failure:
                raise self.failure
            return super().held(model)

    server = Hangs()
    keeper = loaded(server, example.released(1), example.released(2, "shadow", 2))
    keeper._turn()
    server.failure = LateError("no answer in time", after=0.5)
    with pytest.raises(LateError):
        keeper.read(example.package(1), BLANK)
    with pytest.raises(LateError):
        keeper._turn()
    assert not keeper.warm("chest", 1)
    assert not keeper.warm("chest", 2)


def test_tensors_of_any_kind_go_to_a_version_that_is_warm() -> None:
    """What is asked of a model beside reading waits for its version, and buries it, as a reading does."""
    server = Server()
    keeper = loaded(server, example.released(1))
    click = {"CLICK": np.zeros((1, 2), np.int64)}
    with pytest.raises(Transient, match="being loaded"):
        keeper.infer("chest", 1, click, ("MASK",))
    keeper._turn()
    assert set(keeper.infer("chest", 1, click, ("MASK",))) == {"MASK"}
    server.failure = DeadStubError("died", after=0.1)
    with pytest.raises(DeadStubError):
        keeper.infer("chest", 1, click, ("MASK",))
    assert not keeper.warm("chest", 1)


def test_images_of_another_shape_are_never_sent() -> None:
    """The package says what its model reads."""
    server = Server()
    keeper = loaded(server, example.released(1))
    keeper._turn()
    asked = len(server.asked)
    for wrong in (BLANK[0], BLANK[:, :1], BLANK[:, :, :100]):
        with pytest.raises(Permanent, match="reads images of"):
            keeper.read(example.package(1), wrong)
    assert len(server.asked) == asked
