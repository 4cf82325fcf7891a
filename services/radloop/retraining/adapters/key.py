"""The key that signs change records: a file of the site's, made once where there is none."""

import os
import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path

from radloop.kit.errors import Misconfigured, Transient
from radloop.retraining.domain.record import Sign, signer

_BYTES = 32


def _read_or_make(path: Path) -> bytes:
    try:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = path.read_bytes()
        else:
            key = secrets.token_bytes(_BYTES)
            with os.fdopen(handle, "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
    except FileNotFoundError as missing:
        msg = "the folder of RADLOOP_RETRAINING_SIGNING_KEY_FILE does not exist"
        raise Misconfigured(msg) from missing
    except OSError as away:
        msg = f"the signing key cannot be read: {away.strerror}"
        raise Transient(msg) from away
    if len(key) < _BYTES:
        msg = f"the signing key is shorter than {_BYTES} bytes: give another file, or remove it to have one made"
        raise Misconfigured(msg)
    return key


def sign_with(path: Path) -> Sign:
    """Return a signing that reads the key when it is first needed."""
    key: Callable[[], bytes] = cache(lambda: _read_or_make(path))

    def sign(content: bytes) -> str:
        return signer(key())(content)

    return sign
