"""Calls and values in Python's syntax: `insert_skill(skill_name="a", content='b')`, `{'name': 'insert_skill', ...}`.

    arguments, end, fault = read_arguments(text, at)        # `at` is the opening parenthesis
    value, end, fault = read_value(text, at)                # `at` is an opening bracket or brace
    value, end, fault = decode_either(text, at)             # JSON, or else Python

Only literals are values; nothing is evaluated. `true`, `false` and `null` are read as in JSON, and so are line breaks inside
the quotes of a string. At most `MAX_LENGTH` characters and `MAX_DEPTH` nested brackets are read.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

from engine.core.syntax import parse_expression
from engine.skills.operations.syntaxes import Fault, decode

MAX_LENGTH = 200_000
MAX_DEPTH = 64

_TOKEN = re.compile(
    r'''"""(?:[^"\\]|\\.|"(?!""))*+"""|\'\'\'(?:[^'\\]|\\.|'(?!\'\'))*+\'\'\'|"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+\''''
    r"""|[()\[\]{}]|[^"'()\[\]{}]++|["']""",
    re.DOTALL,
)
_SINGLE_QUOTE = re.compile(r"[\[{\s]++'")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_JSON_NAMES = {"true": True, "false": False, "null": None}


def read_arguments(text: str, at: int) -> tuple[dict[str, Any], int, Fault | None]:
    """The named arguments of the call whose parenthesis opens at `at`, where it ends, and why they cannot be read."""
    source, end, fault = _bracketed(text, at)
    if fault:
        return {}, end, fault
    node, fault = _parsed(f"f{source}")
    if fault or not isinstance(node, ast.Call):
        return {}, end, fault or Fault("it is no call")
    try:
        arguments: dict[str, Any] = {}
        for given in [*(ast.keyword(None, value) for value in node.args), *node.keywords]:
            value = _literal(given.value)
            if given.arg is not None:
                arguments[given.arg] = value
            elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
                arguments |= value
            else:
                return {}, end, Fault("its arguments have no names")
    except (ValueError, TypeError, RecursionError, MemoryError):
        return {}, end, Fault("its arguments are not all literals")
    return arguments, end, None


def read_value(text: str, at: int) -> tuple[Any, int, Fault | None]:
    """The list or dict that opens at `at`, where it ends, and why it cannot be read."""
    source, end, fault = _bracketed(text, at)
    if fault:
        return None, end, fault
    node, fault = _parsed(source)
    if fault or node is None:
        return None, end, fault
    try:
        return _literal(node), end, None
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None, end, Fault("it is no literal of Python")


def decode_either(text: str, at: int) -> tuple[Any, int, Fault | None]:
    """The value at `at`, of JSON or else of Python, where it ends, and why it is no JSON."""
    value, end, fault = decode(text, at)
    if fault and not fault.cut and text.startswith(("{", "["), at):
        again, its_end, problem = read_value(text, at)
        if not problem:
            return again, its_end, None
        if problem.cut and _SINGLE_QUOTE.match(text, at):
            return None, len(text), problem
    return value, end, fault


def _bracketed(text: str, at: int) -> tuple[str, int, Fault | None]:
    """What the bracket at `at` encloses, as Python source, with the brackets; where it ends."""
    open_brackets: list[str] = []
    pieces: list[str] = []
    limit = min(len(text), at + MAX_LENGTH)
    while token := _TOKEN.match(text, at, limit):
        piece, at = token[0], token.end()
        if piece in _CLOSING:
            open_brackets.append(_CLOSING[piece])
            if len(open_brackets) > MAX_DEPTH:
                return "", at, Fault("it nests too deeply")
        elif piece in ")]}":
            if open_brackets.pop() != piece:
                return "", at, Fault("its brackets do not match")
        elif piece in "\"'":
            return "", limit, Fault("it is cut off, or a quote is missing: a string has no end", cut=True)
        elif piece[0] in "\"'" and not piece.startswith(('"""', "'''")):
            piece = piece.replace("\r", "\\r").replace("\n", "\\n")
        pieces.append(piece)
        if not open_brackets:
            return "".join(pieces), at, None
    return "", limit, Fault("it is cut off: a bracket has no end", cut=True)


def _parsed(source: str) -> tuple[ast.expr | None, Fault | None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that Python does not know, which stay as they are
            return parse_expression(source.strip()), None
    except SyntaxError as error:
        return None, Fault(f"it is no Python: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return None, Fault(f"it is no Python: {error or 'it nests too deeply'}")


def _literal(node: ast.expr) -> Any:
    """The value of a literal. Raises `ValueError`, `TypeError`, `RecursionError`."""
    match node:
        case ast.Name(id="true" | "false" | "null" as name):
            return _JSON_NAMES[name]
        case ast.Dict(keys=keys, values=values):
            return {_literal(key): _literal(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(item) for item in items]
        case _:
            value = ast.literal_eval(node)
            if value is not None and not isinstance(value, str | int | float):
                raise TypeError("it has no counterpart in JSON")
            return value
