"""Function calls in what a model wrote, whichever of the usual spellings it chose.

    for call in read_calls(completion):
        if isinstance(call, Broken): ...     # call.text, call.why
        else: ...                            # call.name, call.arguments

Read are Hermes and Qwen blocks (`<tool_call>{"name": ..., "arguments": {...}}</tool_call>`), calls in tags of their own
(`<function=NAME>`, `<invoke name="NAME">`: `syntaxes.py`), the notations of other model families (`notations.py`) and,
where a text has none of these, JSON objects and lists in the text or in code fences, OpenAI's `tool_calls` and Anthropic's
`tool_use` among them, also as dicts of Python. Text around the calls is ignored, JSON that is no call too. A last call that
was cut off is broken. A text without a call that has the signs of one (a mark of a notation, or a function with its
argument) is one broken call: a call in an unknown notation is not the decision to call nothing.

Text inside a thought is not a call: from `<think>` to `</think>` or the end, or up to a first `</think>` whose beginning was
in the prompt; and so for the marks of thoughts of other models.

The time is linear in the text: what decodes is decoded once, and reading stops after `MAX_BROKEN` pieces that do not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from engine.skills.operations import notations
from engine.skills.operations.python_calls import decode_either
from engine.skills.operations.syntaxes import (
    CUT_TAG,
    ELEMENT,
    FUNCTION_NAMES,
    Broken,
    Fault,
    RawCall,
    decode,
    json_calls,
    read_element,
    skip_space,
)

MAX_BROKEN = 64
PYTHON_COST = 8
"""A broken call in a notation counts as so many: what may be Python takes longer to read than JSON."""
MAX_PYTHON = 64
"""Pieces that are no JSON and are tried as Python, at most."""

Decoder = Callable[[str, int], tuple[Any, int, Fault | None]]

_BLOCK = "<tool_call>"
_THOUGHTS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "[THINK]": "[/THINK]",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "◁think▷": "◁/think▷",
    "<|channel|>analysis<|message|>": "<|end|>",
}
_THOUGHT_BEGIN = "|".join(map(re.escape, _THOUGHTS))
_THOUGHT_END = "|".join(re.escape(end) for end in _THOUGHTS.values() if end != "<|end|>")
_THOUGHT = re.compile(f"{_THOUGHT_BEGIN}|{_THOUGHT_END}")
_JSON = re.compile(r"""[\[{]\s*+(?:\{\s*+)?["']""")
_OPENING = re.compile(
    f"{notations.OPENING.pattern}|{_BLOCK}|{_THOUGHT.pattern}|{ELEMENT.pattern}|{_JSON.pattern}", re.MULTILINE
)
_TAG = re.compile(r"</?tool_call>")
_TAG_OR_THOUGHT_END = re.compile(rf"{_TAG.pattern}|{_THOUGHT_END}")
_ANY_TAG = re.compile(rf"{_TAG.pattern}|{_THOUGHT.pattern}|{ELEMENT.pattern}")
_KEYS = "name|tool_name|arguments|parameters|input|args|action_input"
_CALL_OPENING = re.compile(rf"""{_BLOCK}|\{{[^{{}}]{{0,200}}?["'](?:{_KEYS})["']\s*+:""")
_CALL_SIGN = re.compile(
    rf"""["'](?:{_KEYS}|tool_calls|function_call|function|type|id|role|{"|".join(FUNCTION_NAMES)})["']\s*+:"""
)
_FUNCTION = re.compile(rf"\b(?:{'|'.join(FUNCTION_NAMES)})\b")
_ARGUMENT = re.compile(r"\b(?:skill_name|new_content|new_name)\b")


def read_calls(text: str) -> list[RawCall | Broken]:
    """Every call in `text`, in order; [] where there is none. Never raises for what the text contains."""
    return _Reading(text).calls()


class _Reading:
    """One reading of a text: what it has found so far, in tags and loose, and how many pieces did not decode.

    `unfinished` is where JSON begins that the end of the text cuts off, and why; `listed` is whether whole calls stood in
    such JSON, and then `unfinished` is what followed the last of them. All of the text from there on is that JSON.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.thought = False
        self.unended = False
        self._spoken_from = 0
        self._forget()

    def _forget(self) -> None:
        self.spoken: list[str] = []
        self.tagged: list[RawCall | Broken] = []
        self.loose: list[RawCall | Broken] = []
        self.unfinished: tuple[int, Fault] | None = None
        self.listed = False
        self.failures = 0
        self.python = 0

    def calls(self) -> list[RawCall | Broken]:
        """Read the text; once only."""
        opening = _OPENING.search(self.text)
        while opening and self.failures < MAX_BROKEN:
            end = self._read(opening.start())
            opening = (_JSON if self.unfinished or self.listed else _OPENING).search(self.text, end)
        if opening:
            rest = Broken(self.text[opening.start() :], f"reading stopped after {MAX_BROKEN} broken calls")
            (self.tagged or self.loose).append(rest)
        elif self.unfinished and (self.listed or _CALL_SIGN.search(self.text, self.unfinished[0])):
            start, fault = self.unfinished
            self.loose.append(Broken(self.text[start:], fault.why))
        return self.tagged or self.loose or self._signs()

    def _signs(self) -> list[RawCall | Broken]:
        """One broken call where the text has the signs of a call that was not read."""
        spoken = "".join([*self.spoken, self.text[self._spoken_from :]])
        if cut := notations.CUT.search(spoken):
            return [Broken(cut[0], "it is cut off in a function's name, or behind it")]
        if cut := notations.CUT_LIST.search(spoken):
            return [Broken(cut[0], "it is cut off: its list of calls has no end")]
        if (marker := notations.MARKER.search(spoken)) and notations.says_something(spoken[marker.start() :]):
            why = f"it is cut off, or in an unknown notation, with the mark {marker[0].strip()!r}"
            return [Broken(spoken[marker.start() :], why)]
        if (function := _FUNCTION.search(spoken)) and (argument := _ARGUMENT.search(spoken)):
            notation = notations.unread_notation(spoken[: function.start()])
            why = f"it is in {notation}, which is not read: {function[0]} and {argument[0]} stand in the text"
            return [Broken(spoken[function.start() :], why)]
        if self.unended and not spoken.strip():
            return [Broken(self.text, "it is cut off inside a thought, before an answer")]
        return []

    def _read(self, start: int) -> int:
        """Read what opens at `start`; where to read on."""
        if thought := _THOUGHT.match(self.text, start):
            return self._skip_thought(thought)
        if notation := notations.OPENING.match(self.text, start):
            end, calls = notations.read_notation(self.text, notation)
            self.failures += (PYTHON_COST - 1) * any(isinstance(call, Broken) for call in calls)
            if not notations.is_explicit(notation):
                self.loose += calls
                self.failures += any(isinstance(call, Broken) for call in calls)
                return max(end, start + 1)
        elif self.text.startswith(_BLOCK, start):
            end, calls = _read_block(self.text, start, self._decode)
        elif element := ELEMENT.match(self.text, start):
            end, call = read_element(self.text, element)
            calls = [call]
        else:
            return self._read_json(start)
        self.tagged += calls
        self.failures += any(isinstance(call, Broken) for call in calls)
        return end

    def _skip_thought(self, tag: re.Match[str]) -> int:
        """What follows a thought. An end without a beginning ends one that began in the prompt."""
        self.spoken.append(self.text[self._spoken_from : tag.start()])
        ending = _THOUGHTS.get(tag[0])
        if ending is None and not self.thought:
            self._forget()
        self.thought = True
        end = tag.end()
        if ending is not None:
            found = self.text.find(ending, tag.end())
            self.unended = found < 0
            end = len(self.text) if found < 0 else found + len(ending)
        self._spoken_from = end
        return end

    def _read_json(self, start: int) -> int:
        """Read a loose JSON value. What looks like a call and is no JSON is broken; any other braces are text."""
        value, end, fault = self._decode(self.text, start)
        if not fault:
            calls = json_calls(value, self.text[start:end], tagged=False)
            if calls and self.unfinished:
                self.listed, self.unfinished = True, None
            self.loose += calls
            self.failures += any(isinstance(call, Broken) for call in calls)
            return end
        self.failures += 1
        if fault.cut and end == len(self.text):
            self.loose.append(Broken(self.text[start:], fault.why))
            return end
        if fault.cut:
            self.unfinished = self.unfinished or (start, fault)
        elif _CALL_OPENING.match(self.text, start):
            following = _CALL_OPENING.search(self.text, start + 1)
            end = following.start() if following else len(self.text)
            self.loose.append(Broken(self.text[start:end], fault.why))
        return start + 1

    def _decode(self, text: str, at: int) -> tuple[Any, int, Fault | None]:
        """The value at `at`, of JSON; or of Python, where it has the keys of a call."""
        value, end, fault = decode(text, at)
        if fault and not fault.cut and self.failures < PYTHON_COST and _CALL_OPENING.search(text, at, at + 400):
            self.python += 1
            if self.python <= MAX_PYTHON:
                return decode_either(text, at)
        return value, end, fault


def _read_block(text: str, start: int, decode: Decoder) -> tuple[int, list[RawCall | Broken]]:
    """The calls of the block whose tag is at `start`, and where to read on. A tag inside a JSON string is text."""
    inner = start + len(_BLOCK)
    at = skip_space(text, inner)
    calls: list[RawCall | Broken] = []
    first = not ELEMENT.match(text, at)
    while first or text.startswith("{", at):
        value, end, fault = decode(text, at)
        if fault and fault.cut:
            return len(text), [Broken(text[start:], fault.why)]
        if fault:
            end = _next(_TAG if text[at] in "{[" else _TAG_OR_THOUGHT_END, text, inner)
            return end, [Broken(text[start:end], fault.why)]
        calls += json_calls(value, text[at:end], tagged=True)
        first, at = False, skip_space(text, end)
    if not (_ANY_TAG.match(text, at) or CUT_TAG.match(text, at)):
        end = _next(_ANY_TAG, text, at)
        return end, [Broken(text[start:end], "text follows the JSON of the call")]
    return at, calls


def _next(tag: re.Pattern[str], text: str, at: int) -> int:
    found = tag.search(text, at)
    return found.start() if found else len(text)
