"""Parse domains and problems of the planning language PDDL into data.

    domain = parse_domain(text)
    problem = parse_problem(text, domain)

Supported are typing, constants, ADL conditions (`and or not imply exists forall =`) and effects (`and not forall when`).
Numeric fluents are ignored, because games have no costs. As in Fast Downward, for which the official games were made, names
are case-insensitive, `object` is the ancestor of every type, and an undeclared type has no members.

A file can be hostile: the limits below bound the declarations, and so the work of each episode. They are far above the
official games (32 predicates, 15 actions, up to 363 objects with names of up to 88 characters, 8 levels of parentheses).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import TypeAlias

from engine.environments.alfworld.errors import MAX_WORD, FormatError

ROOT = "object"
MAX_DEPTH = 30
MAX_DECLARED = 500
MAX_OBJECTS = 10_000
MAX_VARIABLES = 20
MAX_WORDS = 2_000
Sexp: TypeAlias = "str | list[Sexp]"


@dataclass(frozen=True, slots=True)
class Variable:
    """A typed name: a parameter, a quantified variable (`?o`), or an object."""

    name: str
    type: str = ROOT


@dataclass(frozen=True, slots=True)
class Atom:
    """A predicate applied to terms. Terms that start with `?` are variables, the others are objects."""

    predicate: str
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Equal:
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Not:
    part: Formula


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    variables: tuple[Variable, ...]
    part: Formula


@dataclass(frozen=True, slots=True)
class Forall:
    variables: tuple[Variable, ...]
    part: Formula


Formula: TypeAlias = Atom | Equal | Not | And | Or | Exists | Forall
TRUE = And(())


@dataclass(frozen=True, slots=True)
class Effect:
    """`atom` becomes true (or false) for all values of `variables` for which `condition` holds before the action."""

    atom: Atom
    positive: bool
    variables: tuple[Variable, ...] = ()
    condition: Formula = TRUE


@dataclass(frozen=True, slots=True)
class Schema:
    """An action of a domain, before its parameters have values."""

    name: str
    parameters: tuple[Variable, ...]
    precondition: Formula
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """`parents` maps a type to its supertype; `predicates` maps a name to its number of arguments."""

    name: str
    parents: Mapping[str, str]
    constants: tuple[Variable, ...]
    predicates: Mapping[str, int]
    schemas: tuple[Schema, ...]

    def lineage(self, type_name: str) -> Iterator[str]:
        """`type_name` and all its supertypes, nearest first."""
        seen: set[str] = set()
        while type_name not in seen:
            yield type_name
            seen.add(type_name)
            type_name = self.parents.get(type_name, ROOT)


@dataclass(frozen=True, slots=True)
class Problem:
    """The objects (with the domain's constants), the facts at the start, and the goal.

    A fact is the name of a predicate followed by the names of its arguments.
    """

    objects: tuple[Variable, ...]
    facts: tuple[tuple[str, ...], ...]
    goal: Formula


def parse_sexp(text: str) -> list[Sexp]:
    """The single parenthesised expression in `text`, as nested lists of lower-case words. Raises `FormatError`."""
    plain = re.sub(r";[^\n]*", "", text).lower()
    stack: list[list[Sexp]] = [[]]
    words = plain.replace("(", " ( ").replace(")", " ) ").split()
    if (longest := max(words, key=len, default="")) and len(longest) > MAX_WORD:
        raise FormatError(f"the word {longest[:30]}… has more than {MAX_WORD} characters")
    for word in words:
        if word == "(":
            if len(stack) > MAX_DEPTH:
                raise FormatError(f"parentheses are nested more than {MAX_DEPTH} deep", _words(stack[2][:2])[:4])
            stack.append([])
        elif word == ")":
            if len(stack) == 1:
                raise FormatError("a closing parenthesis too many", _words(stack[0])[-4:])
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(word)
    if len(stack) > 1:
        raise FormatError(f"{len(stack) - 1} parentheses are not closed", _words(stack[-1])[:4])
    if len(stack[0]) != 1 or not isinstance(stack[0][0], list):
        raise FormatError("expected one (define …)", _words(stack[0])[:4])
    return stack[0][0]


def parse_domain(text: str) -> Domain:
    """The domain in `text`. Raises `FormatError` for invalid PDDL and for features that games do not have."""
    name, sections = _define(text, "domain")
    parents: dict[str, str] = {}
    constants: tuple[Variable, ...] = ()
    predicates: dict[str, int] = {}
    schemas: list[Sexp] = []
    for section in sections:
        match section:
            case [":types", *rest]:
                parents.update((each.name, each.type) for each in _typed(rest))
            case [":constants", *rest]:
                constants = _typed(rest)
            case [":predicates", *rest]:
                for item in rest:
                    match item:
                        case [str(predicate), *arguments]:
                            predicates[predicate] = len(_variables(arguments))
                        case _:
                            raise _unread(item, "a predicate's declaration")
            case [":action", *_]:
                schemas.append(section)
            case [":requirements" | ":functions", *_]:
                pass
            case _:
                raise _unread(section, ":requirements, :types, :constants, :predicates, :functions or :action")
    _limit(parents, MAX_DECLARED, "types")
    _limit(predicates, MAX_DECLARED, "predicates")
    _limit(schemas, MAX_DECLARED, "actions")
    reader = _Reader(predicates)
    return Domain(name, parents, constants, predicates, tuple(reader.schema(schema) for schema in schemas))


def parse_problem(text: str, domain: Domain) -> Problem:
    """The problem in `text`. Raises `FormatError`, also for a predicate, object or type that `domain` does not declare."""
    _, sections = _define(text, "problem")
    objects = [*domain.constants]
    init: list[Sexp] = []
    goal: Sexp | None = None
    for section in sections:
        match section:
            case [":domain", named]:
                if named != domain.name:
                    why = f"the problem is for the domain {named}, the game's domain is {domain.name}"
                    raise FormatError(why, (":domain", *_words(named)))
            case [":objects", *rest]:
                objects += _typed(rest)
            case [":init", *rest]:
                init = rest
            case [":goal", formula]:
                goal = formula
            case [":requirements" | ":metric", *_]:
                pass
            case _:
                raise _unread(section, ":domain, :objects, :init, :goal or :metric")
    if goal is None:
        raise FormatError("the problem has no :goal")
    _check_objects(objects, domain)
    reader = _Reader(domain.predicates, frozenset(each.name for each in objects))
    facts = tuple(reader.fact(fact) for fact in init if not (isinstance(fact, list) and fact[:1] == ["="]))
    _limit(_words(goal), MAX_WORDS, "words in the goal", (":goal",))
    return Problem(tuple(objects), facts, reader.formula(goal))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Parses formulas and effects. Refuses unknown predicates, and, if `objects` is given, unknown objects."""

    predicates: Mapping[str, int]
    objects: frozenset[str] | None = None

    def atom(self, sexp: Sexp) -> Atom:
        if not isinstance(sexp, list) or not sexp or not isinstance(sexp[0], str):
            raise _unread(sexp, "a predicate and its arguments")
        predicate, arity = sexp[0], self.predicates.get(sexp[0])
        if arity is None:
            raise FormatError(f"the domain declares no predicate {predicate}", _words(sexp))
        if len(sexp) - 1 != arity:
            raise FormatError(f"{predicate} takes {arity} arguments, not {len(sexp) - 1}", _words(sexp))
        return Atom(predicate, tuple([self.term(term, sexp) for term in sexp[1:]]))

    def fact(self, sexp: Sexp) -> tuple[str, ...]:
        words = tuple([word for word in sexp if isinstance(word, str)])
        known = len(words) == len(sexp) > 0 and self.predicates.get(words[0]) == len(words) - 1
        if known and self.objects is not None and self.objects.issuperset(words[1:]):
            return words
        self.atom(sexp)
        raise _unread(sexp, "a fact without variables")

    def term(self, sexp: Sexp, where: Sexp) -> str:
        if not isinstance(sexp, str):
            raise _unread(where, "a name, not a list, as an argument")
        if self.objects is not None and sexp not in self.objects and not sexp.startswith("?"):
            raise FormatError(f"the problem declares no object {sexp}", _words(where))
        return sexp

    def formula(self, sexp: Sexp) -> Formula:
        match sexp:
            case []:
                return TRUE
            case ["and", *parts]:
                return And(tuple(self.formula(part) for part in parts))
            case ["or", *parts]:
                return Or(tuple(self.formula(part) for part in parts))
            case ["not", part]:
                return Not(self.formula(part))
            case ["imply", condition, consequence]:
                return Or((Not(self.formula(condition)), self.formula(consequence)))
            case ["exists", [*variables], part]:
                return Exists(_variables(variables), self.formula(part))
            case ["forall", [*variables], part]:
                return Forall(_variables(variables), self.formula(part))
            case ["=", left, right]:
                return Equal(self.term(left, sexp), self.term(right, sexp))
        return self.atom(sexp)

    def effects(self, sexp: Sexp) -> Iterator[Effect]:
        match sexp:
            case [] | ["increase" | "decrease" | "assign" | "scale-up" | "scale-down", *_]:
                return
            case ["and", *parts]:
                for part in parts:
                    yield from self.effects(part)
            case ["not", part]:
                yield Effect(self.atom(part), positive=False)
            case ["when", condition, part]:
                guard = self.formula(condition)
                for effect in self.effects(part):
                    yield Effect(effect.atom, effect.positive, effect.variables, And((guard, effect.condition)))
            case ["forall", [*variables], part]:
                outer = _variables(variables)
                for effect in self.effects(part):
                    yield Effect(effect.atom, effect.positive, outer + effect.variables, effect.condition)
            case _:
                yield Effect(self.atom(sexp), positive=True)

    def schema(self, sexp: Sexp) -> Schema:
        match sexp:
            case [":action", str(name), *rest] if len(rest) % 2 == 0:
                _limit(_words(rest), MAX_WORDS, f"words in the action {name}", (":action", name))
                fields = {key: value for key, value in zip(rest[::2], rest[1::2], strict=True) if isinstance(key, str)}
                parameters = _variables(fields.get(":parameters", []))
                if len({each.name for each in parameters}) < len(parameters):
                    raise FormatError(f"the action {name} has two parameters of one name", (":action", name))
                precondition = self.formula(fields.get(":precondition", []))
                return Schema(name, parameters, precondition, tuple(self.effects(fields.get(":effect", []))))
        raise _unread(sexp, "(:action NAME :parameters (…) :precondition (…) :effect (…))")


def _limit(things: Sized, most: int, what: str, tokens: tuple[str, ...] = ()) -> None:
    if len(things) > most:
        raise FormatError(f"more than {most:,} {what}", tokens)


def _check_objects(objects: Sequence[Variable], domain: Domain) -> None:
    _limit(objects, MAX_OBJECTS, "objects")
    known = {ROOT, *domain.parents, *domain.parents.values()}
    declared: dict[str, str] = {}
    for each in objects:
        if each.name.startswith("?"):
            raise FormatError(f"an object cannot be called {each.name}; names with ? are variables", (each.name,))
        if each.type not in known:
            expected = ", ".join(sorted(known))
            raise FormatError(f"{each.name} is of the type {each.type}; expected one of: {expected}", (each.name,))
        if (type_before := declared.setdefault(each.name, each.type)) != each.type:
            raise FormatError(f"{each.name} is declared as {type_before} and as {each.type}", (each.name,))


def _define(text: str, kind: str) -> tuple[str, list[Sexp]]:
    match parse_sexp(text):
        case ["define", [str(word), str(name)], *sections] if word == kind:
            return name, sections
        case other:
            raise _unread(other, f"(define ({kind} NAME) …)")


def _variables(sexp: Sexp) -> tuple[Variable, ...]:
    variables = _typed(sexp)
    _limit(variables, MAX_VARIABLES, "variables declared together", _words(sexp)[:4])
    if not all(each.name.startswith("?") for each in variables):
        raise _unread(sexp, "variables, which begin with ?")
    return variables


def _typed(sexp: Sexp) -> tuple[Variable, ...]:
    """`a b - t c` as variables. A name without a type gets the root type."""
    found: list[Variable] = []
    untyped: list[str] = []
    words = iter(sexp)
    for word in words:
        kind = next(words, None) if word == "-" else word
        if not isinstance(kind, str):
            raise _unread(sexp, "names, each list of them followed by - and one type")
        if word == "-":
            found.extend(Variable(name, kind) for name in untyped)
            untyped = []
        else:
            untyped.append(kind)
    return (*found, *(Variable(name) for name in untyped))


def _words(sexp: Sexp) -> tuple[str, ...]:
    if isinstance(sexp, str):
        return (sexp,)
    return tuple(word for part in sexp for word in _words(part))


def _unread(sexp: Sexp, expected: str) -> FormatError:
    words = _words(sexp)
    shown = " ".join(words[:6]) or "nothing"
    return FormatError(f"expected {expected}, found: {shown}", words[:6])
