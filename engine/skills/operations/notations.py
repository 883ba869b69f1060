"""Calls in the notations of model families that put the function's name before its arguments.

    opening = OPENING.search(text)
    end, call = read_notation(text, opening)

| notation | written as |
|---|---|
| Mistral | `[TOOL_CALLS]NAME{...}`, `[TOOL_CALLS]NAME[ARGS]{...}`, `[TOOL_CALLS]NAME[CALL_ID]x[ARGS]{...}` |
| DeepSeek | `<｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{...}`, `<｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME` and a fence |
| Kimi | `<|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{...}` |
| gpt-oss (harmony) | `<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{...}` |
| Functionary | `<|recipient|>NAME<|content|>{...}`, `>>>NAME` and a line with `{...}` |
| ReAct | `Action: NAME` and a line `Action Input: {...}` |
| GLM, and a name in a block | `<tool_call>NAME<arg_key>k</arg_key><arg_value>v</arg_value>`, `<tool_call>NAME{...}` |
| a tag per function | `<NAME><skill_name>a</skill_name></NAME>` |
| Python | `[NAME(key="value")]`, `print(default_api.NAME(...))`; of the curator's functions also in the text |

The arguments in braces are JSON, or a dict of Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from engine.skills.operations.python_calls import decode_either, read_arguments
from engine.skills.operations.syntaxes import FUNCTION_NAMES, Broken, Fault, RawCall, skip_space, unframed

_NAME = r"(?:functions\.|default_api\.)?([A-Za-z_][\w-]*+)"
_BEFORE_JSON = r"\s*+(?:```\w*\s*+)?"
_OURS = "|".join(sorted(FUNCTION_NAMES, key=len, reverse=True))
_BAR, _LOW = "[｜|]", "[▁_]"

_MISTRAL = rf"\[TOOL_CALLS\]\s*+{_NAME}(?:\s*+\[CALL_ID\]\s*+\w++)?(?:\s*+\[ARGS\])?"
_MARKED = (
    rf"<{_BAR}tool{_LOW}call{_LOW}begin{_BAR}>\s*+(?:function\s*+<{_BAR}tool{_LOW}sep{_BAR}>\s*+)?{_NAME}(?::\d++)?\s*+"
    rf"(?:<{_BAR}tool{_LOW}(?:sep|call{_LOW}argument{_LOW}begin){_BAR}>)?"
)
_HARMONY = rf"\bto={_NAME}\s*+(?:<\|channel\|>\s*+\w++\s*+)?(?:<\|constrain\|>\s*+)?(?:\w++\s*+)?<\|message\|>"
_FUNCTIONARY = rf"<\|recipient\|>\s*+{_NAME}\s*+<\|content\|>|^>>>[ \t]*+{_NAME}[ \t]*+\n(?=\s*+\{{)"
_REACT = rf"^[ \t*]*+Action:[ \t*]*+{_NAME}[ \t*]*+(?:\(\)[ \t*]*+)?(?:\r?\n)++[ \t*]*+Action[ _]Input:[ \t*]*+"
_BLOCK = rf"<tool_call>\s*+{_NAME}(?=\s*+(?:[{{(]|<arg_key>|(?:<\w*)?\Z))"
_OWN_TAG = rf"<({_OURS})>"
_PYTHON = (
    rf"(?:\A|<\|python_tag\|>|<\|tool_call_start\|>|```tool_code)\s*+\[?\s*+(?:print\(\s*+)?"
    rf"(?:(?!(?:{_OURS})\.call\()\w++\.)*+([A-Za-z_]\w*+)(?:\.call)?(?=\()"
    rf"|(?<![\w`-])(?:default_api\.|functions\.)?({_OURS})(?=\(\s*+(?:\w*+\s*+(?:=|\Z)|[\"'{{*)]))"
)

_KINDS = (
    ("Mistral's notation", _MISTRAL),
    ("the notation of DeepSeek and Kimi", _MARKED),
    ("gpt-oss's notation", _HARMONY),
    ("Functionary's notation", _FUNCTIONARY),
    ("ReAct's notation", _REACT),
    ("a block that begins with the name", _BLOCK),
    ("a tag of the function's name", _OWN_TAG),
    ("Python's notation", _PYTHON),
)
OPENING = re.compile(
    "|".join(f"(?P<kind{number}>{pattern})" for number, (_, pattern) in enumerate(_KINDS)), re.MULTILINE
)

MARKER = re.compile(
    rf"\[TOOL_CALLS\]|<{_BAR}/?tool{_LOW}call|<\|(?:python_tag|START_ACTION|action_start|tool_calls_section_begin)\|>"
    rf"|\bto=functions\.|DSML{_BAR}(?:invoke|parameter)|^[ \t*]*Action[ _]Input:|```tool_code|<\|recipient\|>|<arg_key>",
    re.MULTILINE,
)
"""What only a call begins with, whichever function it calls."""
_CUT_NAME = "|".join(sorted({name[:end] for name in FUNCTION_NAMES for end in range(4, len(name) + 1)}, key=len)[::-1])
CUT = re.compile(rf"""(?:[\[<{{"'.(]|Action:[ \t*]*)(?:{_CUT_NAME})["']?(?:\s*\n[ \t*]*[A-Z]?[\w :]{{0,16}})?\Z""")
"""A function's name, or the beginning of one, in the syntax of a call at the end of a text."""

CUT_LIST = re.compile(
    rf"(?:<{_BAR}?(?:[\w:]{{0,20}})tool{_LOW}?calls?(?:{_LOW}\w{{1,20}})?{_BAR}?>|\[TOOL_CALLS\]|functools)\s*+(?:[\[{{]\s*+)+\Z",
    re.IGNORECASE,
)
"""The beginning of a list of calls, with nothing in it, at the end of a text."""

_UNREAD = (
    ("ReAct's notation without a line for the input", r"^[ \t*]*Action:[ \t*]*\Z"),
    ("FunctionGemma's notation", r"<start_function_call>\s*call:\Z"),
    ("XML of another form", r"<[\w:]{0,40}(?:\s[^<>]{0,80}=[\"']?)?>?\s*\Z"),
    ("YAML", r"^[ \t-]*[\"']?\w{1,40}[\"']?[ \t]*:[ \t]*[\"']?\Z"),
    ("TOML", r"^[ \t]*\[+[\w.]*\Z|^[ \t]*\w{1,40}[ \t]*=[ \t]*[\"']?\Z"),
    ("JSON of another form", r"\{[^{}]*\Z"),
    ("Markdown", r"^[ \t]*[-*#][^\n]{0,80}\Z"),
)
"""What stands before a function's name in the notations that are recognised and not read."""

_MARKS = re.compile(r"<[^<>]*>|```\w*|\[/?[A-Z_]+\]")

_ARGUMENT = re.compile(r"\s*+<arg_key>([^<>]*+)</arg_key>\s*+<arg_value>(.*?)</arg_value>", re.DOTALL)
_CHILD = re.compile(r"\s*+<(\w++)>(.*?)</\1>", re.DOTALL)
_CUT_MARKS = re.compile(r"[\s\[\]<>|｜▁\w:.`/-]{0,80}\Z")
_NO_END = re.compile(r"(?!)")
_CUT_PAIR = re.compile(r"\s*+(?:<arg_key>|<arg_value>|(?:<[^<>]*+)?\Z)")
_CUT_CHILD = re.compile(r"\s*+(?:<\w++>|(?:<\w*+)?\Z)")
_BLOCK_END = re.compile(r"\s*+</tool_call>")
_FOLLOWING = re.compile(r"\)*+\s*+[,;]?\s*+(?:print\(\s*+)?(?:\w++\.)*+([A-Za-z_]\w*+)(?=\()")
_RESERVED = frozenset(
    {"print", "if", "for", "while", "and", "or", "not", "in", "is", "lambda", "return", "def", "class"}
)


def says_something(text: str) -> bool:
    """Whether there are words behind a mark, other than marks: else it encloses no call."""
    return any(character.isalnum() for character in _MARKS.sub("", text))


def unread_notation(before: str) -> str:
    """The notation of a call that is not read, by what stands before the function's name."""
    last = before[-200:]
    known = (notation for notation, pattern in _UNREAD if re.search(pattern, last, re.MULTILINE))
    return next(known, "an unknown notation")


def is_explicit(opening: re.Match[str]) -> bool:
    """Whether the notation of a match of `OPENING` is one of marks, which ordinary text does not have."""
    return _kind(opening)[0] not in ("ReAct's notation", "Python's notation")


def read_notation(text: str, opening: re.Match[str]) -> tuple[int, list[RawCall | Broken]]:
    """The calls that a match of `OPENING` opens, and where to read on; no call where it is ordinary text."""
    kind, name, at = *_kind(opening), opening.end()
    if kind == "Python's notation":
        return _python(text, opening.start(), at, name)
    if kind == "a tag of the function's name":
        return _children(text, opening, name)
    if text.startswith("<arg_key>", skip_space(text, at)):
        return _pairs(text, opening.start(), at, name)
    if text.startswith("(", at):
        return _one(text, opening.start(), kind, name, read_arguments(text, at), _BLOCK_END)
    before = re.compile(_BEFORE_JSON).match(text, at)
    return _one(text, opening.start(), kind, name, _object(text, before.end() if before else at), _BLOCK_END)


def _kind(opening: re.Match[str]) -> tuple[str, str]:
    """The notation of a match of `OPENING`, and the function's name."""
    number = next(number for number in range(len(_KINDS)) if opening[f"kind{number}"] is not None)
    inner = opening.groups()[OPENING.groupindex[f"kind{number}"] :]
    return _KINDS[number][0], next(group for group in inner if group is not None)


Arguments = tuple[Any, int, Fault | None]


def _object(text: str, at: int) -> Arguments:
    """The object at `at`: of JSON, or else of Python."""
    if not text.startswith("{", at):
        cut = bool(_CUT_MARKS.match(text, at))
        return None, at, Fault("it is cut off before its arguments, or they are no object", cut)
    return decode_either(text, at)


def _one(
    text: str, start: int, kind: str, name: str, arguments: Arguments, closing: re.Pattern[str]
) -> tuple[int, list[RawCall | Broken]]:
    given, end, fault = arguments
    if fault:
        following = None if fault.cut else OPENING.search(text, max(end, start + 1))
        end = following.start() if following else len(text)
        return end, [Broken(text[start:end], f"{fault.why} (it is in {kind})")]
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        return end, [Broken(text[start:end], f"its arguments are no object (it is in {kind})")]
    closed = closing.match(text, end)
    end = closed.end() if closed else end
    return end, [RawCall(text[start:end], name, given)]


def _pairs(text: str, start: int, at: int, name: str) -> tuple[int, list[RawCall | Broken]]:
    """The keys and values of GLM's notation. A value is text."""
    given, at = _tags(_ARGUMENT, text, at)
    fault = None
    if not _BLOCK_END.match(text, at):
        cut = bool(_CUT_PAIR.match(text, at))
        fault = Fault("it is cut off: its block has no end" if cut else "what stands in its block is no argument", cut)
    return _one(text, start, "GLM's notation", name, (given, at, fault), _BLOCK_END)


def _children(text: str, opening: re.Match[str], name: str) -> tuple[int, list[RawCall | Broken]]:
    """The arguments as tags of their own names, up to the closing tag."""
    given, at = _tags(_CHILD, text, opening.end(), unframed)
    closing = re.compile(rf"\s*+</{re.escape(name)}>")
    if not given and not closing.match(text, at) and not _CUT_CHILD.match(text, at):
        return opening.end(), []
    fault = None if closing.match(text, at) else Fault("it is cut off: its tag has no end", cut=True)
    return _one(text, opening.start(), "a tag of the function's name", name, (given, at, fault), closing)


def _tags(
    pattern: re.Pattern[str], text: str, at: int, clean: Callable[[str], str] = str
) -> tuple[dict[str, Any], int]:
    given: dict[str, Any] = {}
    while found := pattern.match(text, at):
        given[found[1].strip()] = None if found[2].strip() == "null" else clean(found[2])
        at = found.end()
    return given, at


def _python(text: str, start: int, at: int, name: str) -> tuple[int, list[RawCall | Broken]]:
    """The call whose parenthesis is at `at`, and those that follow it in a list or on lines of their own."""
    calls: list[RawCall | Broken] = []
    while True:
        given, end, fault = read_arguments(text, at)
        ours = name in FUNCTION_NAMES
        if not ours and (fault or not given or name in _RESERVED):
            return at + 1, calls  # an ordinary text, such as "f(x)"
        end, found = _one(text, start, "Python's notation", name, (given, end, fault), _NO_END)
        calls += found
        following = _FOLLOWING.match(text, end)
        if fault or not following or following[1] in _RESERVED:
            return end, calls
        start, at, name = end, following.end(), following[1]
