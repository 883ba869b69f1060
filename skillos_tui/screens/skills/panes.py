"""The panes of the Skills screen: the list of skills or of results, the page of one skill, and the versions of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from textual.message import Message

from engine.core.text import counted
from engine.runs.usage import Used
from skillos_tui.keymap import Key, bindings
from skillos_tui.model.shelf import MAX_FOUND
from skillos_tui.model.target import SHOWN, Target
from skillos_tui.model.view import Change
from skillos_tui.render.markdown import markdown_lines
from skillos_tui.render.text import Line, clip, fit, line, safe, text_lines
from skillos_tui.widgets.listing import Item, ListPane

if TYPE_CHECKING:
    from engine.skills.history.commits import BlamedLine, Commit
    from engine.skills.history.reader import Uncommitted, Version
    from engine.skills.repo.pins import Pin
    from engine.skills.search.index import Found
    from skillos_tui.model.shelf import About, Blamed, Names, Page

View = Literal["rendered", "raw", "blame"]
VIEWS: tuple[View, ...] = get_args(View)
NAME_CELLS = 26
RAW_CHARACTERS = 2_000_000
SHORT = 8
"""Characters of a commit's id that are shown."""
WIDE = 40
"""Cells from which on the history has the time of a commit."""
WIDE_ORIGIN = 26
"""Cells above which the origin of a line has the commit beside the task."""
UNCOMMITTED = "uncommitted"
"""The place in the history of what was changed by hand since the newest commit."""
HELP = "help: not measured (an evaluation of the same tasks with and without it measures it)"


class Entered(Message):
    """The person goes to the pane of this name."""

    def __init__(self, pane: str) -> None:
        super().__init__()
        self.pane = pane


class SkillList(ListPane):
    """The skills by name, or the results of a search with the reason of each score."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Skills", id=id)
        self.names: Names | None = None
        self.about: Mapping[str, About] = {}
        self.found: Sequence[Found] | None = None
        self.used: Mapping[str, Used] = {}
        self.sought = ""
        self.trouble = ""
        self.run = ""
        """The open run's name; "" without a run."""
        self.by_folder = False
        """Whether the skills are a tree of their folders; else a list by name."""
        self._drawn: tuple[object, list[Item]] = (None, [])

    def show(self) -> None:
        """Show what the fields hold now."""
        total = len(self.names.names) if self.names else 0
        if self.found is not None:
            best = "best " if len(self.found) == MAX_FOUND else ""
            self.retitle(f"Skills · {clip(self.sought, 30)}", f"{best}{len(self.found):,} of {total:,} by BM25")
        else:
            pinned = sum(name in self.names.pins for name in self.names.names) if self.names else 0
            self.retitle("Skills", counted(total, "skill") + (f", {pinned} pinned" if pinned else ""))
        self.renew()

    def items(self, width: int) -> Sequence[Item]:
        if self.trouble:
            return [Item(line(f"bad:{self.trouble}"), whole=True)]
        if self.names is None:
            return [Item(line("muted:The skills are being read …"))]
        if self.found is not None:
            none = f"muted:No skill has a word of this query; {self.workbench.key_of('skills.close')} shows all skills."
            return [item for found in self.found for item in self._result(found, width)] or [
                Item(line(none), whole=True)
            ]
        key = (self.names, self.about, self.used, self.by_folder, width)
        if self._drawn[0] != key:
            self._drawn = key, [*self._all(width), *self._left()]
        return self._drawn[1]

    def _all(self, width: int) -> list[Item]:
        assert self.names is not None
        if not self.names.names:
            why = (
                "No skill is here. A skill is a folder with a SKILL.md, or a file name.md that begins with frontmatter."
            )
            if self.run:
                key = self.workbench.key_of("app.review")
                why = f"No skill is in the run's repository yet. Each inserting edit that is approved ({key}) adds one."
            return [Item(line(f"muted:{why}"), whole=True)]
        cells = max(12, min(NAME_CELLS, width - 24))
        return (
            self._tree(self.names, cells) if self.by_folder else [self._skill(name, cells) for name in self.names.names]
        )

    def _tree(self, names: Names, cells: int) -> list[Item]:
        """The skills below a heading for each of their folders."""
        items: list[Item] = []
        above: tuple[str, ...] = ()
        for folders, name in sorted((folders_of(names.places.get(each, "")), each) for each in names.names):
            for depth, folder in enumerate(folders):
                if folders[: depth + 1] != above[: depth + 1]:
                    items.append(Item(line(f"heading:{'  ' * depth}{folder}/")))
            above = folders
            items.append(self._skill(name, cells, 2 * len(folders)))
        return items

    def _skill(self, name: str, cells: int, indent: int = 0) -> Item:
        pinned = self.names is not None and name in self.names.pins
        return Item(partial(_skill_row, name, self.about.get(name), pinned, cells, indent), name)

    def _left(self) -> list[Item]:
        left = self.names.left_out if self.names else ()
        head = [Item(line(f"warn:left out: {counted(len(left), 'file')}"))] if left else []
        return head + [Item(line(f"muted:  {each.place}: {each.why}", indent=4), whole=True) for each in left[:20]]

    def _result(self, found: Found, width: int) -> list[Item]:
        """A result, and under it what each word adds to its score."""
        parts = ", ".join(f"{part.word} {part.score:.2f} ({part.field})" for part in found.parts[:6])
        more = f" and {len(found.parts) - 6} more" if len(found.parts) > 6 else ""
        return [
            Item(line(f"chart:{found.score:6.2f} ", f":{found.name}"), found.name),
            Item(line(f"muted:       {parts}{more}", indent=7), whole=True),
        ]

    async def action_lead(self) -> None:
        """Go to the text of the skill."""
        self.post_message(Entered("page"))

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "The list of skills", (
            ("⚑", "pinned: no policy changes the skill"),
            ("!2", "checking has two findings; the page lists them"),
            ("score", "BM25 over name, description and body, weighted 1 : 2 : 2, as the executor's search has it"),
        )


class SkillPage(ListPane):
    """One skill: its text rendered or raw, or the task that each line came from."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Skill", id=id)
        self.page: Page | None = None
        self.view: View = "rendered"
        self.blamed: Blamed | None = None
        """Of the skill that is shown; None while it is read."""
        self.pin: Pin | None = None
        self.used: Used | None = None
        self.place = ""
        """The path of the skill's file where the name of the skill does not give it."""
        self.run = ""
        """The open run's name; "" without a run."""
        self._lines: tuple[object, list[Line]] = (None, [])

    def show(self) -> None:
        """Show what the fields hold now."""
        name = self.page.name if self.page else ""
        self.retitle(f"Skill · {name}" if name else "Skill", self.view)
        self.renew()

    def items(self, width: int) -> Sequence[Item]:
        if self.page is None:
            return [Item(line("muted:Choose a skill on the left."))]
        if self.view == "blame":
            return [*self._about(), *self._blame(width)]
        return [*self._about(), *(Item(each, whole=True) for each in self._text())]

    def _about(self) -> list[Item]:
        """What is known of the skill beside its text."""
        page = self.page
        assert page is not None
        lines: list[Line] = []
        if self.pin is not None:
            by = f" by {self.pin.by}" if self.pin.by else ""
            lines.append(
                line(
                    f"key:⚑ pinned{by}", f"muted: · no policy changes it · {self.workbench.key_of('skills.pin')} unpins"
                )
            )
        lines += [line(f"warn:line {each.line}: {each.rule}: {each.message}", indent=2) for each in page.findings]
        if self.run:
            lines.append(line(f"muted:{usage_line(self.used)} · {HELP}", indent=2))
        if self.place:
            lines.append(line(f"muted:in {self.place}", indent=2))
        if page.files:
            lines.append(line(f"muted:beside it: {', '.join(page.files[:8])}{' …' if len(page.files) > 8 else ''}"))
        if page.text is None:
            key = self.workbench.key_of("skills.restore")
            lines.append(
                line(f"warn:The folder has no such skill any more; {key} restores the version under the cursor.")
            )
        return [Item(each, whole=True) for each in (*lines, *([Line(())] if lines else []))]

    def _text(self) -> list[Line]:
        assert self.page is not None
        text, key = self.page.text or "", (self.page.text, self.view)
        if self._lines[0] != key:
            made = markdown_lines(text) if self.view == "rendered" else text_lines(text, limit=RAW_CHARACTERS)
            self._lines = key, made
        return self._lines[1]

    def _blame(self, width: int) -> list[Item]:
        if self.blamed is None:
            return [Item(line("muted:The history is being read …"))]
        if self.blamed.trouble:
            return [Item(line(f"muted:{self.blamed.trouble}"), whole=True)]
        cells = max(14, min(34, width * 2 // 5))
        return [
            Item(line(f"muted:{fit(origin_of(each, cells), cells)} ", f":{each.text}"), at)
            for at, each in enumerate(self.blamed.lines)
        ]

    def copied(self) -> str:
        """The text of the skill's file."""
        return self.page.text or "" if self.page is not None else ""

    def target(self) -> Target | None:
        """The task that caused the line under the cursor, else the commit of the line; of the text, the rollouts in which
        the skill was shown."""
        if self.page is None:
            return None
        if self.view != "blame":
            return Target("rollouts", f"{SHOWN}{self.page.name}") if self.run and self.used is not None else None
        if self.blamed is None or not isinstance(self.value, int):
            return None
        commit = self.blamed.lines[self.value].commit if self.value < len(self.blamed.lines) else None
        if commit is None:
            return None
        return cause_of(commit, self.run) or Target("skills", f"{self.page.name}@{commit.id}")

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "The page of a skill", (
            ("shown", "episodes of this run in whose prompt the skill was"),
            ("succeeded", "how many of them succeeded, of those that have a measured outcome"),
            ("help", "success with the skill less success without it, on the same tasks: evaluation measures it"),
        )


class VersionList(ListPane):
    """The versions of the skill, newest first, or all commits of the folder. Space marks the one to compare with."""

    KEYS_TITLE = "In the history"
    KEYS = (Key("space", "mark", "compare with", "Compare with this version, or with the one before again"),)
    BINDINGS = bindings(KEYS)

    def __init__(self, *, id: str) -> None:
        super().__init__("History", id=id)
        self.versions: Sequence[Version] = ()
        self.uncommitted: Uncommitted | None = None
        self.commits: Sequence[Commit] | None = None
        """All commits of the folder where they are listed; None: the versions of the skill."""
        self.trouble = ""
        self.marked = ""
        self.run = ""
        """The open run's name; "" without a run."""

    def show(self) -> None:
        """Show what the fields hold now."""
        listed = self.listed
        count = counted(len(listed), "commit" if self.commits is not None else "version")
        self.retitle("History of the folder" if self.commits is not None else "History", count if listed else "")
        self.renew()

    @property
    def listed(self) -> Sequence[Commit]:
        """The commits that are listed."""
        return self.commits if self.commits is not None else [version.commit for version in self.versions]

    @property
    def places(self) -> Sequence[str]:
        """What the cursor can be on, newest first: `UNCOMMITTED` where the file differs, then the ids of the commits."""
        ids = [commit.id for commit in self.listed]
        return [UNCOMMITTED, *ids] if self.commits is None and self.uncommitted is not None else ids

    @property
    def current(self) -> Commit | None:
        """The commit under the cursor."""
        return next((commit for commit in self.listed if commit.id == self.value), None)

    @property
    def compared(self) -> tuple[str, str]:
        """The older and the newer of the place under the cursor and the marked one; ("", place) where none is marked."""
        value, places = str(self.value or ""), list(self.places)
        if self.marked not in places or value not in places or self.marked == value:
            return "", value
        newer, older = sorted((value, self.marked), key=places.index)
        return older, newer

    def version(self, commit: str) -> Version | None:
        """The version of the skill that a commit left."""
        return next((version for version in self.versions if version.commit.id.startswith(commit)), None)

    def change(self, name: str) -> Change | None:
        """What the version under the cursor changed, or the difference between it and the marked one."""
        texts: dict[str, Version | Uncommitted] = {version.commit.id: version for version in self.versions}
        if self.uncommitted is not None:
            texts = {UNCOMMITTED: self.uncommitted, **texts}
        older, newer = self.compared
        after = texts.get(newer)
        if after is None:
            return None
        return Change(name, texts[older].text if older else after.before, after.text, place_line(older, newer))

    def items(self, width: int) -> Sequence[Item]:
        places = self.places
        if self.trouble and not places:
            return [Item(line(f"muted:{self.trouble}"), whole=True)]
        commits = [
            Item(partial(_commit_row, commit, bool(self.marked) and commit.id == self.marked, width), commit.id)
            for commit in self.listed
        ]
        head = [Item(_uncommitted_row(self.marked == UNCOMMITTED), UNCOMMITTED)] if UNCOMMITTED in places[:1] else []
        return [*head, *commits]

    def action_mark(self) -> None:
        """Mark the version under the cursor as the one to compare with; again: none."""
        value = str(self.value or "")
        self.marked = "" if self.marked == value else value
        self.renew()
        self.post_message(self.Moved(self))

    def target(self) -> Target | None:
        """The task that caused the commit."""
        commit = self.current
        return cause_of(commit, self.run) if commit is not None else None

    async def action_lead(self) -> None:
        """Go to the task that caused the commit, else to what it changed."""
        if self.target() is None and self.places:
            self.post_message(Entered("diff"))
        else:
            await super().action_lead()


def folders_of(place: str) -> tuple[str, ...]:
    """The folders that the skill at a place is in, without its own."""
    return tuple(place.split("/")[:-2])


def _skill_row(name: str, about: About | None, pinned: bool, cells: int, indent: int = 0) -> Line:
    """A skill in the list: its name in so many cells, and what is known of it."""
    mark = f"key:{' ' * indent}⚑ " if pinned else f":{' ' * indent}  "
    wrong = f"warn:!{about.findings} " if about and about.findings else ""
    return line(mark, f":{fit(safe(clip(name, 200)), cells)} ", wrong, f"muted:{about.description if about else ''}")


def _uncommitted_row(marked: bool) -> Line:
    """What was changed by hand, in the history."""
    return line("accent:◆ " if marked else ":  ", "warn:not committed", ":: changed by hand")


def place_line(older: str, newer: str) -> str:
    """Which commit is shown, or which two places of the history are compared."""
    short = ["not committed" if place == UNCOMMITTED else place[:SHORT] for place in (older, newer)]
    if older:
        return " → ".join(short)
    return short[1] if newer == UNCOMMITTED else f"commit {short[1]}"


def _commit_row(commit: Commit, marked: bool, width: int) -> Line:
    """A commit in the history; where space is short, without its time."""
    at = time.strftime("%m-%d %H:%M  ", time.localtime(commit.time)) if width >= WIDE else ""
    step = f"step {commit.step} · " if commit.step is not None else ""
    sign, by = "accent:◆ " if marked else ":  ", commit.trailers.get("Reviewer", "")
    return line(sign, f"key:{commit.id[:SHORT]} ", f"muted:{at}{step}", f":{commit.subject}", f"muted:  {by}")


def usage_line(used: Used | None) -> str:
    """How often a skill was shown in the run, and how often the task succeeded then."""
    if used is None:
        return "shown in no episode of this run that has ended"
    rate = (
        f"{used.succeeded:,} of {used.measured:,} measured ones succeeded" if used.measured else "no outcome measured"
    )
    return f"shown in {counted(used.shown, 'episode')}, {rate}"


def origin_of(blamed: BlamedLine, cells: int) -> str:
    """Where a line came from, in about so many cells: a long task without its beginning, since tasks differ at the end."""
    if blamed.commit is None:
        return "by hand, not committed"
    trailers, short = blamed.commit.trailers, f"{blamed.commit.id[:SHORT]} "
    step, task = f"step {trailers['Step']} " if "Step" in trailers else "", safe(trailers.get("Task", ""))
    if not task:
        return safe(f"{short}{step}{blamed.commit.subject}")
    begin = safe(f"{short if cells > WIDE_ORIGIN else ''}{step}")
    left = max(8, cells - len(begin))
    return begin + (task if len(task) <= left else f"…{task[1 - left :]}")


def cause_of(commit: Commit, run: str) -> Target | None:
    """The place that caused a commit of the open run: the edit in the review queue, which leads to its trajectory. None for
    a commit of another run, or of none."""
    if not run or commit.trailers.get("Run") != run:
        return None
    edit = commit.trailers.get("Edit", "")
    if edit:
        return Target("review", edit)
    return Target("rollouts", str(commit.step)) if commit.step is not None else None
