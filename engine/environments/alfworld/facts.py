"""What is true in a game: facts as rows of object numbers, found by any of their arguments in constant time.

A `Layout` names the predicates and objects of one game and hands out indexes while its rules are compiled; `Facts` are
then rows under that layout. Objects are numbered in the order of their names, so rows sort as the names do. Predicates
that no action changes are shared between all copies of the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeAlias

from engine.environments.alfworld.errors import FormatError
from engine.environments.alfworld.pddl import ROOT, Domain, Problem

Row: TypeAlias = tuple[int, ...]
Change: TypeAlias = tuple[int, Row]
NOWHERE: frozenset[Row] = frozenset()


@dataclass(slots=True)
class Layout:
    """Numbers for the names of one game, and the indexes that its queries want."""

    objects: Sequence[str]
    types: Sequence[str]
    members: Mapping[str, frozenset[int]]
    predicates: dict[str, int]
    fluents: set[int]
    initial: list[set[Row]]
    indexes: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    negations: dict[int, int] = field(default_factory=dict)
    _fanouts: dict[tuple[int, tuple[int, ...]], float] = field(default_factory=dict)

    @classmethod
    def of(cls, domain: Domain, problem: Problem) -> Layout:
        """The layout of a problem. Raises `FormatError` for an object that is declared twice with different types."""
        declared: dict[str, str] = {}
        for each in problem.objects:
            if declared.setdefault(each.name, each.type) != each.type:
                raise FormatError(f"the object {each.name} is declared as {declared[each.name]} and as {each.type}")
        objects = sorted(declared)
        members: dict[str, set[int]] = {name: set() for name in (*domain.parents, *domain.parents.values(), ROOT)}
        lineage = {name: tuple(domain.lineage(name)) for name in set(declared.values())}
        for number, name in enumerate(objects):
            for type_name in lineage[declared[name]]:
                members.setdefault(type_name, set()).add(number)
        numbers = {name: number for number, name in enumerate(objects)}
        predicates = {name: number for number, name in enumerate(domain.predicates)}
        layout = cls(
            objects,
            [declared[name] for name in objects],
            {name: frozenset(numbers) for name, numbers in members.items()},
            predicates,
            {predicates[effect.atom.predicate] for schema in domain.schemas for effect in schema.effects},
            [set() for _ in predicates],
            numbers=numbers,
        )
        for fact in problem.facts:
            layout.initial[predicates[fact.predicate]].add(tuple([numbers[term] for term in fact.terms]))
        return layout

    def number(self, name: str) -> int:
        """The number of the object `name`. Raises `FormatError`."""
        try:
            return self.numbers[name]
        except KeyError:
            raise FormatError(f"the problem declares no object {name}", (name,)) from None

    def type_members(self, name: str) -> frozenset[int]:
        """The objects of a type; a type that nothing is declared with has none."""
        return self.members.get(name, frozenset())

    def negation(self, predicate: int) -> int:
        """The predicate of the facts of `predicate` that an action has made false; nothing is at the start."""
        if predicate not in self.negations:
            self.negations[predicate] = len(self.initial)
            self.fluents.add(len(self.initial))
            self.initial.append(set())
        return self.negations[predicate]

    def index(self, predicate: int, positions: tuple[int, ...]) -> int:
        """The number of the index of `predicate` by the arguments at `positions`."""
        wanted = (predicate, positions)
        if wanted not in self.indexes:
            self.indexes.append(wanted)
        return self.indexes.index(wanted)

    def fanout(self, predicate: int, positions: tuple[int, ...]) -> float:
        """How many initial rows one value of the arguments at `positions` has, on average: what a join step costs."""
        known = self._fanouts.get((predicate, positions))
        if known is None:
            rows = self.initial[predicate]
            values = len({itemgetter(*positions)(row) for row in rows}) if rows and positions else 1
            known = self._fanouts[predicate, positions] = len(rows) / values
        return known

    def facts(self) -> Facts:
        """The facts at the start, under all indexes handed out so far."""
        plans: list[list[tuple[int, Callable[[Row], Any]]]] = [[] for _ in self.initial]
        for number, (predicate, positions) in enumerate(self.indexes):
            plans[predicate].append((number, itemgetter(*positions)))
        facts = Facts(self, [set() for _ in self.initial], [{} for _ in self.indexes], plans)
        for predicate, rows in enumerate(self.initial):
            for row in sorted(rows):
                facts.add(predicate, row)
        return facts


@dataclass(slots=True)
class Facts:
    """`rows` by predicate, and `indexes`: the rows by the value (or tuple of values) of the indexed arguments."""

    layout: Layout
    rows: list[set[Row]]
    indexes: list[dict[Any, set[Row]]]
    plans: list[list[tuple[int, Callable[[Row], Any]]]]

    def add(self, predicate: int, row: Row) -> bool:
        """Makes a fact true; returns whether it was not."""
        rows = self.rows[predicate]
        if row in rows:
            return False
        rows.add(row)
        for number, key in self.plans[predicate]:
            self.indexes[number].setdefault(key(row), set()).add(row)
        return True

    def remove(self, predicate: int, row: Row) -> bool:
        """Makes a fact false; returns whether it was not."""
        rows = self.rows[predicate]
        if row not in rows:
            return False
        rows.remove(row)
        for number, key in self.plans[predicate]:
            self.indexes[number][key(row)].remove(row)
        return True

    def apply(self, removed: Iterable[Change], added: Iterable[Change]) -> set[int]:
        """Makes `removed` false, then `added` true; returns the predicates whose facts changed."""
        changed: set[int] = set()
        negations = self.layout.negations
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
        """An independent copy; what no action changes is shared."""
        fluents = self.layout.fluents
        rows = [set(rows) if number in fluents else rows for number, rows in enumerate(self.rows)]
        indexes = [
            {key: set(rows) for key, rows in index.items()} if self.layout.indexes[number][0] in fluents else index
            for number, index in enumerate(self.indexes)
        ]
        return Facts(self.layout, rows, indexes, self.plans)
