"""What the Skills screen asks of a folder of skills: the list, searches, texts, the history, and the changes that undo.

    shelf = Shelf(folder)
    shelf.names()                                   # at once, also for 10,000 skills
    shelf.about(), shelf.search("a hot mug")        # after all files were read; the index is kept between questions
    shelf.page("find-mugs")                         # text, findings, versions, blame
    shelf.revert(commit, by="ann")

Each method blocks, and may be called from any thread. The repository and its index are read again only where files changed.
Raises `SkillosError` and `OSError`, whose messages are for people.
"""

from __future__ import annotations

import threading
from pathlib import Path

from engine.core.edit import Edit, OperationName
from engine.core.errors import SkillosError
from engine.skills import History, HistoryError, SkillIndex, SkillRepo
from engine.skills.history.head import APART
from engine.skills.history.place import place_of
from engine.skills.history.reader import Version
from engine.skills.repo.layout import layout_of
from engine.skills.repo.pins import PinsError, pin, pins, unpin
from engine.skills.repo.repository import read_skill
from skillos_tui.model.shelf import (
    MAX_FOUND,
    About,
    Blamed,
    CommitDiff,
    CommitLog,
    Described,
    Done,
    Names,
    Page,
    Results,
)

MAX_LOG = 1_000
"""Commits that are listed."""
MAX_FILES = 1_000
"""The most files of one commit whose changes are shown."""


class ShelfError(SkillosError):
    """A folder of skills cannot be listed; the message says which and why."""


class Shelf:
    """The skills of one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._index = SkillIndex()
        self._repo = SkillRepo.empty()

    def names(self) -> Names:
        """The names of the skills, without reading their files."""
        try:
            layout = layout_of(self.root)
        except OSError as error:
            raise ShelfError(f"the skills of {self.root} cannot be listed: {error.strerror or error}") from error
        try:
            pinned, trouble = pins(self.root), ""
        except PinsError as error:
            pinned, trouble = {}, str(error)
        return Names(tuple(sorted(layout.files)), layout.left_out, pinned, trouble, dict(layout.files))

    def about(self) -> Described:
        """Every skill in short; all files are read."""
        repo = SkillRepo.open(self.root)
        with self._lock:
            self._repo = repo
            self._index.sync(repo)
        return Described(
            {
                name: About(skill.description, len(skill.text.split()), len(skill.findings))
                for name, skill in repo.items()
            }
        )

    def search(self, words: str) -> Results:
        """The skills that BM25 finds, as the executor's search does, with what each word adds."""
        if not len(self._repo):
            self.about()
        with self._lock:
            return Results(words, tuple(self._index.explain(words, MAX_FOUND)))

    def page(self, name: str) -> Page:
        """One skill, with its versions."""
        skill = read_skill(self.root, name)
        versions: tuple[Version, ...] = ()
        uncommitted, trouble = None, ""
        try:
            history = self._history()
            if history is None:
                trouble = self._no_history()
            else:
                versions, uncommitted = tuple(history.versions(name, MAX_LOG)), history.uncommitted(name)
        except HistoryError as error:  # the text is shown all the same
            trouble = str(error)
        files = SkillRepo({}, path=self.root).files(name) if skill is not None else ()
        text, findings = (skill.text, skill.findings) if skill is not None else (None, ())
        return Page(name, text, findings, files, versions, uncommitted, trouble)

    def blame(self, name: str) -> Blamed:
        """Where each line of a skill came from."""
        try:
            return Blamed(name, tuple(self._needed().blame(name)))
        except HistoryError as error:
            return Blamed(name, (), str(error))

    def log(self) -> CommitLog:
        """The newest commits of the folder."""
        history = self._history()
        return CommitLog(tuple(history.log(MAX_LOG)) if history is not None else ())

    def diff(self, commit: str, since: str = "") -> CommitDiff:
        """What a commit changed, or what differs between it and `since`."""
        files = self._needed().show(commit, since=since)
        return CommitDiff(commit, tuple(files[:MAX_FILES]), since, max(0, len(files) - MAX_FILES))

    def revert(self, commit: str, by: str) -> Done:
        """Undo one commit by a new one; what was done, as a sentence."""
        history = self._needed()
        made = history.revert(commit, trailers={"Reviewer": by})
        return _done(history, made, f"Commit {commit[:10]} is undone by {made[:10]}; to revert that one takes it back.")

    def restore(self, commit: str, by: str) -> Done:
        """Restore the whole folder as it was at a commit, by a new commit."""
        history = self._needed()
        made = history.restore(commit, trailers={"Reviewer": by})
        if made is None:
            return Done(f"The folder is as it was at {commit[:10]} already.")
        return _done(
            history, made, f"All skills are as they were at {commit[:10]}; commit {made[:10]}, which can be reverted."
        )

    def restore_skill(self, version: Version, name: str, by: str) -> Done:
        """Write a skill's file as a commit left it, by a new commit."""
        present = read_skill(self.root, name)
        before = present.text if present is not None else None
        if before == version.text:
            return Done(f"{name} is as it was at {version.commit.id[:10]} already.")
        operation: OperationName = "insert" if before is None else "delete" if version.text is None else "update"
        edit = Edit(operation, name, before, version.text)
        history = History.open(self.root)
        made = history.commit(
            edit,
            message=f"Restore {name} as at {version.commit.id[:10]}",
            trailers={"Reviewer": by, "Restored-From": version.commit.id},
        )
        return _done(
            history,
            made,
            f"{name} is as it was at {version.commit.id[:10]}; commit {made[:10]}, which can be reverted.",
        )

    def pin(self, name: str, by: str, *, pinned: bool) -> Done:
        """Pin a skill, or unpin it; what holds now, as a sentence."""
        if pinned:
            pin(self.root, name, by)
            return Done(f"{name} is pinned: no policy changes it until it is unpinned.")
        unpin(self.root, name)
        return Done(f"{name} is not pinned any more: policies may change it.")

    def _history(self) -> History | None:
        return History.existing(self.root)

    def _no_history(self) -> str:
        """That the folder has no history, and whose commits are not shown."""
        if not self.root.is_dir():
            return f"{self.root} is gone."
        why = place_of(self.root).why
        if not why:
            return "This folder has no history yet; it begins with the first edit."
        return (
            f"No history yet: the first edit begins one in {APART}, since {why}; the commits of that one are not shown."
        )

    def _needed(self) -> History:
        history = self._history()
        if history is None:
            raise HistoryError(self._no_history())
        return history


def _done(history: History, commit: str, text: str) -> Done:
    return Done(f"{text} {history.warning}".rstrip(), commit)
