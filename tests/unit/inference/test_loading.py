"""What keeps a Triton in step, and several Tritons as one reader, with doubles for the servers."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tests.examples import inference as example
from tests.unit.inference.doubles import Server
from tritonclient.utils import InferenceServerException

from radloop.inference.adapters import triton
from radloop.inference.adapters.fleet import Fleet
from radloop.inference.adapters.loading import Loaded
from radloop.inference.adapters.triton import BusyError, DeadStubError, LateError, Triton
from radloop.inference.config import Settings
from radloop.inference.domain.model import Model
from radloop.kit.clock import ManualClock
from radloop.kit.errors import Misconfigured, Permanent, RadloopError, Transient

BLANK = np.zeros((1, 3, 224, 224), np.float32)


def clock() -> ManualClock:
    """Return a clock that is moved by hand."""
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


def model(*releases: Any) -> Model:
    """Return the chest model after these releases."""
    made = Model(model="chest")
    for release in releases:
        made = made.released(release) or made
    return made


def loaded(server: Server, *releases: Any, time: ManualClock | None = None, name: str = "a:1") -> Loaded:
    """Keep a double of Triton in step with these releases."""
    return Loaded(server, example.Packages(), lambda: (model(*releases),), Path(), time or clock(), name=name)


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


def test_more_than_a_request_may_carry_is_refused_at_our_edge() -> None:
    """Triton has no limit: it would be killed for want of memory, and everybody's readings with it."""
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (triton.MOST_BYTES // 4 + 1,), (0,))
    with pytest.raises(Permanent, match="257 MiB for chest 1 are more than the 256 MiB of a request"):
        Triton("127.0.0.1:1", 1.0).infer("chest", 1, {"IMAGE": huge}, ("MEMBERS",))


@pytest.mark.parametrize(("status", "said", "kind", "after"), [
    ("INTERNAL", "Stub process 'chest_0_0' is not healthy.", DeadStubError, 0.5),
    ("UNAVAILABLE", "[request id: <id_unknown>] Exceeds maximum queue size", BusyError, 0.2),
    ("INTERNAL", "Failed to increase the shared memory pool size for key 'x'", BusyError, 2.0),
    ("DEADLINE_EXCEEDED", "Deadline Exceeded", LateError, 0.5),
    ("INVALID_ARGUMENT", "unexpected shape for input 'IMAGE' for model 'chest'", Permanent, None),
    ("NOT_FOUND", "Request for unknown model: 'chest' version 9 is not found", Transient, 0.3),
    ("UNAVAILABLE", "Request for unknown model: 'chest' version 1 is not at ready state", Transient, 0.3),
    ("UNAVAILABLE", "failed to connect to all addresses", Transient, 1.0),
    ("INVALID_ARGUMENT", "Newer operation has been applied to the model lifecycle, current load operation is out-dated.", Transient, 0.5),
    ("INTERNAL", "something else", Permanent, None),
])
def test_what_triton_says_is_named_for_what_can_be_done(status: str, said: str, kind: type[RadloopError], after: float | None) -> None:
    """One status stands for several things: the words decide."""
    with pytest.raises(kind) as meant, triton._translated("chest 1"):
        raise InferenceServerException(said, status=str(grpc.StatusCode[status]))
    assert type(meant.value) is kind
    assert getattr(meant.value, "after", None) == after


def fleet(*servers: Server, time: ManualClock | None = None) -> tuple[Fleet, list[Loaded]]:
    """Put servers together that hold version 1."""
    time = time or clock()
    keepers = [loaded(one, example.released(1), time=time, name=f"{name}:1") for name, one in zip("abc", servers, strict=False)]
    for keeper in keepers:
        keeper._turn()
    return Fleet(keepers, 12.0, time), keepers


def test_readings_go_to_those_that_are_warm_in_turn() -> None:
    """Two servers share the work; one that is cold gets none."""
    one, other = Server(), Server()
    both, keepers = fleet(one, other)
    before = len(one.asked), len(other.asked)
    for _ in range(6):
        both.read(example.package(1), BLANK)
    assert (len(one.asked) - before[0], len(other.asked) - before[1]) == (3, 3)
    keepers[0]._cool(("chest", 1), "for the test")
    for _ in range(4):
        both.read(example.package(1), BLANK)
    assert (len(one.asked) - before[0], len(other.asked) - before[1]) == (3, 7)
    assert both.warm("chest", 1)


@pytest.mark.parametrize("failure", [
    DeadStubError("died"), BusyError("its queue is full"), LateError("no answer in time"), Transient("triton is away"),
])
def test_what_one_server_cannot_read_the_next_one_does(failure: Exception) -> None:
    """At once: whoever asked does not learn of it."""
    one, other = Server(), Server()
    both, _ = fleet(one, other)
    one.failure = failure
    for _ in range(4):
        both.read(example.package(1), BLANK)
    other.failure = Transient("away too", after=0.7)
    with pytest.raises(Transient):
        both.read(example.package(1), BLANK)


def test_what_one_refuses_for_good_is_asked_of_no_other() -> None:
    """It would be refused there too."""
    one, other = Server(), Server()
    both, _ = fleet(one, other)
    one.failure = other.failure = Permanent("triton refused it")
    asked = len(other.asked)
    with pytest.raises(Permanent, match="refused it"):
        both.read(example.package(1), BLANK)
    assert len(other.asked) == asked


def test_all_that_is_tried_has_one_deadline() -> None:
    """A server that hangs leaves the next one its share of the time; a late start leaves less."""
    time = clock()

    class Hangs(Server):
        def infer(self, model: str, version: int, tensors: Any, outputs: Any, within: float | None = None) -> Any:
            said = super().infer(model, version, tensors, outputs, within)
            if self.loads and len(self.asked) > 2:
                time.advance(within or 0)
                raise LateError("no answer in time")
            return said

    servers = Hangs(), Hangs(), Hangs()
    all_three, _ = fleet(*servers, time=time)
    with pytest.raises(LateError):
        all_three.read(example.package(1), BLANK)
    assert [one.within[-1] for one in servers] == [4.0, 4.0, 4.0]
    assert time.monotonic() == 12.0


def test_the_room_is_ready_as_long_as_one_server_is_in_step() -> None:
    """With none, each is named with its reason; a lone one needs no name."""
    one, other = Server(), Server()
    both, keepers = fleet(one, other)
    keepers[0].worker.away = "triton is away: UNAVAILABLE"
    assert both.ready() == ""
    keepers[1].worker.away = "chest 1 is not loaded"
    assert both.ready() == "a:1: triton is away: UNAVAILABLE; b:1: chest 1 is not loaded"
    assert Fleet(keepers[:1], 12.0, clock()).ready() == "triton is away: UNAVAILABLE"


def test_several_tritons_are_named_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no address stops the room at its start, with the variable's name."""
    for name, value in {"postgres": "x", "kafka": "k:1", "blobs": "b", "model_repository": "m"}.items():
        monkeypatch.setenv(f"RADLOOP_{name}".upper(), value)
    monkeypatch.setenv("RADLOOP_INFERENCE_TRITON", "a:8001, b:8001")
    assert Settings.load("inference").tritons() == ("a:8001", "b:8001")
    monkeypatch.setenv("RADLOOP_INFERENCE_TRITON", "a:8001,,b:8001")
    with pytest.raises(Misconfigured, match="RADLOOP_INFERENCE_TRITON"):
        Settings.load("inference")


def test_triton_is_given_the_configuration_of_its_nodes(tmp_path: Path) -> None:
    """A site names the file (GPU nodes have one of their own); a model that lacks it is given the usual one."""
    (tmp_path / "chest").mkdir()
    (tmp_path / "chest/config.gpu.pbtxt").write_text("")
    keeper = Loaded(Server(), example.Packages(), tuple, tmp_path, clock(), config="config.gpu.pbtxt")
    assert keeper._config("chest").name == "config.gpu.pbtxt"
    assert keeper._config("other").name == "config.pbtxt"
    assert Loaded(Server(), example.Packages(), tuple, tmp_path, clock())._config("chest").name == "config.pbtxt"
