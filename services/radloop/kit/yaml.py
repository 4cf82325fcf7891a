"""YAML as files here are written: plain values, lists and keys, read in time that their size bounds.

What is wrong is told in one line, and never repeats what stands there: it may be a secret, or PHI.
"""

import re
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.reader import ReaderError

from radloop.kit.errors import Permanent

_MERGE, _WHOLE = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:int"
_LONGEST_NUMBER = 200
"""Signs of a whole one, which then fits a double. 1:59:59 counts in sixties: a hundred thousand of them take seconds."""
# A date that is none; `!!int ''`, `!!bool x`, `!!timestamp x`; 1:59:59… beyond any float; a sign beyond Unicode: PyYAML trips over them.
_TRIPS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
_QUOTED = re.compile(r"""(['"])((?:(?!\1)[^\\]|\\.)*)\1""")
_TOKEN = re.compile("<[a-z ]+>|..?", re.DOTALL)


class NotYaml(Permanent):
    """A text that is no YAML, or more of it than is read here; the reason says where and why."""


def yaml_of(data: str | bytes) -> Any:
    """Return what a text says; NotYaml where it is none."""
    try:
        return yaml.load(data, _Plain)  # noqa: S506 - it is a SafeLoader that reads less
    except RecursionError as deep:
        raise NotYaml("no YAML: it is nested too deeply") from deep
    except (yaml.YAMLError, *_TRIPS) as broken:
        raise NotYaml(f"no YAML: {_told(broken)}") from broken


class _Plain(yaml.SafeLoader):
    """Reads a thing only where it stands: with aliases and merge keys a small file says a million things."""

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave its event open
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ComposerError(None, None, "anchors and aliases (& and *) are not read here", event.start_mark)
        return super().compose_node(parent, index)

    def flatten_mapping(self, node: MappingNode) -> None:
        for key, _ in node.value:
            if key.tag == _MERGE:
                raise ConstructorError(None, None, "merge keys (<<) are not read here", key.start_mark)
        super().flatten_mapping(node)

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set[tuple[str, str]]()
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and (named := (key.tag, key.value)) in seen:
                raise ConstructorError(None, None, "a key stands there twice", key.start_mark)  # which of them was meant?
            seen |= {named} if isinstance(key, ScalarNode) else set()
        return super().construct_mapping(node, deep)

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        if isinstance(node, ScalarNode) and node.tag == _WHOLE and len(node.value) > _LONGEST_NUMBER:
            raise ConstructorError(None, None, "a number longer than any that is read here", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except _TRIPS as trip:
            raise ConstructorError(None, None, "a value is not what it looks like, or is marked as", node.start_mark) from trip


def _told(broken: Exception) -> str:
    """Say why and where; the parser's own report is of several lines, about a `<unicode string>`."""
    if isinstance(broken, ReaderError):
        return f"a sign that it does not allow, at position {broken.position}"
    mark, problem = getattr(broken, "problem_mark", None), getattr(broken, "problem", None)
    if mark is None or not problem:
        return type(broken).__name__
    return f"line {mark.line + 1}, column {mark.column + 1}: {_QUOTED.sub(_kept, problem)}"


def _kept(quoted: re.Match[str]) -> str:
    """Return what a problem quotes where that is a sign or a kind of token; a tag is the file's own."""
    return quoted[0] if _TOKEN.fullmatch(quoted[2]) else "…"
