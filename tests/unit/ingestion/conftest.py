"""What every history at ingestion's doors begins with."""

import pytest

from tests.unit.ingestion.story import Hospital


@pytest.fixture
def hospital() -> Hospital:
    """A hospital that has sent nothing yet."""
    return Hospital()
