"""What a judge's model answered, as short lines: `verdict_of(made.judge_text)`.

The text is JSON in most cases, of any judge, and hostile: single words in it are shown by name, longer texts and lists as
sentences, and what is no JSON is shown as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from engine.core.json_answers import json_object

WORD = 32
"""The most characters of a name and its value that are shown as words: a value without blanks, such as a grade."""
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
            if len(name) + len(flat) <= WORD and " " not in flat:
                words.append(f"{name} {flat}")
            else:
                sentences.append(flat)
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
