"""Splits the bytes that a terminal sends into typed characters, key sequences, pastes, and replies to queries.

    source = Input()
    source.expect(Query.BACKGROUND)                  # before the query is written
    for item in source.feed(data, time.monotonic()): # Typed, Sequence, Escape, Paste or Reply
    for item in source.tick(time.monotonic()):       # when `source.deadline` has passed

A reply never becomes a key, whole or in pieces, whenever the pieces arrive. Control strings (OSC, DCS, APC, PM, SOS) and
reports (`CSI ? ...`, `CSI 0 n`, a cursor position) are replies also without a query. Three rules decide about pieces:

- A prefix that a person can type (ESC alone, or ESC and one of `[ ] P X ^ _ O`, which is alt and that key) becomes a key
  after `ESCAPE_SECONDS`. A longer prefix is held until it is whole, for however long.
- The bytes after a prefix that became a key are still read as its continuation: at once if two bytes of it arrived
  together, else if they match the reply to a query that was sent.
- Nothing is filtered inside a bracketed paste. Many different characters in one read are pasted text as well, since no
  person types so fast.
"""

from __future__ import annotations

import enum
import re
import threading
from collections import Counter
from itertools import pairwise

import msgspec

ESCAPE_SECONDS = 0.1
"""How long a prefix that may be a key waits for more; Textual's own value."""
PASTE_SECONDS = 10.0
"""A paste without an end is dropped after this silence."""
MAX_PASTE = 1 << 20
"""The most bytes of a paste that are kept."""
MAX_HELD = 256
"""The most bytes of an unfinished sequence that are kept; the rest of it is read and dropped."""
MAX_CHANGES = 16
"""How often the character may change in one read of typed text."""
BURST_SECONDS = 0.25
"""Text that arrives within this time after pasted text belongs to it."""

ESC = 0x1B
PASTE_START, PASTE_END = b"\x1b[200~", b"\x1b[201~"


class Query(enum.Enum):
    """The queries that are sent to a terminal."""

    BACKGROUND = "OSC 11"
    ATTRIBUTES = "DA1"
    STATUS = "DSR 5"
    MODE = "DECRQM"
    POSITION = "CPR"


class Typed(msgspec.Struct, frozen=True):
    """Characters that a person typed, as UTF-8; with `burst`, they arrived as fast as only pasted text does."""

    text: bytes
    burst: bool = False


class Sequence(msgspec.Struct, frozen=True):
    """A whole escape sequence of a key, the mouse or the focus."""

    data: bytes


class Escape(msgspec.Struct, frozen=True):
    """The escape key."""


class Paste(msgspec.Struct, frozen=True):
    """The text of a bracketed paste."""

    text: bytes


class Reply(msgspec.Struct, frozen=True):
    """A reply or a report; `query` is the query that it answers, None if it is not known."""

    data: bytes
    query: Query | None


Item = Typed | Sequence | Escape | Paste | Reply

WHOLE_REPLY = {
    Query.BACKGROUND: rb"\x1b\]11;[^\x07\x1b]*(?:\x07|\x1b\\)",
    Query.ATTRIBUTES: rb"\x1b\[\?[0-9;]*c",
    Query.STATUS: rb"\x1b\[[03]n",
    Query.MODE: rb"\x1b\[\?[0-9;]*\$y",
    Query.POSITION: rb"\x1b\[[0-9]+;[0-9]+R",
}
BEGUN_REPLY = {
    Query.BACKGROUND: rb"\x1b\](?:1|11|11;|11;(?:r|rg|rgb|rgba?:[0-9a-fA-F/]*)\x1b?)?",
    Query.ATTRIBUTES: rb"\x1b\[(?:\?[0-9;]*)?",
    Query.STATUS: rb"\x1b\[[03]?",
    Query.MODE: rb"\x1b\[(?:\?[0-9;]*\$?)?",
    Query.POSITION: rb"\x1b\[[0-9;]*",
}
REPORT = rb"(?s)\x1b\[[?>=].*|\x1b\[[0-9;]*n|\x1b\[[0-9]+;[0-9]+;[0-9;:]*[tx]|\x1b\[[0-9;]*\$y"
"""Control sequences that no key sends; the window's size (`CSI 48 ; ... t`) is taken out before."""
WINDOW_SIZE = rb"\x1b\[48(?:;[0-9:]+){4}t"
F3 = rb"\x1b\[1;([2-9]|1[0-6])R"
"""F3 with a modifier, which looks like the report of a cursor in the first row."""
POSITION = WHOLE_REPLY[Query.POSITION]
OWN_COLOR = rb"(?s)\x1b\]11;(?:r|rg|rgba?|rgba?:[0-9a-fA-F/]*|[^r].*)?(?:\x1b|\x07|\x1b\\)?"
"""The beginnings of a reply to OSC 11: other characters do not belong to it."""
PLAUSIBLE_STRING = rb"\x1b(?:\][0-9]|P[0-9>!$+]|_G)"
"""How the control strings begin that terminals really send."""


class Shape(enum.Enum):
    """What an unfinished sequence may be."""

    KEY = "may be a key, may be the beginning of more"
    OPEN = "can only be the beginning of more"
    WHOLE = "whole"
    BROKEN = "its last byte does not belong to it"


def shape(held: bytes) -> Shape:
    """The shape of `held`, which begins with ESC; all but its last byte were found not to be broken before."""
    if len(held) == 1:
        return Shape.KEY
    kind, last = held[1:2], held[-1]
    if kind in b"[]PX^_O" and len(held) == 2:
        return Shape.KEY
    if kind == b"[":
        return _control_sequence(held, last)
    if kind == b"O":
        return Shape.WHOLE if 0x20 < last < 0x7F else Shape.BROKEN
    if kind in b"]PX^_":
        return _control_string(held, last)
    if held[1] >= 0x80:
        return _alt_character(held, last)
    return Shape.BROKEN if held[1] == ESC else Shape.WHOLE


def _control_sequence(held: bytes, last: int) -> Shape:
    if held.startswith(b"\x1b[M"):  # the oldest mouse report: three bytes of any value follow
        return Shape.WHOLE if len(held) == 6 else Shape.OPEN
    if held == b"\x1b[[":  # the Linux console's F1 to F5: one letter follows
        return Shape.OPEN
    if re.fullmatch(rb"\x1b\[[0-9]+\$", held):  # rxvt's keys with shift
        return Shape.WHOLE
    if 0x20 <= last <= 0x3F:
        return Shape.OPEN
    return Shape.WHOLE if 0x40 <= last < 0x7F else Shape.BROKEN


def _control_string(held: bytes, last: int) -> Shape:
    if last == 0x07 or held.endswith(b"\x1b\\"):
        return Shape.WHOLE
    if held.startswith(b"\x1b]11;") and not re.fullmatch(OWN_COLOR, held):
        return Shape.BROKEN
    if last == ESC:
        return Shape.OPEN if held[-2] != ESC else Shape.BROKEN
    return Shape.BROKEN if held[-2] == ESC or last < 0x20 or last == 0x7F else Shape.OPEN


def _alt_character(held: bytes, last: int) -> Shape:
    """Alt and a character outside ASCII, whose first byte gives its length."""
    lead = held[1]
    size = 2 if lead >> 5 == 0b110 else 3 if lead >> 4 == 0b1110 else 4 if lead >> 3 == 0b11110 else 1
    if len(held) > 2 and last >> 6 != 0b10:
        return Shape.BROKEN
    return Shape.WHOLE if len(held) == size + 1 else Shape.OPEN


class Input:
    """The state between reads. `expect` may be called from any thread, the rest from the one that reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: Counter[Query] = Counter()
        self._items: list[Item] = []
        self._typed = bytearray()
        self._held = bytearray()
        self._given = 0  # how many bytes of `_held` became keys already
        self._paste: bytearray | None = None
        self._now = 0.0
        self._last = 0.0
        self._burst = -BURST_SECONDS

    def expect(self, query: Query) -> None:
        """Note that a query is about to be sent. It counts as asked until its reply arrives."""
        with self._lock:
            self._asked[query] = min(self._asked[query] + 1, 100)

    def asked(self, query: Query) -> bool:
        """Whether a reply to this query is missing."""
        return self._asked[query] > 0

    def feed(self, data: bytes, now: float) -> list[Item]:
        """The items in the bytes; `now` is in seconds."""
        self._now = now
        for byte in data:
            self._take(byte)
            self._last = now
        return self._drain()

    def tick(self, now: float) -> list[Item]:
        """The keys among the held bytes that have waited long enough."""
        self._now = now
        if self.deadline is not None and now >= self.deadline:
            if self._paste is not None:
                self._paste = None
            else:
                self._give()
        return self._drain()

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do; None if nothing depends on time."""
        if self._paste is not None:
            return self._last + PASTE_SECONDS
        if len(self._held) > self._given and self._may_be_keys:
            return self._last + ESCAPE_SECONDS
        return None

    @property
    def _may_be_keys(self) -> bool:
        """Whether a person can have typed the held bytes."""
        return len(self._held) < 4 if self._given >= 2 else len(self._held) < 3

    def _give(self) -> None:
        """Turn the held bytes into keys, and keep them: their continuation may still arrive."""
        if self._given == 0:
            self._emit(Escape() if len(self._held) == 1 else Sequence(bytes(self._held)))
        else:
            self._typed += self._held[self._given :]
        self._given = len(self._held)

    def _take(self, byte: int) -> None:
        if self._paste is not None:
            self._take_pasted(self._paste, byte)
        elif not self._held:
            self._start(byte)
        elif self._given:
            self._continue_given(byte)
        else:
            self._continue(byte)

    def _start(self, byte: int) -> None:
        if byte == ESC:
            self._held, self._given = bytearray((ESC,)), 0
        else:
            self._typed.append(byte)

    def _restart(self, byte: int) -> None:
        """Drop the held bytes, and start with this byte."""
        self._held, self._given = bytearray(), 0
        self._start(byte)

    def _take_pasted(self, paste: bytearray, byte: int) -> None:
        paste.append(byte)
        if paste.endswith(PASTE_END):
            self._paste = None
            self._emit(Paste(bytes(paste[: -len(PASTE_END)])))
        elif len(paste) > MAX_PASTE + len(PASTE_END):
            del paste[MAX_PASTE : -len(PASTE_END)]

    def _continue(self, byte: int) -> None:
        self._held.append(byte)
        if len(self._held) > MAX_HELD:
            del self._held[MAX_HELD // 2 : -2]
        found = shape(bytes(self._held))
        if found is Shape.WHOLE:
            self._finish()
        elif found is Shape.BROKEN:
            before = self._held[:-1]
            if before == b"\x1b":
                self._emit(Escape())
            elif before.endswith(b"\x1b"):  # an unfinished control string, and a new sequence
                self._held, self._given = bytearray((ESC,)), 0
                if self._now - self._last >= ESCAPE_SECONDS:
                    self._give()
                self._take(byte)
                return
            self._restart(byte)

    def _continue_given(self, byte: int) -> None:
        """Handle a byte after a prefix that has become keys."""
        held = bytes(self._held) + bytes((byte,))
        if not self._is_continuation(held):
            if len(self._held) < 4:
                self._typed += self._held[self._given :]
            self._restart(byte)
            return
        self._held.append(byte)
        if shape(held) is Shape.WHOLE:
            self._finish()

    def _is_continuation(self, held: bytes) -> bool:
        """Whether `held`, of which some bytes have become keys, is one sequence."""
        found = shape(held)
        if found is Shape.BROKEN:
            return False
        if self._given >= 2:
            table = WHOLE_REPLY if found is Shape.WHOLE else BEGUN_REPLY
            return any(self.asked(query) and re.fullmatch(pattern, held) for query, pattern in table.items())
        if held[1:2] == b"[" or (len(held) == 2 and found is Shape.KEY and held[1:2] != b"O"):
            return True
        return re.match(PLAUSIBLE_STRING, held) is not None

    def _finish(self) -> None:
        """Handle the held sequence, which is whole."""
        data = bytes(self._held)
        self._held, self._given = bytearray(), 0
        if data == PASTE_START:
            self._paste = bytearray()
        elif data == PASTE_END or len(data) >= MAX_HELD // 2:
            return
        elif data[1:2] in b"]PX^_" or self._is_report(data):
            self._emit(Reply(data, self._answered(data)))
        else:
            self._emit(Sequence(data))

    def _is_report(self, data: bytes) -> bool:
        if re.fullmatch(POSITION, data):
            return self.asked(Query.POSITION) or not re.fullmatch(F3, data)
        return re.fullmatch(REPORT, data) is not None and not re.fullmatch(WINDOW_SIZE, data)

    def _answered(self, data: bytes) -> Query | None:
        """The query that this answers, which is not expected any more; None if none was sent."""
        with self._lock:
            for query, pattern in WHOLE_REPLY.items():
                if self._asked[query] and re.fullmatch(pattern, data):
                    self._asked[query] -= 1
                    return query
        return None

    def _emit(self, item: Item) -> None:
        self._end_typed()
        self._items.append(item)

    def _end_typed(self) -> None:
        """Turn the typed characters into an item."""
        if not self._typed:
            return
        text = bytes(self._typed)
        self._typed.clear()
        changes = sum(one != other for one, other in pairwise(text))
        burst = changes > MAX_CHANGES or self._now - self._burst < BURST_SECONDS
        if burst:
            self._burst = self._now
        self._items.append(Typed(text, burst))

    def _drain(self) -> list[Item]:
        self._end_typed()
        items, self._items = self._items, []
        return items
