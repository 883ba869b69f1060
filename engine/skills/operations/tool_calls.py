"""Function calls in what a model wrote, whichever of the usual spellings it chose.

    for call in read_calls(completion):
        if isinstance(call, Broken): ...     # call.text, call.why
        else: ...                            # call.name, call.arguments

Read are Hermes and Qwen blocks (`<tool_call>{"name": ..., "arguments": {...}}</tool_call>`), calls in tags of their own
(`<function=NAME>`, `<invoke name="NAME">`) and, where a text has none of these, JSON objects and lists in the text or in
code fences, OpenAI's `tool_calls` and Anthropic's `tool_use` among them (`syntaxes.py`). Text around the calls is
ignored, JSON that is no call too. A last call that was cut off is broken. Text inside a thought is not a call: from
`<think>` to `</think>` or the end, or up to a first `</think>` whose beginning was in the prompt.

The time is linear in the text: what decodes is decoded once, and reading stops after `MAX_BROKEN` pieces that do not.
"""

from __future__ import annotations

import re

from engine.skills.operations.syntaxes import (
    CUT_TAG,
    ELEMENT,
    Broken,
    Fault,
    RawCall,
    decode,
    json_calls,
    read_element,
    skip_space,
)

MAX_BROKEN = 64

_BLOCK = "<tool_call>"
_THOUGHT = re.compile(r"<(/?)think(?:ing)?>")
_JSON = re.compile(r'[\[{]\s*+(?:\{\s*+)?"')
_OPENING = re.compile(rf"{_BLOCK}|{_THOUGHT.pattern}|{ELEMENT.pattern}|{_JSON.pattern}")
_TAG = re.compile(r"</?tool_call>")
_TAG_OR_THOUGHT_END = re.compile(rf"{_TAG.pattern}|</think(?:ing)?>")
_ANY_TAG = re.compile(rf"{_TAG.pattern}|{_THOUGHT.pattern}|{ELEMENT.pattern}")
_CALL_OPENING = re.compile(rf'{_BLOCK}|\{{[^{{}}]{{0,200}}?"(?:name|arguments|parameters|input)"\s*+:')
_CALL_SIGN = re.compile(r'"(?:name|arguments|parameters|input|tool_calls|function_call|function|type|id|role)"\s*+:')


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
        self._forget()

    def _forget(self) -> None:
        self.tagged: list[RawCall | Broken] = []
        self.loose: list[RawCall | Broken] = []
        self.unfinished: tuple[int, Fault] | None = None
        self.listed = False
        self.failures = 0

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
        return self.tagged or self.loose

    def _read(self, start: int) -> int:
        """Read what opens at `start`; where to read on."""
        if thought := _THOUGHT.match(self.text, start):
            return self._skip_thought(thought)
        if self.text.startswith(_BLOCK, start):
            end, calls = _read_block(self.text, start)
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
        if tag[1] and not self.thought:
            self._forget()
        self.thought = True
        if tag[1]:
            return tag.end()
        end = self.text.find(f"</{tag[0][1:]}", tag.end())
        return len(self.text) if end < 0 else end + len(tag[0]) + 1

    def _read_json(self, start: int) -> int:
        """Read a loose JSON value. What looks like a call and is no JSON is broken; any other braces are text."""
        value, end, fault = decode(self.text, start)
        if not fault:
            calls = json_calls(value, self.text[start:end], tagged=False)
            if calls and self.unfinished:
                self.listed, self.unfinished = True, None
            self.loose += calls
            self.failures += any(isinstance(call, Broken) for call in calls)
            return end
        self.failures += 1
        if fault.cut:
            self.unfinished = self.unfinished or (start, fault)
        elif _CALL_OPENING.match(self.text, start):
            following = _CALL_OPENING.search(self.text, start + 1)
            end = following.start() if following else len(self.text)
            self.loose.append(Broken(self.text[start:end], fault.why))
        return start + 1


def _read_block(text: str, start: int) -> tuple[int, list[RawCall | Broken]]:
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
