"""What tells one learned version from another."""

from dataclasses import replace
from typing import Any

import pytest
from tests.examples.inference import package

from radloop.retraining.adapters.cycle import content
from radloop.standards.package import OutOfDistribution

SAID = package()


@pytest.mark.parametrize(("changes", "same"), [
    ({"version": 7, "trained_at": "2026-01-01T00:00:00+00:00", "origin": "cycle-9"}, True),
    ({"weights_sha256": "d" * 64}, False),
    ({"ood": OutOfDistribution(11.0, "a" * 64)}, False), ({"ood": OutOfDistribution(10.0, "d" * 64)}, False),
    ({"findings": (replace(SAID.findings[0], operating_point=0.32),)}, False), ({"members": 3}, False),
])
def test_a_version_is_another_by_what_it_says_of_an_image_and_not_by_when_it_was_made(changes: dict[str, Any], same: bool) -> None:
    """Another operating point, threshold or known images, of the same weights too, make another version."""
    assert (content(replace(SAID, **changes)) == content(SAID)) == same
