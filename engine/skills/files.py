"""Where skills lie on disk: `<name>/SKILL.md`, or flat as `<name>.md`.

    for name, path in skill_files(root).items():
        text, findings = read_text(root, path)

Reading never leaves the repository, never blocks and never raises for one file: what cannot be read becomes a finding.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from engine.skills.header import Finding
from engine.skills.skill import MAX_BYTES

SKILL_FILE = "SKILL.md"
NOT_SKILLS = frozenset(
    {"readme", "license", "changelog", "contributing", "agents", "claude", "code_of_conduct", "security"}
)


def skill_files(root: Path) -> dict[str, str]:
    """The file of every skill under `root`, as a path relative to it, by name. Raises `OSError` for `root` itself.

    A folder wins over a flat file of the same name. Names that start with a dot, and flat files that repositories keep
    for people (README.md and its like), are no skills.
    """
    folders: dict[str, str] = {}
    flat: dict[str, str] = {}
    with os.scandir(root) as entries:
        for entry in entries:
            name = printable(entry.name)
            if name.startswith("."):
                continue
            if os.path.lexists(os.path.join(entry.path, SKILL_FILE)):  # noqa: PTH118
                folders[name] = f"{entry.name}/{SKILL_FILE}"
            elif name.endswith(".md") and name[:-3].lower() not in NOT_SKILLS and not entry.is_dir():
                flat[name[:-3]] = entry.name
    return {**flat, **folders}


def skill_path(root: Path, name: str) -> str:
    """The path, relative to `root`, of the skill `name`: where it lies now, or where a new one goes."""
    folder = f"{name}/{SKILL_FILE}"
    if not os.path.lexists(root / folder) and os.path.lexists(root / f"{name}.md"):
        return f"{name}.md"
    return folder


def read_text(root: Path, path: str) -> tuple[str, tuple[Finding, ...]]:
    """A file's text ("" where it cannot be read) and what stood in the way."""
    try:
        data = read_bytes(root, path)
    except OSError as error:
        why = error.strerror or str(error)
        return "", (Finding("unreadable", 1, f"the file cannot be read: {why}"),)
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return data.decode("utf-8", "replace"), (Finding("not-utf8", line, "the file is not UTF-8"),)


def read_bytes(root: Path, path: str) -> bytes:
    """A regular file inside `root`, at most `MAX_BYTES` long. Raises `OSError` that says what is wrong."""
    full = root / path
    try:
        inside = full.resolve().is_relative_to(root.resolve())
    except RuntimeError as error:
        raise OSError("it is a link that leads back to itself") from error
    if not inside:
        raise OSError("it is a link that leads out of the repository")
    descriptor = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is not a regular file")
        if status.st_size > MAX_BYTES:
            raise OSError(f"it has {status.st_size:,} bytes, {MAX_BYTES:,} are allowed")
        return file.read(MAX_BYTES + 1)


def printable(name: str) -> str:
    """A file name that may not be UTF-8, as text that can be shown and stored."""
    return os.fsencode(name).decode("utf-8", "replace")
