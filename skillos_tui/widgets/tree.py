"""The skills of a run as a tree: its repository with what was left out, the edits that wait, and the fork that is followed.

Signs: + new, ~ changed, - removed. Enter folds a branch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from engine.core.edit import Edit
from engine.core.text import counted
from skillos_tui.keymap import Key, bindings
from skillos_tui.model.target import Target
from skillos_tui.model.view import Change, RunView
from skillos_tui.render.text import Line, line
from skillos_tui.widgets.listing import Item, ListPane

if TYPE_CHECKING:
    from engine.skills.repo.rule import LeftOut

SIGNS = {"insert": "good:+", "update": "warn:~", "delete": "bad:-"}
LEGEND = (
    ("+ ~ -", "a new, a changed, a removed skill; in the repository those of the newest five edits"),
    ("repository", "the skills that were approved"),
    ("waiting", "the edits that wait for your decision, the newest first"),
    ("fork", "the repository of the rollout that is followed (g group, r rollout), with what its curator wrote"),
    ("left out", "files of the repository that are no skills; beside them is why"),
)
NOTE = ("+ new", "~ changed", "- removed", "fork: a rollout's own (g group, r rollout)")
MAX_SHOWN_EDITS = 6
MAX_SHOWN_LEFT = 6

Place = tuple[str, str]
"""A branch ("repository", "left out", "waiting", "fork") and a name or an edit's id; "" is the branch itself."""


class SkillTree(ListPane):
    """The tree; `change()` is what to show beside it."""

    KEYS_TITLE = "In the tree of skills"
    KEYS = (
        Key(
            "enter", "fold", "fold/open", "Fold or unfold the branch; open the skill or the edit", id="skill_tree.fold"
        ),
        Key("0", "newest", "newest edit", "Show the newest edit again"),
    )
    BINDINGS = bindings(KEYS)

    def __init__(self, title: str, *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(title, id=id, classes=classes)
        self.view = RunView()
        self.names: tuple[str, ...] | None = None
        self.left_out: tuple[LeftOut, ...] = ()
        self._folded: set[str] = set()
        self._leaves: tuple[object, list[Item]] = (None, [])

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "Skills and edits", LEGEND

    def meanings(self) -> Sequence[str]:
        return NOTE

    def show(self, view: RunView, names: tuple[str, ...] | None, left_out: tuple[LeftOut, ...] = ()) -> None:
        """Show this run; `names` are the skills of its repository, None while they have not been read."""
        self.view, self.names, self.left_out = view, names, left_out
        self.renew()

    def items(self, width: int) -> Sequence[Item]:
        names = self.names or ()
        count = "reading …" if self.names is None else counted(len(names), "skill")
        items = [self._head("repository", count), *self._repository(names)]
        if self.left_out:
            items += [self._head("left out", counted(len(self.left_out), "file")), *self._left()]
        waiting = self.view.pending
        if waiting:
            edits = counted(len(waiting), "edit")
            note = f"{edits} to review" if width >= len(edits) + 21 else edits
            items += [self._head("waiting", note), *self._waiting(waiting)]
        if self.view.forks and self.view.fork:
            skills = counted(len(self.view.fork), "skill")
            whole = f"of group {self.view.group} rollout {self.view.rollout} · {skills}"
            note = whole if width >= len(whole) + 8 else f"g{self.view.group} r{self.view.rollout} · {skills}"
            items += [self._head("fork", note), *self._fork()]
        return items

    def _head(self, branch: str, note: str) -> Item:
        sign = "▸" if branch in self._folded else "▾"
        return Item(line(f"muted:{sign} ", f"strong:{branch}", f"muted:  {note}"), (branch, ""))

    def _repository(self, names: tuple[str, ...]) -> list[Item]:
        """The leaves of the repository; the list is kept until a name or a sign changes, since it may be long."""
        if "repository" in self._folded:
            return []
        signs = {edit.name: edit.operation for edit in self._committed()[-5:]}
        if self._leaves[0] != (names, signs):
            leaves = [
                Item(partial(_leaf, SIGNS.get(signs.get(name, ""), ": "), name), ("repository", name)) for name in names
            ]
            self._leaves = ((names, signs), leaves)
        return self._leaves[1]

    def _left(self) -> list[Item]:
        if "left out" in self._folded:
            return []
        shown = self.left_out[:MAX_SHOWN_LEFT]
        items = [Item(line(f"muted:  · {each.place}"), ("left out", each.place)) for each in shown]
        more = len(self.left_out) - len(shown)
        return items + [Item(line(f"muted:    … {more:,} more"))] * bool(more)

    def _waiting(self, edits: list[Edit]) -> list[Item]:
        return [] if "waiting" in self._folded else list(_newest(edits))

    def _fork(self) -> list[Item]:
        if "fork" in self._folded:
            return []
        change = self.view.change
        items = []
        for name in sorted({*self.view.fork, *([change.skill] if change else [])}):
            sign = ": "
            if change and change.skill == name:
                sign = SIGNS["insert" if change.before is None else "delete" if change.after is None else "update"]
            items.append(Item(partial(_leaf, sign, name), ("fork", name)))
        return items

    def _committed(self) -> list[Edit]:
        return [edit for edit in self.view.edits.values() if edit.state == "committed"]

    def newest(self) -> Change | None:
        """The newest change: of the edits that wait, else of the fork, else of the repository."""
        edit = self._newest_edit()
        return edit_change(edit, self.view) if edit else self.view.change

    def _newest_edit(self) -> Edit | None:
        edits = self.view.pending or ([] if self.view.change else self._committed())
        return edits[-1] if edits else None

    def behind_change(self) -> Target | None:
        """What is behind the change that is shown: what the cursor is on after it has been moved, else the newest edit."""
        edit = self._newest_edit()
        newest = Target("review", edit.id) if edit else None
        return (self.target() if self.moved else None) or newest

    def change(self) -> Change | None:
        """The change under the cursor after it has been moved, else the newest change. None: see `wanted`."""
        branch, name = self.value if self.moved and isinstance(self.value, tuple) else ("", "")
        if not name:
            return self.newest()
        if branch == "waiting":
            edit = self.view.edits.get(name)
            return edit_change(edit, self.view) if edit else None
        if branch == "left out":
            why = next((each.why for each in self.left_out if each.place == name), "")
            return Change(name, why, why, "left out")
        if branch == "fork":
            newest = self.view.change
            text = self.view.fork.get(name)
            return newest if newest and newest.skill == name else Change(name, text, text, "in the fork")
        return None

    @property
    def wanted(self) -> str | None:
        """The name of the repository's skill under the cursor, whose file has to be read; None for anything else."""
        branch, name = self.value if self.moved and isinstance(self.value, tuple) else ("", "")
        return name if branch == "repository" and name else None

    def repository_change(self, name: str, text: str) -> Change:
        """What to show of a skill of the repository whose file has this `text`: the edit that made it, or the changes
        by hand since, or the whole text."""
        edit = self._last_edit(name)
        if edit is None:
            return Change(name, text, text, "in the repository")
        change = edit_change(edit, self.view)
        return change if change.after == text else Change(name, change.after, text, f"changed since {change.where}")

    def _last_edit(self, name: str) -> Edit | None:
        """The newest committed edit that wrote a skill of this name."""
        edits = [edit for edit in self._committed() if edit.name == name]
        return edits[-1] if edits else None

    def target(self) -> Target | None:
        branch, name = self.value if isinstance(self.value, tuple) else ("", "")
        if not name:
            return None
        return Target("review", name) if branch == "waiting" else Target("skills", name)

    async def action_fold(self) -> None:
        """Fold or unfold a branch; open what a leaf names."""
        if self.target() is not None:
            await self.action_lead()
        elif isinstance(self.value, tuple):
            self._folded ^= {self.value[0]}
            self.value = (self.value[0], "")
            self.renew()

    def action_newest(self) -> None:
        self.moved = False
        self.post_message(self.Moved(self))


def edit_change(edit: Edit, view: RunView) -> Change:
    """An edit of the queue as a change."""
    name = f"{edit.skill} → {edit.new_name}" if edit.new_name else edit.skill
    return Change(name, edit.before, edit.after, view.place(edit.provenance.position))


def _leaf(sign: str, name: str) -> Line:
    return line(":  ", sign, f": {name}")


def _newest(edits: list[Edit]) -> Iterator[Item]:
    for edit in reversed(edits[-MAX_SHOWN_EDITS:]):
        note = f"muted:  {edit.state}" if edit.state != "pending" else ""
        yield Item(line(":  ", SIGNS[edit.operation], f": {edit.skill}", note), ("waiting", edit.id))
    if len(edits) > MAX_SHOWN_EDITS:
        yield Item(line(f"muted:    … {len(edits) - MAX_SHOWN_EDITS} older"))
