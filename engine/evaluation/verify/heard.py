"""The decisions of people at the places of a log that its rollouts name.

heard.take(stored)                   # each event, in the log's order
heard.until(812).mean(changes)       # r_human by the decisions up to event 812
"""

from __future__ import annotations

from collections import deque

from engine.core.events import EditDecided, EditProposed
from engine.review.words import Said, Words
from engine.runs.log import Stored


class Heard:
    """Decisions wait here until a rollout names an event after them: one may be taken between a step's play and its scores,
    and count for the next step alone."""

    def __init__(self) -> None:
        self._waiting: deque[Stored] = deque()
        self._words = Words()
        self._said = Said()

    def take(self, stored: Stored) -> None:
        """Keep the event if it is a decision on an edit, or proposes one."""
        if isinstance(stored.event, EditProposed | EditDecided):
            self._waiting.append(stored)

    def until(self, event: int | None) -> Said:
        """The decisions up to `event`, none for None. A log names no earlier event than before."""
        if event is None:
            return Said()
        if self._waiting and self._waiting[0].id <= event:
            while self._waiting and self._waiting[0].id <= event:
                self._words.take(self._waiting.popleft())
            self._said = self._words.said()
        return self._said
