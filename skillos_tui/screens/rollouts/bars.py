"""The rewards of the run's rollouts as bars; a bar can be chosen, and only its rollouts are shown then."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from engine.runs.rollouts.lines import figure
from engine.runs.rollouts.selecting import Bar, Rewards, histogram
from skillos_tui.keymap import Key, bindings
from skillos_tui.render.text import Line, fit
from skillos_tui.widgets.pane import Pane

MAX_BARS = 16
CELLS = 5
"""Cells of a bar, at least."""
EIGHTHS = " ▁▂▃▄▅▆▇█"


class RewardBars(Pane):
    """The bars; `chosen` is the number of one, None for none."""

    KEYS_TITLE = "In the bars of r"
    KEYS = (
        Key("right,l", "step(1)", "next bar", "Show the rollouts of the next bar only"),
        Key("left,h", "step(-1)", "previous bar", "Show the rollouts of the previous bar only"),
    )
    BINDINGS = bindings(KEYS)

    class Chosen(Message):
        """Another bar was chosen, or none."""

    class Entered(Message):
        """The person goes to the rollouts of the chosen bar."""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(title, id=id)
        self.rewards = Rewards()
        self.bars: Sequence[Bar] = ()
        self.chosen: Bar | None = None
        self._cells = CELLS

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "Bars of r", (
            ("bar", "how many rollouts of the run have an r from its number on"),
            ("?", "r not measured"),
        )

    def show(self, rewards: Rewards) -> None:
        """Show these rewards."""
        self.rewards = rewards
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        self.bars = histogram(self.rewards, max(1, min(MAX_BARS, width // CELLS - 1)))
        if not self.bars:
            self.retitle("r")
            return [Line((("No rollout has been scored yet.", "muted"),))]
        chosen = self.chosen_bar
        self.retitle(f"r of {sum(bar.count for bar in self.bars):,} rollouts", describe(chosen) if chosen else "")
        self._cells = max(CELLS, min(12, width // len(self.bars)))
        most, rows = max(bar.count for bar in self.bars), max(1, height - 1)
        lines = [Line(tuple(self._cell(bar, row, rows, most) for bar in self.bars)) for row in range(rows - 1, -1, -1)]
        return [*lines, Line(tuple(map(self._label, self.bars)))]

    def _label(self, bar: Bar) -> tuple[str, str]:
        return fit("?" if bar.low is None else figure(bar.low), self._cells), self._style(bar, "muted")

    @property
    def chosen_bar(self) -> Bar | None:
        """The chosen bar as it is now; its count changes while a run goes on."""
        chosen = self.chosen
        if chosen is None:
            return None
        return next((bar for bar in self.bars if (bar.low, bar.high) == (chosen.low, chosen.high)), chosen)

    def _is_chosen(self, bar: Bar) -> bool:
        return self.chosen is not None and (bar.low, bar.high) == (self.chosen.low, self.chosen.high)

    def _style(self, bar: Bar, style: str) -> str:
        return "warn" if self._is_chosen(bar) else style

    def _cell(self, bar: Bar, row: int, rows: int, most: int) -> tuple[str, str]:
        """What a bar shows in one row, counted from the lowest; a chosen bar has a mark above it."""
        eighths = max(1, round(bar.count / most * rows * 8)) if bar.count else 0
        sign = EIGHTHS[max(0, min(8, eighths - row * 8))]
        if sign == " " and self._is_chosen(bar) and row * 8 >= eighths:
            sign = "·"
        return sign * (self._cells - 1) + " ", self._style(bar, "chart")

    def action_step(self, by: int) -> None:
        """Choose the next bar, or the previous one; after the last comes none."""
        numbers: list[int | None] = [None, *range(len(self.bars))]
        now = next((at for at, bar in enumerate(self.bars) if self._is_chosen(bar)), None)
        self.choose(numbers[(numbers.index(now) + by) % len(numbers)])

    async def action_lead(self) -> None:
        """Go to the rollouts of the chosen bar."""
        if self.chosen is not None:
            self.post_message(self.Entered())
        elif self.bars:
            key = self.workbench.key_of("reward_bars.next_bar")
            self.workbench.answer(f"{key} chooses a bar; then this key goes to its rollouts.")

    def choose(self, number: int | None) -> None:
        """Choose a bar by its number, or none."""
        self.chosen = None if number is None else self.bars[number]
        self.renew()
        self.post_message(self.Chosen())

    def on_click(self, event: events.Click) -> None:
        """Choose the bar that was clicked; a second click shows all again."""
        number = (event.x - (self.content_region.x - self.region.x)) // self._cells
        if 0 <= number < len(self.bars):
            self.choose(None if self._is_chosen(self.bars[number]) else number)


def describe(bar: Bar) -> str:
    """A bar in a few words: "r from .80 to 1.00: 12"."""
    if bar.low is None or bar.high is None:
        return f"r not measured: {bar.count:,}"
    return f"r from {figure(bar.low)} to {figure(bar.high)}: {bar.count:,}"
