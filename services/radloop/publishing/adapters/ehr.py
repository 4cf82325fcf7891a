"""The EHR as a receiver: it is asked what a report refers to, and given the report."""

import json

from radloop.kit.clock import Clock
from radloop.kit.deliveries import Answer
from radloop.kit.errors import Permanent, Transient
from radloop.kit.flow import Deliver
from radloop.publishing.adapters.away import Away
from radloop.publishing.adapters.fhir import Ehr
from radloop.standards.fhir.lookup import Lookup


class EhrReceiver:
    """Speaks FHIR to the hospital's record; without one configured, deliveries wait and readiness says so."""

    def __init__(self, ehr: Ehr | None, look_up: str, clock: Clock) -> None:
        """Take the client, None where none is configured, and the kind of delivery that asks instead of telling."""
        self._ehr, self._look_up, self._away = ehr, look_up, Away(clock)

    def send(self, delivery: Deliver) -> Answer:
        """Answer a look-up with what was found, a report with the resources that stand now; see ports.Receiver."""
        with self._away.watching():
            if self._ehr is None:
                raise Transient("no EHR is configured: set RADLOOP_PUBLISHING_EHR")
            if delivery.kind == self._look_up:
                return Answer("delivered", body=_found(self._ehr, delivery.body))
            return Answer("delivered", body=json.dumps(self._ehr.put(delivery.body).resources).encode())

    def ready(self) -> str:
        """Say why the EHR is away, empty where it is not known to be."""
        return self._away.reason


def _found(ehr: Ehr, body: bytes) -> bytes:
    try:
        asked = Lookup.read(body)
    except ValueError as wrong:
        raise Permanent(str(wrong)) from wrong
    return ehr.look_up(asked).write()
