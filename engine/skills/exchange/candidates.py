"""The skills of a source as a person chooses among them: what each is, what it meets in the repository, what blocks it.

    for candidate in candidates(bundle, root):
        print(candidate.name, candidate.place, candidate.state, candidate.twins, len(candidate.blocking))

`state` compares with the repository. `twins` are other skills of the same name in the source, with other content: a person
chooses one of them by its place. Identical copies are one candidate, and their places are its `copies`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from engine.core.findings import Finding
from engine.review.settings import AuditSettings
from engine.skills.audit.accepted import Acceptance, accepted_in, marked
from engine.skills.audit.files import Located, audit_files
from engine.skills.exchange.bundle import Bundle, ExchangeError, Package, alike
from engine.skills.repo.layout import NOT_SKILLS, other_files, skill_file

State = Literal["new", "same", "differs"]


class Candidate(msgspec.Struct, frozen=True):
    """One skill that can be imported. `place`, the path of its file in the source, identifies it.

    `state`: the repository has no skill of this name (`new`), has this one, file by file (`same`), or has another one
    (`differs`), which is called `taken_by`. `findings` are those of the format check. `found` are those of the audit of all
    files; `blocking` are the ones that keep the skill out until they are accepted. `bytes` and `files` count all files.
    """

    name: str
    place: str
    description: str
    state: State
    taken_by: str
    twins: tuple[str, ...]
    copies: tuple[str, ...]
    files: int
    bytes: int
    findings: tuple[Finding, ...]
    found: tuple[Located, ...]
    blocking: tuple[Located, ...]


def candidates(
    bundle: Bundle,
    root: Path,
    *,
    settings: AuditSettings | None = None,
    accept: Iterable[Acceptance] = (),
    by: str = "",
) -> tuple[Candidate, ...]:
    """The candidates of `bundle` for the repository at `root`, by name and place. Changes nothing.

    `accept` are findings that the person `by` accepts now, beside those that the repository's history says were accepted.
    Raises `ExchangeError` where the folder cannot be read, and `HistoryError`.
    """
    present = _present(root)
    settings = settings or AuditSettings()
    known: dict[Acceptance, str] | None = None
    made: list[Candidate] = []
    for group in groups(bundle.packages):
        firsts = [copies[0].place for copies in group]
        for copies in group:
            package = copies[0]
            found = audit_files({path: file.data for path, file in package.files.items()}, own=package.path).found
            if known is None and any(each.blocks(settings) for each in found):
                known = accepted_in(root)
            found = marked(found, package.name, known or {})
            found = tuple(
                msgspec.structs.replace(each, accepted=by or "you")
                if not each.accepted and any(given.covers(package.name, each) for given in accept)
                else each
                for each in found
            )
            taken_by = present.get(alike(package.name), "")
            made.append(
                Candidate(
                    package.name,
                    package.place,
                    package.skill.description,
                    "new" if not taken_by else "same" if _same(root, package) else "differs",
                    taken_by,
                    tuple(place for place in firsts if place != package.place),
                    tuple(copy.place for copy in copies[1:]),
                    len(package.files),
                    sum(len(file.data) for file in package.files.values()),
                    package.skill.findings,
                    found,
                    tuple(each for each in found if each.blocks(settings)),
                )
            )
    return tuple(made)


def groups(packages: Iterable[Package]) -> list[list[list[Package]]]:
    """The packages by name; those of a name by content. The nearest to the top is the first of its copies."""
    by_name: dict[str, list[list[Package]]] = {}
    for package in packages:
        group = by_name.setdefault(alike(package.name), [])
        copies = next((copies for copies in group if _equal(copies[0], package)), None)
        if copies is None:
            group.append([package])
        else:
            copies.append(package)
    return list(by_name.values())


def _equal(one: Package, other: Package) -> bool:
    """Whether two packages are the same skill with the same files."""
    return one.name == other.name and _contents(one) == _contents(other)


def _contents(package: Package) -> dict[str, object]:
    return {("" if path == package.path else path): file for path, file in package.files.items()}


def _present(root: Path) -> Mapping[str, str]:
    """The names that are taken at `root`, by what makes two names alike, because some file systems ignore case."""
    try:
        entries = sorted(root.iterdir())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ExchangeError(
            f"cannot import into {root}: {error.strerror or error}; name a folder you may read"
        ) from error
    names = [name.removesuffix(".md") for entry in entries if not (name := entry.name).startswith(".")]
    return {alike(name): name for name in names if name.lower() not in NOT_SKILLS}


def _same(root: Path, package: Package) -> bool:
    """Whether the repository has the skill already, with these files and no others."""
    file = skill_file(root, package.name)
    if file is None or ("/" in file) == package.flat:
        return False
    present = {file.rpartition("/")[2], *other_files(root, file)}
    if present != ({f"{package.name}.md"} if package.flat else set(package.files)):
        return False
    return all(_holds(root / place_in(package, path), wanted.data) for path, wanted in package.files.items())


def place_in(package: Package, path: str) -> str:
    """The path in a repository of a file of a skill."""
    return f"{package.name}.md" if package.flat else f"{package.name}/{path}"


def _holds(path: Path, data: bytes) -> bool:
    try:
        return not path.is_symlink() and path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
