"""From a door to the runner: bytes become a command with an identity of their own, its outcome the door's answer."""

import hashlib
import logging
import re
import threading

from radloop.ingestion.adapters.dicom import CANNOT_UNDERSTAND, DOES_NOT_MATCH
from radloop.ingestion.domain import keys
from radloop.ingestion.domain.storing import File
from radloop.ingestion.handlers import RefuseMessage, RefuseObject, StoreObject, Stored, TakeMessage
from radloop.kit import telemetry
from radloop.kit.blobs import Blobs
from radloop.kit.clock import Clock
from radloop.kit.flow import Actor
from radloop.kit.runner import Runner
from radloop.standards.dicom.errors import BadTag, DicomError
from radloop.standards.dicom.header import InstanceFacts, read
from radloop.standards.hl7.answer import acknowledge
from radloop.standards.hl7.errors import Hl7Error
from radloop.standards.hl7.mllp import Broken
from radloop.standards.hl7.model import Origin
from radloop.standards.hl7.read import read_header
from radloop.standards.hl7.write import control_id

log = logging.getLogger(__name__)

ENGINE = Actor(kind="system", id="hl7")
MODALITY = Actor(kind="system", id="dicom")
_META_AT = 132
_LENGTH_ELEMENT = b"\x02\x00\x00\x00UL\x04\x00"


class Hl7Door:
    """Takes messages and broken frames; what it returns is the answer on the wire."""

    def __init__(self, runner: Runner, clock: Clock, origin: Origin) -> None:
        self._runner, self._clock, self._origin = runner, clock, origin

    def take(self, raw: bytes) -> bytes:
        """Return the acknowledgement, once what it says is durable; raise Transient where nothing can be kept."""
        header = read_header(raw, self._origin)
        digest = hashlib.sha256(raw).hexdigest()
        known_by = (header.sending_app, header.sending_facility, header.control_id) if header else ()
        identity = keys.digest("hl7", *known_by, digest)
        with telemetry.span("HL7 message", "", input=identity):
            outcome = self._runner.submit(TakeMessage(
                id=identity, subject=keys.digest(digest), site=self._origin.site, at=self._clock.now(), actor=ENGINE, raw=raw,
            ))
        if outcome.answer is None:
            error = Hl7Error("207", "the message is kept in quarantine")
            at = header.at if header and header.at else self._clock.now()  # so that a repeat gets the same bytes
            return acknowledge(header, "AE", control_id(identity), at, error)
        if outcome.answer.flagged and not outcome.repeated:
            log.warning("a message control id came with other content than before", extra={"input": identity})
        if outcome.answer.undefined and not outcome.repeated:
            log.warning("priority not defined, taken as ASAP", extra={"input": identity, "where": list(outcome.answer.undefined)})
        if outcome.kind != "recorded":
            log.warning("message refused", extra={"input": identity, "reason": outcome.reason})
        return bytes(outcome.answer.message)

    def broken(self, frame: Broken) -> bytes | None:
        """Keep what never became a message; answer it unless it was no HL7 at all."""
        identity = keys.digest("broken", frame.reason, hashlib.sha256(frame.content).hexdigest())
        outcome = self._runner.submit(RefuseMessage(
            id=identity, subject=identity, site=self._origin.site, at=self._clock.now(), actor=ENGINE,
            raw=frame.content, reason=frame.reason,
        ))
        log.warning("broken message", extra={"input": identity, "reason": frame.reason})
        return None if frame.reason == "not framed" or outcome.answer is None else bytes(outcome.answer.message)


class ImageDoor:
    """Takes DICOM files: into the blobs first, then into the chart."""

    def __init__(self, runner: Runner, blobs: Blobs, clock: Clock, site: str, quiet_seconds: float) -> None:
        self._runner, self._blobs, self._clock, self._site = runner, blobs, clock, site
        # Until a live study's images are all here, and for as long as it takes to read it.
        self._expected_s = quiet_seconds + 1.0
        self._turn = threading.Lock()

    def keep(self, file: bytes, caller: str) -> int:  # noqa: ARG002 - the calling AE title lies in the file
        """Return the C-STORE status, once the object is durable; raise Transient where it cannot be kept now."""
        return self.take(file, "", MODALITY).status

    def take(self, file: bytes, purpose: str, actor: Actor) -> Stored:
        """Store an object, or refuse it with its reason; raise Transient. One with a purpose yields to those without."""
        if purpose:
            with self._turn:  # however many are handed over at once, they are let in one by one
                self._runner.courtesy.give_way()
        else:
            self._runner.courtesy.live(self._expected_s)
        with telemetry.span("DICOM object", ""):
            try:
                facts = read(file)
                _check_meta(file, facts)
            except DicomError as wrong:
                return self._refuse(file, wrong, actor)
            blob = self._blobs.put(file)
            content = hashlib.sha256(_dataset(file)).hexdigest()
            identity = keys.digest("object", facts.sop_instance_uid, content)
            outcome = self._runner.submit(StoreObject(
                id=identity, subject=keys.digest(facts.study_uid), site=self._site, at=self._clock.now(), actor=actor,
                facts=facts, file=File(sha256=blob.sha256, size=len(file), content=content), purpose=purpose,
            ))
        return self._answered(outcome.answer, identity)

    def _refuse(self, file: bytes, wrong: DicomError, actor: Actor) -> Stored:
        blob = self._blobs.put(file)
        status = DOES_NOT_MATCH if isinstance(wrong, _Mismatch) else CANNOT_UNDERSTAND
        identity = keys.digest("refused", blob.sha256)
        outcome = self._runner.submit(RefuseObject(
            id=identity, subject=identity, site=self._site, at=self._clock.now(), actor=actor,
            sha256=blob.sha256, size=len(file), status=status, reason=wrong.reason,
        ))
        return self._answered(outcome.answer, identity)

    def _answered(self, answer: Stored | None, identity: str) -> Stored:
        answer = answer or Stored(status=CANNOT_UNDERSTAND, reason="the object is kept in quarantine")
        if answer.status:
            log.warning("object refused", extra={"input": identity, "reason": answer.reason})
        return answer


class _Mismatch(BadTag):
    """The request names another object than the dataset."""


def _check_meta(file: bytes, facts: InstanceFacts) -> None:
    """The request's SOP Instance UID, which went into the file meta information, is the dataset's own."""
    meta = file[_META_AT:len(file) - len(_dataset(file))]
    named = re.compile(rb"(?<![0-9.])" + re.escape(facts.sop_instance_uid.encode()) + rb"(?![0-9.])")
    if not named.search(meta):
        raise _Mismatch("SOPInstanceUID", "the request names another one than the dataset")


def _dataset(file: bytes) -> bytes:
    """The encoded dataset behind the file meta information (PS3.10 section 7.1); all of it where no length is stated."""
    if file[_META_AT:_META_AT + 8] != _LENGTH_ELEMENT:
        return file
    length = int.from_bytes(file[_META_AT + 8:_META_AT + 12], "little")
    return file[_META_AT + 12 + length:]


