"""Bytes too big for Kafka, kept as files named by their SHA-256, written and synced before anything refers to them."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from radloop.kit.errors import Permanent, Transient

_NAME_LENGTH = 64


@dataclass(frozen=True)
class Blob:
    """A reference to stored bytes: SHA-256 in hex, size in bytes where known."""

    sha256: str
    size: int | None = None


class Blobs(Protocol):
    """Where blobs are kept."""

    def put(self, data: bytes) -> Blob:
        """Keep bytes for good before returning; the same bytes again cost nothing."""
        ...

    def get(self, sha256: str) -> bytes:
        """Return the bytes; raise Permanent where there is no such blob or it is damaged, Transient where storage fails."""
        ...


class Folder:
    """Blobs in a local folder, two levels deep."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    def put(self, data: bytes) -> Blob:
        """Write to a temporary file, sync it and its folder, then rename: a reader never sees half a blob."""
        name = hashlib.sha256(data).hexdigest()
        target = self._path / name[:2] / name
        blob = Blob(name, len(data))
        if target.exists():
            return blob
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as file:
                try:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    Path(file.name).unlink()  # on a full disk half a blob would keep it full
                    raise
            Path(file.name).replace(target)
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as away:
            raise Transient(f"the blob folder cannot be written: {away.strerror}") from away
        return blob

    def get(self, sha256: str) -> bytes:
        """Read a blob and check it against its name."""
        if len(sha256) != _NAME_LENGTH or not set(sha256) <= set("0123456789abcdef"):
            raise Permanent("not the name of a blob")
        try:
            data = (self._path / sha256[:2] / sha256).read_bytes()
        except FileNotFoundError as missing:
            raise Permanent("no such blob") from missing
        except OSError as away:
            raise Transient(f"the blob folder cannot be read: {away.strerror}") from away
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Permanent("the blob is damaged: its bytes do not match its name")
        return data
