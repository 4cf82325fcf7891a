"""The EHR as a receiver: it is asked what a report refers to, and given the report."""

import json

from radloop.kit.deliveries import Answer
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Deliver
from radloop.publishing.adapters.fhir import Ehr
from radloop.standards.fhir.lookup import Lookup


class EhrReceiver:
    """Speaks FHIR to the hospital's record; without one configured, deliveries wait."""

    def __init__(self, ehr: Ehr | None, look_up: str) -> None:
        """Take the client, None where none is configured, and the kind of delivery that asks instead of telling."""
        self._ehr, self._look_up = ehr, look_up
        self._away = ""

    def send(self, delivery: Deliver) -> Answer:
        """Answer a look-up with what was found, a report with the resources that stand now; see ports.Receiver."""
        if self._ehr is None:
            raise Transient("no EHR is configured: set RADLOOP_PUBLISHING_EHR")
        try:
            body = self._found(delivery.body) if delivery.kind == self._look_up else self._put(delivery.body)
        except Transient as away:
            self._away = away.reason
            raise
        self._away = ""
        return Answer("delivered", body=body)

    def ready(self) -> str:
        """Say why the EHR is away, empty where it is not known to be."""
        return self._away

    def close(self) -> None:
        """Give back the connections."""
        if self._ehr is not None:
            self._ehr.close()

    def _put(self, body: bytes) -> bytes:
        assert self._ehr is not None  # send has looked
        return json.dumps(self._ehr.put(body).resources).encode()

    def _found(self, body: bytes) -> bytes:
        assert self._ehr is not None  # send has looked
        try:
            asked = Lookup.read(body)
        except ValueError as wrong:
            raise Permanent(str(wrong)) from wrong
        return self._ehr.look_up(asked).write()
