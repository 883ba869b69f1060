"""Find skills, with all their files, in a list of files: of a folder, an archive or a commit.

    bundle = gather(entries, origin="collection.zip")
    bundle.packages[0].name, bundle.packages[0].files["SKILL.md"].data
    [f"{skipped.place}: {skipped.why}" for skipped in bundle.skipped]

What a skill is, is decided by `engine.skills.repo.rule`, as for a repository. A file belongs to the innermost skill folder
above it. Paths and links that leave the source, and files that are too large, are skipped and listed in `skipped`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

import msgspec

from engine.core.errors import SkillosError
from engine.skills.format.frontmatter import DOCUMENT, begins_with_frontmatter
from engine.skills.format.names import name_problem, normalized, same_on_some_disks
from engine.skills.format.skill import MAX_BYTES, Skill
from engine.skills.history.trees import TEMPORARY
from engine.skills.repo.layout import decoded, decoded_name
from engine.skills.repo.rule import (
    MAX_DEPTH,
    MAX_ENTRIES,
    NOT_SEARCHED,
    NOT_SEARCHED_WHY,
    OURS,
    Kind,
    LeftOut,
    Listed,
    Place,
    find_skills,
    follow_links,
    is_skill_file,
    link_in,
    spelling_problem,
)

MAX_FILE = 16 * 1024**2
MAX_TOTAL = 512 * 1024**2
"""Bytes that a bundle may hold in memory."""
MAX_PATH = 1_024


class ExchangeError(SkillosError):
    """An import or export is not possible. The message says what, where and what to do. Nothing was changed."""


class Unreadable(SkillosError):
    """A file cannot be read. The message says why."""


class Entry(NamedTuple):
    """A file of a source. `read` returns all its bytes; it raises `Unreadable` and `OSError`.

    `link` is the text of a link; without it, the link is not followed. With `why`, the entry is left out for this reason.
    """

    path: str
    size: int
    kind: Kind
    executable: bool
    read: Callable[[], bytes]
    link: str = ""
    why: str = ""

    def listed(self, links: Mapping[str, str]) -> Listed:
        """The entry for the rule of what a skill is. `links` are the texts of the source's links, by path."""
        if self.kind == "link" and not self.why:
            known = Listed(self.path, "link", why="it is a link, and links are not followed")
            return link_in(self.path, self.link, links) if self.link else known
        return Listed(self.path, self.kind, why=self.why)


class File(msgspec.Struct, frozen=True):
    """The bytes of a file, and whether it is executable."""

    data: bytes
    executable: bool = False


Skipped = LeftOut


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
    """The skills of a source, sorted by name, and what was skipped. `origin` names the source.

    Several skills can have one name (`same_on_some_disks`), the nearest to the top first; in a skill repository, one has it.
    """

    origin: str
    packages: tuple[Package, ...]
    skipped: tuple[Skipped, ...]


def gather(entries: Iterable[Entry], origin: str, *, deep: bool = True) -> Bundle:
    """Read the skills of a list of files. Without `deep`, of skills with one name the nearest to the top, as a repository.

    Raises `ExchangeError` for a source with more than `MAX_ENTRIES` files or `MAX_TOTAL` bytes.
    """
    return _Gathering(origin, deep).run(entries)


class _Gathering:
    """The state of one `gather`: the skills that were read, and what was skipped."""

    def __init__(self, origin: str, deep: bool) -> None:
        self._origin = origin
        self._deep = deep
        self._packages: list[Package] = []
        self._firsts: dict[str, str] = {}
        self._skipped: list[Skipped] = []
        self._folders: set[str] = set()
        self._room = MAX_TOTAL

    def run(self, entries: Iterable[Entry]) -> Bundle:
        safe = self._safe(entries)
        links = {path: entry.link for path, entry in safe.items() if entry.kind == "link" and entry.link}
        files = follow_links(entry.listed(links) for entry in safe.values())
        found = find_skills(files, lambda path: self._why_document(safe[files.real[path]]))
        self._skipped += [Skipped(left.place[:MAX_PATH], left.why) for left in found.left_out]
        homes = {place.folder: place.path for place in found.places if not place.flat}
        owned: dict[str, dict[str, Entry]] = {home: {} for home in homes}
        for path, real in files.real.items():
            home = next((folder for folder in _above(path) if folder in homes), None)
            if home is not None and (path == homes[home] or not _is_spelling(path, home)):
                owned[home][path.removeprefix(f"{home}/")] = safe[real]._replace(path=path)
        for place in found.places:
            if place.flat:
                self._add_flat(safe[files.real[place.path]]._replace(path=place.path))
            else:
                self._add_folder(place, owned[place.folder])
        packages = sorted(self._packages, key=lambda package: package.name)
        return Bundle(self._origin, tuple(packages), tuple(self._skipped))

    def _skip(self, place: str, why: str) -> None:
        self._skipped.append(Skipped(decoded_name(place)[:MAX_PATH], why))

    def _skip_folder(self, path: str) -> None:
        """Record, once, the folder on `path` that is not searched."""
        parts = path.split("/")
        number = next(number for number, part in enumerate(parts) if part in NOT_SEARCHED)
        folder = "/".join(parts[: number + 1])
        if parts[number] not in OURS and folder not in self._folders:
            self._folders.add(folder)
            self._skip(folder, NOT_SEARCHED_WHY)

    def _safe(self, entries: Iterable[Entry]) -> dict[str, Entry]:
        """The entries by path, without those that are not allowed in a skill."""
        safe: dict[str, Entry] = {}
        duplicates: set[str] = set()
        for number, entry in enumerate(entries, start=1):
            if number > MAX_ENTRIES:
                raise ExchangeError(f"{self._origin} holds more than {MAX_ENTRIES:,} files; take a part of it")
            if not NOT_SEARCHED.isdisjoint(entry.path.split("/")[:-1]):
                self._skip_folder(entry.path)
                continue
            problem = entry.why or _path_problem(entry.path)
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

    def _why_document(self, entry: Entry) -> str:
        """Why a flat file is no skill, or "". A file that cannot be read is skipped later, with the reason."""
        if entry.size > MAX_BYTES:
            return ""
        try:
            text = decoded(entry.read())[0]
        except (Unreadable, OSError):
            return ""
        return "" if begins_with_frontmatter(text) else DOCUMENT

    def _add_folder(self, found: Place, entries: dict[str, Entry]) -> None:
        place, home = found.path, found.folder
        path = place.rpartition("/")[2]
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
        self._add(entry.path, entry.path, {entry.path: File(data, entry.executable)}, [entry.path[:-3]], [], flat=True)

    def _add(
        self, place: str, path: str, files: dict[str, File], first: list[str], last: list[str], flat: bool = False
    ) -> None:
        """Add a skill under the first valid name of: `first` (its folder's), the name in its file, `last`."""
        text, findings = decoded(files[path].data)
        declared = Skill.parse(text).name
        names = [*first, *([declared] if declared else []), *last]
        name = next((normalized(name) for name in names if name_problem(name) is None), None)
        if name is None:
            self._skip(
                place, f"neither its path nor its file gives a valid name: {name_problem(names[0] if names else '')}"
            )
            return
        nearest = self._firsts.setdefault(same_on_some_disks(name), place)
        if nearest != place and not self._deep:
            self._skip(place, f"{nearest} has the same name, {name!r}")
            return
        parsed = Skill.parse(text, name=name)
        spelling = spelling_problem(place)
        findings = (*findings, *((spelling,) if spelling else ()))
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
            self._skip(entry.path, _unread(error))
            return None
        self._room -= len(data)
        if self._room < 0:
            raise ExchangeError(f"the skills of {self._origin} have more than {MAX_TOTAL:,} bytes; take a part of them")
        return data


def _above(path: str) -> Iterator[str]:
    """The parent folders of a path, innermost first. The last one is ""."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def _unread(error: OSError | Unreadable) -> str:
    return f"it cannot be read: {getattr(error, 'strerror', None) or error}"


def _is_spelling(path: str, home: str) -> bool:
    """Whether a file is another spelling of the SKILL.md of the skill folder `home`."""
    folder, _, name = path.rpartition("/")
    return folder == home and is_skill_file(name)


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
