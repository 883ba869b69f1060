"""The review queue: the edits that wait, oldest first; below them those decided or superseded, newest first."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from engine.core.edit import DECIDED, PAST, Decision, Edit, State
from engine.core.findings import Severity
from skillos_tui.model.view import RunView
from skillos_tui.render.text import Line, line, text_lines
from skillos_tui.widgets.listing import Item, ListPane
from skillos_tui.widgets.transcript import outcome_span
from skillos_tui.widgets.tree import SIGNS

MARKS: dict[State, str] = {
    "committed": "good:✓",
    "vetoed": "bad:✗",
    "superseded": "muted:»",
    "undone": "muted:↶",
    "conflicted": "warn:!",
}
SEVERITY: dict[Severity, str] = {"error": "bad", "danger": "bad", "warning": "warn", "info": "muted"}
MAX_DECIDED = 100
MAX_REASONS = 8


class ReviewQueue(ListPane):
    """The edits of a run; the value of an item is the edit's id."""

    def __init__(self, title: str, *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(title, id=id, classes=classes)
        self.view = RunView()
        self.under_way: Collection[str] = ()
        self._order: list[str] = []

    def show(self, view: RunView, under_way: Collection[str] = ()) -> None:
        """Show the queue of this run; `under_way` are the edits that are being decided on.

        If the edit under the cursor is gone, the cursor moves to the one in its place.
        """
        before = self._order
        self.view, self.under_way = view, under_way
        self._order = [edit.id for part in _parts(view) for edit in part]
        if self._order and self.value not in view.edits:
            place = before.index(self.value) if isinstance(self.value, str) and self.value in before else 0
            left = [name for name in before[place:] if name in view.edits]
            self.value = left[0] if left else self._order[min(place, len(self._order) - 1)]
        self.renew()

    @property
    def current(self) -> Edit | None:
        """The edit under the cursor."""
        return self.view.edits.get(self.value) if isinstance(self.value, str) else None

    def move(self, by: int) -> None:
        """Move the cursor by `by` edits, also while the list is not on the screen."""
        if self._order:
            place = self._order.index(str(self.value)) if self.value in self._order else 0
            self.select(self._order[max(0, min(len(self._order) - 1, place + by))])
            self.moved = True
            self.post_message(self.Moved(self))

    def next_waiting(self, edit: str) -> str | None:
        """The edit to decide on after this one: the next that waits and is not being decided on, else the first; None
        when there is none."""
        names = list(self.view.edits)
        waiting = [other.id for other in self.view.pending]
        left = [name for name in waiting if name != edit and name not in self.under_way]
        place = {name: at for at, name in enumerate(names)}
        behind = [name for name in left if place[name] > place.get(edit, -1)]
        return next(iter(behind or left), None)

    def items(self, width: int) -> Sequence[Item]:
        waiting, decided, superseded = _parts(self.view)
        items = [Item(line(f"muted:{len(waiting)} waiting" if waiting else "muted:nothing waits"))]
        items += [self._entry(edit) for edit in waiting]
        if decided:
            items += [Item(line()), Item(line(f"muted:{len(decided)} decided"))]
            items += [self._entry(edit) for at, edit in enumerate(decided) if at < MAX_DECIDED or edit is self.current]
        if superseded:
            items += [Item(line()), Item(line(f"muted:{self.view.superseded} superseded by newer ones"), whole=True)]
            items += [self._entry(edit) for edit in superseded]
        if self.view.withheld:
            count = sum(self.view.withheld.values())
            items += [Item(line()), Item(line(f"warn:{count} not queued"), whole=True)]
            last = list(self.view.withheld.items())[: -MAX_REASONS - 1 : -1]
            items += [Item(line(f"muted:{count:>4} {reason}", indent=5), whole=True) for reason, count in last]
        return items

    def _entry(self, edit: Edit) -> Item:
        sign = f"{MARKS[edit.state]} " if edit.state in MARKS else ":  "
        if edit.id in self.under_way:
            sign = "muted:… "
        return Item(line(sign, SIGNS[edit.operation], f": {edit.skill}"), edit.id)


def _parts(view: RunView) -> tuple[list[Edit], list[Edit], list[Edit]]:
    """The edits that wait, oldest first; then those decided, and those that were superseded, newest first."""
    newest = list(reversed(view.edits.values()))
    decided = [edit for edit in newest if edit.state in DECIDED]
    return view.pending, decided, [edit for edit in newest if edit.state == "superseded"]


def reasons(edit: Edit, where: str, draft: str = "") -> list[Line]:
    """Why the edit was proposed, what the gates found, and what was decided; `draft` is a reason for a veto that was written
    and not sent."""
    cause = edit.provenance
    lines = [line("muted:not sent  ", f"warn:{draft.strip()}", indent=10)] if draft.strip() else []
    lines.append(line("muted:task      ", f":{cause.task}", indent=10))
    lines.append(line("muted:outcome   ", outcome_span(cause.outcome), f"muted:   {where}", indent=10))
    if cause.reason.strip():
        first, *more = text_lines(cause.reason, prefix=" " * 10)
        lines += [Line((("reason    ", "muted"), (first.spans[0][0][10:], "")), 10), *more]
    if not edit.findings:
        lines.append(line("muted:findings  ", ":none", indent=10))
    for at, finding in enumerate(edit.findings):
        severity = f"{SEVERITY[finding.severity]}:{finding.severity}"
        found = f":  line {finding.line}  {finding.rule}: {finding.message}"
        lines.append(line("muted:findings  " if at == 0 else "muted:          ", severity, found, indent=10))
    for at, (gate, score) in enumerate(edit.scores.items()):
        lines.append(line("muted:scores    " if at == 0 else "muted:          ", f":{gate} {score:.3f}", indent=10))
    if edit.amended_by:
        lines.append(line("muted:amended   ", f":by {edit.amended_by}; the log keeps what was proposed", indent=10))
    if edit.decision is not None:
        lines += _decision(edit.state, edit.decision)
    return lines


def _decision(state: State, decision: Decision) -> list[Line]:
    style = MARKS[state].partition(":")[0]
    commit = f"muted: · commit {decision.commit[:10]}" if decision.commit else ""
    lines = [
        line("muted:decision  ", f"{style}:{PAST[decision.action]}", f"muted: by {decision.by}", commit, indent=10)
    ]
    if decision.reason:
        lines.append(line(f":          {decision.reason}", indent=10))
    return lines
