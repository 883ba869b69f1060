"""The review queue: what waits, oldest first, and under it what was decided or gave way, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from engine.runs.events import EditDecided
from skillos_tui.text import Line, line, say
from skillos_tui.view import Edit, EditState, RunView
from skillos_tui.widgets.listing import Item, ListPane
from skillos_tui.widgets.transcript import outcome_span
from skillos_tui.widgets.tree import SIGNS

DECIDED: dict[EditState, str] = {
    "approved": "good:✓",
    "amended": "good:✓",
    "vetoed": "bad:✗",
    "superseded": "muted:»",
    "undone": "muted:↶",
    "conflicted": "warn:!",
}
SEVERITY = {"danger": "bad", "warning": "warn", "info": "muted"}
MAX_DECIDED = 100
MAX_REASONS = 8


class ReviewQueue(ListPane):
    """The edits of a run; the value of an item is the edit's id."""

    def __init__(self, title: str, *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(title, id=id, classes=classes)
        self.view = RunView()

    def show(self, view: RunView) -> None:
        """Show the queue of this run."""
        self.view = view
        self.renew()

    @property
    def current(self) -> Edit | None:
        """The edit under the cursor."""
        return self.view.edits.get(self.value) if isinstance(self.value, str) else None

    def items(self, width: int) -> Sequence[Item]:
        waiting = self.view.pending
        newest = list(reversed(self.view.edits.values()))
        decided = [edit for edit in newest if edit.state in ("approved", "amended", "vetoed", "undone")]
        superseded = [edit for edit in newest if edit.state == "superseded"]
        items = [Item(line(f"muted:{len(waiting)} waiting" if waiting else "muted:nothing waits"))]
        items += [_item(edit) for edit in waiting]
        if decided:
            items += [Item(line()), Item(line(f"muted:{len(decided)} decided"))]
            items += [_item(edit) for edit in decided[:MAX_DECIDED]]
        if superseded:
            items += [Item(line()), Item(line(f"muted:{self.view.superseded} gave way to newer ones"), whole=True)]
            items += [_item(edit) for edit in superseded]
        if self.view.withheld:
            count = sum(self.view.withheld.values())
            items += [Item(line()), Item(line(f"warn:{count} not put to review"), whole=True)]
            last = list(self.view.withheld.items())[: -MAX_REASONS - 1 : -1]
            items += [Item(line(f"muted:{count:>4} {reason}", indent=5), whole=True) for reason, count in last]
        return items


def _item(edit: Edit) -> Item:
    proposed = edit.proposed
    decided = f"{DECIDED[edit.state]} " if edit.state in DECIDED else ":  "
    return Item(line(decided, SIGNS[proposed.operation], f": {proposed.skill}"), proposed.edit)


def reasons(edit: Edit, where: str) -> list[Line]:
    """Why the edit was proposed, what the checks and the audit say, and what was decided."""
    proposed = edit.proposed
    lines = [line("muted:task      ", f":{proposed.task}", indent=10)]
    lines.append(line("muted:outcome   ", outcome_span(proposed.outcome), f"muted:   {where}", indent=10))
    if proposed.reason.strip():
        first, *more = say(proposed.reason, prefix=" " * 10)
        lines += [Line((("reason    ", "muted"), (first.spans[0][0][10:], "")), 10), *more]
    for at, check in enumerate(proposed.checks or ["none noted"]):
        lines.append(line("muted:checks    " if at == 0 else "muted:          ", f":{check}", indent=10))
    for at, finding in enumerate(proposed.audit):
        severity = f"{SEVERITY[finding.severity]}:{finding.severity}"
        found = f":  line {finding.line}  {finding.rule}: {finding.message}"
        lines.append(line("muted:audit     " if at == 0 else "muted:          ", severity, found, indent=10))
    if proposed.amended_by:
        lines.append(line("muted:amended   ", f":by {proposed.amended_by}; the log keeps what was proposed", indent=10))
    if edit.decided is not None:
        lines += _decision(edit.state, edit.decided)
    return lines


def _decision(state: EditState, decided: EditDecided) -> list[Line]:
    style = DECIDED[state].partition(":")[0]
    commit = f"muted: · commit {decided.commit[:10]}" if decided.commit else ""
    lines = [line("muted:decision  ", f"{style}:{state}", f"muted: by {decided.by}", commit, indent=10)]
    if decided.reason:
        lines.append(line(f":          {decided.reason}", indent=10))
    return lines
