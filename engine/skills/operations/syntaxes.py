"""The syntaxes of a function call: which function a JSON value or an element of tags calls, with which arguments.

    value, end, fault = decode(text, at)                # fault is None where JSON begins at `at`
    json_calls(value, text[at:end], tagged=False)       # of one call, of a list of them, of a message that wraps them
    end, call = read_element(text, ELEMENT.search(text))

A call in JSON is `{"name": ..., "arguments": {...}}` (Hermes, Qwen, Mistral), with other keys (`_NAMES`, `_ARGUMENTS`) in
the output of other models: `parameters` (Llama), `input` (Anthropic), `tool_name` (Command R). OpenAI's `arguments` are the
JSON text of an object. A call in tags is `<function=NAME>` (Qwen3-Coder, Llama), `<invoke name="NAME">` (Anthropic, MiniMax,
DeepSeek) or `<tool_call name="NAME">`; it contains a JSON object, or a tag for each parameter, whose text is the value:
exact, but for the line breaks that set it off from its tags; `null` is none.

`ELEMENT` matches the opening of a call in tags, also one that the text's end cuts off, and `CUT_TAG` what the end leaves of
any tag, if only nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

FUNCTION_NAMES = frozenset(
    {"insert_skill", "update_skill", "delete_skill", "new_skill_insert", "skill_update", "skill_delete"}
)
"""The curator's functions, the published spellings included."""

_PREFIX = "(?:\\w+:|[｜|]DSML[｜|])?"
_NAMED = f"(?:{_PREFIX}invoke|(?:tool_call|function_call|function|tool))"
ELEMENT = re.compile(
    rf"""<function=(?:([^<>\s]+)\s*+>|[^<>]*+\Z)|<{_NAMED}\s++(?:name=["']?([^"'<>]*)["']?\s*+>|[^<>]*+\Z)"""
)
CUT_TAG = re.compile(r"\s*+(?:<[^<>]*+)?\Z")

_PARAMETER = re.compile(
    rf"""\s*+<parameter=([^<>\s]+)\s*+>|\s*+<{_PREFIX}parameter\s++name=["']?([^"'<>\s]*)["']?(?:\s++string="\w++")?\s*+>"""
)
_PARAMETER_END = re.compile(rf"</{_PREFIX}parameter>")
_ELEMENT_END = re.compile(rf"\s*+</{_NAMED}>")
_NEXT = re.compile(rf"{ELEMENT.pattern}|</?tool_call>|</?think")
_SPACE = re.compile(r"\s*")
_CUT_TOKEN = re.compile(r"(?:[\w.+\\-]{0,8}|<[^<>]*+)\s*\Z")
_DECODER = json.JSONDecoder(strict=False)
_NAMES = ("name", "tool_name", "function_name", "function", "tool", "action")
_ARGUMENTS = ("arguments", "parameters", "input", "args", "kwargs", "params", "tool_input", "action_input")
_WRAPPERS = ("choices", "message", "output", "content", "tool_calls", "function_call", "function", "command")


class RawCall(msgspec.Struct, frozen=True):
    """A call as it was written: any function name, any JSON arguments."""

    text: str
    name: str
    arguments: dict[str, Any]


class Broken(msgspec.Struct, frozen=True):
    """Text that set out to be a call and is none."""

    text: str
    why: str


class Fault(msgspec.Struct, frozen=True):
    """Why text is no JSON value; `cut` where the text ends before the value does."""

    why: str
    cut: bool = False


def skip_space(text: str, at: int) -> int:
    """The offset of the first character at or after `at` that is not white space."""
    match = _SPACE.match(text, at)
    return match.end() if match else at


# JSON


def decode(text: str, at: int) -> tuple[Any, int, Fault | None]:
    """The JSON value at `at`, where it ends, and why it is none. Never raises for what the text contains."""
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        return None, at, _fault(error, at)
    except ValueError as error:
        return None, at, Fault(f"it holds a value that cannot be read: {error}")
    except RecursionError:
        return None, at, Fault("its JSON nests too deeply")
    return value, end, None


def _fault(error: json.JSONDecodeError, at: int) -> Fault:
    """What is wrong with the JSON that began at `at`, as a message for its author."""
    if error.msg.startswith("Unterminated string"):
        return Fault("it is cut off, or a quote is missing: a string of its JSON has no end", cut=True)
    if _CUT_TOKEN.match(error.doc, error.pos):
        return Fault("it is cut off: its JSON has no end", cut=True)
    return Fault(f"it is no JSON: {error.msg} at character {error.pos - at + 1}")


def json_calls(value: Any, text: str, *, tagged: bool) -> list[RawCall | Broken]:
    """The calls of a JSON value that was written as `text`.

    In a block of tags, what is no call is broken; elsewhere it is just text, and so is a name without arguments.
    """
    calls: list[RawCall | Broken] = []
    for item in _items(value):
        item = _by_name(item)
        named = isinstance(item, dict) and bool(_name_key(item))
        if not tagged and not (named and _arguments_key(item)):
            continue
        written = text if item is value else _written(item)
        why = "it is no JSON object with a function's name and arguments"
        calls.append(_json_call(item, written) if named else Broken(written, why))
    return calls


def _items(value: Any) -> list[Any]:
    """What may be a call in a JSON value: itself, the items of a list, or what a model's message wraps, in order."""
    found, pending = [], [value]
    while pending:
        item = pending.pop()
        inner = item if isinstance(item, list) else _wrapped(item)
        if inner is None:
            found.append(item)
        else:
            pending += reversed(inner)
    return found


def _wrapped(item: Any) -> list[Any] | None:
    """What a message, or a part of one, wraps; None for what is itself a call or nothing at all."""
    if not isinstance(item, dict) or (_name_key(item) and _arguments_key(item)):
        return None
    return [item[key] for key in _WRAPPERS if isinstance(item.get(key), dict | list)] or None


def _by_name(item: Any) -> Any:
    """The call that `{"insert_skill": {...}}` or `{"tool": "insert_skill", "skill_name": ...}` is; others as they are."""
    if isinstance(item, dict) and len(item) == 1 and FUNCTION_NAMES.issuperset(item):
        [(name, arguments)] = item.items()
        return {"name": name, "arguments": arguments}
    if isinstance(item, dict) and not _arguments_key(item) and "skill_name" in item:
        key = _name_key(item) or next((key for key in ("operation", "type", "command") if key in item), "")
        if isinstance(item.get(key), str) and item[key] in FUNCTION_NAMES:
            return {"name": item[key], "arguments": {other: value for other, value in item.items() if other != key}}
    return item


def _name_key(call: dict[str, Any]) -> str:
    return next((key for key in _NAMES if isinstance(call.get(key), str)), "")


def _arguments_key(call: dict[str, Any]) -> str:
    return next((key for key in _ARGUMENTS if key in call), "")


def _written(item: Any) -> str:
    """The text of one of several calls, written anew; only its kind where it nests as deep as can just be read."""
    try:
        return json.dumps(item, ensure_ascii=False)
    except RecursionError:
        return f"a JSON {'object' if isinstance(item, dict) else 'list'} that nests too deeply"


def _json_call(call: dict[str, Any], text: str) -> RawCall | Broken:
    """One call whose name is known; its arguments may be an object, or the JSON text of one."""
    name, arguments = call[_name_key(call)], call.get(_arguments_key(call), {})
    if isinstance(arguments, str):
        arguments, _, fault = decode(arguments, skip_space(arguments, 0))
        if fault:
            return Broken(text, f"the arguments of {name[:80]!r} are not JSON: {fault.why}")
    if not isinstance(arguments, dict):
        return Broken(text, f"the arguments of {name[:80]!r} are not an object")
    return RawCall(text, name, arguments)


# Tags


def read_element(text: str, opening: re.Match[str]) -> tuple[int, RawCall | Broken]:
    """The call that a match of `ELEMENT` opens, and where to read on."""
    start, inner = opening.start(), skip_space(text, opening.end())
    arguments, end, fault = decode(text, inner) if text.startswith("{", inner) else _parameters(text, inner)
    closing = _ELEMENT_END.match(text, end)
    if closing and not fault:
        return closing.end(), RawCall(text[start : closing.end()], opening[1] or opening[2] or "", arguments)
    if not fault and CUT_TAG.match(text, end):
        fault = Fault("it is cut off: its tag has no end", cut=True)
    following = _NEXT.search(text, opening.end())
    end = following.start() if following and not (fault and fault.cut) else len(text)
    return end, Broken(text[start:end], fault.why if fault else "what stands in its tag is no parameter")


def _parameters(text: str, at: int) -> tuple[dict[str, str | None], int, Fault | None]:
    """The parameters in tags from `at` on, where they end, and why they cannot be read."""
    found: dict[str, str | None] = {}
    while opening := _PARAMETER.match(text, at):
        name = opening[1] or opening[2] or ""
        closing = _PARAMETER_END.search(text, opening.end())
        if not closing:
            return {}, at, Fault(f"it is cut off: the parameter {name[:80]!r} has no end", cut=True)
        value = text[opening.end() : closing.start()]
        if ELEMENT.search(value):
            return {}, at, Fault(f"the parameter {name[:80]!r} has no end before the next call")
        found[name] = None if value.strip() == "null" else unframed(value)
        at = closing.end()
    return found, at, None


def unframed(value: str) -> str:
    """A tag's value without the line breaks that set it off from its tags."""
    return value[1:].removesuffix("\n") if value.startswith("\n") else value
