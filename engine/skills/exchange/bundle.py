"""Find skills, with all their files, in a list of files: of a folder, an archive or a commit.

    bundle = gather(entries, origin="collection.zip")
    bundle.packages[0].name, bundle.packages[0].files["SKILL.md"].data
    [f"{skipped.place}: {skipped.why}" for skipped in bundle.skipped]

A skill is a folder with a SKILL.md, at any depth, or a flat `name.md` at the top. A file belongs to the innermost skill
folder above it. Paths that leave the source, links, and files that are too large are skipped and listed in `skipped`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

import msgspec

from engine.core.errors import SkillosError
from engine.skills.format.skill import MAX_BYTES, Skill, name_problem
from engine.skills.history.trees import TEMPORARY
from engine.skills.repo.layout import NOT_SKILLS, SKILL_FILES, decoded, decoded_name

MAX_ENTRIES = 500_000
MAX_FILE = 16 * 1024**2
MAX_TOTAL = 512 * 1024**2
"""Bytes that a bundle may hold in memory."""
MAX_PATH = 1_024
MAX_DEPTH = 32
NOT_SEARCHED = frozenset({".git", ".hg", ".skillos", "node_modules", "__pycache__", ".venv", "venv", "__MACOSX"})


class ExchangeError(SkillosError):
    """An import or export is not possible. The message says what, where and what to do. Nothing was changed."""


class Unreadable(SkillosError):
    """A file cannot be read. The message says why."""


Kind = Literal["file", "link", "other"]


class Entry(NamedTuple):
    """A file of a source. `read` returns all its bytes; it raises `Unreadable` and `OSError`."""

    path: str
    size: int
    kind: Kind
    executable: bool
    read: Callable[[], bytes]


class File(msgspec.Struct, frozen=True):
    """The bytes of a file, and whether it is executable."""

    data: bytes
    executable: bool = False


class Skipped(msgspec.Struct, frozen=True):
    """A skipped file or skill: its path in the source (`place`), and the reason (`why`)."""

    place: str
    why: str


class Package(msgspec.Struct, frozen=True):
    """A skill with its files, by their paths in its folder. `path` is the one of its SKILL.md.

    `place` is the path of the SKILL.md in the source. A `flat` skill has no folder and no other file.
    """

    name: str
    place: str
    skill: Skill
    path: str
    files: dict[str, File]
    flat: bool = False


class Bundle(msgspec.Struct, frozen=True):
    """The skills of a source, sorted by name and place, and what was skipped. `origin` names the source.

    Two skills of one name (`alike`) may both be there; a skill repository has each name once.
    """

    origin: str
    packages: tuple[Package, ...]
    skipped: tuple[Skipped, ...]


def gather(entries: Iterable[Entry], origin: str, *, deep: bool = True) -> Bundle:
    """Read the skills of a list of files: with `deep` at any depth, else only where a repository has its skills.

    Raises `ExchangeError` for a source with more than `MAX_ENTRIES` files or `MAX_TOTAL` bytes.
    """
    return _Gathering(origin, deep).run(entries)


class _Gathering:
    """The state of one `gather`: the skills that were read, and what was skipped."""

    def __init__(self, origin: str, deep: bool) -> None:
        self._origin = origin
        self._deep = deep
        self._packages: list[Package] = []
        self._skipped: list[Skipped] = []
        self._room = MAX_TOTAL

    def run(self, entries: Iterable[Entry]) -> Bundle:
        safe = self._safe(entries)
        homes = self._homes(safe)
        owned: dict[str, dict[str, Entry]] = {home: {} for home in homes}
        for path, entry in safe.items():
            home = next((folder for folder in _above(path) if folder in homes), None)
            if home is not None:
                owned[home][path.removeprefix(f"{home}/")] = entry
            elif "/" not in path and path.endswith(".md") and path[:-3].lower() not in NOT_SKILLS:
                self._add_flat(entry)
        for home, file in homes.items():
            self._add_folder(home, file, owned[home])
        found = sorted(self._packages, key=lambda package: (package.name, package.place.count("/"), package.place))
        return Bundle(self._origin, tuple(found), tuple(self._skipped))

    def _skip(self, place: str, why: str) -> None:
        self._skipped.append(Skipped(decoded_name(place)[:MAX_PATH], why))

    def _safe(self, entries: Iterable[Entry]) -> dict[str, Entry]:
        """The entries by path, without those that are not allowed in a skill."""
        safe: dict[str, Entry] = {}
        duplicates: set[str] = set()
        for number, entry in enumerate(entries, start=1):
            if number > MAX_ENTRIES:
                raise ExchangeError(f"{self._origin} holds more than {MAX_ENTRIES:,} files; take a part of it")
            if NOT_SEARCHED.intersection(entry.path.split("/")[:-1]):
                continue
            problem = _path_problem(entry.path)
            if problem:
                self._skip(entry.path, problem)
            elif entry.path in safe or entry.path in duplicates:
                duplicates.add(entry.path)
                safe.pop(entry.path, None)
            else:
                safe[entry.path] = entry
        for path in sorted(duplicates):
            self._skip(path, "the source has this path twice, so it is ambiguous which file is meant")
        return safe

    def _homes(self, paths: Iterable[str]) -> dict[str, str]:
        """The folders that are skills, with the names of their SKILL.md files."""
        homes: dict[str, str] = {}
        for path in paths:
            home, _, file = path.rpartition("/")
            if file in SKILL_FILES and (self._deep or (home and "/" not in home)):
                homes[home] = min(file, homes.get(home, file))  # SKILL.md sorts before skill.md
        return dict(sorted(homes.items()))

    def _add_folder(self, home: str, path: str, entries: dict[str, Entry]) -> None:
        place = f"{home}/{path}" if home else path
        files: dict[str, File] = {}
        for name, entry in entries.items():
            data = self._data(entry, MAX_BYTES if name == path else MAX_FILE)
            if data is not None:
                files[name] = File(data, entry.executable)
        if path not in files:
            return
        clash = _case_clash(files)
        if clash:
            self._skip(place, f"its file {clash} and another one have the same name on many file systems")
            return
        folder = home.rpartition("/")[2]
        self._add(
            place, path, files, [folder] if folder else [], [PurePosixPath(self._origin).stem] if not home else []
        )

    def _add_flat(self, entry: Entry) -> None:
        data = self._data(entry, MAX_BYTES)
        if data is None:
            return
        if not Skill.parse(decoded(data)[0]).metadata:
            self._skip(entry.path, "it has no frontmatter, so it is a document and not a skill")
            return
        self._add(entry.path, entry.path, {entry.path: File(data, entry.executable)}, [entry.path[:-3]], [], flat=True)

    def _add(
        self, place: str, path: str, files: dict[str, File], first: list[str], last: list[str], flat: bool = False
    ) -> None:
        """Add a skill under the first valid name of: `first` (its folder's), the name in its file, `last`."""
        text, findings = decoded(files[path].data)
        declared = Skill.parse(text).name
        names = [*first, *([declared] if declared else []), *last]
        name = next((name for name in names if name_problem(name) is None), None)
        if name is None:
            self._skip(
                place, f"neither its path nor its file gives a valid name: {name_problem(names[0] if names else '')}"
            )
            return
        same = next((package for package in self._packages if package.name == name), None)
        if same is not None and not self._deep:
            self._skip(place, f"{same.place} has the same name, {name!r}")
            return
        parsed = Skill.parse(text, name=name)
        skill = msgspec.structs.replace(parsed, findings=(*findings, *parsed.findings)) if findings else parsed
        self._packages.append(Package(name, place, skill, path, files, flat))

    def _data(self, entry: Entry, limit: int) -> bytes | None:
        """The bytes of a file, or None after it was recorded as skipped."""
        if entry.kind != "file":
            kind = "a link, and links are not followed" if entry.kind == "link" else "not a regular file"
            self._skip(entry.path, f"it is {kind}")
            return None
        if entry.size > limit:
            self._skip(entry.path, f"it has {entry.size:,} bytes, {limit:,} are allowed")
            return None
        try:
            data = entry.read()
        except (Unreadable, OSError) as error:
            self._skip(entry.path, f"it cannot be read: {getattr(error, 'strerror', None) or error}")
            return None
        self._room -= len(data)
        if self._room < 0:
            raise ExchangeError(f"the skills of {self._origin} have more than {MAX_TOTAL:,} bytes; take a part of them")
        return data


def alike(name: str) -> str:
    """What two names have in common that are the same name to a person: case and compatible characters do not count."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _above(path: str) -> Iterator[str]:
    """The parent folders of a path, innermost first. The last one is ""."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def _path_problem(path: str) -> str:
    """Why a skill must not contain a file at `path`, or ""."""
    parts = path.split("/")
    if decoded_name(path) != path or "\ufffd" in path:
        return "its name is not UTF-8"
    if path.startswith("/") or "\\" in path or ".." in parts or re.match(r"[A-Za-z]:", path):
        return "its path leads out of the source"
    if any(part in ("", ".") or part.startswith(TEMPORARY) or _is_git(part) for part in parts):
        return "its path is not allowed in a skill"
    if any(unicodedata.category(character) == "Cc" for character in path):
        return "its name has control characters"
    if len(path) > MAX_PATH or len(parts) > MAX_DEPTH or any(len(part.encode()) > 255 for part in parts):
        return "its path is too long"
    return ""


def _is_git(part: str) -> bool:
    """Whether a file system can resolve a name to `.git`: some ignore case and invisible characters."""
    return "".join(c for c in part if unicodedata.category(c) != "Cf").casefold().rstrip(" .") in (".git", "git~1")


def _case_clash(paths: Iterable[str]) -> str:
    """A path that differs from another one only by case or by Unicode normalization; "" where there is none."""
    seen: set[str] = set()
    for path in paths:
        alike = unicodedata.normalize("NFC", path).casefold()
        if alike in seen:
            return path
        seen.add(alike)
    return ""
