"""The typed tables of publishing's own schema."""

from collections.abc import Mapping
from typing import Any

from radloop.kit.tables import Repository, Table
from radloop.publishing.domain.case import Case
from radloop.publishing.domain.release import Release

REPOSITORIES: Mapping[type, Repository[Any]] = {
    Case: Table(Case, "publication", "case_id"),
    Release: Table(Release, "release", "model"),
}
"""What the runner loads and saves: one row per case, one per model."""
