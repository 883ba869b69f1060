"""A repository of skills: a folder, or a cheap copy in memory.

    repo = SkillRepo.open(path)
    repo["find-mugs"].description, len(repo), "find-mugs" in repo, list(repo)      # names are sorted
    fork = repo.fork()                       # edits of a fork stay in memory; only `history` writes to the disk

A rollout starts from `SkillRepo.empty()` and edits its own repository. Forks share their skills until one changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

import msgspec

from engine.core.errors import SkillosError
from engine.core.findings import Finding
from engine.skills.format.names import same_on_some_disks
from engine.skills.format.skill import Skill
from engine.skills.repo.layout import find_places, layout_of, other_files, read_text, skill_file
from engine.skills.repo.rule import LeftOut, spelling_problem


class RepoError(SkillosError):
    """A folder cannot be opened as a repository. The message says which, why, and what to do."""


class Refused(SkillosError):
    """The repository does not allow a well-formed operation. `why` is the reason."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class SkillRepo(Mapping[str, Skill]):
    """Skills by name, iterated in sorted order.

    `path` is the folder that it was opened from, or None; `left_out` is what could be taken for a skill there and is none.
    """

    def __init__(
        self,
        skills: Mapping[str, Skill],
        *,
        path: Path | None = None,
        places: Mapping[str, str] | None = None,
        left_out: tuple[LeftOut, ...] = (),
    ) -> None:
        self._skills = dict(skills)
        self._places = places or {}
        self.path = path
        self.left_out = left_out

    @classmethod
    def empty(cls) -> Self:
        """A repository without skills: the start of every training rollout."""
        return cls({})

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """The skills of a folder. Invalid files are included, with findings. Raises `RepoError` for the folder itself."""
        root = Path(path)
        try:
            layout = layout_of(root)
        except OSError as error:
            why = error.strerror or str(error)
            raise RepoError(
                f"cannot open the skill repository {root}: {why}; name a folder that you may read"
            ) from error
        clashes = _clashes(layout.files)
        skills = {name: _read(root, name, file, clashes.get(name)) for name, file in layout.files.items()}
        return cls(skills, path=root, places=layout.files, left_out=layout.left_out)

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Self:
        """A repository in memory, from file texts by name: the inverse of `texts`."""
        return cls({name: Skill.parse(text, name=name) for name, text in texts.items()})

    def __getitem__(self, name: str) -> Skill:
        return self._skills[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._skills))

    def __len__(self) -> int:
        return len(self._skills)

    def __contains__(self, name: object) -> bool:
        return name in self._skills

    def __repr__(self) -> str:
        return f"SkillRepo({len(self)} skills{f' of {self.path}' if self.path else ''})"

    def texts(self) -> dict[str, str]:
        """The text of every file, by skill name."""
        return {name: self._skills[name].text for name in self}

    def place(self, name: str) -> str | None:
        """The path of the file of the skill `name` below `path`; None where the disk has none."""
        if self.path is None:
            return None
        known = self._places.get(name)
        return known if known and os.path.lexists(self.path / known) else skill_file(self.path, name)

    def files(self, name: str) -> tuple[str, ...]:
        """The other files (scripts, references) in the folder on disk of the skill `name`, sorted."""
        place = self.place(name)
        return () if self.path is None or place is None else other_files(self.path, place)

    def fork(self) -> Self:
        """An independent copy in memory. It shares the skills, which are immutable."""
        return type(self)(self._skills, path=self.path, places=self._places, left_out=self.left_out)

    def insert(self, skill: Skill) -> None:
        """Add `skill` under its name. Raises `Refused` where the name is taken."""
        if skill.name in self._skills:
            raise Refused(f"there is already a skill {skill.name!r}; use update_skill to change it")
        self._skills[skill.name] = skill

    def update(self, name: str, skill: Skill) -> None:
        """Replace the skill `name` by `skill`, whose name can be a new one. Raises `Refused`."""
        self._check_exists(name)
        if skill.name != name and skill.name in self._skills:
            raise Refused(f"the new name {skill.name!r} is taken by another skill")
        del self._skills[name]
        self._skills[skill.name] = skill

    def delete(self, name: str) -> None:
        """Remove the skill `name`. Raises `Refused` where there is none."""
        self._check_exists(name)
        del self._skills[name]

    def _check_exists(self, name: str) -> None:
        if name not in self._skills:
            raise Refused(f"there is no skill {name[:80]!r} in the repository")


def read_skill(root: Path, name: str) -> Skill | None:
    """The skill `name` of the folder `root`, None where there is none."""
    return read_skills(root, [name])[name]


def read_skills(root: Path, names: Iterable[str]) -> dict[str, Skill | None]:
    """The skills `names` of the folder `root`, None for one that is absent."""
    places = find_places(root, names)
    return {name: None if place is None else _read(root, name, place, None) for name, place in places.items()}


def _clashes(names: Iterable[str]) -> dict[str, Finding]:
    """A finding for each name that another one is equal to on some disks: by case, or by Unicode's forms of a letter."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(same_on_some_disks(name), []).append(name)
    found = {}
    for group in groups.values():
        for name in group if len(group) > 1 else ():
            other = next(other for other in group if other != name)
            found[name] = Finding("case-clash", "warning", 1, f"{other!r} is the same name on many file systems")
    return found


def _read(root: Path, name: str, file: str, clash: Finding | None) -> Skill:
    """One skill of a folder. Its findings include those about the reading and about the name of its file."""
    text, findings = read_text(root, file)
    skill = Skill.parse(text, name=name)
    spelling = spelling_problem(file)
    found = (
        *findings,
        *((spelling,) if spelling else ()),
        *(skill.findings if text or not findings else ()),
        *((clash,) if clash else ()),
    )
    return skill if found == skill.findings else msgspec.structs.replace(skill, findings=found)
