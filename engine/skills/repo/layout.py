"""The skills of a folder on disk, by the rule of `engine.skills.repo.rule`, and the reading of their files.

    layout = layout_of(root)
    for name, path in layout.files.items():
        text, findings = read_text(root, path)
        other_files(root, path)                       # ("scripts/look.sh",)
    [f"{left.place}: {left.why}" for left in layout.left_out]

Reads never leave the repository, never block, and never raise for one file: an unreadable file becomes a finding.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from engine.core.beneath import Beneath, LinkInTheWay
from engine.core.errors import SkillosError
from engine.core.findings import Finding
from engine.skills.format.frontmatter import DOCUMENT, begins_with_frontmatter
from engine.skills.format.skill import MAX_BYTES
from engine.skills.repo.listing import list_folder
from engine.skills.repo.rule import (
    NOT_SEARCHED,
    NOT_SKILLS,
    OURS,
    SKILL_FILE,
    SKILL_FILES,
    Layout,
    decoded_name,
    find_skills,
    follow_links,
    is_flat,
    is_skill,
    is_skill_file,
    one_for_each_name,
)

__all__ = [
    "MAX_BYTES",
    "NOT_SKILLS",
    "SKILL_FILE",
    "SKILL_FILES",
    "Layout",
    "TooLarge",
    "decoded",
    "decoded_name",
    "find_places",
    "is_inside",
    "is_skill",
    "layout_of",
    "other_files",
    "read_bytes",
    "read_text",
    "skill_file",
    "skill_files",
    "skill_path",
    "usual_place",
    "why_document",
]

_START_BYTES = 4_096
"""Bytes that are read of a flat file to see whether it begins with frontmatter."""


def layout_of(root: Path) -> Layout:
    """The skills of the folder `root`, and what was left out. Raises `OSError` for `root` itself."""
    found = find_skills(follow_links(list_folder(root)), partial(why_document, root))
    return one_for_each_name(found, _name_of_folder(root))


def skill_files(root: Path) -> dict[str, str]:
    """The path, relative to `root`, of every skill's file, by name. Raises `OSError` for `root` itself."""
    return layout_of(root).files


def skill_file(root: Path, name: str) -> str | None:
    """The path, relative to `root`, of the skill `name`; None where there is none.

    A skill at its usual place is found at once; otherwise, all of `root` is looked through, which takes 0.1 s for 10,000
    skills. For many names, call `find_places`.
    """
    return find_places(root, [name])[name]


def skill_path(root: Path, name: str) -> str:
    """The path, relative to `root`, of the skill `name`: its present one, or that of a new skill."""
    return skill_file(root, name) or f"{name}/{SKILL_FILE}"


def find_places(root: Path, names: Iterable[str]) -> dict[str, str | None]:
    """The path, relative to `root`, of each of the skills `names`; None for a skill that is absent. One search at most."""
    places = {name: usual_place(root, name) for name in names}
    if None in places.values():
        files = _files_or_none(root)
        places = {name: place or files.get(name) for name, place in places.items()}
    return places


def usual_place(root: Path, name: str) -> str | None:
    """`<name>/SKILL.md` or `<name>.md` where the rule takes precisely this file for the skill `name`, without a search."""
    if not name or "/" in name or "\0" in name or name.startswith("."):
        return None
    folder = f"{os.fspath(root)}/{name}"
    path = f"{name}/{SKILL_FILE}"
    if _kind(folder) == stat.S_IFDIR:
        return path if _kind(f"{folder}/{SKILL_FILE}") == stat.S_IFREG and name not in NOT_SEARCHED else None
    flat = f"{name}.md"
    if (
        _kind(folder) is None
        and _kind(f"{folder}.md") == stat.S_IFREG
        and is_flat(flat)
        and not why_document(root, flat)
    ):
        return flat
    return None


def _kind(path: str) -> int | None:
    """The type of a file, folder or link; None where there is none."""
    try:
        return stat.S_IFMT(os.lstat(path).st_mode)
    except FileNotFoundError:
        return None
    except OSError:
        return 0


def _files_or_none(root: Path) -> dict[str, str]:
    try:
        return skill_files(root)
    except OSError:
        return {}


def _name_of_folder(root: Path) -> str:
    return os.path.basename(os.path.realpath(root))  # noqa: PTH119 - `Path.resolve` raises for a cycle of links


def why_document(root: Path, path: str) -> str:
    """Why the flat file `path` is no skill, or "". A file that cannot be read is one, with a finding that says so."""
    try:
        data = _read(root, path, _START_BYTES)
    except OSError:
        return ""
    return "" if begins_with_frontmatter(data.decode("utf-8", "replace")) else DOCUMENT


def other_files(root: Path, path: str) -> tuple[str, ...]:
    """The other files in the folder of the skill file `path`, relative to the folder, sorted. () for a flat skill.

    Links are listed and not followed. `.git` folders, folders that cannot be listed, and skills in the folder are left out.
    """
    parent, _, own = path.rpartition("/")
    folder = root / parent
    if not is_skill_file(own) or not is_inside(root, folder):
        return ()
    found = []
    for here, folders, names in os.walk(folder):
        below = Path(here).relative_to(folder).as_posix()
        if below != "." and any(is_skill_file(name) for name in names):
            folders.clear()
            continue
        folders[:] = [name for name in folders if name not in OURS]
        links = [name for name in folders if os.path.islink(f"{here}/{name}")]  # noqa: PTH114
        found += [name if below == "." else f"{below}/{name}" for name in [*names, *links]]
    return tuple(sorted(decoded_name(name) for name in found if name != own))


def is_inside(root: Path, path: Path) -> bool:
    """Whether `path`, with links followed, is inside `root`. Raises `OSError` for a cycle of links."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except RuntimeError as error:
        raise OSError("it is a cycle of links") from error


def read_text(root: Path, path: str) -> tuple[str, tuple[Finding, ...]]:
    """The text of a file ("" where it cannot be read), and findings about the reading."""
    try:
        data = read_bytes(root, path)
    except TooLarge as error:
        return "", (Finding("too-large", "error", 1, f"the file cannot be read: {error}"),)
    except OSError as error:
        why = error.strerror or str(error)
        return "", (Finding("unreadable", "error", 1, f"the file cannot be read: {why}"),)
    return decoded(data)


def decoded(data: bytes) -> tuple[str, tuple[Finding, ...]]:
    """Bytes as text, with a finding if they are not UTF-8."""
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return data.decode("utf-8", "replace"), (Finding("not-utf8", "error", line, "the file is not UTF-8"),)


class TooLarge(SkillosError, OSError):
    """A file has more than `MAX_BYTES`."""


def read_bytes(root: Path, path: str) -> bytes:
    """The bytes of a regular file inside `root`, at most `MAX_BYTES`. Raises `OSError` with the reason."""
    data = _read(root, path, MAX_BYTES)
    if len(data) > MAX_BYTES:
        size = max(len(data), (root / path).stat().st_size)
        raise TooLarge(f"it has {size:,} bytes, {MAX_BYTES:,} are allowed")
    return data


def _read(root: Path, path: str, limit: int) -> bytes:
    """At most `limit` + 1 bytes of a regular file. A link is followed only if it stays inside `root`."""
    with Beneath(root) as folder:
        try:
            return folder.read(path, limit)
        except LinkInTheWay:
            target = Path(os.path.realpath(root / path, strict=True))
            top = os.path.realpath(root)
            if not target.is_relative_to(top):
                raise OSError("it is a link that leads out of the repository") from None
            return folder.read(target.relative_to(top).as_posix(), limit)
