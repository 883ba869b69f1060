"""Edits by hand, told as they happen: the names of the skills of a folder that were added, changed or removed.

    async with aclosing(watch(path)) as changes:
        async for change in changes:
            print(change.added, change.changed, change.removed)

    repo = SkillRepo.open(path)
    async for change in follow(repo, SkillIndex.of(repo)):          # both are up to date by then
        ...

What the system tells (watchfiles) is only a hint where to look: a skill is told of when its text differs from what it
was, so no event is a lie, and who wrote a skill recognises that by its own repository. A new folder is always looked
through, since its first file's event may be missed. A burst of events is one change; the folder may be removed and made
again. Waiting costs a thread and, on one slow core, 0.7 % with a `step` of 5 ms, 0.2 % with 20.
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from engine.skills.format.skill import Skill
from engine.skills.repo.layout import read_text, skill_file, skill_files
from engine.skills.repo.repository import SkillRepo, read_skill

if TYPE_CHECKING:
    from engine.skills.search import SkillIndex

STEP_MS = 5
"""How often the queue of the system's events is read; a burst ends when a step brings nothing new."""
BURST_MS = 100
"""For how long a burst may hold a change back."""
QUIET_MS = 1_000
"""How often it is made sure that the folder is still the same one."""
AGAIN_SECONDS = 0.05
"""For how long a skill has to be gone to be told so: editors that replace a file may remove it for a moment."""
NEW_SECONDS = 0.2
"""For how long a new folder without a skill in it is looked at again."""
FLOOD = 1_000
"""Hints in one burst from which on the whole folder is looked through, and once more afterwards: some may be lost."""
POLL_SECONDS = 0.2
"""How often a folder is looked through that is absent or cannot be watched: no watches are left, or it holds links."""
TICK_NS = 50_000_000
"""Longer than the tick of any file system's clock: two writes within one leave the same times."""


class Changes(msgspec.Struct, frozen=True):
    """What became of the skills of a folder: their names, sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def skills(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(sorted({*self.added, *self.changed, *self.removed}))


async def watch(
    path: str | Path, known: Mapping[str, Skill] | None = None, *, step: int = STEP_MS
) -> AsyncGenerator[Changes, None]:
    """The changes of the skills of a folder, as they happen, for as long as they are asked for.

    With `known`, what differs from it already comes first. `step` is in milliseconds. Close the iterator (`aclosing`)
    or cancel the task that waits for it; its thread ends within a step. Raises nothing for what becomes of the folder:
    one that is absent holds no skills, and is watched from when it is there.
    """
    root = Path(path)
    snapshot = _Snapshot(root, known)
    stop = threading.Event()
    executor = ThreadPoolExecutor(1, "skill-watch")
    in_thread = partial(asyncio.get_running_loop().run_in_executor, executor)
    try:
        source = await in_thread(_Source, root, step, stop)
        hints: set[str] | None = None
        first = True
        while True:
            changes = await in_thread(snapshot.look, hints)
            if changes.skills and not (first and known is None):
                yield changes
            first = False
            hints = await in_thread(source.wait, snapshot.restless, snapshot.seconds)
            if source.lost:
                source = await in_thread(_Source, root, step, stop)
                hints = None
    finally:
        stop.set()
        executor.shutdown(wait=False, cancel_futures=True)


async def follow(
    repo: SkillRepo, index: SkillIndex | None = None, *, step: int = STEP_MS
) -> AsyncGenerator[Changes, None]:
    """As `watch` of the folder that `repo` was opened from; `repo` and `index` are up to date before a change is told.

    What `repo` holds already is no change: so its owner's own edits, taken in before they are written, are not told.
    Raises `ValueError` for a repository in memory.
    """
    if repo.path is None:
        raise ValueError("a repository in memory cannot be watched; open one from a folder")
    if index is not None:
        index.sync(repo)
    async with aclosing(watch(repo.path, repo, step=step)) as changes:
        async for change in changes:
            actual = await _take_in(repo, repo.path, index, change.skills)
            if actual.skills:
                yield actual


async def _take_in(repo: SkillRepo, root: Path, index: SkillIndex | None, names: tuple[str, ...]) -> Changes:
    """Bring `repo` and `index` to what the folder holds under `names`; answers what that changed."""
    added, changed, removed = [], [], []
    for name in names:
        new = await asyncio.to_thread(read_skill, root, name)
        old = repo.get(name)
        if new is None and old is not None:
            repo.delete(name)
            removed.append(name)
            if index is not None:
                index.delete(name)
        elif new is not None and old is None:
            repo.insert(new)
            added.append(name)
            if index is not None:
                index.insert(name, new)
        elif new is not None and old is not None and new.text != old.text:
            repo.update(name, new)
            changed.append(name)
            if index is not None:
                index.update(name, new)
    return Changes(tuple(added), tuple(changed), tuple(removed))


class _Source:
    """Hints from the system where in a folder to look. It is `lost` when the folder is another one by now."""

    def __init__(self, root: Path, step: int, stop: threading.Event) -> None:
        self.lost = False
        self._root = root
        self._step = step
        self._stop = stop
        self._folder = _identity(root)
        self._notify: RustNotify | None = None
        if self._folder is not None and not _has_linked_folders(root):
            try:
                self._notify = RustNotify([str(root)], False, False, 0, True, True)
            except OSError:  # gone again, or the system has no watches left: then the folder is looked through
                self._notify = None

    def wait(self, restless: bool, seconds: float) -> set[str] | None:
        """The names of the skills where something may have happened, None for all of them.

        Waits until there are some, but no longer than `QUIET_MS`, and only a moment if `restless`. Without watches it
        waits for `seconds`.
        """
        hints: set[str] | None = set()
        if self._notify is None:
            self._stop.wait(seconds)
            hints = None
        else:
            timeout = int(AGAIN_SECONDS * 1000) if restless else QUIET_MS
            try:
                events = self._notify.watch(BURST_MS, self._step, timeout, self._stop)
            except WatchfilesRustInternalError:
                self._stop.wait(POLL_SECONDS)
                self.lost = True
                return None
            if isinstance(events, set):
                hints = self._names(path for _, path in events)
        self.lost = self.lost or _identity(self._root) != self._folder
        return hints

    def _names(self, paths: Iterable[str]) -> set[str] | None:
        """The skills that paths belong to, None where that cannot be said."""
        tops = {os.path.relpath(path, self._root).partition(os.sep)[0] for path in paths}
        self.lost = self.lost or os.curdir in tops
        if any("\ufffd" in top for top in tops):
            return None  # not UTF-8: the system's library does not tell such a name
        return {name for top in tops if not top.startswith(".") for name in (top, top.removesuffix(".md"))}


def _has_linked_folders(root: Path) -> bool:
    """Whether links to folders are somewhere in `root`: the system's library would watch all that they lead to."""
    walk = os.walk(root)
    return any(os.path.islink(os.path.join(here, name)) for here, names, _ in walk for name in names)  # noqa: PTH114, PTH118


class _Snapshot:
    """The skills of a folder as they were last told, by digests of their texts."""

    def __init__(self, root: Path, known: Mapping[str, Skill] | None) -> None:
        self._root = root
        self._digests = {name: _digest(skill.text) for name, skill in (known or {}).items()}
        self._stamps: dict[str, _Stamp] = {}
        self._doubtful: dict[str, float] = {}
        self._flooded = False
        self._cost = 0.0

    @property
    def restless(self) -> bool:
        """Whether to look again soon, also without a hint."""
        return bool(self._doubtful) or self._flooded

    @property
    def seconds(self) -> float:
        """How long to wait between looks without hints, so that they take no more than a twentieth of a core."""
        return max(POLL_SECONDS, 20 * self._cost)

    def look(self, hints: set[str] | None) -> Changes:
        """Look at the skills that `hints` name, None for all of them; what has changed since the last look."""
        now = time.monotonic()
        flood = hints is not None and len(hints) >= FLOOD
        if flood or self._flooded:
            hints = None
        self._flooded = flood
        added, changed, removed = [], [], []
        for name, file in self._places(hints).items():
            before = self._digests.get(name)
            if file is None:
                if self._gone(name, now):
                    del self._digests[name]
                    self._stamps.pop(name, None)
                    removed.append(name)
                continue
            self._doubtful.pop(name, None)
            self._digests[name] = self._digest_of(name, file, trust=hints is None)
            if before is None:
                added.append(name)
            elif before != self._digests[name]:
                changed.append(name)
        self._cost = time.monotonic() - now
        return Changes(tuple(sorted(added)), tuple(sorted(changed)), tuple(sorted(removed)))

    def _places(self, hints: set[str] | None) -> dict[str, str | None]:
        """The file of each skill to look at, None where there is none (any more)."""
        if hints is not None:
            return {name: skill_file(self._root, name) for name in {*hints, *self._doubtful}}
        try:
            files = skill_files(self._root)
        except (FileNotFoundError, NotADirectoryError):
            files = {}
        except OSError:
            return {}  # it may not be looked into now; nothing is known to have changed
        return {name: files.get(name) for name in {*self._digests, *files}}

    def _gone(self, name: str, now: float) -> bool:
        """Whether a skill that is not there is to be told as removed; what is doubtful is looked at again."""
        since = self._doubtful.setdefault(name, now)
        known = name in self._digests
        waiting = now - since < (AGAIN_SECONDS if known else NEW_SECONDS)
        if waiting and self._root.is_dir() and (known or (self._root / name).is_dir()):
            return False
        del self._doubtful[name]
        return known

    def _digest_of(self, name: str, file: str, trust: bool) -> bytes:
        """The digest of a skill's text; with `trust` a file that looks untouched is not read again."""
        stamp = _stamp(self._root / file)
        if trust and stamp.settled and stamp == self._stamps.get(name):
            return self._digests[name]
        self._stamps[name] = stamp
        return _digest(read_text(self._root, file)[0])


class _Stamp(NamedTuple):
    """What tells an untouched file without reading it, if it was `settled`: at rest for longer than a clock's tick."""

    inode: int
    size: int
    written_ns: int
    changed_ns: int
    settled: bool


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return _Stamp(0, 0, 0, 0, False)
    settled = time.time_ns() - status.st_ctime_ns > TICK_NS
    return _Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, settled)


def _identity(root: Path) -> tuple[int, int] | None:
    """Which folder it is, None where there is none."""
    try:
        status = root.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
