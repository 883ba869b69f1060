"""Which keys may act: a key that was meant for something else is refused.

    reading = Reading()
    reading.show(edit, by_itself=True)      # another edit is under the cursor; the program moved it there
    reading.paint(now)                      # it is on the screen
    reading.refusal(pressed)                # "" if a key pressed at that time may decide on it, else why not

    typing = Typing()
    typing.ignore(now, pause=1.5)           # a key was refused: the keys after it were meant for its dialog
    typing.takes(key)                       # whether this is one of those keys, which are dropped

Pure state machines. All times are in seconds of the monotonic clock, as `Message.time` of Textual has them.
"""

from __future__ import annotations

import math

from textual.events import Key

UNREAD_SECONDS = 0.7
"""How long a decision is refused after the program changed what is shown: the key was meant for something else."""
PAUSE_SECONDS = 0.7
"""A pause in typing after which keys act again."""
MAX_IGNORED_SECONDS = 30.0
"""The longest time for which typing is ignored, even without a pause."""


class Reading:
    """What is shown, whether it has been painted, and whether the program or a key of the person brought it."""

    def __init__(self) -> None:
        self.thing: object = None
        self._diff: object = None
        self._by_itself = False
        self._painted = math.inf

    @property
    def painted(self) -> bool:
        """Whether the thing has been on the screen."""
        return self._painted < math.inf

    def show(self, thing: object, *, by_itself: bool, diff: object = None) -> None:
        """Something else is shown now; `by_itself` when the program brought it, not a key of the person.

        If a key changed only the state of what is shown and the `diff` is the same, there is nothing new to read.
        """
        if by_itself or diff is None or diff != self._diff:
            self._by_itself, self._painted = by_itself, math.inf
        self.thing, self._diff = thing, diff

    def paint(self, now: float) -> None:
        """Note that it is on the screen since `now`."""
        self._painted = min(self._painted, now)

    def refusal(self, pressed: float) -> str:
        """Why a key pressed at this time may not decide; "" if it may."""
        if not self.painted:
            return "The diff of this edit is not on the screen yet; look at it first."
        if pressed < self._painted:
            return "This edit was not on the screen yet when the key was pressed; look at it first."
        if self._by_itself and pressed - self._painted < UNREAD_SECONDS:
            return "This edit has just come; look at it first."
        return ""


class Typing:
    """Ignores what is typed right after a key that was refused, until there is a pause."""

    def __init__(self) -> None:
        self.ignored = 0
        self._pause = PAUSE_SECONDS
        self._began = self._last = -math.inf

    def ignore(self, now: float, *, pause: float = PAUSE_SECONDS) -> None:
        """Ignore what is typed from `now` on until nothing was typed for `pause` seconds."""
        self._began = self._last = now
        self._pause, self.ignored = pause, 0

    def ends(self) -> float:
        """When keys act again, if nothing more is typed."""
        return min(self._last + self._pause, self._began + MAX_IGNORED_SECONDS)

    def takes(self, key: Key) -> bool:
        """Whether the key is ignored: a character, or a key that edits or sends a text. Escape ends the ignoring."""
        if key.time >= self.ends():
            return False
        if key.key == "escape":
            self._last = -math.inf
        elif not (key.is_printable or key.key in ("enter", "backspace", "delete", "space", "ctrl+w", "ctrl+u")):
            return False
        else:
            self._last = max(self._last, key.time)
            self.ignored += 1
        return True
