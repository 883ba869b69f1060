"""The layout of a skill repository on disk: `<name>/SKILL.md`, or flat as `<name>.md`.

    for name, path in skill_files(root).items():
        text, findings = read_text(root, path)
        other_files(root, path)                       # ("scripts/look.sh",)

Reads never leave the repository, never block, and never raise for one file: an unreadable file becomes a finding.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from engine.core.errors import SkillosError
from engine.core.findings import Finding
from engine.skills.format.skill import MAX_BYTES

SKILL_FILE = "SKILL.md"
SKILL_FILES = (SKILL_FILE, "skill.md")
"""The names that a skill's file can have in its folder. The first one is preferred, as by skills-ref."""
NOT_SKILLS = frozenset(
    {"readme", "license", "changelog", "contributing", "agents", "claude", "code_of_conduct", "security"}
)


def skill_files(root: Path) -> dict[str, str]:
    """The path, relative to `root`, of every skill's file, by name. Raises `OSError` for `root` itself.

    A folder takes precedence over a flat file of the same name. Names that start with a dot are not skills, and neither are
    flat documents for people (README.md and others, `NOT_SKILLS`).
    """
    folders: dict[str, str] = {}
    flat: dict[str, str] = {}
    with os.scandir(root) as entries:
        for entry in entries:
            name = decoded_name(entry.name)
            if name.startswith("."):
                continue
            file = file_in(entry.path)
            if file is not None:
                folders[name] = f"{entry.name}/{file}"
            elif (
                name.endswith(".md") and name[:-3].lower() not in NOT_SKILLS and not entry.is_dir(follow_symlinks=False)
            ):
                flat[name[:-3]] = entry.name
    return {**flat, **folders}


def skill_file(root: Path, name: str) -> str | None:
    """The path, relative to `root`, of the skill `name`; None where there is none, by the rules of `skill_files`."""
    file = file_in(str(root / name))
    if not name or name.startswith("."):
        return None
    if file is not None:
        return f"{name}/{file}"
    flat = root / f"{name}.md"
    is_flat = name.lower() not in NOT_SKILLS and os.path.lexists(flat) and (flat.is_symlink() or not flat.is_dir())
    return f"{name}.md" if is_flat else None


def skill_path(root: Path, name: str) -> str:
    """The path, relative to `root`, of the skill `name`: its present one, or that of a new skill."""
    return skill_file(root, name) or f"{name}/{SKILL_FILE}"


def file_in(folder: str) -> str | None:
    """The name of a skill's file in its folder, None where there is none. A folder without read permission has one."""
    for file in SKILL_FILES:
        try:
            os.lstat(f"{folder}/{file}")
        except PermissionError:
            return file
        except (OSError, ValueError):  # ValueError: a NUL character in the path
            continue
        return file
    return None


def is_skill(path: str) -> bool:
    """Whether `path` in a repository is the path of a skill's file, by the rules of `skill_files`."""
    folder, _, name = path.rpartition("/")
    if path.startswith(".") or "/" in folder:
        return False
    return name in SKILL_FILES if folder else name.endswith(".md") and name[:-3].lower() not in NOT_SKILLS


def other_files(root: Path, path: str) -> tuple[str, ...]:
    """The other files in the folder of the skill file `path`, relative to the folder, sorted. () for a flat skill.

    Links are listed and not followed. `.git` folders, and folders that cannot be listed, are left out.
    """
    folder = (root / path).parent
    if "/" not in path or not is_inside(root, folder):
        return ()
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        found += [(Path(here) / name).relative_to(folder).as_posix() for name in [*names, *links]]
    return tuple(sorted(decoded_name(name) for name in found if name != path.rpartition("/")[2]))


def is_inside(root: Path, path: Path) -> bool:
    """Whether `path`, with links followed, is inside `root`. Raises `OSError` for a cycle of links."""
    if path.is_relative_to(root):
        steps = path.relative_to(root).parts
        below = [root.joinpath(*steps[: number + 1]) for number in range(len(steps))]
        if ".." not in steps and not any(step.is_symlink() for step in below):
            return True  # `resolve`, the larger part of the time of reading a small file, is not needed
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
    full = root / path
    if not is_inside(root, full):
        raise OSError("it is a link that leads out of the repository")
    descriptor = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is not a regular file")
        if status.st_size > MAX_BYTES:
            raise TooLarge(f"it has {status.st_size:,} bytes, {MAX_BYTES:,} are allowed")
        return file.read(MAX_BYTES + 1)


def decoded_name(name: str) -> str:
    """A file name as text that can be shown and stored: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")
