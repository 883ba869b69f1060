"""The skills of a source as a person chooses among them: what each is, what it meets in the repository, what blocks it.

    for candidate in candidates(bundle, root):
        print(candidate.name, candidate.place, candidate.state, candidate.twins, len(candidate.blocking))

`state` compares with the repository. `twins` are other skills of the same name in the source, with other content: a person
chooses one of them by its place. Identical copies are one candidate, and their places are its `copies`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Literal

import msgspec

from engine.core.beneath import Beneath
from engine.core.findings import Finding
from engine.review.settings import AuditSettings
from engine.skills.audit.accepted import NOTHING, Acceptance, Known, accepted_in, marked
from engine.skills.audit.files import Located, audit_files
from engine.skills.exchange.bundle import Bundle, ExchangeError, Package
from engine.skills.format.names import same_on_some_disks
from engine.skills.repo.layout import layout_of, other_files
from engine.skills.repo.rule import NOT_SKILLS, is_flat

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
    accept: Collection[Acceptance] = (),
    by: str = "",
    reached: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Candidate, ...]:
    """The candidates of `bundle` for the repository at `root`, by name and place. Changes nothing.

    `accept` are findings that the person `by` accepts now, beside those that the repository's history says were accepted.
    `reached` is called with the number of skills that are audited, and of all. Raises `ExchangeError` where the folder
    cannot be read, and `HistoryError`.
    """
    present = Present(root)
    settings = settings or AuditSettings()
    known: Known | None = None
    made: list[Candidate] = []
    listed = groups(bundle.packages)
    total = sum(map(len, listed))
    for group in listed:
        firsts = [copies[0].place for copies in group]
        for copies in group:
            package = copies[0]
            reached(len(made), total)
            found = audit_files({path: file.data for path, file in package.files.items()}, own=package.path).found
            if known is None and any(each.blocks(settings) for each in found):
                known = accepted_in(root)
            found = marked(found, package.name, known or NOTHING)
            taken_by = present.taken_by(package.name)
            made.append(
                Candidate(
                    package.name,
                    package.place,
                    package.skill.description,
                    "new" if not taken_by else "same" if present.has(package) else "differs",
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
    return accepting(made, accept, by, settings)


def accepting(
    listed: Iterable[Candidate], accept: Collection[Acceptance], by: str, settings: AuditSettings | None = None
) -> tuple[Candidate, ...]:
    """The candidates with the findings `accept` marked as accepted by the person `by`."""
    if not accept:
        return tuple(listed)
    made: list[Candidate] = []
    for each in listed:
        found = tuple(
            msgspec.structs.replace(located, accepted=by or "you")
            if not located.accepted and any(given.covers(each.name, located) for given in accept)
            else located
            for located in each.found
        )
        blocking = tuple(located for located in found if located.blocks(settings or AuditSettings()))
        made.append(msgspec.structs.replace(each, found=found, blocking=blocking))
    return tuple(made)


def groups(packages: Iterable[Package]) -> list[list[list[Package]]]:
    """The packages by name; those of a name by content. The nearest to the top is the first of its copies."""
    by_name: dict[str, list[list[Package]]] = {}
    for package in packages:
        group = by_name.setdefault(same_on_some_disks(package.name), [])
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


class Present:
    """The skills of the repository at `root`, and the names that are taken there. Raises `ExchangeError`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            self._files = layout_of(root).files
            names = [entry.name for entry in sorted(root.iterdir()) if not entry.name.startswith(".")]
        except FileNotFoundError:
            self._files, names = {}, []
        except OSError as error:
            raise ExchangeError(
                f"cannot import into {root}: {error.strerror or error}; name a folder that you may read"
            ) from error
        taken = [name.removesuffix(".md") for name in names if name.removesuffix(".md").lower() not in NOT_SKILLS]
        self._taken = {same_on_some_disks(name): name for name in [*taken, *self._files]}

    def taken_by(self, name: str) -> str:
        """What has this name, or one that some disks do not tell from it; "" where the name is free."""
        return self._taken.get(same_on_some_disks(name), "")

    def place(self, name: str) -> str:
        """The path of the file of the skill `name`, "" where there is none."""
        return self._files.get(name, "")

    def has(self, package: Package) -> bool:
        """Whether the repository has the skill with these files and no others."""
        file = self.place(package.name)
        if not file or (is_flat(file) and "/" not in file) != package.flat:
            return False
        folder, _, own = file.rpartition("/")
        wanted = {f"{package.name}.md" if package.flat else path: data for path, data in package.files.items()}
        if {own, *other_files(self._root, file)} != set(wanted):
            return False
        with Beneath(self._root) as below:
            return all(
                _holds(below, f"{folder}/{path}" if folder else path, each.data) for path, each in wanted.items()
            )


def place_in(package: Package, path: str) -> str:
    """The path in a repository of a file of a skill."""
    return f"{package.name}.md" if package.flat else f"{package.name}/{path}"


def _holds(folder: Beneath, path: str, data: bytes) -> bool:
    try:
        return folder.lstat(path).st_size == len(data) and folder.read(path, len(data)) == data
    except OSError:
        return False
