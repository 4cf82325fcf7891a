"""The change record: the signed evidence for one stage change, in canonical bytes."""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

Sign = Callable[[bytes], str]
"""Signs canonical bytes with the site's key: HMAC-SHA-256, in hex."""


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

    def signed(self, sign: Sign) -> "ChangeRecord":
        """Return the record with its signature."""
        return replace(self, signature=sign(self.canonical()))

    def genuine(self, sign: Sign) -> bool:
        """Say whether the signature is this key's and fits the content."""
        return hmac.compare_digest(self.signature, sign(self.canonical()))


def signer(key: bytes) -> Sign:
    """Return the signing of one key."""
    return lambda content: hmac.new(key, content, hashlib.sha256).hexdigest()
