"""The question to an EHR which of its own resources a case refers to, and the answer: the same with ids filled in."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from radloop.standards.fhir.values import Identifier, Named


@dataclass(frozen=True)
class Lookup:
    """The patient, the orders and the study of one case, as the EHR may know them."""

    patient: Named
    orders: tuple[Named, ...]
    study: Named

    @property
    def complete(self) -> bool:
        """Whether all of them were found."""
        return all(one.id for one in (self.patient, *self.orders, self.study))

    @property
    def bare(self) -> Self:
        """The question alone, without what was found."""
        orders = tuple(replace(one, id="") for one in self.orders)
        return type(self)(replace(self.patient, id=""), orders, replace(self.study, id=""))

    def write(self) -> bytes:
        """Write it as JSON, the same value as the same bytes."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Read it from JSON; raises ValueError for anything else."""
        try:
            found = json.loads(data)
            return cls(_named(found["patient"]), tuple(_named(one) for one in found["orders"]), _named(found["study"]))
        except (KeyError, TypeError, AttributeError) as wrong:
            raise ValueError("not a look-up") from wrong


def _named(found: dict[str, Any]) -> Named:
    identifiers = tuple(Identifier(one["system"], one["value"], one["type"]) for one in found["identifiers"])
    return Named(found["type"], identifiers, found["id"])
