"""The typed table of publishing's own schema."""

from collections.abc import Mapping
from typing import Any

from radloop.kit.tables import Repository, Table
from radloop.publishing.domain.case import Case

REPOSITORIES: Mapping[type, Repository[Any]] = {Case: Table(Case, "publication", "case_id")}
"""What the runner loads and saves: one row per case."""
