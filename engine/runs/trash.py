"""Delete runs so that it can be undone: a run is moved into the trash of the runs' home, and the trash is emptied later.

    use = look(home)                                   # every run with its state, age and disk use
    batch = discard(home, ["20260101-120000-train"])   # home/.trash/<time>/<name>
    restore(home, "20260101-120000-train")
    empty(home)                                        # deletes what is in the trash

Only folders of the home itself are touched, by their names: no link is followed. A run whose engine works or loads is never
moved, nor one that holds the skill repository of another run. Skill repositories outside the run stay where they are.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from engine.core.errors import SkillosError
from engine.core.locks import Locked, file_lock
from engine.runs import supervisor
from engine.runs.directory import DATABASE, FINAL_STATES, Run
from engine.runs.process import LOCK_FILE, START_FILE
from engine.runs.status import ShownState

TRASH = ".trash"
PART = ".deleting-"
"""What the name of a run in the trash begins with while it is deleted."""
IDLE: frozenset[str] = FINAL_STATES | {"interrupted"}
"""The states of a run that no engine works on."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TrashError(SkillosError):
    """A run cannot be moved, restored or deleted."""


class RunUse(msgspec.Struct, frozen=True):
    """A run's disk use. `state` and `age_s`, the seconds in it, are None where the run cannot be read: `problem`."""

    name: str
    bytes: int
    state: ShownState | None
    age_s: float | None
    problem: str = ""


class Trashed(msgspec.Struct, frozen=True):
    """A run in the trash. `batch` is the folder of those that were moved together; its name sorts by time."""

    name: str
    batch: str
    bytes: int


def look(home: Path) -> list[RunUse]:
    """Every run in `home`, the largest first. Raises `RunError` as `supervisor.find_runs` does."""
    return sorted(map(_use, supervisor.find_runs(home)), key=lambda use: (-use.bytes, use.name))


def _use(summary: supervisor.RunSummary) -> RunUse:
    path, known = Path(summary.path), summary.status
    if known is None:
        return RunUse(path.name, disk_use(path), None, None, summary.problem)
    with Run.open(path) as run:
        since = run.state().since or run.created
    return RunUse(path.name, disk_use(path), known.state, max(0.0, time.time() - since))


def disk_use(folder: Path | str) -> int:
    """The bytes that a folder takes on the disk. Links are not followed; what cannot be looked at counts as nothing."""
    total = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_blocks * 512
                total += disk_use(entry.path) if entry.is_dir(follow_symlinks=False) else 0
    return total


def discard(home: Path, names: Sequence[str]) -> list[str]:
    """Move runs into the trash, together; the names of those that were moved. Raises `TrashError` before any is moved, where
    one cannot be."""
    check(home, names)
    moved: list[str] = []
    with ExitStack() as held:
        for name in dict.fromkeys(names):
            held.enter_context(_locked(home / name))
        folder = held.enter_context(_opened(home))
        trash = held.enter_context(_trash(folder, home, make=True))
        batch = _new_batch(trash)
        into = held.enter_context(_opened(home / TRASH / batch))
        for name in dict.fromkeys(names):
            try:
                os.rename(name, name, src_dir_fd=folder, dst_dir_fd=into)
            except OSError as error:
                with suppress(OSError):  # others are in it
                    os.rmdir(batch, dir_fd=trash)
                done = f"; these were moved before: {', '.join(moved)}" if moved else ""
                raise TrashError(f"cannot move {home / name} into the trash: {error.strerror}{done}") from error
            moved.append(name)
    return moved


def check(home: Path, names: Sequence[str]) -> None:
    """Raises `TrashError` where a run cannot be moved: it is no idle run of `home`, or a run that stays needs it."""
    for name in names:
        _check_name(name)
        _check_run(home, name)
    folders = {name: (home / name).resolve() for name in names}
    for other in supervisor.find_runs(home):
        if other.status is None or Path(other.path).name in folders:
            continue
        with Run.open(other.path) as run:
            repo = run.repo_path.resolve()
        for name, folder in folders.items():
            if repo.is_relative_to(folder):
                raise TrashError(f"{name} has the skill repository of the run {Path(other.path).name} in it")


def restore(home: Path, name: str) -> Path:
    """Move the run that was discarded last under this name back into `home`. Raises `TrashError`."""
    _check_name(name)
    found = [each for each in trashed(home) if each.name == name]
    if not found:
        raise TrashError(f"there is no run {name!r} in the trash ({home / TRASH})")
    if os.path.lexists(home / name):
        raise TrashError(f"{home / name} exists; move it away before you restore the run of its name")
    batch = max(each.batch for each in found)
    try:
        with _opened(home) as folder, _trash(folder, home) as trash:
            with _opened(home / TRASH / batch) as source:
                os.rename(name, name, src_dir_fd=source, dst_dir_fd=folder)
            with suppress(OSError):  # others are still in it
                os.rmdir(batch, dir_fd=trash)
    except OSError as error:
        raise TrashError(f"cannot restore {home / name}: {error.strerror}") from error
    return home / name


def trashed(home: Path) -> list[Trashed]:
    """The runs in the trash, those that were moved last first."""
    root = home / TRASH
    if not os.path.lexists(root):
        return []
    with _opened(home) as folder, _trash(folder, home):
        pairs = [(batch.name, run.name) for batch in _folders(root) for run in _folders(batch)]
    return [Trashed(name, batch, disk_use(root / batch / name)) for batch, name in sorted(pairs, reverse=True)]


def empty(home: Path) -> int:
    """Delete what is in the trash for good; how many bytes. Raises `TrashError` where something stays."""
    freed, stays = 0, []
    for each in trashed(home):
        path = home / TRASH / each.batch / each.name
        try:
            with _locked(path), _opened(path.parent) as batch:
                part = f"{PART}{path.lstat().st_ino}"  # no run's name: what is left after a kill is not restored
                os.rename(each.name, part, src_dir_fd=batch, dst_dir_fd=batch)
                shutil.rmtree(part, dir_fd=batch)
            freed += each.bytes
            with suppress(OSError):  # others are still in it
                path.parent.rmdir()
        except (OSError, TrashError) as error:
            stays.append(f"{path}: {getattr(error, 'strerror', None) or error}")
    if stays:
        raise TrashError(f"{len(stays)} in the trash cannot be deleted; the first: {stays[0]}")
    return freed


def _check_name(name: str) -> None:
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise TrashError(f"{name!r} is not the name of a run, as `skillos-engine runs` lists them")


def _check_run(home: Path, name: str) -> None:
    """Raises `TrashError` for what is no idle run of `home`."""
    path = home / name
    try:
        is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError as error:
        raise TrashError(f"there is no run {name!r} in {home}: {error.strerror}") from error
    if not is_folder:
        raise TrashError(f"{path} is a link or a file, not the folder of a run; it is left as it is")
    if not (path / DATABASE).is_file():
        raise TrashError(f"{path} is not a run: it has no {DATABASE}; it is left as it is")
    status = supervisor.summary_of(path).status
    if status is not None and status.state not in IDLE:
        raise TrashError(f"{name} is {status.state}; stop it first: skillos-engine stop {shlex.quote(str(path))}")


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """No engine works on the run or begins to. Raises `TrashError`."""
    with ExitStack() as locks:
        try:
            for name in (START_FILE, LOCK_FILE):
                locks.enter_context(file_lock(run / name, wait=0))
        except Locked as error:
            raise TrashError(f"an engine works on {run} or is about to: {error}") from error
        except OSError as error:
            raise TrashError(f"cannot lock {run}: {error.strerror}; is it yours?") from error
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The descriptor of a folder that is not a link. Raises `TrashError`."""
    try:
        descriptor = os.open(path, _FOLDER)
    except OSError as error:
        raise TrashError(f"cannot open the folder {path}: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _trash(home: int, path: Path, *, make: bool = False) -> Iterator[int]:
    if make:
        try:
            with suppress(FileExistsError):
                os.mkdir(TRASH, 0o700, dir_fd=home)
        except OSError as error:
            raise TrashError(f"cannot make {path / TRASH}: {error.strerror}") from error
    with _opened(path / TRASH) as trash:
        yield trash


def _new_batch(trash: int) -> str:
    stem = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        name = f"{stem}-{number:03d}"
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=trash)
            return name
    raise TrashError("the trash is full of folders of this second; try again")


def _folders(path: Path) -> list[Path]:
    with os.scandir(path) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
