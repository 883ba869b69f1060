"""Function calls in what a model wrote, whichever of the usual spellings it chose.

    for call in read_calls(completion):
        if isinstance(call, Broken): ...     # call.text, call.why
        else: ...                            # call.name, call.arguments

Read are Hermes and Qwen blocks (`<tool_call>{"name": ..., "arguments": {...}}</tool_call>`) and, where a text has none
of them, JSON objects and lists in the text or in code fences, OpenAI's `tool_calls` among them. A leading `<think>`
block is no part of the answer. Text around the calls is ignored, JSON that is no call too. A last call that was cut off
is broken.

The time is linear in the text: what decodes is decoded once, and reading stops after `MAX_BROKEN` pieces that do not.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

MAX_BROKEN = 64

_TAG = re.compile(r"</?tool_call>")
_SPACE = re.compile(r"\s*")
_OPENING = re.compile(r'<tool_call>|[\[{]\s*+(?:\{\s*+)?"')
_CALL_OPENING = re.compile(r'<tool_call>|\{\s*+"name"\s*+:')
_DECODER = json.JSONDecoder(strict=False)


class RawCall(msgspec.Struct, frozen=True):
    """A call as it was written: any function name, any JSON arguments."""

    text: str
    name: str
    arguments: dict[str, Any]


class Broken(msgspec.Struct, frozen=True):
    """Text that set out to be a call and is none."""

    text: str
    why: str


def read_calls(text: str) -> list[RawCall | Broken]:
    """Every call in `text`, in order; [] where there is none. Never raises for what the text contains."""
    answer = _without_thought(text)
    tagged: list[RawCall | Broken] = []
    loose: list[RawCall | Broken] = []
    failures = 0
    opening = _OPENING.search(answer)
    while opening is not None and failures < MAX_BROKEN:
        is_tag = opening.group() == "<tool_call>"
        end, calls = _read_block(answer, opening.start()) if is_tag else _read_json(answer, opening)
        (tagged if is_tag else loose).extend(calls)
        failures += end is None or any(isinstance(call, Broken) for call in calls)
        opening = _OPENING.search(answer, opening.start() + 1 if end is None else end)
    if opening is not None:
        rest = Broken(answer[opening.start() :], f"reading stopped after {MAX_BROKEN} broken calls")
        (tagged or loose).append(rest)
    return tagged or loose


def _without_thought(text: str) -> str:
    """What follows a leading `<think>` block; nothing, if the block never ends."""
    answer = text.lstrip()
    return answer.partition("</think>")[2] if answer.startswith("<think>") else answer


def _read_block(text: str, start: int) -> tuple[int, list[RawCall | Broken]]:
    """The calls of the block whose tag is at `start`, and where to read on. A tag inside a JSON string is text."""
    inner = start + len("<tool_call>")
    at = _skip_space(text, inner)
    calls: list[RawCall | Broken] = []
    first = True
    while first or text.startswith("{", at):
        value, end, why = _decode(text, at)
        if why:
            tag = _TAG.search(text, inner)
            end = tag.start() if tag else len(text)
            return end, [Broken(text[start:end], why)]
        calls += _calls_of(value, text[at:end], tagged=True)
        first, at = False, _skip_space(text, end)
    if at < len(text) and not _TAG.match(text, at):
        tag = _TAG.search(text, at)
        end = tag.start() if tag else len(text)
        return end, [Broken(text[start:end], "text follows the JSON of the call")]
    return at, calls


def _read_json(text: str, opening: re.Match[str]) -> tuple[int | None, list[RawCall | Broken]]:
    """The calls of the JSON value at `opening` and where it ends, None where it is no JSON.

    What looks like a call and is no JSON is broken; any other braces are text.
    """
    start = opening.start()
    value, end, why = _decode(text, start)
    if not why:
        return end, _calls_of(value, text[start:end], tagged=False)
    if not _CALL_OPENING.match(text, start):
        return None, []
    following = _CALL_OPENING.search(text, opening.end())
    return None, [Broken(text[start : following.start() if following else len(text)], why)]


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _decode(text: str, at: int) -> tuple[Any, int, str]:
    """The JSON value at `at`, where it ends, and why it is none ("" if it is)."""
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        return None, at, _problem(error, at)
    except ValueError as error:
        return None, at, f"it holds a value that cannot be read: {error}"
    except RecursionError:
        return None, at, "its JSON nests too deeply"
    return value, end, ""


def _problem(error: json.JSONDecodeError, at: int) -> str:
    """What is wrong with the JSON that began at `at`, in words for whoever wrote it."""
    if error.msg.startswith("Unterminated string"):
        return "it is cut off, or a quote is missing: a string of its JSON has no end"
    if error.pos >= len(error.doc.rstrip()):
        return "it is cut off: its JSON has no end"
    return f"it is no JSON: {error.msg} at character {error.pos - at + 1}"


def _calls_of(value: Any, text: str, *, tagged: bool) -> list[RawCall | Broken]:
    """The calls in a JSON value: one, a list of them, or an OpenAI message. Untagged, what is no call is just text."""
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    calls: list[RawCall | Broken] = []
    for item in value if isinstance(value, list) else [value]:
        written = json.dumps(item, ensure_ascii=False) if isinstance(value, list) else text
        call = item.get("function", item) if isinstance(item, dict) else item
        if isinstance(call, dict) and isinstance(call.get("name"), str) and (tagged or _has_arguments(call)):
            calls.append(_call(call, written))
        elif tagged:
            calls.append(Broken(written, "it is no JSON object with a function's name and arguments"))
    return calls


def _has_arguments(call: dict[str, Any]) -> bool:
    return "arguments" in call or "parameters" in call


def _call(call: dict[str, Any], text: str) -> RawCall | Broken:
    """One call whose name is known; its arguments may be an object or, as OpenAI has them, the JSON text of one."""
    arguments = call.get("arguments", call.get("parameters", {}))
    if isinstance(arguments, str):
        arguments, _, why = _decode(arguments, _skip_space(arguments, 0))
        if why:
            return Broken(text, f"the arguments of {call['name'][:80]} are not JSON: {why}")
    if not isinstance(arguments, dict):
        return Broken(text, f"the arguments of {call['name'][:80]} are not an object")
    return RawCall(text, call["name"], arguments)
