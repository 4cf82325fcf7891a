"""The children of the simulated hospital: names, birth dates and record numbers, made up by seed.

Nothing about a child depends on what the radiograph shows: the generator never sees the truth.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

ISSUER = "SIMHOSP"
_GIVEN = {
    "F": (
        "Ada",
        "Bea",
        "Chiara",
        "Dunya",
        "Elif",
        "Freya",
        "Gioia",
        "Hana",
        "Ines",
        "Jade",
        "Kaya",
        "Lena",
        "Mei",
        "Nora",
        "Olga",
        "Priya",
    ),
    "M": (
        "Ali",
        "Bo",
        "Carlo",
        "Dario",
        "Emil",
        "Finn",
        "Goran",
        "Hugo",
        "Ivo",
        "Jun",
        "Kofi",
        "Luca",
        "Milo",
        "Noah",
        "Omar",
        "Pavel",
    ),
}
_FAMILY = (
    "Almeida",
    "Berger",
    "Costa",
    "Diallo",
    "Eriksen",
    "Fontana",
    "Garcia",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindgren",
    "Moreau",
    "Nakamura",
    "Okafor",
    "Petrov",
    "Quist",
    "Rossi",
    "Silva",
    "Tanaka",
    "Urban",
    "Vogel",
    "Weber",
    "Yilmaz",
    "Zhang",
)
_DAYS_OF_A_YEAR = 365.25
_YOUNGEST_DAYS, _OLDEST_DAYS = 380, 2_150


@dataclass(frozen=True)
class Child:
    """A patient as the hospital's own systems know it; invented, but treated as PHI."""

    mrn: str
    family: str
    given: str
    birth_date: date
    sex: str
    issuer: str = field(default=ISSUER)

    def age(self, on: date) -> str:
        """Return the age on a day as DICOM writes it (AS): months under two years, then years."""
        days = (on - self.birth_date).days
        if days < 2 * _DAYS_OF_A_YEAR:
            return f"{int(days / _DAYS_OF_A_YEAR * 12):03d}M"
        return f"{int(days / _DAYS_OF_A_YEAR):03d}Y"


def children(seed: int, count: int, today: date, prefix: str = "") -> tuple[Child, ...]:
    """Return so many children of one to five years, each with a record number of its own, behind a prefix."""
    rng = np.random.default_rng([seed, 0xC1])
    numbers = rng.choice(9_000_000, size=count, replace=False) + 1_000_000
    born: list[Child] = []
    for number in numbers:
        sex = "FM"[int(rng.integers(2))]
        born.append(
            Child(
                mrn=f"{prefix}{int(number)}",
                family=_FAMILY[int(rng.integers(len(_FAMILY)))],
                given=_GIVEN[sex][int(rng.integers(len(_GIVEN[sex])))],
                birth_date=today - timedelta(days=int(rng.integers(_YOUNGEST_DAYS, _OLDEST_DAYS))),
                sex=sex,
            ),
        )
    return tuple(born)
