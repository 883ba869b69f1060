"""The one-line bars: the state of the run above, a notice under it when there is one, the keys below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.runs.events import Notice, StepEnded
from skillos_tui.keymap import KEYMAP, Key
from skillos_tui.text import Line, crop, line
from skillos_tui.view import RunView
from skillos_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from engine.runs.status import ShownState

STATES: dict[ShownState, str] = {
    "starting": "accent:◌ starting",
    "running": "good:● running",
    "paused": "warn:‖ paused",
    "stopping": "warn:◌ stopping",
    "stopped": "muted:■ stopped",
    "finished": "good:✓ finished",
    "failed": "bad:✗ failed",
    "interrupted": "bad:✗ interrupted",
}


class Bar(Pane, can_focus=False):
    """A pane of one line without a border."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="bar")
        self.line = line()

    def show(self, item: Line) -> None:
        """Show this line."""
        self.line = item
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        return [crop(self.line, width)]


class KeyBar(Bar):
    """The keys of a screen, as many as fit, the app's own last."""

    def __init__(self, room: str) -> None:
        super().__init__(id="keys")
        self.room = room

    def own_keys(self) -> list[Key]:
        """The keys of the screen that the line shows."""
        return [key for key in KEYMAP[self.room] if key.line]

    def build(self, width: int, height: int) -> Sequence[Line]:
        own = self.own_keys()
        always = [key for key in KEYMAP["app"] if key.line]
        gap = 3 if width >= 76 else 2
        left = width + gap - sum(_width(key, gap) for key in always)
        shown: list[Key] = []
        for key in own:
            if _width(key, gap) <= left:
                left -= _width(key, gap)
                shown.append(key)
        spans = [span for key in (*shown, *always) for span in (f"key:{key.first} ", f"muted:{key.label}{' ' * gap}")]
        return [crop(line(*spans[:-1], spans[-1].rstrip()), width)]


def _width(key: Key, gap: int) -> int:
    return len(key.first) + 1 + len(key.label) + gap


def state_line(view: RunView, shown: ShownState, run_id: str, silent: int = 0) -> Line:
    """One line of run state: what it is, how far it is, how long it takes, what waits for a decision.

    `silent` is for how many seconds a living engine has given no sign.
    """
    unit = "task" if view.kind == "curate" else "step"
    spans = [STATES[shown]]
    if view.reason:
        spans.append(f"warn: ({view.reason.strip()[:200]})")
    if silent:
        spans.append(f"bad: (no sign of the engine for {silent} s)")
    bar = "axis:  │  "
    spans += [bar, f"muted:{unit} ", f"strong:{view.step}", f"muted: of {view.planned}" if view.planned else ""]
    waiting = len(view.pending)
    if waiting:
        spans += [bar, f"warn:{waiting} to review"]
    return line(*spans, bar, f":{view.kind}", f"muted: {view.profile}", *_pace(view), bar, f"muted:{run_id}")


def _pace(view: RunView) -> list[str]:
    """Seconds a step over the last five, and what is left at that pace."""
    last: list[StepEnded] = [view.steps[step] for step in sorted(view.steps)[-5:]]
    if not last or view.kind == "curate":
        return []
    pace = sum(step.seconds for step in last) / len(last)
    spans = [f"muted:, {pace:.1f} s a step"]
    left = (view.planned - max(view.steps)) * pace
    if left > 0 and view.state == "running":
        spans.append(f"muted:, about {_duration(left)} left")
    return spans


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(10, round(seconds / 10) * 10)} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def notice_line(notice: Notice) -> Line:
    """A notice as one line."""
    style = {"info": "accent", "warning": "warn", "error": "bad"}[notice.level]
    sign = {"info": "i", "warning": "!", "error": "✗"}[notice.level]
    return line(f"{style}:{sign} {notice.message.strip()[:500]}")
