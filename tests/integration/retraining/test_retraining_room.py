"""The room over a real Postgres, real files and real gRPC: from a first package to a version that replaced another."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import grpc
import numpy as np
import pytest
from examples.retraining import label
from examples.shared import at, envelope, prediction

from radloop.events.prediction import PredictionPooled
from radloop.events.wire import Wire
from radloop.kit import rpc
from radloop.kit.blobs import Blob, Folder
from radloop.kit.codec import decode, encode
from radloop.kit.flow import Actor, Deliver, DeliveryAnswered, Event
from radloop.kit.jobs import Progress, run_job
from radloop.kit.runner import Runner
from radloop.retraining.adapters.package import from_folder, unpack
from radloop.retraining.adapters.postgres import StoredShelf
from radloop.retraining.adapters.repository import ModelRepository
from radloop.retraining.config import Settings
from radloop.retraining.domain.snapshot import from_bytes
from radloop.retraining.main import build
from radloop.standards.package import read
from radloop.v1 import common_pb2
from radloop.v1 import retraining_service_pb2 as pb
from radloop.v1 import retraining_service_pb2_grpc as stubs
from radloop.workbench.phantoms import draw, roster
from radloop.workbench.workshop import first_package, package_tar

ACTOR = common_pb2.Actor(kind="reader", id="lead")


@cache
def first() -> bytes:
    """Return the tar of a first package, made once."""
    people = roster(1, 10, 10)
    images = np.stack([np.repeat(draw(1, one)[None].astype(np.float32) / 255, 3, axis=0) for one in people])
    truth = np.array([one.present for one in people])
    return package_tar(first_package(images, truth, [one.patient_key for one in people], 3, Path(mkdtemp())))


class Site:
    """One room at work on a site whose embeddings are drawn, not read."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.folder, self.dice = folder, np.random.default_rng(11)
        self.blobs = Folder(folder / "blobs")
        (folder / "blobs").mkdir()
        self.settings = Settings(
            postgres=dsn, kafka="127.0.0.1:1", blobs=str(folder / "blobs"), model_repository=str(folder / "models"),
        )
        self.room = build(self.settings)
        self.runner: Runner = self.room.runner()
        self.shelf = StoredShelf(self.runner.store)
        furnishing = self.room.furnish(self.runner)
        self.server, port = rpc.server("127.0.0.1:0", tuple(furnishing.services))
        self.channel = rpc.channel(f"127.0.0.1:{port}")
        self.ask = stubs.RetrainingServiceStub(self.channel)
        # What tells the classes apart, hidden in 1,280 numbers as in a real embedding.
        self.direction = self.dice.normal(size=1280)
        self.cases = 0

    def close(self) -> None:
        """End server and connections."""
        self.channel.close()
        self.server.stop(None).wait()
        self.runner.store.close()

    def hear(self, event: Event) -> None:
        """Settle an event as its topic would."""
        message = Wire().encode(event, "test")
        arrived = self.runner.read(message.headers["ce_type"], f"topic:{message.topic}", message.headers, message.value)
        assert self.runner.settle(arrived).kind in {"recorded", "skipped"}

    def study(self, purpose: str, *, present: bool, patient: str, drawn: str = "", clear: float = 0.12) -> str:
        """Back-fill one earlier study with an embedding, and settle its label."""
        self.cases += 1
        case = f"00000000-0000-4000-8000-{self.cases:012d}"
        numbers = self.dice.normal(size=1280) + (1 if present else -1) * clear * self.direction
        blob = self.blobs.put(numbers.astype("<f4").tobytes())
        said = prediction(version=1, stage="shadow", embedding=Blob(blob.sha256, blob.size), patient_key=patient)
        self.hear(PredictionPooled(**envelope(f"pooled-{case}", 1, case), prediction=said, purpose=purpose))
        self.hear(self.settled(case, purpose, present=present, patient=patient, drawn=drawn))
        return case

    def settled(self, case: str, purpose: str, *, present: bool, patient: str, drawn: str = "", **changes: object) -> Event:
        """Return a settled label of a case."""
        one = label(
            f"label-{case}", value="present" if present else "absent", purpose=purpose, drawn=drawn, patient_key=patient,
            source="reader" if drawn else "report", **changes,
        )
        return type(one)(**{**vars(one), "subject": case})

    def fill(self, *, clear: float = 0.12, answers: int = 75) -> None:
        """Give the site an acceptance set, a gate set, a pool and answers, with two studies for each patient."""
        for purpose, positives, negatives in (("acceptance", 40, 160), ("gate", 420, 130)):
            for place in range(positives + negatives):
                self.study(purpose, present=place < positives, patient=f"{purpose}-{place // 2}", clear=clear)
        for place in range(answers):
            self.study("pool", present=place % 3 == 0, patient=f"pool-{place}", drawn="chosen", clear=clear)

    def cycle(self, command: str) -> pb.GetCycleResponse:
        """Ask for a cycle, run its job here, publish what it wants published, and return how it stands."""
        started = self.ask.StartCycle(pb.StartCycleRequest(model="chest", actor=ACTOR, command_id=command))
        assert not started.reason, started.reason
        run_job(started.cycle_id, self.runner, self.room.jobs, self.room.clock, "site-1")
        self.deliver()
        return self.ask.GetCycle(pb.GetCycleRequest(cycle_id=started.cycle_id))

    def deliver(self) -> None:
        """Send what waits, as the deliveries' worker does."""
        with self.runner.store.connection() as connection:
            rows = connection.execute("update delivery set state = 'delivered' where state = 'waiting' returning input").fetchall()
        for (stored,) in rows:
            delivery = decode(Deliver, encode(stored))
            sent = ModelRepository(self.blobs, self.folder / "models").send(delivery)
            self.runner.submit(DeliveryAnswered(
                id=f"answered-{delivery.key}", subject=delivery.subject, site="site-1", at=at(900),
                actor=Actor(kind="system", id=delivery.receiver), delivery=delivery, outcome=sent.outcome,
            ))

    def add(self) -> int:
        """Register the first package."""
        answer = self.ask.AddModel(
            pb.AddModelRequest(model="chest", package_tar=first(), actor=ACTOR, command_id="add-first"),
        )
        assert not answer.reason
        self.deliver()
        return answer.version

    def models(self) -> dict[int, str]:
        """Return the stage of each version."""
        return {one.version: one.stage for one in self.ask.ListModels(pb.ListModelsRequest()).models}


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[Site]:
    """Open a site."""
    opened = Site(database, tmp_path)
    yield opened
    opened.close()


def test_from_a_first_package_to_a_second_release(site: Site) -> None:
    """The loop of this room: shadow, cycle, gate, production; more answers, again; then back."""
    assert site.add() == 1
    assert site.models() == {1: "shadow"}
    site.fill()
    done = site.cycle("cycle-1")
    assert done.state == "released", done.evidence
    assert site.models() == {1: "retired", 2: "production"}
    assert dict(done.labels) == {"acceptance": 200, "gate": 550, "pool": 75, "training": 75}

    says = read(site.folder / "models" / "chest" / "2")
    assert says.version == 2
    assert says.findings[0].calibration.cases == 200
    assert says.findings[0].calibration.prevalence == pytest.approx(0.2)

    for place in range(25):
        site.study("pool", present=place % 2 == 0, patient=f"more-{place}", drawn="audit")
    again = site.cycle("cycle-2")
    assert again.state in {"released", "gated-out"}, again.evidence
    assert any("candidate minus predecessor" in line for line in again.evidence)
    if again.state == "released":
        assert site.models() == {1: "retired", 2: "retired", 3: "production"}
        back = site.ask.Rollback(pb.RollbackRequest(model="chest", actor=ACTOR, command_id="back"))
        assert back.version == 2
        assert site.models()[2] == "production"


def test_a_cycle_that_learns_nothing_new_releases_nothing(site: Site) -> None:
    """The same labels make the same version: released, it would retire its own twin, and a rollback would change nothing."""
    site.add()
    site.fill()
    site.cycle("cycle-1")
    again = site.cycle("cycle-2")
    assert (again.state, again.version) == ("unchanged", 0)
    none = site.ask.GetCycle(pb.GetCycleRequest(model="other"))
    assert none.state == "none"
    assert not again.HasField("version") and not none.HasField("version")  # a zero would be a number
    assert again.evidence[0] == "nothing new was learned: this is version 2 again"
    assert site.models() == {1: "retired", 2: "production"}
    site.study("pool", present=True, patient="one-more", drawn="audit")
    assert site.cycle("cycle-3").state in {"released", "gated-out"}


def test_patients_never_cross_in_what_was_trained(site: Site) -> None:
    """A patient of the gate who is also answered about does not train, whatever was said of them."""
    site.add()
    site.fill()
    site.study("pool", present=True, patient="gate-1", drawn="chosen")
    site.study("live", present=False, patient="acceptance-3", drawn="chosen")
    done = site.cycle("cycle-1")
    assert any("2 labels, the patient measures or calibrates" in line for line in done.evidence)
    snapshot = from_bytes((site.folder / "models" / "chest" / "2" / "snapshot.npz").read_bytes())
    assert snapshot.labels == 20 + 75
    assert not {patient.partition("-")[0] for patient in snapshot.patients} & {"gate", "acceptance"}


def test_a_withdrawn_label_is_found_in_the_snapshot_that_holds_it(site: Site) -> None:
    """The list of models says how many labels of a version's snapshot were taken back."""
    site.add()
    site.fill(answers=30)
    case = site.study("pool", present=True, patient="regret", drawn="chosen")
    site.cycle("cycle-1")
    before = site.settled(case, "pool", present=True, patient="regret", drawn="chosen", revision=2, withdrawn=True)
    site.hear(type(before)(**{**vars(before), "id": "withdrawn"}))
    model = site.ask.ListModels(pb.ListModelsRequest()).models[-1]
    assert "1 labels of its snapshot were withdrawn since" in model.evidence
    assert site.shelf.usable() == 30


def test_a_candidate_that_learned_nothing_is_kept_and_not_published(site: Site) -> None:
    """Where classes cannot be told apart the gate stays shut, and the model repository is untouched."""
    site.add()
    site.fill(clear=0.004)
    done = site.cycle("cycle-1")
    assert done.state in {"gated-out", "failed"}, done.evidence
    assert site.models()[1] == "shadow"
    assert not (site.folder / "models" / "chest" / "2").exists()


def test_a_site_without_an_acceptance_set_is_told_so(site: Site) -> None:
    """The cycle fails with the reason, and nothing is released."""
    site.add()
    for place in range(40):
        site.study("pool", present=place % 2 == 0, patient=f"pool-{place}", drawn="chosen")
    done = site.cycle("cycle-1")
    assert done.state == "failed"
    assert "acceptance set" in done.evidence[0]


def test_a_killed_cycle_runs_again_to_the_same_snapshot(site: Site) -> None:
    """The job reads, computes and returns; started twice it hands back the same snapshot."""
    site.add()
    site.fill(answers=30)
    started = site.ask.StartCycle(pb.StartCycleRequest(model="chest", actor=ACTOR, command_id="once"))
    with site.runner.store.connection() as connection:
        spec = connection.execute("select spec from job where job_id = %s", (started.cycle_id,)).fetchone()[0]
    quiet = Progress(lambda *_: None)
    once, twice = (site.room.jobs["cycle"](spec, quiet) for _ in range(2))
    assert once == twice


def test_the_same_command_twice_has_one_effect(site: Site) -> None:
    """A repeat gets the stored answer."""
    assert site.add() == site.add() == 1
    assert site.models() == {1: "shadow"}


def test_a_model_without_a_gate_is_not_promoted(site: Site) -> None:
    """By gRPC as everywhere."""
    site.add()
    asked = pb.PromoteRequest(model="chest", version=1, stage="production", actor=ACTOR, command_id="now")
    answer = site.ask.Promote(asked)
    assert not answer.promoted
    assert answer.reason == "version 1 has passed no gate"


def test_a_broken_package_is_refused_with_the_reason(site: Site) -> None:
    """And an unknown model is an error of the caller."""
    broken = pb.AddModelRequest(model="chest", package_tar=b"no tar at all", actor=ACTOR, command_id="broken")
    assert "tar" in site.ask.AddModel(broken).reason
    with pytest.raises(grpc.RpcError) as refused:
        site.ask.StartCycle(pb.StartCycleRequest(model="other", actor=ACTOR, command_id="x"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_what_is_published_is_what_was_added(site: Site) -> None:
    """The files in the model repository are the package's, but for its number."""
    site.add()
    assert from_folder(site.folder / "models" / "chest" / "1") == unpack(first())
