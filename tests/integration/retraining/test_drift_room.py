"""Drift over a real Postgres and real gRPC: predictions are heard, and the room says whether the version is still itself."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from examples.shared import at, envelope, prediction

from radloop.events.common import Blob
from radloop.events.prediction import ImageQuality, PredictionPooled, PredictionShadowed
from radloop.retraining.adapters.package import SNAPSHOT_FILE, pack, unpack
from radloop.retraining.domain.snapshot import Row, name_of, take, to_bytes
from radloop.standards import package as standard
from radloop.v1 import retraining_service_pb2 as pb
from tests.integration.retraining.test_retraining_room import ACTOR, Site, first

WIDTH = 1280


def made_on(embeddings: np.ndarray) -> bytes:
    """Return the first package as if it had been trained on these."""
    files = unpack(first())
    rows = (
        Row(case_id=f"seed-{place:04d}", patient_key=f"p-{place}", finding="233604007", present=place % 3 == 0, weight=1.0,
            source="reader", drawn="seed")
        for place in range(len(embeddings))
    )
    snapshot = to_bytes(take(zip(rows, embeddings, strict=True)))
    says = replace(standard.parse(files[standard.FILE].decode()), snapshot_sha256=name_of(snapshot))
    return pack({**files, SNAPSHOT_FILE: snapshot, standard.FILE: standard.render(says).encode()})


def read(site: Site, number: int, probability: float, *, aside: float = 0.0, mean: float = 0.45, pooled: bool = False) -> None:
    """Hear what the shadow version said of one study."""
    numbers = site.dice.normal(size=WIDTH) + aside
    blob = site.blobs.put(numbers.astype("<f4").tobytes())
    said = prediction(
        probability, version=1, stage="shadow", embedding=Blob(blob.sha256, blob.size), read_at=at(number), ood_ratio=0.8,
        quality=ImageQuality(mean=mean + 0.01 * float(site.dice.normal()), contrast=0.2, at_ends=0.01),
    )
    case = f"00000000-0000-4000-8000-{number:012d}"
    site.hear(
        PredictionPooled(**envelope(f"pooled-{case}", number, case), prediction=said, purpose="pool") if pooled
        else PredictionShadowed(**envelope(f"shadowed-{case}", number, case), prediction=said))


def drift(site: Site) -> pb.VersionDrift:
    """Ask how the one version stands."""
    [version] = site.ask.GetDrift(pb.GetDriftRequest(model="chest")).versions
    return version


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[Site]:
    """Open a site."""
    opened = Site(database, tmp_path)
    yield opened
    opened.close()


def test_a_version_whose_traffic_changed_is_told(site: Site) -> None:
    """Probabilities, embeddings and images move: each has its figures and its sentence, and an earlier study changes none of them."""
    package = made_on(site.dice.normal(size=(100, WIDTH)))
    assert not site.ask.AddModel(pb.AddModelRequest(model="chest", package_tar=package, actor=ACTOR, command_id="add")).reason
    site.deliver()
    assert [one.sentence for one in drift(site).verdicts] == ["too few cases to judge: 0 live ones read, 100 are needed"]
    for number in range(60):
        read(site, number, float(site.dice.uniform(0.0, 0.5)))
        read(site, 1000 + number, float(site.dice.uniform(0.4, 1.0)), aside=0.5, mean=0.7)
        read(site, 5000 + number, 0.99, aside=5.0, pooled=True)
    told = drift(site)
    assert (told.version, told.stage, told.cases, told.window) == (1, "shadow", 120, 60)
    assert told.findings[0].probability.before == pytest.approx(0.25, abs=0.08)
    assert told.findings[0].probability.now == pytest.approx(0.7, abs=0.08)
    assert told.embedding.reference == "its training snapshot"
    assert told.embedding.mean_shift == pytest.approx(0.5, abs=0.15)
    moved = [one.sentence for one in told.verdicts if one.moved]
    assert any(sentence.startswith("Pneumonia: probabilities moved: PSI") for sentence in moved), moved
    assert any(sentence.startswith("the embeddings' mean moved by") for sentence in moved), moved
    assert any(sentence.startswith("images changed: mean grey") for sentence in moved), moved
    assert not any("contrast" in sentence for sentence in moved), moved


def test_a_version_without_much_of_a_snapshot_is_held_against_its_first_cases(site: Site) -> None:
    """Twenty seeds say little of 1,280 dimensions; and on unchanged traffic nothing is told."""
    site.add()
    for number in range(120):
        read(site, number, float(site.dice.uniform(0.0, 1.0)))
    told = drift(site)
    assert told.embedding.reference == "its first cases"
    assert [one.sentence for one in told.verdicts if one.moved] == []


def test_a_model_that_nobody_registered_has_no_versions(site: Site) -> None:
    """There is nothing to judge, which is no error."""
    assert not site.ask.GetDrift(pb.GetDriftRequest(model="knee")).versions
