"""Choose a theme: each is shown on the whole screen when the cursor is on it. Enter keeps it, escape the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from skillos_tui.render.text import fit, line
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.themes import ThemeError, Themes
from skillos_tui.widgets.listing import Item, ListPane

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench

SAMPLES = ("good", "warn", "bad", "added", "removed", "heading", "code", "series1", "series4", "muted")


class ThemeList(ListPane):
    """The themes by name; one that cannot be used is named with its line."""

    def __init__(self, names: Sequence[str], problems: Mapping[str, str], present: str) -> None:
        super().__init__("Theme", id="themes")
        self.names, self.problems = names, problems
        self.value, self.moved = present, True

    def items(self, width: int) -> Sequence[Item]:
        items: list[Item] = []
        for name in self.names:
            if name in self.problems:
                items.append(Item(line(f"bad:✗ {self.problems[name]}", indent=2), whole=True))
            else:
                items.append(Item(line(f":  {fit(name, 12)}", *(f"{style}: {style} " for style in SAMPLES)), name))
        return items


class ThemeScreen(DialogScreen[str]):
    """Returns the name of the theme that is kept, or the present one for escape."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [
        Binding("enter", "keep", "keep", priority=True),
        Binding("escape,q", "cancel", "cancel", priority=True),
    ]

    def __init__(self, themes: Themes, present: str) -> None:
        super().__init__()
        self.themes, self.present = themes, present
        self.list = ThemeList(list(themes), themes.problems(), present)

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield self.list
            yield Static("↑↓ look   enter keep   esc as before", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.list.styles.height = len(self.themes) + 2 + 2 * len(self.list.problems)
        self.set_focus(self.list)

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        self._try(str(self.list.value))

    def _try(self, name: str) -> None:
        """Show a theme on the screen."""
        try:
            cast("Workbench", self.app).use_theme(self.themes[name])
        except ThemeError as error:
            self.notify(str(error), severity="error", markup=False)

    def action_keep(self) -> None:
        self.dismiss(str(self.list.value))

    def action_cancel(self) -> None:
        self._try(self.present)
        self.dismiss(self.present)
