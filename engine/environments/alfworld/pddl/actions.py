"""Compile an action schema for the games of a domain: the values with which it is applicable, and its effects.

As in the official engine, an action whose effects are implied by its preconditions (going to the present location) changes
nothing and is not applicable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from engine.environments.alfworld.errors import FormatError
from engine.environments.alfworld.pddl.conditions import Compiler, terms_of
from engine.environments.alfworld.pddl.facts import Change, Facts, Frame, Row
from engine.environments.alfworld.pddl.joins import Env, Step
from engine.environments.alfworld.pddl.language import TRUE, And, Atom, Effect, Formula, Not, Schema

Pairs: TypeAlias = frozenset[tuple[int, int]]


class Action:
    """A compiled action. `reads`: the predicates of its applicability; `decided_by`: those of its effects too."""

    def __init__(self, frame: Frame, schema: Schema, constants: Sequence[str]) -> None:
        self.name = schema.name
        names = [each.name for each in schema.parameters]
        self._arity = len(names)
        self._where = Compiler(frame, names, constants)
        self._effects = Compiler(frame, names, constants)
        self._idle = _idle_test(self._where, schema)
        self._chains = self._where.chains(schema.parameters, schema.precondition, self._collect)
        self.reads = frozenset(self._where.reads)
        self._plain: list[tuple[int, tuple[int, ...], bool]] = []
        self._guarded: list[tuple[list[Step], bool]] = []
        for effect in schema.effects:
            _check_variables(schema.name, names, effect)
            if effect.condition == TRUE and not effect.variables:
                self._plain.append((*self._place(frame, effect.atom), effect.positive))
            else:
                self._guarded.append((self._guard(frame, effect, names), effect.positive))
        self.decided_by = self.reads | self._effects.reads

    def rows(self, facts: Facts) -> set[Row]:
        """The values of the parameters with which the action is applicable."""
        found: set[Row] = set()
        for chain in self._chains:
            chain(facts, self._where.env(facts.constants), found)
        return found

    def changes(self, facts: Facts, row: Row) -> tuple[set[Change], set[Change]]:
        """The facts that the action with `row` makes false, and those that it makes true. `facts` is not changed."""
        env = self._effects.env(facts.constants, row)
        removed: set[Change] = set()
        added: set[Change] = set()
        for predicate, slots, positive in self._plain:
            (added if positive else removed).add((predicate, tuple([env[slot] for slot in slots])))
        for chains, positive in self._guarded:
            for chain in chains:
                chain(facts, env, added if positive else removed)
        return removed - added, added

    def _collect(self, facts: Facts, env: Env, out: Any) -> bool:
        if self._idle is None or not self._idle(env):
            out.add(tuple(env[: self._arity]))
        return False

    def _place(self, frame: Frame, atom: Atom) -> tuple[int, tuple[int, ...]]:
        return frame.predicates[atom.predicate], tuple(self._effects.slot(term) for term in atom.terms)

    def _guard(self, frame: Frame, effect: Effect, names: list[str]) -> list[Step]:
        predicate, slots = self._place(frame, effect.atom)

        def collect(facts: Facts, env: Env, out: Any) -> bool:
            out.add((predicate, tuple([env[slot] for slot in slots])))
            return False

        return self._effects.chains(effect.variables, effect.condition, collect, names)


def constants_of(schema: Schema) -> set[str]:
    """The objects that occur in a schema."""
    formulas = [schema.precondition, *(part for effect in schema.effects for part in (effect.atom, effect.condition))]
    return {term for formula in formulas for term in terms_of(formula) if not term.startswith("?")}


def _check_variables(action: str, parameters: Sequence[str], effect: Effect) -> None:
    """Raise `FormatError` unless each variable of an effect is either a parameter or quantified, not both."""
    quantified = {each.name for each in effect.variables}
    unknown = {term for term in effect.atom.terms if term.startswith("?")} - quantified - set(parameters)
    for name in sorted(unknown | (quantified & set(parameters))):
        why = "declares it" if name in unknown else "may declare it again"
        raise FormatError(f"an effect of the action {action} uses {name}, and no parameter or quantifier {why}")


def _idle_test(compiler: Compiler, schema: Schema) -> Callable[[Env], bool] | None:
    """A test whether values of the parameters make an action change nothing, for any facts; None if no values do.

    They do if each atom that becomes true is required by the precondition, and each atom that becomes false is forbidden by
    it or also becomes true.
    """
    if any(effect.condition != TRUE or effect.variables for effect in schema.effects):
        return None
    parts = _conjuncts(schema.precondition)
    true = [part for part in parts if isinstance(part, Atom)]
    false = [part.part for part in parts if isinstance(part, Not) and isinstance(part.part, Atom)]
    added = [effect.atom for effect in schema.effects if effect.positive]
    choices: set[frozenset[Pairs]] = set()
    for effect in schema.effects:
        others = true if effect.positive else added + false
        compiler.frame.spend(len(others))
        same = [other for other in others if other.predicate == effect.atom.predicate]
        choices.add(frozenset(_pairs(compiler, effect.atom, other) for other in same))
    if not all(choices):
        return None
    tests = [_any_equal([*choice]) for choice in choices]
    return tests[0] if len(tests) == 1 else lambda env: all(test(env) for test in tests)


def _any_equal(choice: Sequence[Pairs]) -> Callable[[Env], bool]:
    """A test whether, in one of the alternatives, all pairs of slots have equal values."""
    if len(choice) == 1 and len(choice[0]) == 1:
        ((left, right),) = choice[0]
        return lambda env: env[left] == env[right]
    return lambda env: any(all(env[left] == env[right] for left, right in pairs) for pairs in choice)


def _pairs(compiler: Compiler, left: Atom, right: Atom) -> Pairs:
    """The pairs of slots that must be equal for two atoms of one predicate to be equal."""
    terms = zip(left.terms, right.terms, strict=True)
    slots = (sorted((compiler.slot(one), compiler.slot(other))) for one, other in terms if one != other)
    return frozenset((first, second) for first, second in slots)


def _conjuncts(formula: Formula) -> list[Formula]:
    return [inner for part in formula.parts for inner in _conjuncts(part)] if isinstance(formula, And) else [formula]
