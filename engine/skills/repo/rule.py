"""What a skill is: the one rule for folders, archives and commits. It looks at a listing of paths and reads no file.

    files = follow_links(listing)                          # each path, with the path of the file that it leads to
    found = find_skills(files, begins_with_frontmatter)    # the skills, nearest to the top first
    layout = one_for_each_name(found, top="skills")        # as in a repository: one skill for each name

A skill is a folder, at any depth, with a SKILL.md: its name is the folder's. At the top, a file `name.md` that begins with
frontmatter is a skill too. A file belongs to the innermost skill folder above it. Links that stay inside the source are
followed, one on each path. Whatever could be taken for a skill and is none is in `left_out`, with the reason.
"""

from __future__ import annotations

import os
import posixpath
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Literal, NamedTuple, TypeVar

import msgspec

from engine.core.findings import Finding

SKILL_FILE = "SKILL.md"
SKILL_FILES = (SKILL_FILE, "skill.md")
"""The names that skills-ref accepts for a skill's file; the first one is preferred. Other cases are read with a finding."""
NOT_SKILLS = frozenset(
    {"readme", "license", "changelog", "contributing", "agents", "claude", "code_of_conduct", "security"}
)
"""Names of flat documents for people, in lower case and without `.md`."""
OURS = frozenset({".git", ".hg", ".svn", ".jj", ".skillos"})
"""Folders of version control and of our search index: they hold no content, so they are not named either."""
NOT_SEARCHED = OURS | {
    "node_modules",
    "__pycache__",
    "__MACOSX",
    ".venv",
    "venv",
    ".tox",
    ".cache",
    ".trash",
    ".Trash",
    ".stversions",
    ".ipynb_checkpoints",
}
"""Folders of installed packages, caches and deleted files."""
NOT_SEARCHED_WHY = "folders of this name are not searched"
MAX_ENTRIES = 500_000
MAX_DEPTH = 32
_NEAR_MISS = re.compile(r"skills?(\.(md|mdx|markdown|mkd|txt|text|rst|html|yaml|yml|json))*", re.IGNORECASE)
_MAX_LINKS = 40

T = TypeVar("T")
Kind = Literal["file", "folder", "link", "other"]


class Listed(NamedTuple):
    """One entry of a source. `target`: the path in the source that a link leads to, without further links; "" is its top.

    With `why`, the source leaves the entry out for this reason.
    """

    path: str
    kind: Kind = "file"
    target: str = ""
    why: str = ""


class LeftOut(msgspec.Struct, frozen=True):
    """What was left out: its path in the source (`place`), and the reason (`why`)."""

    place: str
    why: str


class Files(NamedTuple):
    """The files of a source: for each path, the path of the file that links lead to. `special` are no regular files."""

    real: dict[str, str]
    special: frozenset[str]
    left_out: tuple[LeftOut, ...]


class Place(NamedTuple):
    """A skill's file: `folder` is that of the skill, "" at the top of the source. A `flat` skill has no folder."""

    path: str
    folder: str
    flat: bool
    linked: bool


class FoundSkills(NamedTuple):
    """The skills of a source, the one nearest to the top first. Several can have one name."""

    places: tuple[Place, ...]
    left_out: tuple[LeftOut, ...]


class Layout(msgspec.Struct, frozen=True):
    """The skills of a repository: the path of each one's file, by name; and what was left out."""

    files: dict[str, str]
    left_out: tuple[LeftOut, ...]


def left_out(path: str, why: str) -> LeftOut:
    return LeftOut(decoded_name(path), why)


def decoded_name(name: str) -> str:
    """A file name as text that can be shown and stored: bytes that are not UTF-8 become U+FFFD."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")


def is_skill_file(name: str) -> bool:
    """Whether the file `name` makes its folder a skill."""
    return len(name) == len(SKILL_FILE) and name.lower() == "skill.md"


def spelling_problem(path: str) -> Finding | None:
    """The finding that a skill's file has another name than SKILL.md or skill.md."""
    name = path.rpartition("/")[2]
    if name in SKILL_FILES or not is_skill_file(name):
        return None
    return Finding(
        "file-name", "warning", 1, f"rename {name} to {SKILL_FILE}: it is only found on disks that ignore case"
    )


def is_skill(path: str) -> bool:
    """Whether a file at `path` can be a skill's file. Of a flat file, the content decides too."""
    folders, _, name = path.rpartition("/")
    parts = folders.split("/") if folders else []
    if is_skill_file(name):
        return NOT_SEARCHED.isdisjoint(parts) and not (parts and parts[-1].startswith("."))
    return not parts and is_flat(name)


def is_flat(name: str) -> bool:
    """Whether the name of a file at the top is that of a flat skill."""
    return name.endswith(".md") and not name.startswith(".") and name[:-3].lower() not in NOT_SKILLS


def own_files(files: Mapping[str, T], place: str) -> dict[str, T]:
    """Of the `files` below the folder of the skill file `place`, those that belong to no skill inside that folder."""
    own = place.rpartition("/")[0]
    inner = {path.rpartition("/")[0] for path in files if is_skill_file(path.rpartition("/")[2])} - {own}
    if not inner:
        return dict(files)
    return {path: file for path, file in files.items() if path == place or inner.isdisjoint(_folders(path))}


def _folders(path: str) -> Iterator[str]:
    """The folders above `path` but for the top, innermost first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


# Links


def follow_links(listing: Iterable[Listed]) -> Files:
    """The files of a listing, with those that links lead to. One link is followed on each path."""
    real: dict[str, str] = {}
    special: set[str] = set()
    links: list[Listed] = []
    left: list[LeftOut] = []
    for number, each in enumerate(listing):
        if number >= MAX_ENTRIES:
            left.append(LeftOut(".", f"only the first {MAX_ENTRIES:,} files are looked at"))
            break
        if each.why:
            left.append(left_out(each.path, each.why))
        elif each.kind == "link":
            links.append(each)
        elif each.kind != "folder":
            real[each.path] = each.path
            if each.kind == "other":
                special.add(each.path)
    if links:
        _add_linked(real, special, links, left)
    return Files(real, frozenset(special), tuple(left))


def _add_linked(real: dict[str, str], special: set[str], links: list[Listed], left: list[LeftOut]) -> None:
    """Add the files that `links` lead to."""
    files, linked = sorted(real), sorted(link.path for link in links)
    full = False
    for path, _, target, _ in links:
        if target in real and real[target] == target:
            real[path] = target
            if target in special:
                special.add(path)
            continue
        if f"{path}/".startswith(f"{target}/" if target else ""):
            left.append(left_out(path, "it is a link to a folder above it, a cycle"))
            continue
        room = MAX_ENTRIES - len(real)
        below = [] if full else list(islice(_below(files, target), room + 1))
        full = full or len(below) > room
        if full:
            left.append(left_out(path, f"it is a link, and with its files there are more than {MAX_ENTRIES:,}"))
            continue
        if not below:
            left.append(left_out(path, f"it is a link to {decoded_name(target)}, where no file is read"))
            continue
        for file in below:
            copy = path + file.removeprefix(target)
            real[copy] = file
            if file in special:
                special.add(copy)
        for link in _below(linked, target):
            why = "it is a link below a link, and only one is followed on a path"
            left.append(left_out(path + link.removeprefix(target), why))


def _below(ordered: list[str], folder: str) -> Iterator[str]:
    """The paths below `folder` in a sorted list."""
    for path in ordered[bisect_left(ordered, f"{folder}/") :]:
        if not path.startswith(f"{folder}/"):
            return
        yield path


def link_in(path: str, text: str, links: Mapping[str, str]) -> Listed:
    """The link at `path` of an archive or a commit, with the text `text`. `links` are the texts of all links, by path."""
    parts = posixpath.join(posixpath.dirname(path), text).split("/")
    if text.startswith("/"):
        return Listed(path, "link", why="it is a link that leads out of the source")
    done: list[str] = []
    for _ in range(_MAX_LINKS * MAX_DEPTH):
        if not parts:
            return Listed(path, "link", "/".join(done))
        part = parts.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            if not done:
                return Listed(path, "link", why="it is a link that leads out of the source")
            done.pop()
            continue
        done.append(part)
        onward = links.get("/".join(done))
        if onward is not None:
            if onward.startswith("/"):
                return Listed(path, "link", why="it is a link that leads out of the source")
            done.pop()
            parts = [*onward.split("/"), *parts]
    return Listed(path, "link", why="it is a cycle of links")


# Skills


def find_skills(files: Files, is_document: Callable[[str], str]) -> FoundSkills:
    """The skills among `files`. `is_document(path)` is the reason why a flat file is no skill, "" for one that is."""
    left = list(files.left_out)
    spellings: dict[str, list[str]] = {}
    near: list[str] = []
    places: list[Place] = []
    for path in files.real:
        folder, _, name = path.rpartition("/")
        if is_skill_file(name):
            spellings.setdefault(folder, []).append(path)
        elif not folder and name[-3:].lower() == ".md":
            _add_flat(path, files, is_document, places, left)
        elif name[:1] in "sS" and _NEAR_MISS.fullmatch(name):
            near.append(path)
    for folder, paths in spellings.items():
        own = folder.rpartition("/")[2]
        first, *others = sorted(paths, key=_preference)
        if own.startswith("."):
            left.append(left_out(first, "the name of its folder begins with a dot"))
        elif first in files.special:
            left.append(left_out(first, "it is not a regular file"))
        else:
            places.append(Place(first, folder, False, files.real[first] != first))
        left += [
            left_out(other, f"{decoded_name(first)} is the skill's file, and this is another one") for other in others
        ]
    for path in near:
        folder = path.rpartition("/")[0]
        if spellings.keys().isdisjoint(_folders(path)):
            left.append(left_out(path, f"a skill's file is called {SKILL_FILE}"))
    return FoundSkills(tuple(sorted(places, key=_rank)), tuple(left))


def _add_flat(
    path: str, files: Files, is_document: Callable[[str], str], places: list[Place], left: list[LeftOut]
) -> None:
    """Add the file `path` at the top to the skills, or to what is left out. README.md and its like are not named."""
    if path in files.special:
        left.append(left_out(path, "it is not a regular file"))
        return
    why = is_document(path)
    known = path[:-3].lower() in NOT_SKILLS
    if not why and is_flat(path):
        places.append(Place(path, "", True, files.real[path] != path))
    elif not why:
        left.append(
            left_out(path, "it has the name of a document for people" if known else "a skill is called name.md")
        )
    elif not known:
        left.append(left_out(path, why))


def _preference(path: str) -> tuple[int, str]:
    """Sorts the spellings of a skill's file: SKILL.md, skill.md, then the others."""
    name = path.rpartition("/")[2]
    return (SKILL_FILES.index(name) if name in SKILL_FILES else len(SKILL_FILES)), name


def _rank(place: Place) -> tuple[bool, int, bool, str]:
    """Sorts skills of one name: not through a link, near to the top, in a folder of its own."""
    depth = place.folder.count("/") + 1
    return place.linked, depth, not place.folder, place.path


def name_of(place: Place, top: str) -> str:
    """The name of a skill: that of its folder, of its flat file, or of the source (`top`)."""
    if place.flat:
        return decoded_name(place.path[:-3])
    return decoded_name(place.folder.rpartition("/")[2] or top)


def one_for_each_name(found: FoundSkills, top: str) -> Layout:
    """The layout of a repository: of skills with one name, the first of `found` counts, the others are left out."""
    files: dict[str, str] = {}
    left = list(found.left_out)
    for place in found.places:
        name = name_of(place, top)
        first = files.setdefault(name, place.path)
        if first != place.path:
            left.append(left_out(place.path, f"the skill {name!r} is {decoded_name(first)}, and one of a name is read"))
    return Layout(files, tuple(sorted(left, key=lambda each: each.place)))
