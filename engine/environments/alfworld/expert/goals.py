"""What winning a game asks for, where no walkthrough shows it: the facts that its goal names, for each choice of things.

    for wanted in ways_to_win(game, environment):
        wanted                                    # (Wanted(("ishot", "apple 1"), {"microwave 1"}), …)

The goal is read as a conjunction: parts of other forms (`or`, `forall`, `not`) are left to the check whether it is won.
Facts that no action changes decide which things can be meant. The tools of a fact are the things of a kind that the actions
name which make it true. Ways that need the fewest changes come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

from engine.environments.alfworld.pddl.language import (
    And,
    Atom,
    Domain,
    Equal,
    Exists,
    Forall,
    Formula,
    Not,
    Or,
    Problem,
    Variable,
    parse_problem,
)
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game

Fact: TypeAlias = tuple[str, ...]
Binding: TypeAlias = dict[str, str]

MAX_WORK = 100_000
"""How many steps the search for bindings may take, since the game may be hostile."""
MAX_WAYS = 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fact to reach, with names as displayed, and the things that may be needed for it."""

    fact: Fact
    tools: frozenset[str]


@dataclass(slots=True)
class _Goal:
    """A conjunction: its variables with their types, its atoms, and the pairs of terms that must differ."""

    variables: dict[str, str] = field(default_factory=dict)
    atoms: list[Atom] = field(default_factory=list)
    differ: list[tuple[str, str]] = field(default_factory=list)


def ways_to_win(game: Game, environment: AlfworldEnvironment) -> list[tuple[Wanted, ...]]:
    """The facts of each way to win, first the ways of which the fewest facts are missing in the state of `environment`.

    At most `MAX_WAYS`; none where the goal says too little. Raises `GamesError` for a game that cannot be read.
    """
    domain = game.program().rules.domain
    with game.translated_errors():
        problem = parse_problem(game.content().problem, domain)
    now = environment.true_facts()
    changing = {effect.atom.predicate for schema in domain.schemas for effect in schema.effects}
    goal = _Goal()
    _collect(problem.goal, {}, goal, count())
    fixed = {fact for fact in problem.facts if fact[0] not in changing}
    static = [atom for atom in goal.atoms if atom.predicate not in changing]
    dynamic = [atom for atom in goal.atoms if atom.predicate in changing]
    if not dynamic:
        return []
    tools = {atom.predicate: _tools(domain, atom.predicate, fixed) for atom in dynamic}
    ways: set[tuple[Fact, ...]] = set()
    for binding in _bindings(goal, static, dynamic, fixed, now, domain, problem):
        facts = [(atom.predicate, *(binding.get(term, term) for term in atom.terms)) for atom in dynamic]
        ways.add(tuple(facts))
    chosen = sorted(ways, key=lambda way: (sum(fact not in now for fact in way), way))[:MAX_WAYS]
    return [tuple(_wanted(environment, fact, tools[fact[0]]) for fact in way) for way in chosen]


def _wanted(environment: AlfworldEnvironment, fact: Fact, tools: frozenset[str]) -> Wanted:
    predicate, *names = fact
    return Wanted(
        (predicate, *map(environment.shown_name, names)), frozenset(environment.shown_name(name) for name in tools)
    )


def _collect(formula: Formula, names: Mapping[str, str], goal: _Goal, numbers: Iterator[int]) -> None:
    """Add a formula to `goal`; `names` are the variables of this scope, renamed so that each is one of its own."""
    match formula:
        case And(parts):
            for part in parts:
                _collect(part, names, goal, numbers)
        case Exists(variables, part):
            renamed = {each.name: f"{each.name}.{next(numbers)}" for each in variables}
            goal.variables |= {renamed[each.name]: each.type for each in variables}
            _collect(part, {**names, **renamed}, goal, numbers)
        case Atom(predicate, terms):
            goal.atoms.append(Atom(predicate, tuple(names.get(term, term) for term in terms)))
        case Not(Equal(left, right)):
            goal.differ.append((names.get(left, left), names.get(right, right)))
        case Equal() | Not() | Or() | Forall():
            return


def _bindings(
    goal: _Goal,
    static: Sequence[Atom],
    dynamic: Sequence[Atom],
    fixed: set[Fact],
    now: frozenset[Fact],
    domain: Domain,
    problem: Problem,
) -> Iterator[Binding]:
    """Objects for the variables of the goal, as far as the facts allow: first those for which its facts are true already."""
    by_predicate: dict[str, list[Fact]] = {}
    for fact in sorted(fixed | now):
        by_predicate.setdefault(fact[0], []).append(fact)
    members = {
        variable: [each.name for each in problem.objects if kind in domain.lineage(each.type)]
        for variable, kind in goal.variables.items()
    }
    must = sorted(static, key=lambda atom: sum(term in goal.variables for term in atom.terms))
    may = [atom for atom in dynamic if sum(term in goal.variables for term in atom.terms) > 1]

    work = iter(range(MAX_WORK))

    def extend(binding: Binding, atoms: Sequence[tuple[Atom, bool]]) -> Iterator[Binding]:
        if any(left in binding and binding[left] == binding.get(right, right) for left, right in goal.differ):
            return
        if not atoms:
            yield from _completed(binding, members, goal, work)
            return
        (atom, needed), *rest = atoms
        for fact, _ in zip(by_predicate.get(atom.predicate, ()), work, strict=False):
            if (more := _matched(atom, fact, binding, members)) is not None:
                yield from extend(more, rest)
        if not needed:
            yield from extend(binding, rest)

    yield from extend({}, [*((atom, True) for atom in must), *((atom, False) for atom in may)])


def _completed(
    binding: Binding, members: Mapping[str, list[str]], goal: _Goal, work: Iterator[int]
) -> Iterator[Binding]:
    """The binding with an object for every variable that still has none."""
    free = [variable for variable in goal.variables if variable not in binding]
    if not free:
        if all(binding.get(left, left) != binding.get(right, right) for left, right in goal.differ):
            yield binding
        return
    for name, _ in zip(members[free[0]], work, strict=False):
        yield from _completed({**binding, free[0]: name}, members, goal, work)


def _matched(atom: Atom, fact: Fact, binding: Binding, members: Mapping[str, list[str]]) -> Binding | None:
    """`binding` with what makes `atom` this fact; None where nothing does."""
    found = dict(binding)
    for term, name in zip(atom.terms, fact[1:], strict=True):
        if term in members and name not in members[term]:
            return None
        if found.setdefault(term, name) != name if term in members else term != name:
            return None
    return found


def _tools(domain: Domain, predicate: str, fixed: set[Fact]) -> frozenset[str]:
    """The objects of the kinds that the actions name which make facts of a predicate true: a microwave for what is hot."""
    kinds: set[str] = set()
    for schema in domain.schemas:
        if any(effect.positive and effect.atom.predicate == predicate for effect in schema.effects):
            kinds |= _constants(schema.precondition, schema.parameters)
    return frozenset(fact[1] for fact in fixed if len(fact) == 3 and fact[2] in kinds)


def _constants(formula: Formula, parameters: Sequence[Variable]) -> set[str]:
    match formula:
        case And(parts) | Or(parts):
            return set().union(*(_constants(part, parameters) for part in parts))
        case Exists(_, part) | Forall(_, part):
            return _constants(part, parameters)
        case Atom(_, terms):
            return {term for term in terms if not term.startswith("?")}
        case Not() | Equal():
            return set()
