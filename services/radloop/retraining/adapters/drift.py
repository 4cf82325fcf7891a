"""What drift is judged by: what the versions said, and the embeddings they know, from the room's tables and blobs."""

import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from radloop.kit.blobs import Blobs
from radloop.kit.errors import Permanent
from radloop.retraining.adapters.package import SNAPSHOT_FILE
from radloop.retraining.adapters.postgres import StoredShelf
from radloop.retraining.domain.arrays import Singles
from radloop.retraining.domain.book import Book, Version
from radloop.retraining.domain.case import Said
from radloop.retraining.domain.drift import FEWEST_KNOWN, WINDOW, Drift, Known, Watched, judge
from radloop.retraining.domain.snapshot import from_bytes
from radloop.standards import package as standard

READING = ("shadow", "canary", "production")
SNAPSHOT, FIRST_CASES = "its training snapshot", "its first cases"


def drift_of(book: Book, shelf: StoredShelf, blobs: Blobs) -> Iterator[Drift]:
    """Judge each version of a model that reads studies; raise Transient where the store is away.

    A segmenter reads none, it outlines what it is pointed at: nothing of it would ever be here to judge.
    """
    for version in book.versions:
        if version.stage not in READING:
            continue
        says, package = _package(version, blobs)
        if isinstance(says, standard.Package):
            cases, said = shelf.said(book.model, version.number, WINDOW)
            watched = Watched(model=book.model, version=version.number, stage=version.stage, cases=cases, said=said)
            latest, _ = _embeddings(watched.latest, blobs)
            snapshot = _made_on(package)
            names = {one.code.value: one.code.display for one in says.findings if one.code.display}
            comparable = snapshot is not None and len(snapshot.people) >= FEWEST_KNOWN and (
                snapshot.embeddings.shape[1] == latest.shape[1])
            known = snapshot if comparable else Known(FIRST_CASES, *_embeddings(watched.first, blobs))
            yield judge(watched, known, latest, names)


def _embeddings(said: Sequence[Said], blobs: Blobs) -> tuple[Singles, tuple[str, ...]]:
    """Return the embeddings that are kept [N, D] and their names, which tell one image from another."""
    found: dict[str, Singles] = {}
    for one in said:
        try:
            found[one.embedding] = np.frombuffer(blobs.get(one.embedding), dtype="<f4").astype(np.float32)
        except Permanent:
            continue  # lost: it is one case less
    return (np.stack(list(found.values())) if found else np.empty((0, 0), dtype=np.float32)), tuple(found)


def _package(version: Version, blobs: Blobs) -> tuple[standard.AnyPackage, dict[str, bytes]]:
    """Return what a version's package says of itself, and the two files of it that are looked at: the rest is megabytes.

    The package was checked when it was taken in.
    """
    held: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(blobs.get(version.package)), mode="r:") as tar:
        for entry in tar:
            if entry.name in {SNAPSHOT_FILE, standard.FILE} and (file := tar.extractfile(entry)) is not None:
                held[entry.name] = file.read()
    return standard.parse(held[standard.FILE].decode()), held


def _made_on(package: Mapping[str, bytes]) -> Known | None:
    """Return the embeddings of a version's training snapshot, where its package has it."""
    if SNAPSHOT_FILE not in package:
        return None
    snapshot = from_bytes(package[SNAPSHOT_FILE])
    # A case has one row for each finding, and one embedding.
    places = list({row.case_id: place for place, row in enumerate(snapshot.rows)}.values())
    return Known(SNAPSHOT, snapshot.embeddings[places], tuple(snapshot.rows[place].patient_key for place in places))
