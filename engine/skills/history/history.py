"""The history of a repository of skills: one git commit for each approved edit. Every commit can be undone.

    history = History.open(path)                     # git need not be installed or configured
    commit = history.commit(edit, message="...", trailers={"Run": "r1", "Reviewer": "ada"})
    history.log(10), history.diff(commit), history.revert(commit, trailers={"Reviewer": "ada"})
    history.restore(history.at(step=3).id, trailers={"Reviewer": "ada"})             # the whole folder, as a new commit
    history.blame("mugs")[4].commit.trailers["Edit"]                                 # the edit that wrote the fifth line

Skills are written to the disk here only. Inside a larger repository the history is in `.skillos/history` (`place`), and the
index and the branches of the larger one are not touched. No text is lost: `open` commits the files that it finds, and manual
changes of a skill are committed before the next edit of it. A lock serializes the writers. If a file differs from the text
that an edit was made from, `Conflict` is raised and the file is kept. After a crash the folder is at one commit or at the
other. No link is followed, also where another process swaps one in meanwhile (`checkout`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pygit2
from pygit2.enums import FileMode

from engine.core.beneath import Beneath, LinkInTheWay
from engine.core.edit import Edit
from engine.core.locks import PROBE_SECONDS, holder_of, wait_lock
from engine.skills.format.skill import MAX_BYTES
from engine.skills.history.blame import place_of_skill
from engine.skills.history.checkout import Checkout
from engine.skills.history.commits import BlamedLine, Commit, FileChange, commit_of, message_with
from engine.skills.history.errors import Conflict, HistoryError, Uncertain, translate_errors
from engine.skills.history.head import APART, FOLDER
from engine.skills.history.place import Place, ignore_user_git_config, place_of
from engine.skills.history.reader import HistoryReader
from engine.skills.history.repository import (
    drafts,
    make_repository,
    own_repository,
    refuse_unfinished,
    remove_drafts,
)
from engine.skills.history.store import MARKER
from engine.skills.history.trees import FileDelta, TreeEntry, deltas, files, head_of
from engine.skills.repo.layout import SKILL_FILE, TooLarge, decoded_name, find_places, is_skill, read_bytes, skill_path
from engine.skills.repo.rule import own_files

__all__ = ["BlamedLine", "Commit", "Conflict", "FileChange", "History", "HistoryError", "Uncertain"]

WAIT_SECONDS = 10.0
LOCK = "skillos.lock"
"""The lock file of the writers, in the git directory."""

_RECORD = "Record what was changed by hand"


class History(HistoryReader):
    """The history of one folder, to read and to write. Open it where it is used: an instance belongs to one thread.

    A method that writes returns once its commit is made; `warning` then says what is left to do, "" for nothing. It raises
    `HistoryError` where the commit was not made (see `errors`).
    """

    def __init__(self, place: Place, repository: pygit2.Repository, wait: float) -> None:
        super().__init__(place.root, repository)
        self.place = place
        self.warning = ""
        self._wait = wait

    @classmethod
    def open(cls, path: str | Path, *, wait: float = WAIT_SECONDS, parents: bool = True) -> Self:
        """The history of the folder `path`. Creates the folder, its git directory and its first commit if they are absent.

        With `parents` false, the folder above must exist: a run that was deleted is not made again. `wait` is how long, in
        seconds, each later call waits at most for another writer. Raises `HistoryError`.
        """
        root = Path(path)
        with translate_errors(root, "open the history"):
            ignore_user_git_config()
            root.mkdir(parents=parents, exist_ok=True)
            place = place_of(root)
            if not place.exists:
                make_repository(place)
            history = cls(place, own_repository(place), wait)
            if history._repository.head_is_unborn or (place.path / MARKER).exists() or drafts(place):
                with history._writing("finish the history"):
                    remove_drafts(place)
        return history

    @classmethod
    def existing(cls, path: str | Path, *, wait: float = WAIT_SECONDS) -> Self | None:
        """The history of the folder `path`, None where it has no commit yet. Raises `HistoryError`.

        Creates and changes nothing, and needs no right to write: an edit that a crash interrupted is finished by the next
        write or by `open`.
        """
        root = Path(path)
        with translate_errors(root, "open the history"):
            ignore_user_git_config()
            place = place_of(root)
            if not place.exists:
                return None
            repository = own_repository(place)
            return None if repository.head_is_unborn else cls(place, repository, wait)

    def commit(self, edit: Edit, *, message: str, trailers: Mapping[str, str]) -> str:
        """Write an approved edit to the disk as one commit. Returns the commit's id.

        `trailers` (run, step, task, proposer, reason, reviewer) are appended to the message, with Operation and Skill.
        Raises `Conflict` where the file is not `edit.before` or the new name is taken, and `HistoryError`.
        """
        given = {**trailers, "Operation": edit.operation, "Skill": edit.new_name or edit.skill}
        text = message_with(message, given)
        with self._writing(f"commit the edit of {edit.skill!r}") as checkout:
            path = skill_path(self.path, edit.skill)
            self._check(checkout, edit, path)
            moves = edit.after is None or bool(edit.new_name)
            self._record(checkout, f"{_RECORD} in {edit.skill}", place_of_skill(path), ignored=moves)
            return self._advance(checkout, self._changes(checkout, edit, path), text)

    def put(
        self,
        skills: Mapping[str, Mapping[str, tuple[bytes, bool]]],
        *,
        message: str,
        trailers: Mapping[str, str],
        replace: Set[str] = frozenset(),
    ) -> str:
        """Write whole skills, with all their files, as one commit. Returns the commit's id.

        `skills` maps a name to the files of the skill: by path, the bytes and whether the file is executable. The skills in
        `replace` are replaced, after their files are committed. Raises `Conflict` where another name is taken, and
        `HistoryError`.
        """
        text = message_with(message, trailers)
        with self._writing("write the skills") as checkout:
            places = {name: place or f"{name}/{SKILL_FILE}" for name, place in find_places(self.path, skills).items()}
            for name, path in places.items():
                if name not in replace and (checkout.folder.exists(path) or checkout.folder.exists(name)):
                    raise Conflict(path, self._on_disk(path), f"{name} exists already; choose another name")
            if replace:
                self._record(checkout, _RECORD, "")
            known = self._committed("")
            changes: dict[str, TreeEntry | None] = {}
            for place in (places[name] for name in replace & places.keys()):
                changes |= dict.fromkeys(own_files(self._committed(place_of_skill(place)), place))
            for contents in skills.values():
                for path, (data, executable) in contents.items():
                    mode = FileMode.BLOB_EXECUTABLE if executable else FileMode.BLOB
                    changes[path] = (checkout.store.blob(data), int(mode))
            changed = {path: entry for path, entry in changes.items() if entry != known.get(path)}
            return self._advance(checkout, changed, text)

    def record(self, message: str = _RECORD) -> str | None:
        """Commit the folder as it is. Returns the commit's id, None where nothing differs. Raises `HistoryError`."""
        with self._writing("record the folder") as checkout:
            return self._record(checkout, message, "")

    def revert(self, commit_id: str, *, trailers: Mapping[str, str], message: str = "") -> str:
        """Undo one commit by a new commit. Returns the id of the new commit.

        Raises `Conflict` where a file was changed since, and `HistoryError` for the first commit, a merge or an unknown id.
        """
        with self._writing(f"undo {commit_id[:40]}") as checkout:
            commit = self._lookup(commit_id)
            if len(commit.parents) != 1:
                kind = "a merge" if commit.parents else "the first commit"
                raise HistoryError(f"{commit_id[:40]} is {kind} and cannot be undone; undo single edits instead")
            changes: dict[str, TreeEntry | None] = {}
            for delta in deltas(commit.parents[0], commit):
                if not checkout.holds(delta.path, delta.new):
                    why = self._why_kept(checkout, commit, delta)
                    raise Conflict(delta.path, self._on_disk(delta.path), why)
                changes[delta.path] = (delta.old, delta.old_mode) if delta.old else None
            for folder in {place_of_skill(path) for path in changes}:
                self._record(checkout, _RECORD, folder)
            subject = message or f"Undo: {commit_of(commit).subject}"
            return self._advance(checkout, changes, message_with(subject, {**trailers, "Reverts": str(commit.id)}))

    def _why_kept(self, checkout: Checkout, commit: pygit2.Commit, delta: FileDelta) -> str:
        """Why a commit cannot be undone where a file is not as that commit left it."""
        if checkout.holds(delta.path, delta.old):
            return f"{delta.path} is as it was before that commit already, so there is nothing to undo"
        head = self._repository.head.target
        if commit.id != head and not self._repository.descendant_of(head, commit.id):
            return (
                f"the commit {str(commit.id)[:10]} is not in the present history any more, by a reset or another branch, "
                f"and {delta.path} is not as it left it; bring that commit back first"
            )
        return f"{delta.path} was changed since; undo the later edit first"

    def restore(self, commit_id: str, *, trailers: Mapping[str, str], message: str = "") -> str | None:
        """Restore the whole folder as it was at a commit, by a new commit, which can be undone like any other.

        Manual changes are committed first. Returns the id of the new commit, None where nothing differs. Raises `Conflict`
        where an uncommitted file is in the way, and `HistoryError`.
        """
        with self._writing(f"restore {commit_id[:40]}") as checkout:
            commit = self._lookup(commit_id)
            self._record(checkout, _RECORD, "")
            changes: dict[str, TreeEntry | None] = {}
            for delta in deltas(head_of(self._repository), commit):
                if not checkout.holds(delta.path, delta.old):
                    why = f"{delta.path} is not what any commit holds; move it away first"
                    raise Conflict(delta.path, self._on_disk(delta.path), why)
                changes[delta.path] = (delta.new, delta.new_mode) if delta.new else None
            if not changes:
                return None
            subject = message or f"Restore: {commit_of(commit).subject}"
            return self._advance(checkout, changes, message_with(subject, {**trailers, "Restores": str(commit.id)}))

    def _check(self, checkout: Checkout, edit: Edit, path: str) -> None:
        """Raise `Conflict` unless the files on disk are those that the edit was made from."""
        present = self._deletable(path) if edit.after is None else self._text_of(checkout, path)
        if present != edit.before:
            happened = "was deleted" if present is None else "exists already" if edit.before is None else "was changed"
            message = (
                f"{path} {happened} since the edit was proposed; ask again to see the new diff, and decide on that"
            )
            raise Conflict(path, present, message)
        if edit.new_name:
            target = _renamed(path, path, edit)
            names = {edit.new_name, f"{edit.new_name}.md", skill_path(self.path, edit.new_name)}
            taken = {place_of_skill(target), target, *names}
            if any(checkout.folder.exists(place) for place in taken):
                message = f"{edit.new_name} exists already, so {edit.skill} cannot move there; choose another name"
                raise Conflict(target, self._on_disk(target), message)

    def _text_of(self, checkout: Checkout, path: str) -> str | None:
        """The text of a skill's file, None where there is none. Raises `OSError`, and `HistoryError` for a link."""
        try:
            data = checkout.folder.read(path, MAX_BYTES)
        except FileNotFoundError:
            return None
        except LinkInTheWay as error:
            raise HistoryError(f"{error.filename}: {error.strerror}; replace the link by its target") from error
        if len(data) > MAX_BYTES:
            size = checkout.folder.lstat(path).st_size
            raise TooLarge(f"it has {size:,} bytes, {MAX_BYTES:,} are allowed")
        return data.decode("utf-8", "replace")

    def _deletable(self, path: str) -> str | None:
        """As `_text_of`, but as a repository reads it: through a link, and "" for what it cannot read."""
        try:
            return read_bytes(self.path, path).decode("utf-8", "replace")
        except PermissionError:
            raise
        except FileNotFoundError:
            return None
        except OSError:
            return ""

    def _on_disk(self, path: str) -> str | None:
        """The text at a path for a message about a conflict; None where there is none or it cannot be read."""
        with suppress(OSError):
            return read_bytes(self.path, path).decode("utf-8", "replace")
        return None

    def _changes(self, checkout: Checkout, edit: Edit, path: str) -> dict[str, TreeEntry | None]:
        """The changed files of the new tree. A skill's other files are moved and deleted with it."""
        present = own_files(self._committed(place_of_skill(path)), path)
        if edit.after is None:
            if not present.keys() & {path, place_of_skill(path)}:
                raise HistoryError(
                    f"{path} is nothing that git can hold, so it could not be restored; remove it by hand"
                )
            return dict.fromkeys(present)
        mode = present.get(path, ("", int(FileMode.BLOB)))[1]
        written = (checkout.store.blob(edit.after.encode("utf-8")), mode)
        if not edit.new_name:
            return {path: written}
        moved = {_renamed(name, path, edit): entry for name, entry in present.items()}
        return {**dict.fromkeys(present), **moved, _renamed(path, path, edit): written}

    def _record(self, checkout: Checkout, message: str, under: str, *, ignored: bool = False) -> str | None:
        """Commit the files of the folder (or of its part `under`) that differ from the head commit.

        Files that git ignores are included only with `ignored`: before a skill is moved or deleted with all its files.
        """
        head = head_of(self._repository)
        known = self._committed(under)
        changes: dict[str, TreeEntry | None] = {path: None for path in known if decoded_name(path) == path}
        for path in checkout.walk(under):
            if ignored or path in known or is_skill(path) or not self._repository.path_is_ignored(path):
                try:
                    changes[path] = checkout.stored(path)
                except PermissionError:
                    changes[path] = known.get(path)
        changed = {path: entry for path, entry in changes.items() if entry != known.get(path)}
        if not changed and head is not None:
            return None
        commit = checkout.store.commit(checkout.store.tree(head, changed), message_with(message, {}), head)
        checkout.adopt(commit)
        return str(commit.id)

    def _committed(self, under: str) -> dict[str, TreeEntry]:
        """The files of the head commit, {} before the first commit."""
        head = head_of(self._repository)
        return {} if head is None else files(head.tree, under)

    def _advance(self, checkout: Checkout, changes: dict[str, TreeEntry | None], message: str) -> str:
        head = head_of(self._repository)
        assert head is not None
        commit = checkout.store.commit(checkout.store.tree(head, changes), message, head)
        checkout.advance(commit)
        return str(commit.id)

    @contextmanager
    def _writing(self, what: str) -> Iterator[Checkout]:
        """Hold the lock, after an interrupted write is finished. Errors are translated."""
        self.warning = ""
        with (
            translate_errors(self.path, what),
            _git_directory(self.place) as git,
            _lock(git, self._wait),
            Checkout.open(self.place, self._repository, git) as checkout,
        ):
            if self.place.inside == APART:
                with suppress(FileExistsError):
                    checkout.folder.write(f"{FOLDER}/.gitignore", b"*\n")
            checkout.recover()
            refuse_unfinished(self._repository, what)
            if self._repository.head_is_unborn:
                self._record(checkout, "Begin the history with what is here", "")
            yield checkout
            self.warning = "; ".join(checkout.warnings)


def _renamed(path: str, skill: str, edit: Edit) -> str:
    """The path, after the renaming `edit`, of a file of the skill whose own file is `skill`."""
    folder = skill.rpartition("/")[0]
    if not folder:
        return f"{edit.new_name}.md"
    parent = folder.rpartition("/")[0]
    return f"{parent}/{edit.new_name}".removeprefix("/") + path.removeprefix(folder)


@contextmanager
def _git_directory(place: Place) -> Iterator[Beneath]:
    """The git directory of a folder, reached without following a link below the folder."""
    with Beneath(place.root) as folder:
        git = folder.below(place.inside)
    try:
        yield git
    finally:
        with suppress(OSError):
            git.close()


@contextmanager
def _lock(git: Beneath, wait: float) -> Iterator[None]:
    """Hold the writers' lock: as `engine.core.locks.file_lock`, with a file that no swapped link leads to."""
    descriptor = git.descriptor(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not wait_lock(descriptor, max(wait, PROBE_SECONDS)):
            path = git.root / LOCK
            raise HistoryError(
                f"{holder_of(path)} writes to {git.root} and did not finish within {wait:g} s; wait for it or stop it, "
                "then try again"
            )
        yield
    finally:
        with suppress(OSError):  # the lock is released all the same
            os.close(descriptor)
