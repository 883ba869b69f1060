"""The sentences of a game: a grammar, compiled into functions of the facts and an action's arguments.

A rule is compiled once for each scope that it is used in (the placeholders that have values there). A query binds new
placeholders in order, each to another object; its answers come in the order of the objects' names.

A grammar may be hostile: compiling spends the frame's work, writing that of the facts, character by character.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

from engine.core.syntax import parse_expression
from engine.environments.alfworld.errors import FormatError
from engine.environments.alfworld.pddl.facts import MAX_PLAYING, Facts, Frame, Row
from engine.environments.alfworld.pddl.joins import Env, Fresh, Step, Test, any_of, check, ordered_scan, row_test, stop
from engine.environments.alfworld.play.grammar import (
    Alternative,
    Each,
    Grammar,
    Literal,
    Placeholder,
    Query,
    Reference,
    Symbol,
    Value,
)
from engine.environments.alfworld.play.naming import ATTRIBUTES

Scope: TypeAlias = tuple[Placeholder, ...]
Render: TypeAlias = Callable[[Facts, Env], str]
MAX_EXPRESSION = 200
MAX_NESTING = 20
MAX_PATTERNS = 10
SEPARATORS = ("list_empty", "list_separator", "list_last_separator")


@dataclass(frozen=True, slots=True)
class Needs:
    """What decides a text: the predicates that it looks at and that actions change, and the slots of its scope."""

    reads: frozenset[int] = frozenset()
    slots: frozenset[int] = frozenset()

    def __or__(self, other: Needs) -> Needs:
        return Needs(self.reads | other.reads, self.slots | other.slots)


@dataclass(frozen=True, slots=True)
class Piece:
    """A compiled part of a sentence; `constant` is its text where nothing decides it."""

    render: Render
    needs: Needs = field(default_factory=Needs)
    constant: str | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A compiled sentence, to be called with the facts and the values of its scope."""

    render: Render
    needs: Needs
    room: int

    def __call__(self, facts: Facts, row: Row = ()) -> str:
        return self.render(facts, [*row, *[-1] * self.room])


@dataclass(slots=True)
class Writer:
    """Compiles sentences. Raises `FormatError` for an unknown rule, predicate, type or variable."""

    frame: Frame
    grammar: Grammar
    _rules: dict[tuple[str, Scope], Piece] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    _room: int = 0

    def sentence(self, symbols: Sequence[Symbol], scope: Scope = ()) -> Sentence:
        """The sentence of `symbols`, to be given the values of `scope` in order."""
        piece = self._sequence(symbols, scope)
        return Sentence(piece.render, piece.needs, self._room)

    def _sequence(self, symbols: Sequence[Symbol], scope: Scope) -> Piece:
        return _joined([self._symbol(symbol, scope) for symbol in symbols])

    def _symbol(self, symbol: Symbol, scope: Scope) -> Piece:
        self.frame.spend(1 + len(scope))
        match symbol:
            case Literal(text):
                return _constant(text)
            case Reference(name):
                return self._rule(name, scope)
            case Value(expression):
                return self._value(expression, scope)
            case Each(part, given, listed):
                return self._each(part, given, listed, scope)

    def _rule(self, name: str, scope: Scope) -> Piece:
        if (name, scope) not in self._rules:
            if name not in self.grammar.rules:
                raise FormatError(f"the grammar has no rule {name}", (name,))
            if name in self._open:
                raise FormatError(f"the grammar's rule {name} refers to itself", (name,))
            if len(self._open) == MAX_NESTING:
                raise FormatError(f"the grammar's rules are nested more than {MAX_NESTING} deep, at {name}", (name,))
            self._open.append(name)
            self._rules[name, scope] = self._choice(name, self.grammar.rules[name], scope)
            self._open.pop()
        return self._rules[name, scope]

    def _choice(self, name: str, alternatives: Sequence[Alternative], scope: Scope) -> Piece:
        """The first alternative whose condition holds."""
        needs = Needs()
        choices: list[tuple[Test, Render]] = []
        for each in alternatives:
            body = self._sequence(each.body, scope)
            if each.condition is None and not choices:
                return body
            condition = each.condition or ()
            holds, decided = self._query(condition, scope, lambda inner: (stop, Needs()))
            choices.append((any_of([holds]), body.render))
            needs = needs | decided | body.needs
            if not condition:
                break

        def render(facts: Facts, env: Env) -> str:
            facts.spend(len(choices))
            for holds, body in choices:
                if holds(facts, env):
                    return body(facts, env)
            raise FormatError(f"the grammar's rule {name} has no alternative that applies", (name,))

        return Piece(render, needs)

    def _each(self, part: Reference | Value, given: Query | None, listed: bool, scope: Scope) -> Piece:
        empty, comma, last = [self._rule(name, scope) if listed else _constant("") for name in SEPARATORS]
        if given is None:
            return self._symbol(part, scope)

        def collector(inner: Scope) -> tuple[Step, Needs]:
            piece = self._symbol(part, inner)

            def collect(facts: Facts, env: Env, out: Any) -> bool:
                out.append(piece.render(facts, env))
                return False

            return collect, piece.needs

        answers, decided = self._query(given, scope, collector)

        def render(facts: Facts, env: Env) -> str:
            parts: list[str] = []
            answers(facts, env, parts)
            if not parts:
                return empty.render(facts, env)
            if len(parts) == 1:
                return parts[0]
            between = comma.render(facts, env)
            facts.spend(sum(map(len, parts)) + len(between) * len(parts))
            return between.join(parts[:-1]) + last.render(facts, env) + parts[-1]

        return Piece(render, decided | empty.needs | comma.needs | last.needs)

    def _query(self, query: Query, scope: Scope, end: Callable[[Scope], tuple[Step, Needs]]) -> tuple[Step, Needs]:
        """The chain of a query, ending in `end` of the scope with the query's placeholders in it, and what decides it."""
        outer = range(len(scope))
        reads: set[int] = set()
        used: set[int] = set()
        steps: list[Callable[[Step], Step]] = []
        if len(query) > MAX_PATTERNS:
            raise FormatError(f"a query has more than {MAX_PATTERNS} patterns", (query[0].predicate,))
        for pattern in query:
            self.frame.spend(1 + len(scope))
            arity, given = self.frame.arities.get(pattern.predicate), len(pattern.placeholders)
            if arity is None:
                raise FormatError(f"the domain declares no predicate {pattern.predicate}", (pattern.predicate,))
            if arity != given:
                raise FormatError(f"{pattern.predicate} takes {arity} arguments, not {given}", (pattern.predicate,))
            predicate = self.frame.predicates[pattern.predicate]
            predicate = self.frame.negation(predicate) if pattern.negated else predicate
            reads |= {predicate} & self.frame.fluents
            slots = {placeholder: slot for slot, placeholder in enumerate(scope)}
            bound: dict[int, int] = {}
            fresh: list[Fresh] = []
            repeats: list[tuple[int, int]] = []
            for place, placeholder in enumerate(pattern.placeholders):
                if placeholder in slots:
                    bound[place] = slots[placeholder]
                elif placeholder in scope:
                    repeats.append((place, scope.index(placeholder)))
                else:
                    fresh.append((place, len(scope), self._type(placeholder)))
                    scope = (*scope, placeholder)
            used.update(outer if fresh else bound.values())
            steps.append(_step(self.frame, predicate, bound, fresh, repeats))
        self._room = max(self._room, len(scope))
        chain, needs = end(scope)
        for step in reversed(steps):
            chain = step(chain)
        return chain, Needs(needs.reads | reads, frozenset((needs.slots | used) & set(outer)))

    def _type(self, placeholder: Placeholder) -> int:
        if placeholder.type not in self.frame.types:
            known = ", ".join(sorted(self.frame.types))
            raise FormatError(f"{placeholder.name}:{placeholder.type} is of no type of the domain ({known})")
        return self.frame.types[placeholder.type]

    def _value(self, source: str, scope: Scope) -> Piece:
        """An expression of names, attributes, strings, `+`, `or` and `and`; nothing else is evaluated."""
        if len(source) > MAX_EXPRESSION:
            raise FormatError(f"the grammar's expression {source[:60]}… has more than {MAX_EXPRESSION} characters")
        self.frame.spend(len(source))
        try:
            tree = parse_expression(source.strip())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise FormatError(
                f"the grammar's expression {source.strip()[:60]} cannot be read", (source.strip(),)
            ) from None
        slots = {placeholder.name: slot for slot, placeholder in enumerate(scope)}
        return self._expression(tree, slots, source)

    def _expression(self, tree: ast.expr, slots: dict[str, int], source: str) -> Piece:
        match tree:
            case ast.Constant(str(text)):
                return _constant(text)
            case ast.Name(name) if name in slots:
                return _looked_up("name", slots[name])
            case ast.Attribute(ast.Name(name), attribute) if name in slots and attribute in ATTRIBUTES:
                return _looked_up(attribute, slots[name])
            case ast.BinOp(left, ast.Add(), right):
                return _joined([self._expression(part, slots, source) for part in (left, right)])
            case ast.BoolOp(operator, values):
                return _first([self._expression(part, slots, source) for part in values], isinstance(operator, ast.Or))
        known = ", ".join(slots) or "none"
        what = f"the grammar's expression {source.strip()[:60]} uses more than the names in scope ({known}) and strings"
        raise FormatError(what, (source.strip(),))


def _step(
    frame: Frame, predicate: int, bound: dict[int, int], fresh: list[Fresh], repeats: list[tuple[int, int]]
) -> Callable[[Step], Step]:
    if fresh:
        return lambda then: ordered_scan(frame, predicate, bound, fresh, repeats, then)
    return lambda then: check(row_test(predicate, tuple(bound.values())), then)


def _constant(text: str) -> Piece:
    return Piece(lambda facts, env: text, constant=text)


def _looked_up(attribute: str, slot: int) -> Piece:
    return Piece(lambda facts, env: facts.entities[attribute][env[slot]], Needs(slots=frozenset([slot])))


def _joined(pieces: Sequence[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    constants = [piece.constant for piece in pieces if piece.constant is not None]
    if sum(map(len, constants)) > MAX_PLAYING:
        raise FormatError(f"a text of the grammar has more than {MAX_PLAYING:,} characters")
    if len(constants) == len(pieces):
        return _constant("".join(constants))
    renders = [piece.render for piece in pieces]

    def render(facts: Facts, env: Env) -> str:
        facts.spend(len(renders))
        parts = [render(facts, env) for render in renders]
        facts.spend(sum(map(len, parts)))
        return "".join(parts)

    return Piece(render, _all_needs(pieces))


def _first(pieces: Sequence[Piece], wanted: bool) -> Piece:
    """Python's `or` (the first that is not empty) or `and` (the first that is empty), else the last."""

    def render(facts: Facts, env: Env) -> str:
        text = ""
        for piece in pieces:
            text = piece.render(facts, env)
            if bool(text) == wanted:
                break
        return text

    return Piece(render, _all_needs(pieces))


def _all_needs(pieces: Sequence[Piece]) -> Needs:
    return reduce(or_, (piece.needs for piece in pieces), Needs())
