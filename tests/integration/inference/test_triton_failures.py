"""What becomes of readings when Triton fails, on real servers: each failure is named, read elsewhere, and heals by itself.

Each recovery time is printed (`pytest -s`) and kept as a property of the test.
"""

import os
import py_compile
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from tests.adapters.tritons import MODEL, Clients, Served, Tritons, blank, tritons, until
from tests.integration.inference_models import publish

from radloop.inference.adapters.sight import read_through
from radloop.inference.adapters.triton import BusyError, LateError
from radloop.kit.errors import Misconfigured, Permanent, RadloopError, Transient

pytestmark = pytest.mark.stack

DEADLINE = 4.0
Told = Callable[[str, object], None]


def put(repository: Path, version: int) -> None:
    """Publish a version of the tiny model that takes a second for images of nines."""
    publish(repository, version)
    code = repository / MODEL / str(version) / "model.py"
    shutil.rmtree(code.parent / "__pycache__")
    code.write_text(code.read_text().replace(
        "        values = self", "        __import__('time').sleep(float(batch['IMAGE'].flat[0] == 9))\n        values = self",
    ))
    py_compile.compile(str(code), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tritons]:
    """Run two servers that hold version 1 of the chest model; skip where Triton cannot run here, saying why. In CI it can."""
    folder = tmp_path_factory.mktemp("tritons")
    put(folder / "models", 1)
    try:
        with tritons(folder, 2, DEADLINE) as running:
            running.release((1, "production"))
            yield running
    except Misconfigured as cannot:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"Triton cannot run here: {cannot.reason}")


@pytest.fixture
def first(two: Tritons) -> Served:
    """Return the server that fails: both are well, and nothing of earlier failures is remembered."""
    until(lambda: all(one.keeper.warm(MODEL, 1) for one in two.servers))
    for one in two.servers:
        one.client.errors.clear()
    return two.servers[0]


def read(two: Tritons) -> object:
    """Read one image by whichever server can."""
    return two.fleet.read(two.package(1), blank())


def answers(one: Served, two: Tritons) -> bool:
    """Say whether a server reads, asked alone."""
    try:
        one.keeper.read(two.package(1), blank())
    except Transient:
        return False
    return True


def tell(told: Told, failure: str, seconds: float) -> None:
    """Print a recovery time, and keep it with the test."""
    print(f"\n{failure}: healed after {seconds:.2f} s")
    told("recovery_s", round(seconds, 2))


def test_a_killed_process_is_loaded_anew_while_the_other_server_reads(
    two: Tritons, first: Served, record_property: Told,
) -> None:
    """Triton calls the version ready for ever; every reading goes to the other server until it is loaded anew."""
    with Clients(lambda: read(two)) as clients:
        clients.more(20)
        began = time.monotonic()
        first.signal_stubs(signal.SIGKILL)
        until(lambda: not first.keeper.warm(MODEL, 1))
        until(lambda: answers(first, two))
        tell(record_property, "process of a version killed", time.monotonic() - began)
        clients.more(20)
    assert clients.failed == []
    assert "DeadStubError" in first.kinds()
    assert two.servers[1].kinds() == set()


def test_a_wrong_shape_is_refused_for_good_and_harms_nobody(two: Tritons, first: Served, record_property: Told) -> None:
    """Before it is sent where our package says the shape, by Triton where it does not; it is asked of one server only."""
    with pytest.raises(Permanent, match="reads images of"):
        two.fleet.read(two.package(1), np.zeros((1, 3, 100, 100), np.float32))
    assert [one.kinds() for one in two.servers] == [set(), set()]
    began = time.monotonic()
    with pytest.raises(Permanent, match="unexpected shape"):
        two.fleet.infer(MODEL, 1, {"IMAGE": np.zeros((1, 3, 100, 100), np.float32)}, ("MEMBERS",))
    assert sum(len(one.client.errors) for one in two.servers) == 1
    assert all(one.keeper.warm(MODEL, 1) for one in two.servers)
    assert all(answers(one, two) for one in two.servers)
    tell(record_property, "wrong shape", time.monotonic() - began)
    with pytest.raises(Permanent, match="unexpected inference output"):
        first.keeper.infer(MODEL, 1, {"IMAGE": blank()}, ("NOTHING",))


def test_a_full_queue_sends_the_next_reading_elsewhere(two: Tritons, first: Served, record_property: Told) -> None:
    """What waits in it is answered in the end, what found no room was read elsewhere, and the version never lost its traffic."""
    answered, refused = list[object](), list[RadloopError]()
    nines = np.full_like(blank(), 9)

    def ask() -> None:
        try:
            answered.append(first.keeper.read(two.package(1), nines))
        except RadloopError as failed:
            refused.append(failed)

    crowd = [threading.Thread(target=ask) for _ in range(60)]
    for one in crowd:
        one.start()
    until(lambda: refused)
    began = time.monotonic()
    for _ in range(4):
        read(two)
    assert first.keeper.warm(MODEL, 1)
    until(lambda: answers(first, two))
    tell(record_property, "queue full (its batches take a second each)", time.monotonic() - began)
    for one in crowd:
        one.join()
    assert {type(one) for one in refused} == {BusyError}
    assert all(one.after is not None and one.after < 1 for one in refused if isinstance(one, BusyError))
    assert len(answered) + len(refused) == len(crowd)
    assert answered
    assert first.keeper.warm(MODEL, 1)


def test_a_bound_of_tritons_own_is_named_the_same(tmp_path: Path) -> None:
    """A site's config.pbtxt may have one: Triton says that it has no room, and serves."""
    put(tmp_path / "models", 1)
    config = tmp_path / "models" / MODEL / "config.pbtxt"
    policy = "dynamic_batching { default_queue_policy { max_queue_size: 4 timeout_action: REJECT }"
    config.write_text(config.read_text().replace("dynamic_batching {", policy))
    kinds = list[type[RadloopError]]()
    with tritons(tmp_path, 1, 15.0) as running:
        running.release((1, "production"))

        def ask() -> None:
            with suppress(RadloopError):
                read_through(running.servers[0].client.infer, running.package(1), np.full_like(blank(), 9))

        crowd = [threading.Thread(target=ask) for _ in range(60)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
        kinds += [type(one) for one in running.servers[0].client.errors]
        assert running.servers[0].keeper.warm(MODEL, 1)
    assert set(kinds) == {BusyError}


def test_a_killed_server_comes_back_while_the_other_reads(two: Tritons, first: Served, record_property: Told) -> None:
    """It is started again by whoever supervises it, and takes traffic once its versions are loaded and answer."""
    with Clients(lambda: read(two)) as clients:
        clients.more(20)
        began = time.monotonic()
        first.process.kill()
        until(lambda: not first.keeper.warm(MODEL, 1))
        assert two.fleet.ready() == ""
        until(lambda: answers(first, two))
        tell(record_property, "server killed (its supervisor waits 0.5 s before it starts it again)", time.monotonic() - began)
        clients.more(20)
    assert clients.failed == []
    assert first.kinds() == {"Transient"}
    assert "triton is away: UNAVAILABLE" in {one.reason for one in first.client.errors}


def test_a_server_that_hangs_loses_its_traffic_after_one_probe(two: Tritons, first: Served, record_property: Told) -> None:
    """Within the deadline the other server reads; the one that hangs is asked again once it answers a probe."""
    first.process.kill(signal.SIGSTOP)
    try:
        began = time.monotonic()
        for _ in range(2):
            read(two)
        assert time.monotonic() - began < DEADLINE
        until(lambda: not first.keeper.warm(MODEL, 1))
    finally:
        began = time.monotonic()
        first.process.kill(signal.SIGCONT)
    until(lambda: answers(first, two))
    tell(record_property, "server hangs, once it goes on", time.monotonic() - began)
    assert first.kinds() == {LateError.__name__}


def test_loading_under_load(two: Tritons, first: Served) -> None:
    """Four clients go on while versions come and go: no reading fails, and the process of the version that runs is never replaced."""
    running = [one.stubs() for one in two.servers]
    with Clients(lambda: read(two)) as clients:
        clients.more(20)
        for version in (2, 3):
            put(two.repository, version)
            two.release(*((one, "shadow" if one > 1 else "production") for one in range(1, version + 1)))
        two.release((1, "production"))
        clients.more(20)
        until(lambda: [one.stubs() for one in two.servers] == running)
    assert clients.failed == []
    assert [one.kinds() for one in two.servers] == [set(), set()]


def test_a_version_that_cannot_be_loaded_keeps_none_from_coming_back(two: Tritons, first: Served) -> None:
    """After a restart of the server the one that patients need is loaded; the broken one is named in readiness until it is withdrawn."""
    put(two.repository, 4)
    broken = two.repository / MODEL / "4"
    shutil.rmtree(broken / "__pycache__")
    (broken / "model.py").write_text("raise ValueError('broken')\n")
    two.release((1, "production"), (4, "shadow"), wait=False)
    until(lambda: "chest 4: triton refused chest" in two.fleet.ready())
    first.process.kill()
    until(lambda: not first.keeper.warm(MODEL, 1))
    until(lambda: answers(first, two))
    two.release((1, "production"))
    until(lambda: not two.fleet.ready())
