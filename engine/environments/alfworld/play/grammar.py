r"""A game's grammar (TextWorld's `.twl2`), parsed into data; `text.py` turns it into sentences.

The file has `action NAME { template :: "…"; feedback :: "…"; grammar :: \"\"\"{…}\"\"\"; }` for each action, and blocks
of rules in JSON: a name to alternatives, each with `rhs` and perhaps `condition`; the first whose condition holds is
used. In a right-hand side, `#name#` is another rule, `{expression}` a value, `{expression | query}` one value for each
answer of the query, `[{…}]` the same as an enumeration. A query is `predicate(name:type, …) & …`.

All repetitions of the regular expressions but one are possessive: none can be tried in more than one way, so a hostile
grammar is read in linear time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.environments.alfworld.errors import FormatError

_PART = re.compile(
    r"""\s*+(?:\#[^\n]*+\s*+)*+(?:
      action\s++(?P<action>[\w/-]++)\s*+\{ | (?P<close>\})
    | (?P<field>template|feedback)\s*+::\s*+"(?P<string>[^"]*+)"\s*+;
    | (?P<block>grammar|pddl)\s*+::\s*+\"\"\"(?P<text>.*?)\"\"\"\s*+;
    )""",
    re.VERBOSE | re.DOTALL,
)
_END = re.compile(r"\s*+(?:#[^\n]*+\s*+)*+\Z")
_OPENING = re.compile(r"(?://[^\n]*+\n?+|\s)*+")
_PREDICATE = re.compile(r"\s*+([\w/]++)\s*+\(([^()]*+)\)\s*+")
_PLACEHOLDER = re.compile(r"\s*+([\w']++)\s*+(?::\s*+([\w/-]++)\s*+)?+")
_SYMBOL = re.compile(
    r"""\t*+(?:
      \#(?P<rule>[\w()/!<>\-\s,.]++)\#
    | (?P<open>\[\t*+)?+\{\t*+
          (?:\#(?P<inner>[\w()/!<>\-\s,.]++)\# | (?P<value>[^|\[\]{}\n<>]++))
          (?:\s*+\|\s*+(?P<given>[^;|{}\n\[\]\#]++))?+
      \}(?(open)\t*+\])
    | "(?P<quoted>[^;|"<>\[\]\#{}]*+)"
    | (?P<literal>[^;|"<>\[\]\#{}]++)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A variable of a query; two are the same where both name and type are."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """A predicate to be matched. `negated` asks for facts that an action has made false (`not_` before the name)."""

    predicate: str
    placeholders: tuple[Placeholder, ...]
    negated: bool = False


Query: TypeAlias = tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    rule: str


@dataclass(frozen=True, slots=True)
class Value:
    expression: str


@dataclass(frozen=True, slots=True)
class Each:
    """`part` for each answer of `given`, or once without it; `listed` puts the grammar's separators between."""

    part: Reference | Value
    given: Query | None
    listed: bool


Symbol: TypeAlias = Literal | Reference | Value | Each


@dataclass(frozen=True, slots=True)
class Alternative:
    condition: Query | None
    body: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class ActionText:
    """How an action is typed and what is answered."""

    template: tuple[Symbol, ...]
    feedback: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """`actions` by lower-case action name, `rules` by name."""

    actions: Mapping[str, ActionText]
    rules: Mapping[str, tuple[Alternative, ...]]


def parse_grammar(text: str) -> Grammar:
    """The grammar in `text`. Raises `FormatError`."""
    actions: dict[str, ActionText] = {}
    rules: dict[str, Any] = {}
    name, fields, position = "", {"": ""}, 0
    while not _END.match(text, position):
        part = _PART.match(text, position)
        if part is None:
            found = tuple(text[position:].split()[:4])
            raise FormatError(f"expected an action or a grammar block, found: {' '.join(found)}", found)
        position = part.end()
        if part["action"]:
            name, fields = part["action"].lower(), {}
        elif part["field"]:
            fields[part["field"]] = part["string"]
        elif part["block"] == "grammar":
            rules.update(_json_block(part["text"], name))
        elif part["close"]:
            actions[name] = _action(name, fields)
            name = ""
    if name:
        raise FormatError(f"the action {name} is not closed", ("action", name))
    return Grammar(actions, {rule: _alternatives(rule, data) for rule, data in rules.items()})


def parse_symbols(text: str) -> tuple[Symbol, ...]:
    """A right-hand side. As the official parser does, it starts at the first word and ends at what is no symbol."""
    symbols: list[Symbol] = []
    match = _OPENING.match(text)
    position = match.end() if match else 0
    while (found := _SYMBOL.match(text, position)) is not None:
        position = found.end()
        if found["rule"] is not None:
            symbols.append(Reference(found["rule"]))
        elif found["inner"] is not None or found["value"] is not None:
            part = Reference(found["inner"]) if found["inner"] is not None else Value(found["value"])
            given = parse_query(found["given"]) if found["given"] is not None else None
            plain = given is None and found["open"] is None
            symbols.append(part if plain else Each(part, given, listed=found["open"] is not None))
        else:
            symbols.append(Literal(found["quoted"] if found["quoted"] is not None else found["literal"]))
    return tuple(symbols)


def parse_query(text: str) -> Query:
    """`predicate(name:type, …) & …`; a placeholder without a type has its name as its type."""
    patterns: list[Pattern] = []
    for piece in text.split("&"):
        found = _PREDICATE.fullmatch(piece)
        if found is None:
            raise FormatError(
                f"expected predicate(name:type, …), found: {piece.strip()[:60]}", tuple(piece.split()[:4])
            )
        arguments = [_PLACEHOLDER.fullmatch(each) for each in found[2].split(",")] if found[2].strip() else []
        placeholders = tuple(Placeholder(each[1], each[2] or each[1].rstrip("'")) for each in arguments if each)
        if len(placeholders) != len(arguments):
            raise FormatError(f"expected name:type as arguments, found: {piece.strip()[:60]}", tuple(piece.split()[:4]))
        negated = found[1].startswith("not_")
        patterns.append(Pattern(found[1].removeprefix("not_") if negated else found[1], placeholders, negated))
    return tuple(patterns)


def _action(name: str, fields: Mapping[str, str]) -> ActionText:
    missing = {"template", "feedback"} - fields.keys()
    if not name or missing:
        raise FormatError(
            f"the action {name or '(unnamed)'} has no {' and no '.join(sorted(missing))}", ("action", name)
        )
    return ActionText(parse_symbols(fields["template"]), parse_symbols(fields["feedback"]))


def _json_block(text: str, action: str) -> dict[str, Any]:
    where = f"the grammar block of the action {action}" if action else "the grammar block"
    if action:
        text = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))
    try:
        rules = json.loads(text)
    except ValueError as error:
        raise FormatError(f"{where} is not JSON: {error}", ("action", action) if action else ()) from None
    except RecursionError:
        raise FormatError(f"{where} is nested too deeply") from None
    if not isinstance(rules, dict):
        raise FormatError(f"{where} should be a JSON object of rules")
    return rules


def _alternatives(rule: str, data: Any) -> tuple[Alternative, ...]:
    match data:
        case [{"rhs": str()}, *_] if all(isinstance(each, dict) and isinstance(each.get("rhs"), str) for each in data):
            return tuple(
                Alternative(
                    parse_query(each["condition"]) if each.get("condition") else None, parse_symbols(each["rhs"])
                )
                for each in data
            )
    raise FormatError(f'the rule {rule} should be a list of {{"rhs": "…"}}', (rule,))
