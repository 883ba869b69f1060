"""An action schema, compiled for the games of a domain: where it can be done now, and what it changes.

As in the official engine, an action whose effects its own preconditions already promise (going to where one is) does
nothing and therefore does not exist.
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
    """`reads` are the predicates that decide where the action can be done, `decided_by` also its effects."""

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
        """The values of the parameters with which the action can be done."""
        found: set[Row] = set()
        for chain in self._chains:
            chain(facts, self._where.env(facts.constants), found)
        return found

    def changes(self, facts: Facts, row: Row) -> tuple[set[Change], set[Change]]:
        """What becomes false and what becomes true when the action is done with `row`; nothing is changed yet."""
        env = self._effects.env(facts.constants, row)
        gone: set[Change] = set()
        come: set[Change] = set()
        for predicate, slots, positive in self._plain:
            (come if positive else gone).add((predicate, tuple([env[slot] for slot in slots])))
        for chains, positive in self._guarded:
            for chain in chains:
                chain(facts, env, come if positive else gone)
        return gone - come, come

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
    """The objects that a schema names."""
    formulas = [schema.precondition, *(part for effect in schema.effects for part in (effect.atom, effect.condition))]
    return {term for formula in formulas for term in terms_of(formula) if not term.startswith("?")}


def _check_variables(action: str, parameters: Sequence[str], effect: Effect) -> None:
    """An effect's variables are parameters or quantified, and not both."""
    quantified = {each.name for each in effect.variables}
    unknown = {term for term in effect.atom.terms if term.startswith("?")} - quantified - set(parameters)
    for name in sorted(unknown | (quantified & set(parameters))):
        why = "declares it" if name in unknown else "may declare it again"
        raise FormatError(f"an effect of the action {action} uses {name}, and no parameter or quantifier {why}")


def _idle_test(compiler: Compiler, schema: Schema) -> Callable[[Env], bool] | None:
    """Whether values of the parameters make an action change nothing, whatever the facts; None where none can.

    They do where each atom that becomes true is one that the precondition asks for, and each that becomes false is one
    that it forbids or that becomes true after all.
    """
    if any(effect.condition != TRUE or effect.variables for effect in schema.effects):
        return None
    parts = _conjuncts(schema.precondition)
    true = [part for part in parts if isinstance(part, Atom)]
    false = [part.part for part in parts if isinstance(part, Not) and isinstance(part.part, Atom)]
    come = [effect.atom for effect in schema.effects if effect.positive]
    choices: set[frozenset[Pairs]] = set()
    for effect in schema.effects:
        others = true if effect.positive else come + false
        compiler.frame.spend(len(others))
        alike = [other for other in others if other.predicate == effect.atom.predicate]
        choices.add(frozenset(_pairs(compiler, effect.atom, other) for other in alike))
    if not all(choices):
        return None
    tests = [_any_equal([*choice]) for choice in choices]
    return tests[0] if len(tests) == 1 else lambda env: all(test(env) for test in tests)


def _any_equal(choice: Sequence[Pairs]) -> Callable[[Env], bool]:
    """Whether all pairs of slots of one of the alternatives have equal values."""
    if len(choice) == 1 and len(choice[0]) == 1:
        ((left, right),) = choice[0]
        return lambda env: env[left] == env[right]
    return lambda env: any(all(env[left] == env[right] for left, right in pairs) for pairs in choice)


def _pairs(compiler: Compiler, left: Atom, right: Atom) -> Pairs:
    """The slots that must be equal for two atoms of one predicate to be the same."""
    terms = zip(left.terms, right.terms, strict=True)
    slots = (sorted((compiler.slot(one), compiler.slot(other))) for one, other in terms if one != other)
    return frozenset((first, second) for first, second in slots)


def _conjuncts(formula: Formula) -> list[Formula]:
    return [inner for part in formula.parts for inner in _conjuncts(part)] if isinstance(formula, And) else [formula]
