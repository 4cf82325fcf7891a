"""The model packages that were handed over, and the Triton repository they are published into."""

import json
from dataclasses import asdict
from pathlib import Path

from radloop.kit.blobs import Blobs
from radloop.kit.deliveries import Answer
from radloop.kit.errors import Permanent
from radloop.kit.flow import Deliver
from radloop.retraining.adapters.package import SNAPSHOT_FILE, Files, comparable, described, publish, renumbered, unpack
from radloop.retraining.domain.snapshot import from_bytes
from radloop.retraining.ports import Offered


_OF_ITS_OWN = ("version", "trained_at", "origin")
"""What two packages of the same version may say differently: its number, and when and by what it was made."""


class StoredPackages:
    """Packages among the blobs."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def look(self, package: str) -> Offered:
        """Open a package, check its hashes, and say what it is; what is wrong with it is its reason."""
        return offered(self._blobs.get(package))


def offered(data: bytes) -> Offered:
    """Say what a package is, from its tar; what is wrong with it is its reason."""
    try:
        files = unpack(data)
        says = described(files)
        snapshot = from_bytes(files[SNAPSHOT_FILE]) if SNAPSHOT_FILE in files else None
    except Permanent as wrong:
        return Offered(reason=wrong.reason)
    return Offered(
        model=says.model, weights=says.weights_sha256, snapshot=says.snapshot_sha256,
        labels=snapshot.labels if snapshot else 0, case_ids=tuple(row.case_id for row in snapshot.rows) if snapshot else (),
        says={name: value for name, value in asdict(says).items() if name not in _OF_ITS_OWN}, untrainable=_untrainable(files),
    )


def _untrainable(files: Files) -> str:
    """Return why no cycle could start from a package, empty where one could."""
    if SNAPSHOT_FILE not in files:
        return f"the package lacks {SNAPSHOT_FILE}"
    try:
        comparable(files)
    except Permanent as other:
        return other.reason
    return ""


class ModelRepository:
    """Receives packages: puts them into Triton's model repository, where only this room writes."""

    def __init__(self, blobs: Blobs, folder: Path) -> None:
        self._blobs, self._folder = blobs, folder

    def send(self, delivery: Deliver) -> Answer:
        """Publish a package under its number; the same one again changes nothing."""
        asked = json.loads(delivery.body)
        publish(renumbered(unpack(self._blobs.get(asked["package"])), asked["version"]), self._folder)
        return Answer("delivered")
