"""The words of the workbench, explained; what is typed shows only those that match."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from skillos_tui.render.text import Line, line
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.widgets.field import LineField
from skillos_tui.widgets.pane import Pane

WORDS = Path(__file__).with_name("words.md")


def words() -> list[tuple[str, str]]:
    """The words and their meanings, in the order of the file."""
    paragraphs = WORDS.read_text(encoding="utf-8").strip().split("\n\n")
    pairs = (paragraph.removeprefix("**").partition("**: ") for paragraph in paragraphs)
    return [(word, " ".join(meaning.split())) for word, _, meaning in pairs]


class WordList(Pane):
    """The words that match."""

    def __init__(self) -> None:
        super().__init__("Glossary", id="words")
        self.all = words()
        self.sought = ""

    def show(self, sought: str) -> None:
        """Show the words that have this text in them or in their meaning; those that begin with it first."""
        self.sought, self.top = sought.lower(), 0
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        found = [pair for pair in self.all if self.sought in f"{pair[0]} {pair[1]}".lower()]
        found.sort(key=lambda pair: not pair[0].lower().startswith(self.sought))
        lines = [line(f"key:{word}", f":  {meaning}", indent=4) for word, meaning in found]
        return lines or [line("muted:No word matches.")]


class GlossaryScreen(DialogScreen[None]):
    """The glossary; escape closes it."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [
        Binding("escape", "close", "close", priority=True),
        Binding("down", "scroll(1)", "down", priority=True),
        Binding("up", "scroll(-1)", "up", priority=True),
        Binding("pagedown", "scroll(10)", "page down", priority=True),
        Binding("pageup", "scroll(-10)", "page up", priority=True),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield LineField(placeholder="a word", id="word")
            yield WordList()
            yield Static("type to search   ↑↓ scroll   esc close", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#word"))

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one(WordList).show(event.value.strip())

    def action_scroll(self, by: int) -> None:
        self.query_one(WordList).action_scroll_rows(by)

    def action_close(self) -> None:
        self.dismiss()
