"""Random keys on a run whose queue changes under them: no fault, and no decision but by a key for the edit on the screen."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from textual import events
from textual.pilot import Pilot

import skillos_tui.app
from engine.core.errors import SkillosError
from engine.review import decisions as reviews
from engine.review.queue import QUEUE
from engine.runs.directory import Run
from skillos_tui.app import SkillosApp
from skillos_tui.client.client import user
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.home.screen import HomeScreen
from skillos_tui.screens.live.screen import LiveScreen
from skillos_tui.screens.review.screen import ReviewScreen
from tests.workbench.recording import decision, proposal
from tests.workbench.reviewing import decisions, waiting_run
from tests.workbench.stage import until, workbench

KEYS = [
    *"aaaaavvvuuunnppjk[]",
    *"gGrloDs?JU",
    *"2bzfyL",
    "less_than_sign",
    "greater_than_sign",
    "plus",
    "minus",
    "tab",
    "shift+tab",
    "enter",
    "enter",
    *["escape"] * 5,
    "space",
    "backspace",
]
DECIDES = {"a": ("approve", "conflict"), "v": ("veto",), "u": ("undo",)}
SIZES = [(120, 40), (80, 24), (60, 16), (200, 50)]


class Watched(SkillosApp):
    """The workbench, which notes the edit whose diff was in the last frame of Review; a dialog may lie over it."""

    CSS_PATH: ClassVar = [Path(skillos_tui.app.__file__).parent / str(name) for name in SkillosApp.CSS_PATH]
    diff_of = ""

    def _display(self, screen: object, renderable: object) -> None:
        super()._display(screen, renderable)  # type: ignore[arg-type]
        if isinstance(screen, ReviewScreen):
            self.diff_of = screen.queue.current.id if screen.queue.current else ""
        elif isinstance(screen, FullScreen):
            self.diff_of = ""


ENOUGH = 3
"""How many of our decisions prove something."""


class TaskSource:
    """What others do to the run meanwhile: the engine proposes and supersedes, bob decides in another terminal."""

    def __init__(self, run: Run, dice: random.Random) -> None:
        self.run, self.dice, self.count = run, dice, 100

    def act(self) -> None:
        moves: list[Callable[[str], object]] = [
            self._propose,
            self._propose,
            self._supersede,
            lambda edit: reviews.approve(self.run, edit, "bob"),
            lambda edit: reviews.veto(self.run, edit, "bob", "no"),
            lambda edit: reviews.undo(self.run, edit, "bob"),
            lambda edit: reviews.requeue(self.run, edit, "bob"),
            self._by_hand,
        ]
        edit = self.dice.choice([record.id for record in self.run.edits()])
        try:
            self.dice.choice(moves)(edit)
        except SkillosError:
            return  # it was not to be done to this edit

    def _propose(self, edit: str) -> None:
        self.count += 1
        self.run.append(proposal(self.count, 0, edit=f"e{self.count}"))

    def _supersede(self, edit: str) -> None:
        if self.run.edit(edit).state == "pending":
            self.run.append(decision(edit, "supersede", QUEUE, "room was needed"))

    def _by_hand(self, edit: str) -> None:
        file = self.run.repo_path / self.run.edit(edit).skill / "SKILL.md"
        if file.exists():
            file.write_text(f"---\nname: x\ndescription: y\n---\nby hand {self.dice.random()}\n")


async def play(run: Run, seed: int, count: int) -> None:
    """Press `count` keys, or more until some have decided, and judge afterwards."""
    dice = random.Random(seed)
    world = TaskSource(run, random.Random(seed + 1))
    pressed: Counter[tuple[str, str]] = Counter()
    async with workbench(run.path, folder=run.path.parent, kind=Watched) as pilot:
        app = pilot.app
        assert isinstance(app, Watched)
        await until(pilot, "Review·")
        await pilot.press("r")
        for number in range(10 * count):
            if number >= count and number % 20 == 0 and sum(ours(run).values()) >= ENOUGH:
                break
            if dice.random() < 0.05:
                await asyncio.to_thread(world.act)
            if dice.random() < 0.01:
                await pilot.resize_terminal(*dice.choice(SIZES))
            if dice.random() < 0.02:
                app.post_message(events.Paste("a v u y\nenter"))
            key = dice.choice(KEYS)
            if isinstance(app.screen, LiveScreen | HomeScreen):  # the way back; what happens there is tested elsewhere
                key = "r" if isinstance(app.screen, LiveScreen) else "enter"
            pressed[app.diff_of, key] += 1
            press(pilot, key)
            await asyncio.sleep(dice.choice([0, 0, 0.001, 0.01, 0.03, 0.1]))
            assert app.is_running
        await until(pilot, lambda: not any(app.client.decisions(run.path).under_way))
        await asyncio.sleep(0.5)
    judge(run, pressed)


def press(pilot: Pilot[str], key: str) -> None:
    names = {"[": "left_square_bracket", "]": "right_square_bracket", "?": "question_mark"}
    pilot.app.post_message(events.Key(names.get(key, key), key if len(key) == 1 else None))


def ours(run: Run) -> Counter[tuple[str, str]]:
    """Our decisions: how often each was taken on each edit."""
    return Counter((event.edit, event.decision.action) for event in decisions(run) if event.decision.by == user())


def judge(run: Run, pressed: Counter[tuple[str, str]]) -> None:
    """Every decision of ours has a key of its kind that was pressed while its edit was on the screen."""
    made = ours(run)
    for edit in {edit for edit, _ in made}:
        for key, kinds in DECIDES.items():
            taken = sum(made[edit, kind] for kind in kinds)
            assert taken <= pressed[edit, key], f"{edit}: {taken} of {kinds}, and {pressed[edit, key]} times {key}"
    assert sum(made.values()) >= ENOUGH, "the keys decided on nothing: this proves nothing"


@pytest.mark.parametrize("seed", [5])
async def test_random_keys_decide_on_nothing_that_was_not_on_the_screen(tmp_path: Path, seed: int) -> None:
    await play(waiting_run(tmp_path / "run", 6), seed, 300)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 16))
async def test_thousands_of_random_keys(tmp_path: Path, seed: int) -> None:
    await play(waiting_run(tmp_path / "run", 6), seed, 2000)
