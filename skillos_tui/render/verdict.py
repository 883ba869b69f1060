"""What a judge's model answered, as short lines: `verdict_of(made.judge_text)`.

The text is JSON in most cases, of any judge, and hostile: short texts in it become words, long ones and lists become
sentences, and what is no JSON is shown as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from engine.core.json_answers import json_object

WORD = 24
"""The most characters of a text that is shown as a word beside its name."""
MAX_WORDS = 8
MAX_SENTENCES = 12
MAX_RAW = 300


class Verdict(NamedTuple):
    """The words ("abstraction yes"), and the sentences after them, none of them made safe yet."""

    words: list[str]
    sentences: list[str]


def verdict_of(text: str) -> Verdict:
    """The verdict in a judge's answer; of a text without JSON its end, as one sentence."""
    words: list[str] = []
    sentences: list[str] = []
    for name, value in _fields(text):
        if isinstance(value, str):
            flat = " ".join(value.split())
            (words if len(flat) <= WORD else sentences).append(f"{name} {flat}" if len(flat) <= WORD else flat)
        elif isinstance(value, list):
            sentences += [f"- {' '.join(item.split())}" for item in value if isinstance(item, str) and item.strip()]
    if not words and not sentences:
        flat = " ".join(text.split())
        return Verdict([], [flat if len(flat) <= MAX_RAW else f"…{flat[-MAX_RAW:]}"])
    return Verdict(words[:MAX_WORDS], sentences[:MAX_SENTENCES])


def _fields(text: str) -> list[tuple[str, object]]:
    try:
        found = msgspec.json.decode((json_object(text) or "null").encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        return []
    return list(found.items()) if isinstance(found, dict) else []
