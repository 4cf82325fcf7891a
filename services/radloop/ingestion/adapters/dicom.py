"""The DICOM door: an SCP of the Verification and Storage services (PS3.4 A, PS3.7), threads of pynetdicom's own.

What arrives is handed on as the bytes of a DICOM file: the dataset as received, file meta information put before it.
The callable's status is the answer; what it raises is answered as a failure, so that the sender keeps its object.
A sender that would take more memory than there is room for is not read from until there is (`crowd`).
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pynetdicom import _config, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time
from pynetdicom.transport import ThreadedAssociationServer
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES
from pydicom.dataset import Dataset

from radloop.ingestion.adapters.crowd import Crowd, Room
from radloop.kit.errors import Misconfigured, Permanent, Transient
from radloop.standards.dicom.write import as_file

log = logging.getLogger(__name__)

SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
"""Try again later (PS3.4 table B.2-1)."""
DOES_NOT_MATCH: Final = 0xA900
"""The dataset is not of the SOP class, or not the instance, that the request names."""
CANNOT_UNDERSTAND: Final = 0xC000
_COMMENT_LENGTH: Final = 64

Keep = Callable[[bytes, str], int]
"""(bytes of a DICOM file, calling AE title) → status, given only once the object is durable.

Transient is answered with 0xA700; Permanent with 0xC000 and its reason as Error Comment (0000,0902).
"""


@dataclass(frozen=True)
class Door:
    """Where the SCP listens and what one sender may take up; an empty title accepts any called AE title."""

    host: str = "127.0.0.1"
    port: int = 0
    title: str = "RADLOOP"
    any_called_title: bool = False
    associations: int = 16
    room: Room = field(default_factory=Room)
    idle_seconds: float = 60.0
    asking_seconds: float = 10.0
    pdu_bytes: int = 131_072


class _Server(ThreadedAssociationServer):
    """Takes some more connections than associations: each is a thread, also one that never asks for an association."""

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - socketserver's shape
        return len(self.ae.active_associations) < 2 * self.ae.maximum_associations


class StorageScp:
    """Listens from `start` to `stop`; hands each received object to `keep`."""

    def __init__(self, door: Door, keep: Keep) -> None:
        """Remember what to do; nothing is opened yet."""
        self._door, self._keep = door, keep
        self._entity: ApplicationEntity | None = None
        self._server: _Server | None = None
        self._crowd = Crowd(door.room)
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """The port it listens at; that of the settings before `start`."""
        return int(self._server.server_address[1]) if self._server else self._door.port

    def start(self) -> None:
        """Listen; Misconfigured where the address cannot be had."""
        # Private and future storage classes are images somebody wants kept; what cannot be read is refused by name later.
        _config.UNRESTRICTED_STORAGE_SERVICE = True
        _config.LOG_HANDLER_LEVEL = "none"
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # it quotes AE titles and datasets
        entity = ApplicationEntity(self._door.title)
        entity.require_called_aet = not self._door.any_called_title
        entity.maximum_associations = self._door.associations
        entity.maximum_pdu_size = self._door.pdu_bytes
        entity.network_timeout = entity.dimse_timeout = self._door.idle_seconds
        entity.acse_timeout = self._door.asking_seconds
        entity.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax or "", ALL_TRANSFER_SYNTAXES)
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_C_ECHO, self._echo), (evt.EVT_C_STORE, self._store), (evt.EVT_PDU_RECV, self._arrived),
            (evt.EVT_CONN_CLOSE, lambda event: self._crowd.gone(event.assoc)),
        ]
        try:
            server = entity.make_server((self._door.host, self._door.port), evt_handlers=handlers, server_class=_Server)
        except OSError as busy:
            raise Misconfigured(f"the DICOM door cannot listen at {self._door.host}:{self._door.port}") from busy
        threading.Thread(target=server.serve_forever, name="dicom", daemon=True).start()
        entity._servers.append(server)  # noqa: SLF001 - where start_server, which takes no class, puts its own, and shutdown looks
        with self._lock:
            self._entity, self._server = entity, cast("_Server", server)
        log.info("listening", extra={"door": "dicom", "port": self.port})

    def stop(self) -> None:
        """Close the door and end associations; senders see an abort and keep what was not answered."""
        with self._lock:
            entity, self._entity, self._server = self._entity, None, None
        if entity is not None:
            with contextlib.suppress(OSError):
                entity.shutdown()

    def _arrived(self, event: Event) -> None:
        """Let the thread that reads this sender's data go on only where there is room for more; hang up where there is not for long.

        Aborted in DICOM's words it would be by this very thread, which would then wait for itself.
        """
        if isinstance(event.pdu, P_DATA_TF) and not self._crowd.arrived(event.assoc, event.pdu.pdu_length):
            log.warning("connection ended", extra={"door": "dicom", "reason": "no room for an object that large, or for so many"})
            if event.assoc.dul.socket is not None:
                event.assoc.dul.socket.close()

    def _echo(self, event: Event) -> int:
        """Answer one C-ECHO request, of which nothing is held any more."""
        self._crowd.gone(event.assoc)
        return SUCCESS

    def _store(self, event: Event) -> int | Dataset:
        """Answer one C-STORE request; what it holds in memory counts as held until then."""
        self._crowd.answering(event.assoc)
        try:
            return self._kept(event)
        finally:
            self._crowd.gone(event.assoc)

    def _kept(self, event: Event) -> int | Dataset:
        request, context = cast("C_STORE", event.request), event.context
        caller = _title(event.assoc.requestor.ae_title)
        if request.DataSet is None or not request.AffectedSOPInstanceUID or not request.AffectedSOPClassUID:
            return _failure(CANNOT_UNDERSTAND, "no dataset, SOP class or SOP instance")
        file = as_file(
            request.DataSet.getvalue(), sop_class_uid=request.AffectedSOPClassUID,
            sop_instance_uid=request.AffectedSOPInstanceUID, transfer_syntax=context.transfer_syntax, source=caller,
        )
        try:
            return self._keep(file, caller)
        except Transient:
            return _failure(OUT_OF_RESOURCES, "cannot be kept now, send it again later")
        except Permanent as refused:
            return _failure(CANNOT_UNDERSTAND, refused.reason)


def _title(value: str | bytes) -> str:
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else value).strip()


def _failure(status: int, comment: str) -> Dataset:
    """Return a failure with its reason, as far as LO holds it (PS3.7 C.4.2)."""
    answer = Dataset()
    answer.Status = status
    answer.ErrorComment = comment.replace("\\", "/").encode("ascii", "replace").decode()[:_COMMENT_LENGTH]
    return answer
