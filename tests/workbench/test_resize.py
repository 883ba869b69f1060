"""A terminal that is resized while a dialog is open, also to almost nothing: the workbench continues."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.color import ColorSystem
from rich.console import RenderableType
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.events import Resize
from textual.geometry import Size
from textual.pilot import Pilot
from textual.screen import Screen

from skillos_tui.app import SkillosApp
from skillos_tui.terminal.cells import Cells
from tests.workbench.reviewing import waiting_run
from tests.workbench.stage import on_screen, until, workbench

SIZES = ((40, 10), (200, 60), (20, 5), (1, 1), (80, 24), (81, 23), (120, 40), (10, 3), (80, 24))


class Painted(SkillosApp):
    """The workbench, whose frames are taken over as the driver does; Textual makes none for a test otherwise."""

    CSS_PATH: ClassVar = [Path(inspect.getfile(SkillosApp)).parent / name for name in SkillosApp.CSS_PATH]

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, LayoutUpdate | ChopsUpdate):
            cells = Cells()
            cells.resize(*self.size)
            cells.put(renderable, ColorSystem.TRUECOLOR)
        super()._display(screen, renderable)


async def storm(pilot: Pilot[str]) -> None:
    """Resize faster than the screens are laid out."""
    for size in SIZES * 3:
        pilot.app._driver._size = size  # type: ignore[union-attr]
        pilot.app.post_message(Resize(Size(*size), Size(*size)))
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("room", "key"), [("live", "question_mark"), ("review", "v")])
async def test_a_dialog_stays_through_a_storm_of_sizes(room: str, key: str, tmp_path: Path) -> None:
    async with workbench(waiting_run(tmp_path / "run").path, size=(80, 24), kind=Painted) as pilot:
        await until(pilot, lambda: pilot.app.caught_up and bool(pilot.app.view.pending))
        if room == "review":
            await pilot.press("r")
            await until(pilot, "insert · find-")
        await pilot.press(key)
        await until(pilot, lambda: pilot.app.screen.is_modal)
        box = on_screen(pilot)
        await storm(pilot)
        await until(pilot, lambda: on_screen(pilot) == box)
