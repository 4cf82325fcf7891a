"""The change record: the signed evidence for one stage change, in canonical bytes."""

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from typing import Any

STAGES = ("candidate", "shadow", "canary", "production", "retired")


@dataclass(frozen=True, kw_only=True)
class ChangeRecord:
    """What changed, who asked, on which evidence, under which plan; `signature` is over everything else.

    The signature is HMAC-SHA-256 with the site's own key: it proves that this installation wrote the record and that
    nobody without the key changed it since. It does not prove it to somebody who holds no key.
    """

    record_id: str
    model: str
    version: int
    stage: str
    previous_stage: str
    actor: str
    reason: str
    at: str
    plan_sha256: str
    weights_sha256: str
    snapshot_sha256: str
    gate_passed: bool
    evidence: tuple[str, ...]
    signature: str = ""

    def canonical(self) -> bytes:
        """Return the bytes that are signed: sorted JSON without the signature."""
        content = asdict(self)
        del content["signature"]
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def signed(self, key: bytes) -> "ChangeRecord":
        """Return the record with its signature."""
        return ChangeRecord(**{**_fields(self), "signature": _mac(self.canonical(), key)})

    def genuine(self, key: bytes) -> bool:
        """Say whether the signature is this key's and fits the content."""
        return hmac.compare_digest(self.signature, _mac(self.canonical(), key))


def _fields(record: ChangeRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _mac(content: bytes, key: bytes) -> str:
    return hmac.new(key, content, hashlib.sha256).hexdigest()
