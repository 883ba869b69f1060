"""The one-line bars: the state of the run at the top, a notice below it if there is one, the keys at the bottom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual import events
from textual.geometry import Size

from skillos_tui.keymap import APP_KEYS, Key, owner_name
from skillos_tui.render.text import Line, clip, crop, line, wrap
from skillos_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from engine.core.events import Alarm, Notice

Fitting = Callable[[int], Line]
"""A line made for a width in cells."""


class Bar(Pane, can_focus=False):
    """A pane of one line without a border."""

    CAN_FREEZE = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="bar")
        self.line: Line | Fitting = line()

    def show(self, item: Line | Fitting) -> None:
        """Show this line, or the one that is made for the bar's width."""
        self.line = item
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        return [crop(self.line(width) if callable(self.line) else self.line, width)]


class NoticeBar(Bar):
    """A bar that takes as many rows as its line needs, but no more than `MAX_ROWS` or one row of `SHARE`."""

    MAX_ROWS = 3
    SHARE = 6

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.add_class("-empty", update=False)
        self._where = ""

    def show(self, item: Line | Fitting, where: str = "") -> None:
        """Show this line; a last row says `where` all of it is, if that is given and the line does not fit."""
        self._where = where
        super().show(item)
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self.build(width - 1, 1)))

    def build(self, width: int, height: int) -> Sequence[Line]:
        whole = self.line(width) if callable(self.line) else self.line
        rows = [Line(row) for row in wrap(whole, width)]
        most = max(self.MAX_ROWS, self.app.size.height // self.SHARE)
        if len(rows) <= most:
            return rows
        if self._where:
            return [*rows[: most - 1], line(f"muted:  … all of it: {self._where}")]
        first, *others = wrap(whole, width)[most - 1 :]
        rest = [span for row in others for span in row[bool(whole.indent) :]]
        return [*rows[: most - 1], crop(Line((*first, *rest)), width)]


class AlarmBar(Bar):
    """The alarms of the last step, each with what to do; folded to one row by a person, until another one is raised."""

    SHARE = 6
    """They take no more than one row of so many."""
    WHERE = "skillos-engine status"
    """What prints all of them."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.add_class("-empty", update=False)
        self.alarms: Sequence[Alarm] = ()
        self._folded: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """The names of the alarms."""
        return frozenset(alarm.name for alarm in self.alarms)

    @property
    def folded(self) -> bool:
        """Whether only one row is shown."""
        return self.names <= self._folded

    def show_alarms(self, alarms: Sequence[Alarm], *, quoted: str) -> None:
        """Show these alarms; not those whose text is part of `quoted`, which is on the screen already."""
        left = [alarm for alarm in alarms if f"alarm {alarm.name}:" not in quoted]
        if left != self.alarms:
            self.alarms = left
            self._change()

    def fold(self) -> None:
        """Fold the alarms to one row, or unfold them."""
        self._folded = frozenset() if self.folded else self.names
        self._change()

    def _change(self) -> None:
        self.set_class(not self.alarms, "-empty")
        self.renew()
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self.build(width - 1, 1)))

    def build(self, width: int, height: int) -> Sequence[Line]:
        if self.folded:
            names = ", ".join(clip(alarm.name, 40) for alarm in self.alarms)
            count = "alarm" if len(self.alarms) == 1 else f"{len(self.alarms)} alarms"
            return [
                crop(
                    line(f"bad:✗ {count}: {names}", f"muted:   {self.workbench.key_of('live.fold_alarms')} unfolds"),
                    width,
                )
            ]
        rows = [Line(row) for alarm in self.alarms for row in wrap(_alarm(alarm), width)]
        most = max(2, self.app.size.height // self.SHARE)
        return rows if len(rows) <= most else [*rows[: most - 1], line(f"muted:  … all of it: {self.WHERE}")]


def _alarm(alarm: Alarm) -> Line:
    """An alarm and what to do, as one line."""
    what = f"bad:✗ {clip(alarm.name, 40)}: {clip(alarm.message.strip(), 400)}. "
    return line(what, f"muted:{clip(alarm.advice.strip(), 400)}", indent=2)


class KeyBar(Bar):
    """The keys of a screen, as many as fit, and those of the app after them.

    Textual's `Footer` is one widget a key, and cuts the last ones where space is short: this is one line of text, and the
    keys of the app are always in it.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(id="keys")
        self.keys = keys
        self._places: list[tuple[range, Key]] = []
        """Where each key is shown, in cells."""

    def own_keys(self) -> list[Key]:
        """The keys of the screen that are shown."""
        return [key for key in self.keys if key.line]

    def build(self, width: int, height: int) -> Sequence[Line]:
        chosen = self.workbench.own_keys
        own = chosen.all_of(owner_name(type(self.screen)), self.own_keys())
        always = chosen.all_of("app", [key for key in APP_KEYS if key.line])
        gap = 3 if width >= 76 else 2
        left = width + gap - sum(_width(key, gap) for key in always)
        shown: list[Key] = []
        for key in own:
            if _width(key, gap) <= left:
                left -= _width(key, gap)
                shown.append(key)
        self._places, at = [], 0
        for key in (*shown, *always):
            self._places.append((range(at, at + _width(key, 0)), key))
            at += _width(key, gap)
        spans = [span for key in (*shown, *always) for span in (f"key:{key.first} ", f"muted:{key.label}{' ' * gap}")]
        return [crop(line(*spans[:-1], spans[-1].rstrip()), width)]

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        x = event.x - (self.content_region.x - self.region.x)
        key = next((key for cells, key in self._places if x in cells), None)
        if key is not None:
            event.stop()
            self.app.simulate_key(key.keys.split(",")[0])


def _width(key: Key, gap: int) -> int:
    return len(key.first) + 1 + len(key.label) + gap


def notice_line(notice: Notice) -> Line:
    """A notice as one line."""
    style = {"info": "accent", "warning": "warn", "error": "bad"}[notice.level]
    sign = {"info": "i", "warning": "!", "error": "✗"}[notice.level]
    return line(f"{style}:{sign} {clip(notice.message.strip(), 500)}", indent=2)
