"""Import skills into a repository, as one commit or not at all.

    plan = plan_import(bundle, root, clash="rename")
    report = import_skills(root, plan, trailers={"Reviewer": "ada"})
    [(done.name, done.action) for done in report.imported], [(left.place, left.why) for left in report.skipped]

Files are imported byte for byte; only a renamed skill gets another name in its frontmatter. Invalid skills are imported
with their findings. A replaced skill stays in the history.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Set
from itertools import count
from pathlib import Path
from typing import Literal

import msgspec

from engine.core.findings import Finding
from engine.skills.exchange.bundle import Bundle, ExchangeError, File, Package, Skipped
from engine.skills.format.names import MAX_NAME
from engine.skills.history.history import History
from engine.skills.repo.layout import NOT_SKILLS, other_files, skill_file

Clash = Literal["refuse", "rename", "replace"]
Action = Literal["added", "renamed", "replaced", "same"]


class NameClash(ExchangeError):
    """Imported skills have the names (`names`) of other skills in the repository."""

    def __init__(self, names: tuple[str, ...]) -> None:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        super().__init__(
            f"these names are taken by other skills: {shown}; import them under new names, or replace those"
        )
        self.names = names


class Imported(msgspec.Struct, frozen=True):
    """One imported skill. `origin` is its name in the source. `same`: the repository has it already, file by file."""

    name: str
    place: str
    action: Action
    origin: str
    files: int
    bytes: int
    findings: tuple[Finding, ...]


class ImportPlan(msgspec.Struct, frozen=True):
    """What an import will do. `packages` are the skills that it will write, by their new names."""

    origin: str
    imported: tuple[Imported, ...]
    skipped: tuple[Skipped, ...]
    packages: dict[str, Package]


class ImportReport(msgspec.Struct, frozen=True):
    """What an import did. `commit` is None where nothing had to be written."""

    origin: str
    commit: str | None
    imported: tuple[Imported, ...]
    skipped: tuple[Skipped, ...]


def plan_import(bundle: Bundle, root: Path, *, clash: Clash = "refuse") -> ImportPlan:
    """Plan the import of `bundle` into the repository at `root`. Changes nothing.

    `clash` says what to do about a skill whose name is taken by another one. Raises `NameClash` for `refuse`, and
    `ExchangeError` where the folder cannot be read.
    """
    taken = _taken(root)
    used = {*taken, *(package.name for package in bundle.packages)}
    imported: list[Imported] = []
    packages: dict[str, Package] = {}
    skipped = list(bundle.skipped)
    clashes: list[str] = []
    for package in bundle.packages:
        made, action = package, _action(package, root, taken, clash)
        if action is None:
            clashes.append(package.name)
            continue
        if action == "renamed":
            if any(finding.rule == "not-utf8" for finding in package.skill.findings):
                skipped.append(
                    Skipped(package.place, "its name is taken, and its file is not UTF-8 and cannot be renamed")
                )
                continue
            made = _renamed(package, _free(package.name, used))
            used.add(made.name)
        size = sum(len(file.data) for file in made.files.values())
        findings = made.skill.findings
        imported.append(Imported(made.name, made.place, action, package.name, len(made.files), size, findings))
        if action != "same":
            packages[made.name] = made
    if clashes:
        raise NameClash(tuple(clashes))
    return ImportPlan(bundle.origin, tuple(imported), tuple(skipped), packages)


def import_skills(root: Path, plan: ImportPlan, *, trailers: Mapping[str, str], message: str = "") -> ImportReport:
    """Carry out `plan` as one commit. Raises `HistoryError`, and `Conflict` for a name that was taken since."""
    commit = None
    if plan.packages:
        names = ", ".join(list(plan.packages)[:3]) + (" …" if len(plan.packages) > 3 else "")
        commit = History.open(root).put(
            {
                name: {_path(package, path): (file.data, file.executable) for path, file in package.files.items()}
                for name, package in plan.packages.items()
            },
            replace={done.name for done in plan.imported if done.action == "replaced"},
            message=message or f"Import {len(plan.packages)} from {plan.origin}: {names}",
            trailers={**trailers, "Operation": "import", "Origin": plan.origin},
        )
    return ImportReport(plan.origin, commit, plan.imported, plan.skipped)


def _action(package: Package, root: Path, taken: Set[str], clash: Clash) -> Action | None:
    """What to do with a skill; None to refuse it because its name is taken.

    A skill whose name differs by case alone is not replaced: the result would depend on the file system.
    """
    if package.name.casefold() not in taken:
        return "added"
    if _same(root, package):
        return "same"
    if clash == "replace" and skill_file(root, package.name) is not None:
        return "replaced"
    return "renamed" if clash == "rename" else None


def _path(package: Package, path: str) -> str:
    """The path in a repository of a file of a skill."""
    return f"{package.name}.md" if package.flat else f"{package.name}/{path}"


def _taken(root: Path) -> set[str]:
    """The names that are taken at `root`, case-folded because some file systems ignore case."""
    try:
        entries = list(root.iterdir())
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise ExchangeError(
            f"cannot import into {root}: {error.strerror or error}; name a folder you may read"
        ) from error
    names = [name for entry in entries if not (name := entry.name).startswith(".")]
    return {name.removesuffix(".md").casefold() for name in names if name.removesuffix(".md").lower() not in NOT_SKILLS}


def _same(root: Path, package: Package) -> bool:
    """Whether the repository has the skill already, with these files and no others."""
    file = skill_file(root, package.name)
    if file is None or ("/" in file) == package.flat:
        return False
    present = {file.rpartition("/")[2], *other_files(root, file)}
    if present != ({f"{package.name}.md"} if package.flat else set(package.files)):
        return False
    return all(_holds(root / _path(package, path), wanted.data) for path, wanted in package.files.items())


def _holds(path: Path, data: bytes) -> bool:
    try:
        return not path.is_symlink() and path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False


def _free(name: str, used: Container[str]) -> str:
    """`name` with the smallest number appended that makes it unused."""
    for number in count(2):
        ending = f"-{number}"
        candidate = name[: MAX_NAME - len(ending)].rstrip("-") + ending
        if candidate not in used:
            return candidate
    raise AssertionError("unreachable: `count` is infinite")


def _renamed(package: Package, name: str) -> Package:
    """The package of the skill under another name."""
    skill = package.skill.renamed(name)
    path = f"{name}.md" if package.flat else package.path
    others = {key: file for key, file in package.files.items() if key != package.path}
    written = File(skill.text.encode("utf-8"), package.files[package.path].executable)
    return Package(name, package.place, skill, path, {path: written, **others}, package.flat)
