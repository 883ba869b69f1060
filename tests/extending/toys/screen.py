"""A toy screen of the workbench: how many tasks of the run ended, in one line."""

from textual.app import ComposeResult
from textual.widgets import Static

from skillos_tui.keymap import Key, bindings
from skillos_tui.model.view import Part
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.kind import ScreenKind
from skillos_tui.widgets.answer import AnswerBar


class OutcomesScreen(FullScreen):
    """One line."""

    NAME = "outcomes"
    KEYS_TITLE, KEYS = "On the outcomes screen", (Key("escape", "back", "live", "Back to the live screen", True),)
    BINDINGS = bindings(KEYS)

    def compose(self) -> ComposeResult:
        yield Static(id="outcomes")
        yield AnswerBar(self.KEYS)

    def on_screen_resume(self) -> None:
        self.renew(set())

    def renew(self, parts: set[Part]) -> None:
        steps = self.workbench.view.history.steps.values()
        self.query_one("#outcomes", Static).update(f"{sum(step.episodes for step in steps)} tasks ended")


KIND = ScreenKind("outcomes", "Outcomes", "Count the tasks", "tests.extending.toys.screen:OutcomesScreen", key="O")
