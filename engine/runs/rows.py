"""The rows of a run's database as typed values: what does not fit its type is a `DamagedRun` that names the row.

    row = one(database, "run", RunRow)
    steps = rows(database, "steps", StepRow, "ORDER BY step")
    steps.values                # those that can be read
    steps.damaged               # a `DamagedRun` for each of the others
    steps.whole()               # the values; raises the first `DamagedRun`

SQLite has dynamic types: a damaged file, or another program, can put any value into any column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from engine.core.edit import Edit
from engine.core.edit import State as EditState
from engine.core.events import State, StepEnded, UnitEnded
from engine.runs.commands import AnyCommand
from engine.runs.database import Database
from engine.runs.errors import DamagedRun

UnixTime = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
"""Seconds, up to the year 9999."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
FilePath = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00]*\Z")]


class Row(msgspec.Struct, frozen=True, array_like=True):
    """The base of rows; the fields are the columns of the table, in any order. `KEY` is the column that names a row."""

    @classmethod
    def key(cls) -> str:
        """The column that names a row; "" in a table of one row."""
        return ""

    def problem(self) -> str:
        """What contradicts itself in the row; "" for nothing."""
        return ""


class RunRow(Row, frozen=True):
    """The identity of the run; `repo` is None where the skill repository is the run's own."""

    id: Name
    kind: Name
    created: UnixTime
    repo: FilePath | None


class RunState(Row, frozen=True):
    """The state of the run according to its events (the death of an engine does not change it: see `status`).

    `step` is the present one, or the last; `steps` is 0 and `profile` "" until an engine first started; `since` is when
    the state began, in unix time, None before any event.
    """

    state: State
    reason: str
    since: UnixTime | None
    profile: str
    step: Count
    steps: Count
    resumed_from: Count


class StepRow(Row, frozen=True):
    """A finished step or unit."""

    step: Count
    data: StepEnded | UnitEnded

    @classmethod
    def key(cls) -> str:
        return "step"

    def problem(self) -> str:
        return "" if self.data.step == self.step else f"its data are of step {self.data.step}"


class EditRow(Row, frozen=True):
    """An edit of the review queue."""

    edit: Name
    state: EditState
    data: Edit

    @classmethod
    def key(cls) -> str:
        return "edit"

    def problem(self) -> str:
        if self.data.id != self.edit:
            return f"its data are of the edit {self.data.id!r}"
        return "" if self.data.state == self.state else f"its data say {self.data.state}, the table {self.state}"


class EditStateRow(Row, frozen=True):
    """The state of an edit, without the edit."""

    edit: Name
    state: EditState

    @classmethod
    def key(cls) -> str:
        return "edit"


class CommandRow(Row, frozen=True):
    """A command to the engine, who sent it, and when."""

    id: Count
    at: UnixTime
    by: str
    data: AnyCommand

    @classmethod
    def key(cls) -> str:
        return "id"


_PLACE = re.compile(r"- at `\$\[(\d+)\]")
R = TypeVar("R", bound=Row)


class Read(msgspec.Struct, Generic[R], frozen=True):
    """The rows that can be read, and what is wrong with each of the others."""

    values: list[R]
    damaged: list[DamagedRun]

    def whole(self) -> list[R]:
        """All rows. Raises the first `DamagedRun`."""
        if self.damaged:
            raise self.damaged[0]
        return self.values


def rows(database: Database, table: str, kind: type[R], rest: str = "", values: Sequence[Any] = ()) -> Read[R]:
    """The rows of a table. `rest` is the SQL after FROM, with `values` for its question marks. Raises `RunError`."""
    columns = kind.__struct_fields__
    found: list[R] = []
    damaged: list[DamagedRun] = []
    for number, raw in enumerate(database.all(f"SELECT {', '.join(columns)} FROM {table} {rest}", values), 1):
        try:
            found.append(_typed(kind, raw))
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
            name = dict(zip(columns, raw, strict=True)).get(kind.key(), number)
            place = f"row {_shown(name)} of the table {table}" if kind.key() else f"the table {table}"
            newer = isinstance(error, msgspec.ValidationError)
            place, why = f"{place} in {database.path.name}", _why(error, columns)
            damaged.append(DamagedRun(database.path.parent, place, why, newer=newer))
    return Read(found, damaged)


def one(database: Database, table: str, kind: type[R], rest: str = "", values: Sequence[Any] = ()) -> R:
    """The only row of a table. Raises `DamagedRun`, also where it is missing."""
    found = rows(database, table, kind, rest, values).whole()
    if not found:
        raise DamagedRun(database.path.parent, f"the table {table} in {database.path.name}", "its row is missing")
    return found[0]


def _typed(kind: type[R], raw: Sequence[Any]) -> R:
    """One row of SQLite. Raises `msgspec.DecodeError` and `ValueError`."""
    columns = kind.__struct_fields__
    plain = [_decoded(value) if column == "data" else value for column, value in zip(columns, raw, strict=True)]
    row = msgspec.convert(plain, kind, strict=True)
    if problem := row.problem():
        raise ValueError(problem)
    return row


def _decoded(data: object) -> object:
    if not isinstance(data, bytes | str):
        raise ValueError(f"expected JSON, got {_shown(data)}")
    return msgspec.json.decode(data)


def _why(error: Exception, columns: Sequence[str]) -> str:
    """What is wrong with a row; a column by its name, which msgspec calls by its number: "at `$[1].seconds`"."""
    if isinstance(error, RecursionError):
        return "its JSON nests too deep"
    return _PLACE.sub(lambda found: f"in `{columns[int(found[1])]}", str(error))


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, bytes | float) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
