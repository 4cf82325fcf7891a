"""Where feedback keeps its cases."""

from typing import Any

from radloop.feedback.domain import CaseFile
from radloop.kit.tables import Repository, Table

REPOSITORIES: dict[type, Repository[Any]] = {CaseFile: Table(CaseFile, "case_file", "case_id")}
