"""What is searched: the texts of each event, the words of a query, and the line in which they stand.

texts_of(event)                       # [("action", "go safe"), ("observation", "The safe is closed.")]
query = Query.of('"the safe" mug')    # any text is a query; its signs have no meaning but the double quotes
query.match                           # '"the safe" AND "mug" *', for SQLite's FTS5
query.line(texts)                     # ("observation", "The safe is closed.")
Query.of("in:prompt safe").kind       # "prompts"; `prompts_of` has their texts
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

import msgspec

from engine.core.calls import DamagedCalls, unpack
from engine.core.events import (
    AnyEvent,
    CallsKept,
    CompletionMade,
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    PositionId,
    TurnTaken,
    Unreadable,
)
from engine.core.text import CJK

Kind = Literal["words", "prompts"]
"""What is searched: what was played, or what the models were asked."""
KINDS: dict[Kind, tuple[str, ...]] = {
    "words": ("episode_started", "turn_taken", "episode_ended", "completion_made", "curation_made", "curation_skipped"),
    "prompts": ("calls_kept",),
}
"""The kinds of events whose texts are searched."""
PROMPT = "in:prompt"
"""The word of a query that asks for prompts."""
KEPT = "the prompts that the run keeps (executor.keep_calls, curator.keep_calls)"
MAX_QUERY = 500
MAX_WORDS = 16
MAX_LINE = 300
BEFORE = 60
"""Characters of a long line that are shown before the match."""

Named = tuple[str, str]
"""What a text is ("action"), and the text."""

_IN = re.compile(r"in:\w*", re.IGNORECASE)
_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')
_CJK = re.compile(f"[{CJK}]")
_LETTER = rf"[^\W_{CJK}]"
"""A letter or digit of a script that has spaces between words."""
_WORD = re.compile(f"[{CJK}]|{_LETTER}+")


def texts_of(event: AnyEvent | Unreadable) -> list[Named]:
    """The texts of an event that are searched; the texts of the repository after a decision are not, since each decision
    repeats them."""
    match event:
        case TurnTaken():
            return [("action", event.action), ("observation", event.observation), ("thought", event.thought)]
        case EpisodeStarted():
            named = [("task", event.prompt), ("family", event.family), ("task", event.task)]
            return [*named, ("observation", event.observation), ("briefing", event.briefing or "")]
        case EpisodeEnded():
            return [("outcome", event.outcome.reason), ("judge", event.judged)]
        case CompletionMade():
            return [("strategy", event.text)]
        case CurationMade():
            calls = [f"{call.operation} {call.skill} {call.verdict} {call.why}" for call in event.calls]
            words = [("curator", event.completion), ("calls", "\n".join(calls))]
            return [*words, ("judge", event.judge_text), ("judge", event.judge_reason)]
        case CurationSkipped():
            return [("no decision", event.reason)]
        case _:
            return []


def prompts_of(event: AnyEvent | Unreadable) -> list[Named]:
    """What the models were asked in the calls of a position: the turn from 1, "0" for the curator, and the text. A line is
    in the first call that has it, since each prompt of an episode repeats the ones before. Calls that cannot be read have
    none."""
    if not isinstance(event, CallsKept):
        return []
    try:
        calls = unpack(event.packed)
    except DamagedCalls:
        return []
    seen: set[str] = set()
    found = []
    for call in calls:
        lines = [line for message in call.messages for line in message.content.split("\n")]
        new = [line for line in dict.fromkeys(lines) if line not in seen]
        seen.update(new)
        found.append((str(call.turn), "\n".join(new)))
    return found


def place_of_event(event: AnyEvent | Unreadable) -> tuple[PositionId, int | None] | None:
    """The position of an event, and its turn from 0; None for an event of none."""
    if isinstance(event, TurnTaken):
        return event.at, event.turn - 1
    searched = EpisodeStarted | EpisodeEnded | CompletionMade | CurationMade | CurationSkipped
    return (event.at, None) if isinstance(event, searched) else None


def indexed(text: str) -> str:
    """The text as it is indexed: each Chinese, Japanese or Korean character is a word, since no space separates words."""
    return text if text.isascii() else _CJK.sub(r" \g<0> ", text)


class Query(msgspec.Struct, frozen=True):
    """The terms of a search: a term is a word, or words in double quotes that stand together. All must stand in an event.
    The last word may be the beginning of one: a person is still typing it. `kind` is what is searched; `strange` is a word
    "in:…" that names nothing that can be."""

    terms: tuple[tuple[str, ...], ...] = ()
    open: bool = False
    kind: Kind = "words"
    strange: str = ""

    @classmethod
    def of(cls, text: str) -> Query:
        """The query of any text: letters and digits are words, and everything else is between them. A word of Chinese,
        Japanese or Korean is a phrase of its characters, so it is found inside a longer run of them."""
        terms: list[tuple[str, ...]] = []
        open_ = False
        kind: Kind = "words"
        strange = ""
        for found in _TERM.finditer(text[:MAX_QUERY]):
            if found[2] is not None and _IN.fullmatch(found[2]):
                kind, strange = ("prompts", strange) if found[2].lower() == PROMPT else (kind, found[2])
                continue
            term = tuple(_WORD.findall(found[1] if found[1] is not None else found[2]))
            if term and len(terms) < MAX_WORDS:
                terms.append(term)
                open_ = found[2] is not None and found.end() == len(text[:MAX_QUERY]) and text[-1:].isalnum()
        return cls(tuple(terms), open_, kind, strange)

    @property
    def refusal(self) -> str:
        """Why nothing can be searched for; "" where something can."""
        if self.strange:
            return f"nothing is searched by {self.strange}; {PROMPT} searches what the models were asked"
        return "" if self.terms else "the search is by words: give letters or digits"

    @property
    def match(self) -> str:
        """The query in the language of FTS5, in which quoted words have no meaning of their own."""
        quoted = [f'"{" ".join(term)}"' for term in self.terms]
        return " AND ".join(quoted) + (" *" if self.open else "")

    def spans(self, line: str) -> list[tuple[int, int]]:
        """Where terms stand in a line, as ranges of characters that do not overlap."""
        folded = _folded(line)
        found: list[tuple[int, int]] = []
        for at, term in enumerate(self.terms):
            last = self.open and at == len(self.terms) - 1
            found += [each.span() for each in re.finditer(_pattern(term, begun=last), folded)]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if merged and start < merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((start, end))
        return merged

    def line(self, texts: Sequence[Named]) -> Named:
        """The line with the most terms, the first of equal ones, cut to what is around the first of them; and what it is."""
        best: tuple[int, str, str, int] = (-1, "", "", 0)
        for what, text in texts:
            for line in text.split("\n"):
                spans = self.spans(line) if line else []
                if len(spans) > best[0] and line:
                    best = len(spans), what, line, spans[0][0] if spans else 0
        _, what, line, start = best
        if len(line) > MAX_LINE:
            first = max(0, start - BEFORE)
            line = (
                ("…" if first else "") + line[first : first + MAX_LINE] + ("…" if first + MAX_LINE < len(line) else "")
            )
        return what, line


def _pattern(term: Sequence[str], *, begun: bool) -> str:
    """The regular expression of a term in a folded line; `begun`: its last word may be the beginning of one."""
    pattern = "" if _CJK.match(term[0]) else f"(?<!{_LETTER})"
    for word, following in zip(term, [*term[1:], None], strict=True):
        pattern += re.escape(_folded(word))
        if following is not None:
            pattern += r"[\W_]*" if _CJK.match(word) or _CJK.match(following) else r"[\W_]+"
        elif not begun and not _CJK.match(word):
            pattern += f"(?!{_LETTER})"
    return pattern


def _folded(text: str) -> str:
    """Lower case without accents, character by character, so that places stay the same."""
    if text.isascii():
        return text.lower()
    return "".join(_plain(char) for char in text)


def _plain(char: str) -> str:
    if _CJK.match(char):
        return char
    base = unicodedata.normalize("NFD", char)[0].lower()
    return base if len(base) == 1 else char
