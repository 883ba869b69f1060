"""The review queue: the edits that wait, one entry a skill, the most promising first; below them those decided.

    queue.show(view, under_way)              # of the whole run
    queue.look_for(Filter("superseded"))     # only what fits; `others` are edits of the log that the view does not hold
    queue.current, queue.move(1), queue.next_waiting(edit)

Newer versions of a skill's edit are folded over older ones. The edit under the cursor stays in the list, also where the
filter does not admit it any more, until the cursor leaves it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial

from rich.cells import cell_len

from engine.core.edit import DECIDED, OPEN, Edit, State
from engine.core.text import counted
from engine.review.worth import SkillQueue, grouped
from engine.runs.rollouts.lines import figure
from skillos_tui.keymap import Key, bindings
from skillos_tui.model.review_filter import Filter
from skillos_tui.model.view import RunView
from skillos_tui.render.text import Line, fit, line, safe
from skillos_tui.widgets.listing import Item, ListPane
from skillos_tui.widgets.tree import SIGNS

MARKS: dict[State, str] = {
    "committed": "good:✓",
    "vetoed": "bad:✗",
    "superseded": "muted:»",
    "undone": "muted:↶",
    "withheld": "muted:·",
    "conflicted": "warn:!",
}
MAX_DECIDED = 100
OLD = 500
"""How many of the newest superseded, and of the newest withheld edits a filter looks at."""
MAX_REASONS = 100
WORTH_WIDTH = 30
"""From this width on the worth of an edit is shown beside it."""
LEGEND = (
    ("+ ~ -", "the edit makes, changes or removes a skill"),
    ("×4", "this edit and 3 older ones of the same skill, folded"),
    ("+.33", "its worth: advantage of its rollout, gate scores, less what the audit found"),
    ("! ✓ ✗ ↶ » ·", "conflicted, committed, vetoed, undone, superseded, withheld"),
    ("…", "a decision is being taken"),
)


class ReviewQueue(ListPane):
    """The edits of a run; the value of an item is the edit's id."""

    KEYS_TITLE = "In the queue"
    KEYS = (
        Key("right", "unfold(True)", "older versions", "Show the older versions of this skill's edit"),
        Key("left", "unfold(False)", "fold", "Fold the older versions of this skill's edit"),
        Key("enter", "enter", "open", "Unfold the older versions, or go to the diff where there are none"),
    )
    BINDINGS = bindings(KEYS)

    def __init__(self, title: str, *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(title, id=id, classes=classes)
        self.view = RunView()
        self.read = False
        """Whether the log was read, so that it is known what waits."""
        self.under_way: Collection[str] = ()
        self.filter = Filter()
        self.others: dict[str, Edit] = {}
        """Edits of the log that the view does not hold; a filter asked for them."""
        self.policy = ""
        self._unfolded: set[str] = set()
        self._groups: list[SkillQueue] = []
        self._open: set[str] = set()
        """The skills whose older versions are shown: those unfolded, and that of an older one under the cursor."""
        self._order: list[str] = []
        self._aside = ""
        """The edit that was under the cursor before a filter that admits none."""

    # What it shows

    def show(self, view: RunView, under_way: Collection[str] = ()) -> None:
        """Show the queue of this run; `under_way` are the edits that are being decided on.

        If the edit under the cursor is gone, the cursor moves to the one in its place.
        """
        before, self.read = self._order, True
        self.view, self.under_way = view, under_way
        self._arrange()
        if self._order and self.value not in self._order:
            place = before.index(self.value) if isinstance(self.value, str) and self.value in before else 0
            left = [name for name in before[place:] if name in self._order]
            self.value = left[0] if left else self._order[min(place, len(self._order) - 1)]
            self._arrange()
        self.renew()

    def look_for(self, wanted: Filter, others: Iterable[Edit] = ()) -> None:
        """Show only what fits; the cursor goes to the first edit that does, unless its own does. Where nothing fits it is on
        none, and comes back to its edit with the next filter that admits it."""
        self.filter, self.others = wanted, {edit.id: edit for edit in others}
        current = self.current or self.known.get(self._aside)
        self._aside = current.id if current is not None else ""
        self.value = None
        self._arrange()
        if current is not None and wanted.admits(current):
            self.value = current.id
        elif self._order:
            self.value = self._order[0]
        self.show(self.view, self.under_way)
        if self.value is not None:
            self.select(self.value)

    @property
    def known(self) -> dict[str, Edit]:
        """Every edit that the list may show, by id."""
        return {**self.others, **self.view.edits} if self.others else self.view.edits

    @property
    def current(self) -> Edit | None:
        """The edit under the cursor."""
        return self.known.get(self.value) if isinstance(self.value, str) else None

    @property
    def group(self) -> SkillQueue | None:
        """The entry of the edit under the cursor, if it waits."""
        return next((each for each in self._groups if self.value in _names(each)), None)

    @property
    def groups(self) -> list[SkillQueue]:
        """The entries that wait, as far as the filter admits them."""
        return self._groups

    @property
    def heading(self) -> str:
        """Where the cursor is among the edits that wait, and the filter: "Review 3 of 8 · /kettle"."""
        names = [edit.id for edit in self._waiting()]
        place = f" {names.index(str(self.value)) + 1} of {len(names)}" if self.value in names else ""
        return f"Review{place}" + (f" · /{self.filter.text}" if self.filter.text else "")

    # Moves

    def move(self, by: int) -> None:
        """Move the cursor by `by` edits, also while the list is not on the screen."""
        if self._order:
            place = self._order.index(str(self.value)) if self.value in self._order else 0
            self.select(self._order[max(0, min(len(self._order) - 1, place + by))])
            self.moved = True
            self.post_message(self.Moved(self))

    def select(self, value: object) -> None:
        self.value = value if isinstance(value, str) else None
        self._arrange()
        super().select(self.value)

    def next_waiting(self, edit: str) -> str | None:
        """The edit to decide on after this one: the newest of the next skill that waits, then of the first one, and last the
        older versions of the same skill; None when nothing is left. What is being decided on is passed over."""
        at = next((at for at, each in enumerate(self._groups) if edit in _names(each)), -1)
        groups = self._groups
        order = [*groups[at + 1 :], *groups[:at], groups[at]] if at >= 0 else groups
        left = [[name for name in _names(each) if name != edit and name not in self.under_way] for each in order]
        whole = [names[0] for names, each in zip(left, order, strict=True) if names and names[0] == each.newest.id]
        rest = [names[0] for names in left if names]
        return next(iter(whole or rest), None)

    def action_unfold(self, whether: bool) -> None:
        group = self.group
        if group is None or not group.older:
            return
        if whether:
            self._unfolded.add(group.skill)
        else:
            self._unfolded.discard(group.skill)
            if self.value != group.newest.id:
                self.value = group.newest.id
                self.post_message(self.Moved(self))
        self.select(self.value)

    def action_enter(self) -> None:
        group = self.group
        if group is not None and group.older:
            self.action_unfold(group.skill not in self._unfolded)
        else:
            self.screen.query_one("#diff").focus()

    # Drawing

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "Signs of the queue", LEGEND

    def items(self, width: int) -> Sequence[Item]:
        if not self.read:
            return [Item(line("muted:being read …"))]
        waiting = sum(len(_names(each)) for each in self._groups)
        skills = f" · {counted(len(self._groups), 'skill')}" if waiting > len(self._groups) else ""
        items = [Item(line(f"muted:{waiting} waiting{skills}" if waiting else "muted:nothing waits"))]
        for group in self._groups:
            items.append(Item(partial(self._head, group, width), group.newest.id))
            items += [Item(partial(self._older, edit, width), edit.id) for edit in self._shown_older(group)]
        decided = self._decided()
        if decided:
            items += [Item(line()), Item(line(f"muted:{len(decided)} decided"))]
            items += [
                Item(partial(self._entry, edit), edit.id)
                for at, edit in enumerate(decided)
                if at < MAX_DECIDED or edit.id == self.value
            ]
            if (more := len(decided) - MAX_DECIDED) > 0:
                key = self.workbench.key_of("review.filter")
                items.append(Item(line(f"muted:and {more} older; {key} finds them by their words"), whole=True))
        return [*items, *self._superseded(), *self._withheld()]

    def _superseded(self) -> Iterator[Item]:
        """How many were superseded, and under the filter which."""
        shown = self._old("superseded")
        if shown or self.view.superseded:
            hint = f"muted:; {self.workbench.key_of('review.filter')} superseded shows them"
            if "superseded" in self.filter.old:
                hint = f"muted:; looked at: the newest {OLD}" if self.view.superseded > OLD else ""
            yield Item(line())
            yield Item(line(f"muted:{self.view.superseded} superseded by newer ones", hint), whole=True)
            yield from (Item(partial(self._entry, edit), edit.id) for edit in shown)

    def _withheld(self) -> Iterator[Item]:
        """How many were not queued, and under the filter the reasons and those that can be asked for, the newest first."""
        shown = self._old("withheld")
        if not shown and not self.view.withheld:
            return
        asked = "withheld" in self.filter.old
        yield Item(line())
        hint = "" if asked else f"muted:; {self.workbench.key_of('review.filter')} withheld says why"
        yield Item(line(f"warn:{sum(self.view.withheld.values())} not queued", hint), whole=True)
        if asked:
            for reason, count in list(self.view.withheld.items())[: -MAX_REASONS - 1 : -1]:
                yield Item(line(f"muted:{count:>4} {reason}", indent=5), whole=True)
        yield from (Item(partial(self._entry, edit), edit.id) for edit in shown)

    def _head(self, group: SkillQueue, width: int) -> Line:
        """The newest edit of a skill: "  ~ open-shut     ×4  +.33"."""
        edit = group.newest
        fold = "▾" if group.skill in self._open else "×"
        more = f"{fold}{len(group.older) + 1}" if group.older else ""
        worth = _worth(group.worth) if width >= WORTH_WIDTH else ""
        end = f"{more:>4}{worth:>6}" if width >= WORTH_WIDTH else f"{more:>4}" if more else ""
        name = fit(safe(edit.skill), width - 4 - cell_len(end))
        return Line((*line(self._sign(edit), SIGNS[edit.operation]).spans, (f" {name}", ""), (end, "muted")))

    def _older(self, edit: Edit, width: int) -> Line:
        at = edit.provenance.position
        where = f"{self.view.unit} {at.step}" if at else edit.id
        return line(self._sign(edit), "muted:  └ ", SIGNS[edit.operation], f"muted: older, {where}")

    def _entry(self, edit: Edit) -> Line:
        return line(self._sign(edit), SIGNS[edit.operation], f": {edit.skill}")

    def _sign(self, edit: Edit) -> str:
        if edit.id in self.under_way:
            return "muted:… "
        return f"{MARKS[edit.state]} " if edit.state in MARKS else ":  "

    # Order

    def _arrange(self) -> None:
        """Group the edits that wait, and note the order of all that can be selected."""
        self._groups = grouped(edit for edit in self.known.values() if edit.state in OPEN and self._admits(edit))
        group = self.group
        self._open = self._unfolded | ({group.skill} if group is not None and self.value != group.newest.id else set())
        decided = [edit for at, edit in enumerate(self._decided()) if at < MAX_DECIDED or edit.id == self.value]
        old = (*self._old("superseded"), *self._old("withheld"))
        self._order = [edit.id for edit in (*self._waiting(), *decided, *old)]

    def _admits(self, edit: Edit) -> bool:
        return edit.id == self.value or self.filter.admits(edit)

    def _waiting(self) -> list[Edit]:
        return [edit for group in self._groups for edit in (group.newest, *self._shown_older(group))]

    def _shown_older(self, group: SkillQueue) -> tuple[Edit, ...]:
        return group.older if group.skill in self._open else ()

    def _decided(self) -> list[Edit]:
        """Those decided, newest first."""
        return [edit for edit in reversed(self.known.values()) if edit.state in DECIDED and self._admits(edit)]

    def _old(self, state: State) -> list[Edit]:
        """Those of this state, newest first, under a filter that asks for it; that under the cursor always."""
        asked = state in self.filter.old
        return [
            edit
            for edit in reversed(self.known.values())
            if edit.state == state and (edit.id == self.value or (asked and self.filter.admits(edit)))
        ]


def _names(group: SkillQueue) -> list[str]:
    """The edits of an entry, the newest first."""
    return [group.newest.id, *(edit.id for edit in group.older)]


def _worth(worth: float | None) -> str:
    """A worth in short: "+.33"; "" where nothing is known."""
    return "" if worth is None else figure(worth, "+.2f")
