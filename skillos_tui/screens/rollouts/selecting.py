"""Which rollouts the tree shows: the keys that select by r, by outcome, by invalid actions and by task.

The selection is made in a thread (`engine.runs.rollouts.selecting`); a newer one replaces one that waits.
"""

from __future__ import annotations

from functools import partial

import msgspec
from textual import on

from engine.core.position import Spot
from engine.runs.rollouts.selecting import OutcomeName, Selection
from engine.runs.rollouts.spans import Spans
from skillos_tui.client import rollouts as ask
from skillos_tui.render.text import clip, safe
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.rollouts.bars import RewardBars, describe
from skillos_tui.screens.rollouts.tree import RolloutTree

OUTCOMES: tuple[OutcomeName, ...] = ("", "failed", "succeeded", "unmeasured")
FEW = 12
"""So many selected rollouts are unfolded at once."""


class SelectingScreen(FullScreen):
    """A screen with the tree of rollouts and the bars of r. `chosen` is the selection."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = RolloutTree("Rollouts", id="tree")
        self.bars = RewardBars("r", id="bars")
        self.spans = Spans()
        self.chosen = Selection()

    def ask_step(self, spot: Spot) -> None:
        """Ask for the levels of an opened step that has not been read, or goes on."""
        raise NotImplementedError

    def read_soon(self, *, at_once: bool = False) -> None:
        """Read what is under the cursor when the cursor has stood there for a moment."""
        raise NotImplementedError

    def action_outcome(self) -> None:
        at = OUTCOMES.index(self.chosen.outcome)
        self.change(msgspec.structs.replace(self.chosen, outcome=OUTCOMES[(at + 1) % len(OUTCOMES)]))

    def action_invalid(self) -> None:
        self.change(msgspec.structs.replace(self.chosen, invalid=not self.chosen.invalid))

    def action_bar(self, by: int) -> None:
        if not self.bars.bars:
            self.answer("No rollout has been scored yet, so there is no bar to choose.")
        else:
            self.bars.action_step(by)

    @on(RewardBars.Chosen)
    def _bar_chosen(self) -> None:
        bar = self.bars.chosen_bar
        low, high = (bar.low, bar.high) if bar else (None, None)
        unscored = bar is not None and bar.low is None
        self.change(msgspec.structs.replace(self.chosen, low=low, high=high, unscored=unscored))

    @on(RewardBars.Entered)
    def _bar_entered(self) -> None:
        """Go to the rollouts of the chosen bar."""
        self.go_to("tree")

    def action_show_all(self) -> None:
        """Show all rollouts again."""
        self.bars.chosen = None
        self.bars.renew()
        self.change(Selection())

    def select_shown(self, skill: str) -> None:
        """Show the rollouts in which a skill was shown."""
        self.bars.chosen = None
        self.bars.renew()
        self.change(Selection(shown=skill))

    def change(self, chosen: Selection) -> None:
        """Show what this selection takes."""
        if chosen == self.chosen:
            return
        self.chosen = chosen
        if chosen.empty:
            self.levels.select_only(None)
            self.read_soon()
            self.answer("All rollouts are shown.", "accent")
        else:
            self.select_again()

    def select_again(self) -> None:
        """Ask what the selection takes now."""
        self.workbench.client.ask_run("rollouts select", partial(ask.select, known=self.spans, chosen=self.chosen))

    def show_selected(self, only: frozenset[Spot]) -> None:
        """Show the selected rollouts, unfolded where they are few."""
        tree = self.levels
        changed = only != tree.only
        tree.select_only(only)
        if not changed:
            return
        if len(only) <= FEW:
            for spot in only:
                tree.opened |= {Spot(spot.step, spot.held_out), Spot(spot.step, spot.held_out, spot.group)}
                self.ask_step(Spot(spot.step, spot.held_out))
            tree.renew()
        self._say_selection()
        self.read_soon()

    def _say_selection(self) -> None:
        chosen = self.chosen
        bar = self.bars.chosen_bar
        parts = [
            describe(bar) if bar else "",
            {"unmeasured": "an episode not measured", "": ""}.get(chosen.outcome, f"an episode {chosen.outcome}"),
            "an invalid action" if chosen.invalid else "",
            f"task or family has {clip(safe(chosen.text), 40)}" if chosen.text else "",
            f"the skill {clip(safe(chosen.shown), 40)} shown" if chosen.shown else "",
        ]
        count = len(self.levels.only or ())
        key = self.workbench.key_of("rollouts.show_all")
        self.answer(f"{count:,} selected: {', '.join(filter(None, parts))}. {key} shows all.", "accent")
