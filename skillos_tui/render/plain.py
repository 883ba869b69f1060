"""Text for screen readers: no characters that draw lines, bars or curves; bars as numbers.

plain("rollouts 12/48 ▮▮▯▯▯▯▯▯ 3 min")      # "rollouts 12/48 2 of 8 3 min"
plain("▁▃▇ │ r 0.5")                         # "levels 1 3 7 of 8, r 0.5"
plain_row(spans)                             # the same for a row of a pane; the row under the cursor begins with "> "
"""

from __future__ import annotations

import re

from skillos_tui.render.text import Spans

_METER = re.compile("[▮▯]+")
_LEVELS = re.compile("[▁-█](?: *[▁-█])*")
_BAR = re.compile("[█▉▊▋▌▍▎▏]+")
_DRAWN = re.compile("[ ]*[\u2500-\u257f\u2580-\u259f\u2800-\u28ff]+[ ]*")
_LEVEL_OF = {char: at for at, char in enumerate("▁▂▃▄▅▆▇█", 1)}
_CURSOR = frozenset(("cursor", "rest"))


def plain(text: str) -> str:
    """The text with meters, levels and bars as numbers, and without other drawings."""
    if text.isascii():
        return text
    text = _METER.sub(lambda found: f"{found[0].count('▮')} of {len(found[0])}", text)
    text = _LEVELS.sub(_levels, text)
    text = _BAR.sub(lambda found: f"bar {len(found[0])}", text)
    head = len(text) - len(text.lstrip())
    text = _DRAWN.sub(", ", text)
    return " " * head + re.sub(r"(?:, )+", ", ", text).strip(" ,") if ", " in text else text


def _levels(found: re.Match[str]) -> str:
    """The levels of a course, also of one with gaps between its steps; full blocks alone are bars."""
    levels = [str(_LEVEL_OF[char]) for char in found[0] if char != " "]
    return found[0] if set(levels) == {"8"} else f"levels {' '.join(levels)} of 8"


def plain_row(spans: Spans) -> Spans:
    """A row in one unstyled span."""
    text = plain("".join(text for text, _ in spans))
    marked = bool(spans) and all(style in _CURSOR for _, style in spans)
    return ((f"> {text.strip()}" if marked else text.rstrip(), ""),)


def is_blank(spans: Spans) -> bool:
    """Whether a row has nothing to read."""
    return not "".join(text for text, _ in spans).strip()
