"""Another process that swaps links into a folder of skills while its history is written.

with swapping(root / "mugs", outside):           # exchanges "mugs" with a link to `outside`, as fast as it can
    History.open(root).commit(...)
assert snapshot(outside) == before and not read_from_outside(root)
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pygit2

from engine.core.edit import Edit
from engine.core.errors import SkillosError
from engine.skills import History, SkillRepo, Update
from tests.skills.folders import MUGS, NEW_MUGS, put

SECRET = "what only the folder outside holds"
PLACES = ("mugs", "mugs/scripts", ".git", ".git/objects", ".git/refs/heads")
_AT_CWD, _EXCHANGE = -100, 2


def exchange(one: Path, other: Path) -> None:
    """Give two paths each other's name at one moment (renameat2). Nothing happens where one is missing."""
    ctypes.CDLL(None).renameat2(_AT_CWD, bytes(one), _AT_CWD, bytes(other), _EXCHANGE)


@contextmanager
def swapping(place: Path, outside: Path) -> Iterator[None]:
    """A process exchanges the folder `place` with a link to `outside`. At the end the folder is back under its name."""
    link = place.parent / ".skillos-link"  # a name that no commit takes
    link.symlink_to(outside)
    child = os.fork()
    if child == 0:
        while True:
            exchange(place, link)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if place.is_symlink():
            exchange(place, link)
        with suppress(FileNotFoundError):
            link.unlink()


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every path below a folder, with the bytes of the files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")
    }


def read_from_outside(root: Path) -> bool:
    """Whether some object of the repository of `root` holds the text of the folder outside."""
    repository = pygit2.Repository(str(root))
    return any(SECRET.encode() in repository.odb.read(oid)[1] for oid in repository.odb)


def scene(folder: Path, place: str) -> tuple[Path, Path]:
    """A repository with three commits, and a folder outside that is like its folder `place`, with secrets in its files."""
    root, outside = folder / "skills", folder / "outside"
    put(root, "mugs/SKILL.md", MUGS)
    put(root, "mugs/scripts/look.sh", "ls\n")
    put(root, "cups.md", MUGS.replace("mugs", "cups"))
    history = History.open(root)
    for text in (NEW_MUGS, MUGS):
        update = Update("mugs", None, text).apply(SkillRepo.open(root))
        history.commit(update, message="edit", trailers={})
    shutil.copytree(root / place, outside)
    if not place.startswith(".git"):
        for file in [path for path in outside.rglob("*") if path.is_file()]:
            file.write_text(f"{file.read_text()}{SECRET}\n")
    return root, outside


def _commit(root: Path) -> None:
    History.open(root).commit(_edit(root), message="edit", trailers={})


def _edit(root: Path) -> Edit:
    return Update("mugs", None, NEW_MUGS).apply(SkillRepo.of({"mugs": MUGS}))


def _put(root: Path) -> None:
    contents = {"mugs/SKILL.md": (NEW_MUGS.encode(), False), "mugs/scripts/new.sh": (b"ls -l\n", True)}
    History.open(root).put({"mugs": contents}, message="put", trailers={}, replace={"mugs"})


def _restore(root: Path) -> None:
    history = History.open(root)
    log = history.log()
    history.restore(log[min(1, len(log) - 1)].id, trailers={})


def _revert(root: Path) -> None:
    history = History.open(root)
    history.revert(history.head, trailers={})


def _record(root: Path) -> None:
    put(root, "cups.md", "by hand")
    History.open(root).record()


WRITES: dict[str, Callable[[Path], None]] = {
    "commit": _commit,
    "put": _put,
    "restore": _restore,
    "revert": _revert,
    "record": _record,
}


def tried(folder: Path, write: str, place: str) -> tuple[bool, str]:
    """Write once in the new folder `folder` while `place` is swapped: whether it was done, and what is wrong ("")."""
    root, outside = scene(folder, place)
    before = snapshot(outside)
    done = True
    with swapping(root / place, outside):
        try:
            WRITES[write](root)
        except (SkillosError, OSError):
            done = False
    if snapshot(outside) != before:
        return done, f"{write} wrote outside through {place}"
    if read_from_outside(root):
        return done, f"{write} read from outside through {place}"
    return done, ""
