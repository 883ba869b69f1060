"""The facts of a game, as rows of object numbers. Indexes find the rows for given arguments in constant time.

A `Frame` numbers the predicates and types of a domain, and registers the indexes that compiled rules need; the games of a
domain share it. `Objects` numbers the objects of one game in the order of their names, so that rows sort like the names.
`Facts` are the rows of one game. Copies share the predicates that no action changes.

Games can be hostile, so work is counted (not timed): compiling a domain, or one step of an episode, raises `FormatError`
above its limit. (A step of the official games reads about a hundred rows and writes some hundred characters.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, TypeAlias

from engine.environments.alfworld.errors import FormatError
from engine.environments.alfworld.pddl.language import ROOT, Domain, Problem

Row: TypeAlias = tuple[int, ...]
Change: TypeAlias = tuple[int, Row]
Indexer: TypeAlias = tuple[int, Callable[[Row], Any]]
NOWHERE: tuple[Row, ...] = ()
MAX_COMPILING = 200_000
MAX_PLAYING = 200_000
MAX_INDEXES = 100


@dataclass(slots=True)
class Frame:
    """The predicates, types and indexes of a domain.

    `fluents` are the predicates that actions change. `negations` maps a predicate to the one of its facts that an action has
    made false. `arities` are the numbers of arguments by predicate. `sample` has the initial facts of one game, by which the
    order of joins is chosen. `work_left` is the remaining work for compiling.
    """

    predicates: Mapping[str, int]
    arities: Mapping[str, int]
    types: Mapping[str, int]
    fluents: set[int]
    sample: list[set[Row]]
    indexes: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    indexers: dict[int, tuple[Indexer, ...]] = field(default_factory=dict)
    negations: dict[int, int] = field(default_factory=dict)
    size: int = 0
    work_left: int = MAX_COMPILING
    _fanouts: dict[tuple[int, tuple[int, ...]], float] = field(default_factory=dict)

    @classmethod
    def of(cls, domain: Domain) -> Frame:
        """The frame of a domain, with an empty sample."""
        predicates = {name: number for number, name in enumerate(domain.predicates)}
        names = dict.fromkeys((ROOT, *domain.parents, *domain.parents.values()))
        types = {name: number for number, name in enumerate(names)}
        fluents = {predicates[effect.atom.predicate] for schema in domain.schemas for effect in schema.effects}
        return cls(predicates, domain.predicates, types, fluents, [set() for _ in predicates], size=len(predicates))

    def extended(self) -> Frame:
        """A copy to which more indexes can be added. The numbers of the present ones stay the same."""
        return replace(self, indexes=list(self.indexes), indexers=dict(self.indexers), work_left=MAX_COMPILING)

    def spend(self, work: int) -> None:
        """Count compiled parts and counted rows. Raises `FormatError` above the limit."""
        self.work_left -= work
        if self.work_left < 0:
            raise FormatError(f"takes more than {MAX_COMPILING:,} steps to compile")

    def negation(self, predicate: int) -> int:
        """The predicate of the facts of `predicate` that an action has made false. It has no facts at the start."""
        if predicate not in self.negations:
            self.negations[predicate] = self.size
            self.fluents.add(self.size)
            self.size += 1
        return self.negations[predicate]

    def index(self, predicate: int, positions: tuple[int, ...]) -> int:
        """The number of the index of `predicate` by the arguments at `positions`."""
        wanted = (predicate, positions)
        if wanted not in self.indexes:
            if len(self.indexes) >= MAX_INDEXES:
                raise FormatError(f"the conditions and queries need more than {MAX_INDEXES} indexes")
            indexer = (len(self.indexes), itemgetter(*positions))
            self.indexers[predicate] = (*self.indexers.get(predicate, ()), indexer)
            self.indexes.append(wanted)
        return self.indexes.index(wanted)

    def fanout(self, predicate: int, positions: tuple[int, ...]) -> float:
        """The mean number of rows of the sample for one value of the arguments at `positions`: the cost of a join step."""
        known = self._fanouts.get((predicate, positions))
        if known is None:
            rows = self.sample[predicate]
            self.spend(len(rows))
            values = len({itemgetter(*positions)(row) for row in rows}) if rows and positions else 1
            known = self._fanouts[predicate, positions] = len(rows) / values
        return known


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of a game by number. `members` has, for each type, one byte per object: 1 if it is of the type."""

    names: tuple[str, ...]
    numbers: Mapping[str, int]
    types: tuple[str, ...]
    members: tuple[bytes, ...]

    @classmethod
    def of(cls, domain: Domain, frame: Frame, problem: Problem) -> Objects:
        """The objects of a problem."""
        declared = {each.name: each.type for each in problem.objects}
        names = tuple(sorted(declared))
        types = tuple([declared[name] for name in names])
        members = [bytearray(len(names)) for _ in frame.types]
        lineage = {name: [members[frame.types[each]] for each in domain.lineage(name)] for name in set(types)}
        for number, type_name in enumerate(types):
            for of_type in lineage[type_name]:
                of_type[number] = 1
        return cls(names, {name: number for number, name in enumerate(names)}, types, tuple(map(bytes, members)))

    def number(self, name: str) -> int:
        """The number of the object `name`. Raises `FormatError`."""
        try:
            return self.numbers[name]
        except KeyError:
            raise FormatError(f"the problem declares no object {name}", (name,)) from None


@dataclass(slots=True)
class Facts:
    """`rows` by predicate, and `indexes`: the rows by the value (or tuple of values) of the indexed arguments.

    `entities` are the words for each object in a grammar, `constants` the objects in the domain's actions, and `work_left`
    is the remaining work of the step.
    """

    frame: Frame
    objects: Objects
    entities: Mapping[str, Sequence[str]]
    constants: Sequence[int]
    rows: list[set[Row]]
    indexes: list[dict[Any, tuple[Row, ...]]]
    work_left: int = MAX_PLAYING

    @classmethod
    def of(
        cls,
        frame: Frame,
        objects: Objects,
        entities: Mapping[str, Sequence[str]],
        constants: Sequence[int],
        initial: Sequence[set[Row]],
    ) -> Facts:
        """The facts `initial`, with all indexes of `frame`."""
        rows = [*initial, *[set[Row]() for _ in range(frame.size - len(initial))]]
        indexes = []
        for predicate, positions in frame.indexes:
            groups: dict[Any, list[Row]] = {}
            for row in sorted(rows[predicate]):
                groups.setdefault(itemgetter(*positions)(row), []).append(row)
            indexes.append({value: tuple(found) for value, found in groups.items()})
        return cls(frame, objects, entities, constants, rows, indexes)

    def spend(self, work: int) -> None:
        """Count rows read and characters written. Raises `FormatError` when `work_left` is used up."""
        self.work_left -= work
        if self.work_left < 0:
            raise FormatError(f"takes more than {MAX_PLAYING:,} rows and characters at once")

    def add(self, predicate: int, row: Row) -> bool:
        """Make a fact true. Returns whether it was false."""
        rows = self.rows[predicate]
        if row in rows:
            return False
        rows.add(row)
        for number, key in self.frame.indexers.get(predicate, ()):
            index, value = self.indexes[number], key(row)
            found = index.get(value, NOWHERE)
            self.spend(len(found))
            index[value] = (*found, row)
        return True

    def remove(self, predicate: int, row: Row) -> bool:
        """Make a fact false. Returns whether it was true."""
        rows = self.rows[predicate]
        if row not in rows:
            return False
        rows.remove(row)
        for number, key in self.frame.indexers.get(predicate, ()):
            index, value = self.indexes[number], key(row)
            found = index[value]
            self.spend(len(found))
            index[value] = tuple([each for each in found if each != row])
        return True

    def apply(self, removed: Iterable[Change], added: Iterable[Change]) -> set[int]:
        """Make `removed` false, then `added` true. Returns the predicates whose facts changed."""
        changed: set[int] = set()
        negations = self.frame.negations
        for predicate, row in removed:
            if self.remove(predicate, row):
                changed.add(predicate)
            if predicate in negations and self.add(negations[predicate], row):
                changed.add(negations[predicate])
        for predicate, row in added:
            if self.add(predicate, row):
                changed.add(predicate)
            if predicate in negations and self.remove(negations[predicate], row):
                changed.add(negations[predicate])
        return changed

    def copy(self) -> Facts:
        """An independent copy. Predicates that no action changes are shared."""
        fluents = self.frame.fluents
        rows = [set(rows) if predicate in fluents else rows for predicate, rows in enumerate(self.rows)]
        indexes = [
            dict(index) if predicate in fluents else index
            for index, (predicate, _) in zip(self.indexes, self.frame.indexes, strict=True)
        ]
        return replace(self, rows=rows, indexes=indexes)


def initial_rows(frame: Frame, objects: Objects, problem: Problem) -> list[set[Row]]:
    """The facts of a problem by predicate."""
    initial: list[set[Row]] = [set() for _ in frame.predicates]
    predicates, numbers = frame.predicates, objects.numbers
    for predicate, *terms in problem.facts:
        initial[predicates[predicate]].add(tuple([numbers[term] for term in terms]))
    return initial
