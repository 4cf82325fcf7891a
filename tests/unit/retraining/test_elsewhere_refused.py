"""What `models add` refuses of a package from elsewhere, by the words that inference would refuse it with."""

import io
from typing import Any

import numpy as np
import pytest
from tests.examples.elsewhere import files

from radloop.kit.errors import Permanent
from radloop.retraining.adapters.package import pack, unpack


def npz(precision: Any) -> bytes:
    """Return an `ood.npz` as wide as the embedding."""
    out = io.BytesIO()
    np.savez(out, mean=np.zeros(2, np.float32), precision=np.asarray(precision, np.float32))
    return out.getvalue()


@pytest.mark.parametrize(("precision", "said"), [
    (np.diag([1.0, -1.0]), "precision has a negative eigenvalue"), ([[1.0, 0.5], [0.0, 1.0]], "precision is not symmetric"),
    (np.zeros((2, 2)), "precision is zero"),
])
def test_a_package_to_which_nothing_would_be_strange_is_not_taken(precision: Any, said: str) -> None:
    """An image of anything would be read as if it were known."""
    with pytest.raises(Permanent, match=rf"^ood\.npz: {said}"):
        unpack(pack(files(ood=npz(precision))))


def test_a_radloop_yaml_too_large_is_not_parsed() -> None:
    """The room would be at it for a quarter of a minute, and whoever sent it could send it again."""
    with pytest.raises(Permanent, match=r"^radloop\.yaml has 1,000,012 bytes, and at most 262,144 are read$"):
        unpack(pack({**files(), "radloop.yaml": b"findings: [" + b"{}, " * 250_000 + b"]"}))
