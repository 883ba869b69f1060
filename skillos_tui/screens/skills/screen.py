"""Skills: the repository of the open run, or any folder of skills (`skillos-tui FOLDER`).

Left the list, or the results of a search, and the history; right the skill under the cursor, and what the version under the
cursor changed. Edits by hand show by themselves. What is undone or restored is a new commit, which can be undone too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.timer import Timer
from textual.widgets import Input

from engine.runs.directory import Run
from engine.runs.usage import Usage, usage
from skillos_tui.client.messages import Answered, Reply
from skillos_tui.keymap import NEXT_PANE, PREVIOUS_PANE, Key, bindings
from skillos_tui.model.shelf import Blamed, CommitDiff, CommitLog, Described, Done, Names, Page, Results
from skillos_tui.model.view import Change, Part
from skillos_tui.render.text import safe
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.skills.panes import (
    SHORT,
    UNCOMMITTED,
    VIEWS,
    Entered,
    SkillList,
    SkillPage,
    VersionList,
    folders_of,
    place_line,
)
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.diff import DiffPane, summary
from skillos_tui.widgets.field import SearchField
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.tabs import StateBar

if TYPE_CHECKING:
    from skillos_tui.client.skills import Shelf

READ_SECONDS = 0.05
"""A skill is read when the cursor has stood on it for so long."""
SEARCH_SECONDS = 0.15
"""A search begins when so long nothing more was typed."""


class SkillsScreen(FullScreen):
    """The skills of a folder."""

    NAME = "skills"
    CSS_PATH = "screen.tcss"
    KEYS_TITLE = "On the skills screen"
    KEYS = (
        Key("slash", "search", "search", "Search as the executor does", True),
        Key("t", "tree", "tree", "Show the skills as a tree of their folders, or as a list by name"),
        Key("m", "view", "view", "The next view of the skill: rendered, raw, the origin of each line", True),
        Key("left_square_bracket", "version(1)", "older", "The version before this one", True),
        Key("right_square_bracket", "version(-1)", "newer", "The version after this one", True),
        Key("H", "whole", "all commits", "List the commits of the whole folder, or the versions of the skill again"),
        Key("n", "file(1)", "next file", "Of a commit of the whole folder, the change of the next file"),
        Key("p", "file(-1)", "previous file", "Of a commit of the whole folder, the change of the previous file"),
        Key("r", "revert", "revert", "Undo the commit under the cursor by a new commit", True),
        Key(
            "R", "restore", "restore", "Write the skill, or the whole folder, as at the version under the cursor", True
        ),
        Key("P", "pin", "pin", "Pin the skill, so that no policy changes it, or unpin it", True),
        NEXT_PANE,
        PREVIOUS_PANE,
        Key("escape", "close", "back", "Leave the search, or this screen", True),
    )
    BINDINGS = bindings(KEYS)
    PANES = ("list", "page", "history", "diff")

    def __init__(self) -> None:
        super().__init__()
        self.list, self.page, self.history = SkillList(id="list"), SkillPage(id="page"), VersionList(id="history")
        self.diff = DiffPane("Change", context=3, id="diff")
        self.diff.nothing = "What the version under the cursor changed appears here."
        self._usage = Usage()
        self._read_timer: Timer | None = None
        self._wanted = ""
        """The commit to go to when the versions of the skill have arrived."""
        self._asked = ""
        """The skill whose page was asked for last."""
        self._files: CommitDiff | None = None
        self._file = 0
        """Which file of the commit under the cursor is shown."""
        self._found_for = ""
        """The words of the search whose results are shown."""

    def compose(self) -> ComposeResult:
        yield StateBar()
        with Container(id="panes"):
            with Container(id="left", classes="column"):
                yield SearchField(placeholder="words of a task", id="query")
                yield self.list
                yield self.history
            with Container(id="right", classes="column"):
                yield self.page
                yield self.diff
        yield AnswerBar(self.KEYS)

    def on_mount(self) -> None:
        self.composed = True
        self.query_one("#query").display = False
        self.go_to("list")
        app = self.workbench
        if app.skills is not None and app.path is None:
            app.client.follow_folder(app.skills)
        self.list.run = self.page.run = self.history.run = app.path.name if app.path is not None else ""
        self.renew({"state", "skills", "rewards"})

    def renew(self, parts: set[Part]) -> None:
        if not self.composed or not self.is_current:
            return
        if "state" in parts or "review" in parts:
            self.show_state()
        if "skills" in parts:
            self.call_after_refresh(self._read_again)  # the thread that reads would compete with the frame
        if "rewards" in parts and self.workbench.path is not None:
            self._ask_usage()

    # Questions

    def _ask(self, question: str, read: Callable[[Shelf], object]) -> None:
        """Ask the folder that is shown, in a thread."""
        app = self.workbench
        client = app.client
        if app.path is not None:
            client.ask_run(question, lambda run: read(client.shelf(run.repo_path)))
        elif app.skills is not None:
            client.ask(question, partial(read, client.shelf(app.skills)))
        else:
            how = f"{app.key_of('home.folder')} on Home opens a folder; so does skillos-tui FOLDER"
            self.list.trouble = f"No run and no folder of skills is open: {how}."
            self.list.show()

    def _do(self, act: Callable[[Shelf, Run | None], Done]) -> None:
        """Change the folder that is shown, in a thread, after the changes before. `act` gets the run whose folder it is."""
        app = self.workbench
        client = app.client
        if app.path is not None:
            client.do_run("done", lambda run: act(client.shelf(run.repo_path), run))
        elif app.skills is not None:
            client.do("done", partial(act, client.shelf(app.skills), None))

    def _ask_usage(self) -> None:
        self.workbench.client.ask_run("usage", partial(usage, before=self._usage))

    def _read_again(self) -> None:
        """Read the names, and the skill that is shown; the answer to the names asks for the rest."""
        self._ask("names", lambda shelf: shelf.names())
        if self.history.commits is not None:
            self._ask("log", lambda shelf: shelf.log())

    def _ask_page(self) -> None:
        name = self.list.value if isinstance(self.list.value, str) else self._asked
        if not name:
            return
        self._asked = name
        self._ask("page", lambda shelf: shelf.page(name))
        if self.page.view == "blame":
            self._ask_blame(name)

    def _ask_blame(self, name: str) -> None:
        self._ask("blame", lambda shelf: shelf.blame(name))

    def take(self, reply: Reply) -> None:
        if not isinstance(reply, Answered) or not self.composed:
            return
        if reply.trouble:
            self._take_trouble(reply)
            return
        match reply.value:
            case Names():
                self._take_names(reply.value)
            case Described():
                self._take_described(reply.value)
            case Page():
                self._take_page(reply.value)
            case Results() if reply.value.words == self.list.sought:
                self._take_results(reply.value)
            case Blamed(name) if name == self._asked:
                self.page.blamed = reply.value
                self.page.show()
            case CommitLog(commits):
                newest, self.history.commits = self.history.commits is None or self._at_newest, commits
                self._show_history(newest=newest)
            case CommitDiff():
                self._take_diff(reply.value)
            case Usage() as usage:
                self._usage, self.list.used, self.page.used = usage, usage.skills, usage.skills.get(self._asked)
                self.page.show()
            case Done(text, commit):
                self.answer(safe(text), "accent")
                self._wanted = commit
                self._read_again()
            case None if reply.question == "folder":
                self._read_again()

    def _take_trouble(self, reply: Answered) -> None:
        if reply.question == "names":
            self.list.trouble = reply.trouble
            self.list.show()
        else:
            self.answer(safe(reply.trouble), "bad")

    def _take_names(self, names: Names) -> None:
        known = self.list.names
        self.list.names, self.list.trouble = names, ""
        self.list.show()
        if names.trouble and (known is None or known.trouble != names.trouble):
            self.app.notify(safe(names.trouble), severity="warning", markup=False)
        self._ask_page()
        self._ask("about", lambda shelf: shelf.about())

    def _take_described(self, described: Described) -> None:
        self.list.about = described.skills
        self.list.show()
        if self.list.found is not None:
            self._search()

    def _take_results(self, results: Results) -> None:
        """Show the results; those of other words begin with the best."""
        if results.words != self._found_for and results.found:
            self.list.value, self.list.top = results.found[0].name, 0
        self._found_for, self.list.found = results.words, results.found
        self.list.show()
        self._ask_page_if_other()

    def _take_page(self, page: Page) -> None:
        if page.name != self._asked:
            return
        pane, history = self.page, self.history
        other = pane.page is None or pane.page.name != page.name
        pane.page = page
        if other:
            pane.top, history.marked, pane.blamed = 0, "", None
        names = self.list.names
        pane.pin = names.pins.get(page.name) if names else None
        pane.used = self.list.used.get(page.name)
        place = names.places.get(page.name, "") if names else ""
        pane.place = "" if place in (f"{page.name}/SKILL.md", f"{page.name}.md") else place
        pane.show()
        newest = other or self._at_newest
        history.versions, history.uncommitted, history.trouble = page.versions, page.uncommitted, page.trouble
        self._show_history(newest=newest)

    def _show_history(self, *, newest: bool) -> None:
        history = self.history
        places = history.places
        wanted = next((place for place in places if self._wanted and place.startswith(self._wanted)), "")
        if wanted:
            history.value, self._wanted = wanted, ""
        elif newest and places:
            history.value = places[0]
        history.show()
        if wanted:
            history.select(wanted)
        self._show_change()

    @property
    def _at_newest(self) -> bool:
        """Whether the cursor of the history is at the newest place, and so follows it."""
        places = self.history.places
        return not places or self.history.value == places[0]

    def _take_diff(self, diff: CommitDiff) -> None:
        if (diff.since, diff.commit) == self.history.compared:
            if self._files is None or (self._files.since, self._files.commit) != (diff.since, diff.commit):
                self._file = 0
            self._files = diff
            self._show_file()

    def _show_file(self) -> None:
        """Show one of the files of the commit under the cursor."""
        diff = self._files
        assert diff is not None
        where = place_line(diff.since, diff.commit)
        if not diff.files:
            self.diff.show(None)
            self.diff.retitle("Change", f"no file differs · {where}")
            return
        at = self._file = min(self._file, len(diff.files) - 1)
        count = len(diff.files) + diff.more
        which = f"file {at + 1} of {count:,} · " if count > 1 else ""
        file = diff.files[at]
        self._show_diff(Change(file.path, file.before, file.after, f"{which}{where}"))

    def action_file(self, by: int) -> None:
        """Show the next file of the commit, or the previous one."""
        if self._files is None or self.history.commits is None:
            self.answer(
                f"{self.workbench.key_of('skills.whole')} lists the commits of the folder, each with all its files."
            )
        elif self._files.files:
            self._file = (self._file + by) % len(self._files.files)
            self._show_file()

    # What is shown

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        if message.pane is self.list:
            if self._read_timer is not None:
                self._read_timer.stop()
            self._read_timer = self.set_timer(READ_SECONDS, self._ask_page_if_other)
        elif message.pane is self.history:
            self._show_change()

    def _ask_page_if_other(self) -> None:
        if self.list.value != self._asked:
            self._ask_page()

    def _show_change(self) -> None:
        """Show what the version under the cursor changed."""
        history = self.history
        if history.commits is not None:
            since, commit = history.compared
            if commit:
                self._ask("diff", lambda shelf: shelf.diff(commit, since))
            return
        self._files = None
        page = self.page.page
        self._show_diff(history.change(page.name) if page else None)

    @on(Entered)
    def _entered(self, message: Entered) -> None:
        self.go_to(message.pane)

    def _show_diff(self, change: Change | None) -> None:
        self.diff.behind = self.history.target()
        if change is None:
            self.diff.retitle("Change")
        else:
            self.diff.retitle(f"Change · {change.skill}", f"{summary(change)} · {change.where}")
        self.diff.show(change)

    def here(self) -> str:
        name = self.list.value if isinstance(self.list.value, str) else ""
        version = self.history.value if self.history.moved else ""
        return f"{name}@{version}" if name and version else name

    def arrive(self, at: str) -> None:
        name, _, commit = at.partition("@")
        self._wanted = commit if commit.isalnum() else ""
        self.list.found, self.list.sought, self._found_for = None, "", ""
        self.list.choose(name)
        if self.list.value == name and self._asked == name:
            self._show_history(newest=False)

    # Keys

    def action_search(self) -> None:
        """Show the field, and search while it is typed in."""
        field = self.query_one("#query", SearchField)
        field.display = True
        self.set_focus(field)

    @on(Input.Changed, "#query")
    def search_soon(self, event: Input.Changed) -> None:
        """Search when a person stops typing for a moment."""
        self.list.sought = event.value.strip()
        self.set_timer(SEARCH_SECONDS, partial(self._search_if, event.value.strip()))

    def _search_if(self, query: str) -> None:
        if query == self.list.sought:
            self._search()

    def _search(self) -> None:
        words = self.list.sought
        if words:
            self._ask("search", lambda shelf: shelf.search(words))
        else:
            self.list.found, self._found_for = None, ""
            self.list.show()
            self._ask_page_if_other()

    @on(Input.Submitted, "#query")
    def search_now(self, event: Input.Submitted) -> None:
        """Go to the results."""
        event.stop()
        self._search()
        self.go_to("list")

    def action_close(self) -> None:
        """Leave the search, else this screen."""
        field = self.query_one("#query", SearchField)
        if field.display:
            field.value, field.display = "", False
            self.list.sought, self.list.found, self._found_for = "", None, ""
            self.list.select(self.list.value)
            self.go_to("list")
        elif len(self.app.screen_stack) > 1:
            self.action_back()
        else:
            self.app.call_later(self.workbench.go_home)

    def action_tree(self) -> None:
        """Show a tree of folders, or a list by name."""
        self.list.by_folder = not self.list.by_folder
        self.list.select(self.list.value)
        places = self.list.names.places if self.list.names else {}
        if self.list.by_folder and not any(map(folders_of, places.values())):
            self.answer("All skills are at the top of the folder, so the tree has no branch.")

    def action_view(self) -> None:
        """The next view of the skill."""
        self.page.view = VIEWS[(VIEWS.index(self.page.view) + 1) % len(VIEWS)]
        self.page.top, self.page.value = 0, None
        self.page.show()
        if self.page.view == "blame" and self._asked:
            self._ask_blame(self._asked)

    def action_version(self, by: int) -> None:
        """Go to an older or a newer version."""
        self.history.action_scroll_rows(by)

    def action_whole(self) -> None:
        """List all commits of the folder, or the versions of the skill again."""
        if self.history.commits is None:
            self._ask("log", lambda shelf: shelf.log())
        else:
            self.history.commits = None
            self._show_history(newest=True)

    async def action_revert(self) -> None:
        commit = self.history.current
        if commit is None:
            self.answer(self._no_commit())
        elif self._may_write():
            what = f"Undo commit {commit.id[:SHORT]}?"
            await self._confirm(what, commit.subject, "undo it", partial(_revert, commit.id))

    def _no_commit(self) -> str:
        """Why there is nothing to undo or to restore under the cursor of the history."""
        if self.history.value != UNCOMMITTED:
            return "No commit is under the cursor of the history."
        older, restore = self.workbench.key_of("skills.older"), self.workbench.key_of("skills.restore")
        return f"This is what the file has now: {older} goes to a version, and {restore} writes that one again."

    async def action_restore(self) -> None:
        commit, page = self.history.current, self.page.page
        if commit is None:
            self.answer(self._no_commit())
        elif not self._may_write():
            return
        elif self.history.commits is not None:
            what = f"Restore all skills as they were at {commit.id[:SHORT]}?"
            more = "Later commits stay in the history; the restoration is a commit that can be undone."
            await self._confirm(what, more, "restore them", lambda shelf, _, by: shelf.restore(commit.id, by))
        elif page is not None and (version := self.history.version(commit.id)) is not None:
            what = f"Write {page.name} as it was at {commit.id[:SHORT]}?"
            more = "The version removes it." if version.text is None else "It is a new commit, which can be undone."
            name = page.name
            await self._confirm(what, more, "write it", lambda shelf, _, by: shelf.restore_skill(version, name, by))

    async def _confirm(self, question: str, more: str, verb: str, do: Callable[[Shelf, Run | None, str], Done]) -> None:
        from skillos_tui.client.decide import user
        from skillos_tui.screens.confirm.screen import ConfirmScreen

        def answered(sure: bool | None) -> None:
            if sure:
                self._do(lambda shelf, run: do(shelf, run, user()))

        await self.app.push_screen(ConfirmScreen(safe(question), safe(more), verb), answered)

    def action_pin(self) -> None:
        from skillos_tui.client.decide import user

        name, names = self.list.value, self.list.names
        if not isinstance(name, str) or names is None:
            self.answer("No skill is under the cursor.")
        elif self._may_write():
            pinned = name not in names.pins
            self._do(lambda shelf, _: shelf.pin(name, user(), pinned=pinned))

    def _may_write(self) -> bool:
        why = self.workbench.refusal if self.workbench.path is not None else ""
        if why:
            self.refuse(safe(why))
        return not why


def _revert(commit: str, shelf: Shelf, run: Run | None, by: str) -> Done:
    """Undo a commit. Where it is that of an edit of this run, its decision is undone, so that Review says so too."""
    from skillos_tui.client.decide import undo_commit

    undone = undo_commit(run, commit, by) if run is not None else None
    return undone if undone is not None else shelf.revert(commit, by)
