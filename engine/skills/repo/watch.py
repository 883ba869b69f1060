"""Watch a folder of skills: which skills were added, changed or removed.

    async with aclosing(watch(path)) as changes:
        async for change in changes:
            print(change.added, change.changed, change.removed)

    repo = SkillRepo.open(path)
    async for change in follow(repo, SkillIndex.of(repo)):          # updates both before it yields
        ...

File system events (watchfiles) only say which skills to read again. A change is reported when the text of a skill differs
from the last known text. A new folder is read again for a while, because the event of its first file can be missed. Events
of one burst are reported as one change. The folder can be removed and created again.

An edit is reported after 10 ms (median; p99 20 ms), a removal after 62 ms. The wait takes one thread and, with a `step` of
5 ms, 0.4 to 0.7 % of a core; longer steps cost less (`tests.benchmarks.watch`, 1,000 skills).
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import watchfiles

from engine.skills.format.skill import Skill
from engine.skills.repo.layout import layout_of, read_text, skill_file, usual_place
from engine.skills.repo.listing import list_folder
from engine.skills.repo.repository import SkillRepo, read_skills
from engine.skills.repo.rule import NOT_SEARCHED, Layout, is_skill_file

if TYPE_CHECKING:
    from engine.skills.search import SkillIndex

STEP_MS = 5
"""Interval at which the queue of file system events is read. A burst ends when one interval brings no event."""
BURST_MS = 100
"""Longest time for which a burst delays a change."""
RECHECK_MS = 50
"""How long a skill must be absent before it is reported as removed: some editors remove a file before they replace it."""
NEW_FOLDER_SECONDS = 0.2
"""How long a new folder without a skill is read again."""
IDENTITY_SECONDS = 1.0
"""Interval at which the folder itself is compared with the one that is watched."""
FLOOD = 1_000
"""Number of skills in one burst from which on the whole folder is read, twice: the system drops events of long bursts."""
POLL_SECONDS = 0.2
"""Interval of reading a folder that is absent or cannot be watched (no watches are left, or it holds links)."""
CLOCK_TICK_NS = 50_000_000
"""Longer than the clock tick of any file system: two writes within one tick have the same times."""


class Changes(msgspec.Struct, frozen=True):
    """The names of the skills that changed, sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def skills(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted({*self.added, *self.changed, *self.removed}))


async def watch(
    path: str | Path, known: Mapping[str, Skill] | None = None, *, step: int = STEP_MS
) -> AsyncGenerator[Changes, None]:
    """Yield the changes of the skills of a folder until the iterator is closed.

    With `known`, the first change is the difference between `known` and the folder. Without it, the first is empty and comes
    when the watch begins: what is read from then on misses no change. `step` is in milliseconds. Close the iterator
    (`aclosing`) or cancel the task that waits for it; the thread then ends within one step. Raises nothing for the state of
    the folder: an absent folder holds no skills and is watched from its creation on.
    """
    root = Path(path)
    snapshot = _Snapshot(root, known)
    stop = threading.Event()
    executor = ThreadPoolExecutor(1, "skill-watch")
    in_thread = partial(asyncio.get_running_loop().run_in_executor, executor)
    try:
        events = await in_thread(_Events, root, step, stop)
        paths: set[str] | None = None
        first = True
        while True:
            changes = await in_thread(snapshot.update, paths)
            if first and known is None:
                yield Changes()
            elif changes.skills:
                yield changes
            first = False
            paths = await in_thread(events.wait, snapshot.recheck, snapshot.poll_seconds)
            if events.stale:
                events = await in_thread(_Events, root, step, stop)
                paths = None
    finally:
        stop.set()
        executor.shutdown(wait=False, cancel_futures=True)


async def follow(
    repo: SkillRepo, index: SkillIndex | None = None, *, step: int = STEP_MS
) -> AsyncGenerator[Changes, None]:
    """`watch` the folder that `repo` was opened from, and update `repo` and `index` before each change is yielded.

    A text that `repo` holds already is no change, so the caller's own edits are not reported if `repo` is updated before
    the file is written. Raises `ValueError` for a repository in memory.
    """
    if repo.path is None:
        raise ValueError("a repository in memory cannot be watched; open one from a folder")
    if index is not None:
        index.sync(repo)
    async with aclosing(watch(repo.path, repo, step=step)) as changes:
        async for change in changes:
            applied = await _apply(repo, repo.path, index, change)
            if applied.skills:
                yield applied


async def _apply(repo: SkillRepo, root: Path, index: SkillIndex | None, change: Changes) -> Changes:
    """Read the skills of a change from the folder into `repo` and `index`. Returns what changed in `repo`."""
    added, changed, removed = [], [], []
    read = await asyncio.to_thread(read_skills, root, (*change.added, *change.changed))
    for name in change.skills:
        new = read.get(name)
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


class _Events:
    """The file system events of a folder, as paths in it. `stale` once the path of the folder names another folder."""

    def __init__(self, root: Path, step: int, stop: threading.Event) -> None:
        """Start to watch `root`. Events before the return of this call can be lost: read the whole folder next."""
        self.stale = False
        self._root = root
        self._stop = stop
        self._folder = _identity(root)
        self._paths: Generator[set[tuple[watchfiles.Change, str]], None, None] | None = None
        if self._folder is not None and not _has_linked_folders(root):
            self._paths = watchfiles.watch(
                root,
                watch_filter=None,
                debounce=BURST_MS,
                step=step,
                stop_event=stop,
                rust_timeout=RECHECK_MS,
                yield_on_timeout=True,
                debug=False,
                force_polling=False,
                ignore_permission_denied=True,
            )
            try:
                next(self._paths, None)  # the generator sets its watches when it is first advanced
            except (OSError, RuntimeError, UnicodeEncodeError):
                # the folder is gone again, no watches are left, or watchfiles cannot name it in UTF-8: poll it
                self._paths = None

    def wait(self, recheck: bool, poll_seconds: float) -> set[str] | None:
        """Wait for events. Returns the paths that changed, or None to read all skills.

        Returns an empty set after `IDENTITY_SECONDS` without events, or after `RECHECK_MS` with `recheck`. A folder that is
        not watched is read after `poll_seconds`.
        """
        found: set[str] | None = None
        if self._paths is None:
            self._stop.wait(poll_seconds)
        else:
            deadline = time.monotonic() + (0 if recheck else IDENTITY_SECONDS)
            try:
                changes = next(self._paths, None)
                while not changes and time.monotonic() < deadline and not self._stop.is_set():
                    changes = next(self._paths, None)
            except RuntimeError:  # the notifier failed
                self._stop.wait(POLL_SECONDS)
                self.stale = True
                return None
            found = self._below(path for _, path in changes or ())
        self.stale = self.stale or _identity(self._root) != self._folder
        return found

    def _below(self, paths: Iterable[str]) -> set[str] | None:
        """`paths` relative to the folder. None where one is not UTF-8, which watchfiles does not report."""
        found = {os.path.relpath(path, self._root) for path in paths}
        self.stale = self.stale or os.curdir in found
        if any("\ufffd" in path for path in found):
            return None
        return {path for path in found if path != os.curdir and NOT_SEARCHED.isdisjoint(path.split("/"))}


def _has_linked_folders(root: Path) -> bool:
    """Whether `root` holds links to folders: watchfiles would watch their targets."""
    walk = os.walk(root)
    return any(os.path.islink(os.path.join(here, name)) for here, names, _ in walk for name in names)  # noqa: PTH114, PTH118


class _Snapshot:
    """The last reported skills of a folder, as digests of their texts."""

    def __init__(self, root: Path, known: Mapping[str, Skill] | None) -> None:
        self._root = root
        self._digests = {name: _digest(skill.text) for name, skill in (known or {}).items()}
        self._places: dict[str, str] = {}
        self._several: set[str] = set()
        self._stamps: dict[str, _Stamp] = {}
        self._absent_since: dict[str, float] = {}
        self._flooded = False
        self._new_folders: dict[str, float] = {}
        self._seconds = 0.0

    @property
    def recheck(self) -> bool:
        """Whether `update` must be called again soon, also without events."""
        return bool(self._absent_since or self._new_folders) or self._flooded

    @property
    def poll_seconds(self) -> float:
        """The interval of polling: long enough to use at most a twentieth of a core."""
        return max(POLL_SECONDS, 20 * self._seconds)

    def update(self, paths: set[str] | None) -> Changes:
        """Read the skills that changes of `paths` concern, or all for None. Returns what changed since the last call."""
        now = time.monotonic()
        flood = paths is not None and len(paths) >= FLOOD
        names = None if paths is None or flood or self._flooded else self._names(paths, now)
        self._flooded = flood
        added, changed, removed = [], [], []
        for name, file in self._files(names).items():
            before = self._digests.get(name)
            if file is None:
                if self._is_removed(name, now):
                    del self._digests[name]
                    self._stamps.pop(name, None)
                    removed.append(name)
                continue
            self._absent_since.pop(name, None)
            self._digests[name] = self._digest_of(name, file, use_stamp=names is None)
            if before is None:
                added.append(name)
            elif before != self._digests[name]:
                changed.append(name)
        self._seconds = time.monotonic() - now
        return Changes(tuple(sorted(added)), tuple(sorted(changed)), tuple(sorted(removed)))

    def _files(self, names: set[str] | None) -> dict[str, str | None]:
        """The file of each skill to read, None for a skill that is absent."""
        if names is not None:
            return {name: self._place(name) for name in {*names, *self._absent_since}}
        try:
            layout = layout_of(self._root)
        except (FileNotFoundError, NotADirectoryError):
            layout = Layout({}, (), frozenset())
        except OSError:
            return {}  # the folder cannot be read now, so no change is known
        self._places, self._several = dict(layout.files), set(layout.several)
        return {name: layout.files.get(name) for name in {*self._digests, *layout.files}}

    def _place(self, name: str) -> str | None:
        """The file of one skill, None where it is absent. All is searched only for a name that several skills have."""
        place = usual_place(self._root, name)
        if place is None and name in self._several:
            place = skill_file(self._root, name)
        elif place is None:
            known = self._places.get(name, "")
            is_deep = is_skill_file(known.rpartition("/")[2]) and _kind(self._root / known) == stat.S_IFREG
            place = known if is_deep else None
        if place is not None:
            self._places[name] = place
        return place

    def _names(self, paths: set[str], now: float) -> set[str] | None:
        """The names of the skills that changes of `paths` concern, and of those in new folders. None for all."""
        names: set[str] = set()
        folders: set[str] = set()
        for path in paths:
            folder, _, name = path.rpartition("/")
            kind = _kind(self._root / path)
            if kind == stat.S_IFLNK:
                return None
            if kind == stat.S_IFDIR:
                self._new_folders.setdefault(path, now)
            if kind in (stat.S_IFDIR, 0):
                folders.add(path)
            if is_skill_file(name):
                names.add(self._seen(path, self._root.resolve().name))
            elif not folder and name.endswith(".md"):
                names.add(name[:-3])
        for name, place in self._places.items() if folders else ():
            if place in folders or any(place[:end] in folders for end in _ends(place)):
                names.add(name)
        for path, since in list(self._new_folders.items()):
            found = _skills_below(self._root, path)
            names |= {self._seen(place, "") for place in found}
            if found or now - since > NEW_FOLDER_SECONDS:
                del self._new_folders[path]
        return names

    def _seen(self, place: str, top: str) -> str:
        """The name of the skill at `place`, of which an event was seen. `top` is the name of the folder itself."""
        name = place.rpartition("/")[0].rpartition("/")[2] or top
        if self._places.setdefault(name, place) != place:
            self._several.add(name)
        return name

    def _is_removed(self, name: str, now: float) -> bool:
        """Whether an absent skill is reported as removed now. If it is too early to say, it is read again."""
        since = self._absent_since.setdefault(name, now)
        known = name in self._digests
        waiting = now - since < RECHECK_MS / 1_000
        if waiting and known and self._root.is_dir():
            return False
        del self._absent_since[name]
        self._places.pop(name, None)
        return known

    def _digest_of(self, name: str, file: str, use_stamp: bool) -> bytes:
        """The digest of a skill's text. With `use_stamp`, a file whose stamp is unchanged is not read again."""
        stamp = _stamp(self._root / file)
        if use_stamp and stamp.settled and stamp == self._stamps.get(name):
            return self._digests[name]
        self._stamps[name] = stamp
        return _digest(read_text(self._root, file)[0])


class _Stamp(NamedTuple):
    """The state of a file without its content. `settled`: the last change is older than one clock tick."""

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
    settled = time.time_ns() - status.st_ctime_ns > CLOCK_TICK_NS
    return _Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, settled)


def _skills_below(root: Path, path: str) -> list[str]:
    """The files of the skills at and below the folder `path`."""
    try:
        found = [f"{path}/{each.path}" for each in list_folder(root / path) if each.kind == "file"]
    except OSError:
        return []
    return [place for place in found if is_skill_file(place.rpartition("/")[2])]


def _kind(path: Path) -> int:
    """The type of a file; 0 where there is none."""
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except OSError:
        return 0


def _ends(path: str) -> Iterator[int]:
    """The lengths of the folders of `path`."""
    return (end for end, character in enumerate(path) if character == "/")


def _identity(root: Path) -> tuple[int, int] | None:
    """Device and inode of a folder, None where there is none."""
    try:
        status = root.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
