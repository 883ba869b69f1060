"""Shows what a decision on the rest of the filter would do, before it does it.

An approval takes the newest version of each skill, for an older one would conflict with it; a veto takes all of them.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from engine.core.text import counted
from skillos_tui.model.rest import Rest
from skillos_tui.render.text import clip, safe
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.screens.reading import ReadFirst

MAX_SKILLS, MAX_FINDINGS = 8, 4
SIGNS = {"insert": "+", "update": "~", "delete": "-"}


class RestScreen(ReadFirst, DialogScreen[Literal["approve", "veto"] | None]):
    """Returns what to do with the rest, or None when it was cancelled. Enter does nothing: a habit decides nothing."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [
        Binding("a", "choose('approve')", "approve"),
        Binding("v", "choose('veto')", "veto"),
        Binding("escape,n", "cancel", "cancel"),
    ]

    def __init__(self, rest: Rest, filter_text: str, changed: int = 0) -> None:
        """`changed` is how many of the newest edits an approval writes as the person changed them."""
        super().__init__()
        self.rest, self.filter_text, self.changed = rest, filter_text, changed

    def compose(self) -> ComposeResult:
        rest = self.rest
        of = f" of /{self.filter_text}" if self.filter_text else " that waits"
        skills = counted(len(rest.newest), "skill")
        question = f"Decide on the rest{of}: {counted(len(rest.all), 'edit')} of {skills}"
        older = len(rest.all) - len(rest.newest)
        stay = f", {self.changed} as you changed it" if self.changed else ""
        stay += f"; {counted(older, 'older version')} left" if older else ""
        undo = self.workbench.key_of("review.undo_rest")
        with Vertical(id="dialog"):
            yield Static(safe(question), classes="question", markup=False)
            yield Static("\n".join([*self._skills(), *self._findings()]), classes="more", markup=False)
            yield Static(
                f"a approve the newest edit of {skills}{stay}\nv veto all {counted(len(rest.all), 'edit')}, with a reason\n"
                f"esc cancel   {undo} on Review undoes all of it as one",
                classes="keys",
                markup=False,
            )

    def _skills(self) -> list[str]:
        versions = Counter(edit.skill for edit in self.rest.all)
        lines = [
            f"{SIGNS[edit.operation]} {safe(clip(edit.skill, 44))}"
            + (f" ×{n}" if (n := versions[edit.skill]) > 1 else "")
            for edit in self.rest.newest[:MAX_SKILLS]
        ]
        more = len(self.rest.newest) - MAX_SKILLS
        return lines + [f"  and {counted(more, 'more skill')}"] * (more > 0)

    def _findings(self) -> list[str]:
        """What the gates found in all of them, the most frequent first."""
        found = Counter(
            (finding.severity, finding.rule) for edit in self.rest.all for finding in edit.findings
        ).most_common()
        if not found:
            return ["", "The gates found nothing in them."]
        lines = [f"  {count} × {severity}: {safe(clip(rule, 44))}" for (severity, rule), count in found[:MAX_FINDINGS]]
        return ["", f"The gates found {counted(sum(n for _, n in found), 'thing')}:", *lines]

    def action_choose(self, action: Literal["approve", "veto"]) -> None:
        self.dismiss(action)

    def action_cancel(self) -> None:
        self.dismiss(None)
