"""A frozen dataclass kept as a row of a typed table: scalars in columns of their own, nested parts as jsonb."""

import types
import typing
from collections.abc import Sequence
from dataclasses import fields
from datetime import date, datetime
from enum import Enum
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from psycopg import Cursor
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed, Identifier, Placeholder

from radloop.kit.codec import adapter, encode

S = TypeVar("S")

_SCALARS = (str, int, float, bool, bytes, date, datetime)


class Repository(Protocol[S]):
    """Loads and saves one type of state inside the runner's transaction, whose cursor it is given.

    The keys are those the route locked, in order; most routes have one.
    """

    def load(self, cursor: Cursor[Any], keys: tuple[str, ...]) -> S | None:
        """Return the state, None where there is none yet."""
        ...

    def save(self, cursor: Cursor[Any], keys: tuple[str, ...], state: S) -> None:
        """Keep the state."""
        ...


@runtime_checkable
class LoadsMany(Protocol[S]):
    """A repository that loads many states as fast as one."""

    def load_all(self, cursor: Cursor[Any], keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], S | None]:
        """Return the states of many keys in one round trip, None where there is none yet."""
        ...


class Table(Generic[S]):
    """A repository for states that are one row each: the dataclass's fields are the columns, `key` names the first."""

    def __init__(self, kind: type[S], table: str, key: str) -> None:
        self._kind = kind
        self._table = table
        self._key = key

    @cached_property
    def columns(self) -> dict[str, bool]:
        """Return the column names, and whether each is jsonb."""
        hints = typing.get_type_hints(self._kind)
        return {field.name: not _is_scalar(hints[field.name]) for field in fields(self._kind)}  # type: ignore[arg-type]

    def load(self, cursor: Cursor[Any], keys: tuple[str, ...]) -> S | None:
        """Return the row of the first key as a state."""
        found = self._read(cursor, self._one, (keys[0],))
        return found[0] if found else None

    def load_all(self, cursor: Cursor[Any], keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], S | None]:
        """Return the states of many keys in one round trip, None where there is none yet."""
        found = {getattr(one, self._key): one for one in self._read(cursor, self._many, ([one[0] for one in keys],))}
        return {one: found.get(one[0]) for one in keys}

    def select(self, cursor: Cursor[Any], clause: SQL | Composed, values: tuple[object, ...] = ()) -> list[S]:
        """Return the states of the rows that a clause (where, order by, limit) names."""
        return self._read(cursor, self._select(clause), values)

    def _read(self, cursor: Cursor[Any], query: bytes, values: tuple[object, ...]) -> list[S]:
        with cursor.connection.cursor(row_factory=dict_row) as rows:
            found = rows.execute(query, values).fetchall()
        return adapter(self._kind).validate_python(found) if found else []  # type: ignore[arg-type]  # every type is hashable

    def _select(self, clause: SQL | Composed) -> bytes:
        names = SQL(", ").join(Identifier(name) for name in self.columns)
        return SQL("select {} from {} {}").format(names, Identifier(self._table), clause).as_bytes()

    # Composed once: it would be a tenth of what a small input costs.
    @cached_property
    def _one(self) -> bytes:
        return self._select(SQL("where {} = %s").format(Identifier(self._key)))

    @cached_property
    def _many(self) -> bytes:
        return self._select(SQL("where {} = any(%s)").format(Identifier(self._key)))

    def save(self, cursor: Cursor[Any], keys: tuple[str, ...], state: S) -> None:  # noqa: ARG002 - the key is in the state
        """Insert or replace the row."""
        cursor.execute(self._upsert, self._values(state))

    def save_all(self, cursor: Cursor[Any], states: Sequence[S]) -> None:
        """Insert or replace the rows without waiting for each."""
        cursor.executemany(self._upsert, [self._values(state) for state in states])

    def _values(self, state: S) -> list[object]:
        return [_plain(getattr(state, name), nested=nested) for name, nested in self.columns.items()]

    @cached_property
    def _upsert(self) -> bytes:
        names = [Identifier(name) for name in self.columns]
        slots = [SQL("%s::jsonb") if nested else Placeholder() for nested in self.columns.values()]
        replaced = [SQL("{0} = excluded.{0}").format(Identifier(name)) for name in self.columns if name != self._key]
        return SQL("insert into {} ({}) values ({}) on conflict ({}) do update set {}").format(
            Identifier(self._table), SQL(", ").join(names), SQL(", ").join(slots), Identifier(self._key),
            SQL(", ").join(replaced),
        ).as_bytes()


def _is_scalar(hint: Any) -> bool:
    options = [one for one in typing.get_args(hint) if one is not types.NoneType]
    if typing.get_origin(hint) in {types.UnionType, typing.Union} and len(options) == 1:
        return _is_scalar(options[0])
    return isinstance(hint, type) and typing.get_origin(hint) is None and issubclass(hint, (*_SCALARS, Enum))


def _plain(value: object, *, nested: bool) -> object:
    if nested:
        return encode(value).decode()
    return value.value if isinstance(value, Enum) else value
