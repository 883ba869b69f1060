"""Import skills into the repository of the open run: name a source, choose among its skills, import them as one commit.

The dialog stays open until the skills have been imported; a refusal is shown in it, and nothing has been written then. It
returns the source that was entered, which the next dialog begins with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from engine.core.text import counted
from skillos_tui.client.importing import Source
from skillos_tui.client.messages import ImportRefused, Reply, SkillsImported, SourceRead
from skillos_tui.render.text import safe
from skillos_tui.screens.base import Listener
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.screens.importing.candidates import CandidateList
from skillos_tui.widgets.field import LineField

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench

ASK = "enter read the skills   esc cancel"
CHOOSE = "space choose   ctrl+s import {count}   tab source   esc cancel"


class ImportScreen(DialogScreen[str], Listener):
    """`draft` fills the field of the source."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [
        Binding("ctrl+s", "bring", "import", priority=True),
        Binding("escape", "cancel", "cancel", priority=True),
        Binding("tab", "app.focus_next", priority=True),
        Binding("shift+tab", "app.focus_previous", priority=True),
        Binding("space", "choose", "choose"),
    ]

    def __init__(self, draft: str) -> None:
        super().__init__()
        self.draft = draft
        self._source: Source | None = None
        self._busy = False

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static("Import skills", classes="question")
            yield LineField(self.draft, placeholder="a folder, an archive or a git repository", id="source")
            yield Static(id="about", classes="more", markup=False)
            yield CandidateList(id="candidates")
            yield Static(id="error", markup=False)
            yield Static(id="end")  # a free row above the keys
            yield Static(ASK, id="hint", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(CandidateList).display = False
        self.set_focus(self.query_one("#source"))

    def on_resize(self) -> None:
        """Leave room for the source, the errors and the keys, which stay in view."""
        self.query_one(CandidateList).styles.max_height = max(3, self.size.height - 15)

    @property
    def _place(self) -> str:
        """The source that the field names."""
        return self.query_one("#source", Input).value.strip()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        place = event.value.strip()  # the field may have more by now
        if not place:
            self._say("Name a folder, an archive or a git repository.")
        elif not self._busy:
            self._begin("Reading …")
            cast("Workbench", self.app).client.read_source(place)

    def on_input_changed(self) -> None:
        """Another source: what was read is not that of the field any more."""
        if self._source is not None and not self._busy:
            self._source = None
            self.query_one(CandidateList).display = False
            self._say("")
            self.query_one("#about", Static).update("")

    def action_choose(self) -> None:
        if self._source is not None and self.query_one(CandidateList).has_focus:
            self._say(self.query_one(CandidateList).change())

    def action_bring(self) -> None:
        if self._busy:
            return
        if self._source is None:
            self._say("Press enter to read the source first; then choose among its skills.")
        elif not self.query_one(CandidateList).taken:
            self._say("No skill is chosen; space changes what happens to the one under the cursor.")
        else:
            self._begin("Importing …")
            client = cast("Workbench", self.app).client
            client.import_skills(self._source, self.query_one(CandidateList).choices)

    def action_cancel(self) -> None:
        if self.is_current:
            self.dismiss(self.query_one("#source", Input).value)

    def take(self, reply: Reply) -> None:
        if not self._busy:
            return
        if isinstance(reply, SourceRead):
            self._busy = False
            if reply.source.place == self._place:
                self._show(reply.source)
            else:
                self._say("The source was changed while it was read; press enter to read the new one.")
        elif isinstance(reply, ImportRefused):
            self._busy = False
            self._say(reply.why)
        elif isinstance(reply, SkillsImported):
            self._busy = False
            self.dismiss("")

    def _show(self, source: Source) -> None:
        self._source = source
        skipped = source.bundle.skipped
        left = f"; not read: {skipped[0].place}: {skipped[0].why}" if skipped else ""
        more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        about = f"{counted(len(source.listed), 'skill')} in {source.bundle.origin}{left}{more}"
        self.query_one("#about", Static).update(safe(about))
        listing = self.query_one(CandidateList)
        listing.display = bool(source.listed)
        listing.styles.height = len(source.listed)
        listing.show(source.listed)
        self._say("" if source.listed else "There is no skill in it: a skill is a folder with a SKILL.md.")
        if source.listed:
            self.set_focus(listing)

    def _begin(self, what: str) -> None:
        self._busy = True
        self._say("")
        self.query_one("#hint", Static).update(what)

    def _say(self, why: str) -> None:
        """Show what is wrong, and the keys that apply now."""
        error = self.query_one("#error", Static)
        error.update(safe(why))
        error.display = bool(why)
        if not self._busy:
            count = self.query_one(CandidateList).taken if self._source else 0
            self.query_one("#hint", Static).update(CHOOSE.format(count=count) if self._source else ASK)
