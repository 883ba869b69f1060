"""List a folder for the rule of what a skill is (`engine.skills.repo.rule`).

    for path, kind, target, why in list_folder(root):
        ...

Folders of packages and caches are not entered, and no link is followed: the rule does that on the listing.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from engine.skills.repo.rule import MAX_DEPTH, NOT_SEARCHED, NOT_SEARCHED_WHY, OURS, Listed


def list_folder(root: Path) -> Iterator[Listed]:
    """The files and links below `root`, and each folder that is left out. Folders near to the top come first.

    Raises `OSError` for `root` itself.
    """
    top = os.fspath(root)
    waiting = deque([""])
    while waiting:
        here = waiting.popleft()
        try:
            with os.scandir(f"{top}/{here}" if here else top) as found:
                entries = sorted(found, key=_name)
        except OSError as error:
            if not here:
                raise
            yield Listed(here, "folder", why=f"the folder cannot be listed: {error.strerror}")
            continue
        if here and not entries:
            yield Listed(here, "folder", why="it is an empty folder")
        for entry in entries:
            path = f"{here}/{entry.name}" if here else entry.name
            if entry.is_symlink():
                yield _link(top, path)
            elif not entry.is_dir(follow_symlinks=False):
                yield Listed(path, "file" if entry.is_file(follow_symlinks=False) else "other")
            elif entry.name in NOT_SEARCHED:
                if entry.name not in OURS:
                    yield Listed(path, "folder", why=NOT_SEARCHED_WHY)
            elif path.count("/") >= MAX_DEPTH:
                yield Listed(path, "folder", why=f"it is more than {MAX_DEPTH} folders deep")
            else:
                waiting.append(path)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _link(top: str, path: str) -> Listed:
    """A link, with the place below `top` that it leads to, or the reason to leave it out."""
    full = f"{top}/{path}"
    try:
        target = os.path.realpath(full, strict=True)
    except OSError as error:
        known = {errno.ENOENT: "it is a link to nothing", errno.ELOOP: "it is a cycle of links"}
        return Listed(
            path, "link", why=known.get(error.errno or 0, f"it is a link that cannot be read: {error.strerror}")
        )
    inside = os.path.relpath(target, os.path.realpath(top))
    if inside == os.pardir or inside.startswith(f"{os.pardir}{os.sep}"):
        return Listed(path, "link", why="it is a link that leads out of the folder")
    return Listed(path, "link", "" if inside == os.curdir else inside)
