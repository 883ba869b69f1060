"""Import skills into a repository, one by one as a person chooses, as one commit or not at all.

    plan = plan_import(bundle, root, clash="rename", choices={"mugs": Leave(), "b/cups/SKILL.md": Take()})
    report = import_skills(root, plan, trailers={"Reviewer": "ada"})
    [(done.name, done.action) for done in report.imported], [(left.place, left.why) for left in report.left]

`engine.skills.exchange.candidates` lists what can be chosen. A skill that cannot be imported as it was chosen, or that the
audit blocks, is left out with the reason, and the others are imported. Files are imported byte for byte; only a renamed
skill gets another name in its frontmatter. Invalid skills are imported with their findings. A replaced skill stays in the
history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from itertools import count
from pathlib import Path
from typing import Literal

import msgspec

from engine.core.findings import Finding
from engine.core.text import counted
from engine.review.settings import AuditSettings
from engine.skills.audit.accepted import Acceptance, trailers_of
from engine.skills.audit.files import Located
from engine.skills.exchange.bundle import Bundle, ExchangeError, File, Package, Skipped
from engine.skills.exchange.candidates import Candidate, Present, candidates, place_in
from engine.skills.format.names import MAX_NAME, new_name_problem, same_on_some_disks
from engine.skills.history.history import History

Clash = Literal["refuse", "rename", "replace"]
Action = Literal["added", "renamed", "replaced", "same"]
Reason = Literal["chosen", "taken", "twice", "copy", "blocked", "not-renamable"]


class Take(msgspec.Struct, frozen=True, tag="take"):
    """Import the skill; `clash` applies where its name is taken."""


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    """Do not import the skill."""


class Rename(msgspec.Struct, frozen=True, tag="rename"):
    """Import the skill under the name `to`; under a free name for ""."""

    to: str = ""


class Replace(msgspec.Struct, frozen=True, tag="replace"):
    """Import the skill instead of the one in the repository."""


Choice = Take | Leave | Rename | Replace


class Imported(msgspec.Struct, frozen=True):
    """One imported skill. `origin` is its name in the source. `same`: the repository has it already, file by file."""

    name: str
    place: str
    action: Action
    origin: str
    files: int
    bytes: int
    findings: tuple[Finding, ...]
    accepted: tuple[Acceptance, ...] = ()


class Left(msgspec.Struct, frozen=True):
    """A skill of the source that is not imported: the `reason`, the same as a sentence (`why`), and what blocks it."""

    name: str
    place: str
    reason: Reason
    why: str
    blocking: tuple[Located, ...] = ()


class ImportPlan(msgspec.Struct, frozen=True):
    """What an import will do. `packages` are the skills that it will write, by their new names.

    `left` are the skills that it leaves out, `skipped` what was no skill that can be read.
    """

    origin: str
    imported: tuple[Imported, ...]
    left: tuple[Left, ...]
    skipped: tuple[Skipped, ...]
    packages: dict[str, Package]


class ImportReport(msgspec.Struct, frozen=True):
    """What an import did. `commit` is None where nothing had to be written."""

    origin: str
    commit: str | None
    imported: tuple[Imported, ...]
    left: tuple[Left, ...]
    skipped: tuple[Skipped, ...]


def plan_import(
    bundle: Bundle,
    root: Path,
    *,
    clash: Clash = "refuse",
    choices: Mapping[str, Choice] | None = None,
    settings: AuditSettings | None = None,
    accept: Collection[Acceptance] = (),
    by: str = "",
    listed: tuple[Candidate, ...] | None = None,
) -> ImportPlan:
    """Plan the import of `bundle` into the repository at `root`. Changes nothing.

    `choices` are by place or by name; a place takes precedence. A skill without a choice is taken. `clash` says what to do
    with a taken skill whose name another skill of the repository has. `accept` are the findings that the person `by`
    accepts. `listed` are the candidates, where the caller has them already. Raises `ExchangeError` for a choice or an
    acceptance that fits nothing, or where the folder cannot be read.
    """
    listed = candidates(bundle, root, settings=settings, accept=accept, by=by) if listed is None else listed
    _check_accepted(accept, listed)
    planning = _Planning(root, clash, by_place(choices or {}, listed), listed)
    packages = {package.place: package for package in bundle.packages}
    for candidate in listed:
        planning.add(candidate, packages[candidate.place])
    return ImportPlan(bundle.origin, tuple(planning.imported), tuple(planning.left), bundle.skipped, planning.packages)


def import_skills(root: Path, plan: ImportPlan, *, trailers: Mapping[str, str], message: str = "") -> ImportReport:
    """Carry out `plan` as one commit. Raises `HistoryError`, and `Conflict` for a name that was taken since."""
    commit = None
    if plan.packages:
        names = ", ".join(list(plan.packages)[:3]) + (" …" if len(plan.packages) > 3 else "")
        accepted = trailers_of(each for done in plan.imported for each in done.accepted)
        commit = History.open(root).put(
            {
                name: {place_in(package, path): (file.data, file.executable) for path, file in package.files.items()}
                for name, package in plan.packages.items()
            },
            replace={done.name for done in plan.imported if done.action == "replaced"},
            message=message or f"Import {len(plan.packages)} from {plan.origin}: {names}",
            trailers={**trailers, "Operation": "import", "Origin": plan.origin, **accepted},
        )
    return ImportReport(plan.origin, commit, plan.imported, plan.left, plan.skipped)


class _Planning:
    """The state of one `plan_import`: what will be imported and what is left out."""

    def __init__(self, root: Path, clash: Clash, choices: Mapping[str, Choice], listed: tuple[Candidate, ...]) -> None:
        self._present = Present(root)
        self._clash = clash
        self._choices = choices
        self._reserved = {same_on_some_disks(candidate.name) for candidate in listed}
        self._planned: set[str] = set()
        self.imported: list[Imported] = []
        self.left: list[Left] = []
        self.packages: dict[str, Package] = {}

    def add(self, candidate: Candidate, package: Package) -> None:
        """Import a candidate as it was chosen, or leave it out with the reason."""
        for place in candidate.copies:
            self._leave(candidate, "copy", f"it is {candidate.place} once more, with the same files", place=place)
        choice = self._choice(candidate)
        if choice is None:
            return
        if isinstance(choice, Leave):
            self._leave(candidate, "chosen", "you chose to leave it out")
        elif candidate.state == "same" and not isinstance(choice, Rename):
            self._import(candidate, package, "same")
        elif candidate.blocking:
            self._leave(candidate, "blocked", _blocked(candidate), blocking=candidate.blocking)
        elif isinstance(choice, Rename):
            self._rename(candidate, package, choice.to)
        elif same_on_some_disks(candidate.name) in self._planned:
            self._leave(candidate, "taken", f"another skill of the source is imported as {candidate.name!r}")
        elif not candidate.taken_by:
            self._import(candidate, package, "added")
        elif candidate.taken_by == candidate.name and (isinstance(choice, Replace) or self._clash == "replace"):
            self._replace(candidate, package)
        elif self._clash == "rename" and not isinstance(choice, Replace):
            self._rename(candidate, package, "")
        else:
            self._leave(candidate, "taken", _taken(candidate))

    def _choice(self, candidate: Candidate) -> Choice | None:
        """What to do with a candidate; None after it was left out because of its twins."""
        choice = self._choices.get(candidate.place)
        if choice is not None or not candidate.twins or candidate.state == "same":
            return choice or Take()
        chosen = [place for place in candidate.twins if isinstance(self._choices.get(place), Take | Replace | Rename)]
        others = ", ".join(chosen or candidate.twins)
        if chosen:
            self._leave(candidate, "chosen", f"you chose {others} instead")
        else:
            self._leave(
                candidate,
                "twice",
                f"the source has other skills called {candidate.name!r}, with other content: {others}",
            )
        return None

    def _replace(self, candidate: Candidate, package: Package) -> None:
        file = self._present.place(candidate.name)
        if not file:
            self._leave(candidate, "taken", f"{candidate.name} in the repository is no skill, so it is not replaced")
        elif file.partition("/")[0].removesuffix(".md") != candidate.name:
            self._leave(candidate, "taken", f"the repository has it at {file}, and only skills at the top are replaced")
        else:
            self._import(candidate, package, "replaced")

    def _rename(self, candidate: Candidate, package: Package, to: str) -> None:
        name = to or self._free(candidate)
        if not self._is_free(name, candidate):
            raise ExchangeError(f"{candidate.name} cannot be renamed to {name}: the name is taken; choose another one")
        if any(finding.rule == "not-utf8" for finding in package.skill.findings):
            self._leave(
                candidate, "not-renamable", "its name is taken, and its file is not UTF-8 and cannot be renamed"
            )
        else:
            self._import(candidate, package, "renamed", _renamed(package, name))

    def _is_free(self, name: str, candidate: Candidate) -> bool:
        """Whether no skill of the repository or of the source has this name, or one that some disks do not tell from it."""
        key = same_on_some_disks(name)
        reserved = key in self._reserved and key != same_on_some_disks(candidate.name)
        return not (reserved or key in self._planned or self._present.taken_by(name))

    def _free(self, candidate: Candidate) -> str:
        """The candidate's name with the smallest number appended that makes it free."""
        for number in count(2):
            ending = f"-{number}"
            name = candidate.name[: MAX_NAME - len(ending)].rstrip("-") + ending
            if self._is_free(name, candidate):
                return name
        raise AssertionError("unreachable: `count` is infinite")

    def _import(self, candidate: Candidate, origin: Package, action: Action, renamed: Package | None = None) -> None:
        package = renamed or origin
        name, size = package.name, sum(len(file.data) for file in package.files.values())
        accepted = () if action == "same" else tuple(_accepted(candidate, origin, package))
        findings = package.skill.findings
        self.imported.append(
            Imported(name, candidate.place, action, candidate.name, len(package.files), size, findings, accepted)
        )
        self._planned.add(same_on_some_disks(name))
        if action != "same":
            self.packages[name] = package

    def _leave(
        self, candidate: Candidate, reason: Reason, why: str, *, place: str = "", blocking: tuple[Located, ...] = ()
    ) -> None:
        self.left.append(Left(candidate.name, place or candidate.place, reason, why, blocking))


def by_place(choices: Mapping[str, Choice], listed: Iterable[Candidate]) -> dict[str, Choice]:
    """The choices by the places of candidates. Raises `ExchangeError` for one that fits no candidate, or several."""
    listed = tuple(listed)
    places = {place: each.place for each in listed for place in (each.place, *each.copies)}
    names: dict[str, list[str]] = {}
    for each in listed:
        names.setdefault(same_on_some_disks(each.name), []).append(each.place)
    found: dict[str, Choice] = {}
    for key, choice in choices.items():
        named = [places[key]] if key in places else names.get(same_on_some_disks(key), [])
        if not named:
            near = get_close_matches(key, [*names, *places], n=3)
            hint = f"did you mean {', '.join(near)}?" if near else "--plan lists its skills"
            raise ExchangeError(f"the source has no skill {key!r}; {hint}")
        if len(named) > 1 and not isinstance(choice, Leave):
            raise ExchangeError(f"the source has {len(named)} skills called {key!r}; choose one of {', '.join(named)}")
        for place in named:
            if key in places or place not in found:
                found[place] = choice
    return found


def _check_accepted(accept: Collection[Acceptance], listed: tuple[Candidate, ...]) -> None:
    """Raise `ExchangeError` for an acceptance that fits no finding."""
    for given in accept:
        if any(given.covers(each.name, located) for each in listed for located in each.found):
            continue
        found = {Acceptance.of(each.name, located).short() for each in listed for located in each.found}
        of_skill = sorted(short for short in found if short.startswith(f"{given.skill}:"))
        hint = f"its findings are {', '.join(of_skill[:5])}" if of_skill else "the audit finds nothing in that skill"
        raise ExchangeError(f"the source has no finding {given}, so nothing was accepted; {hint}")


def _accepted(candidate: Candidate, origin: Package, package: Package) -> Iterable[Acceptance]:
    """The accepted findings of a candidate, for the files as they will be written: a renamed skill's file is another one."""
    for found in candidate.found:
        if found.accepted:
            own = found.file == origin.path
            content = hashlib.sha256(package.files[package.path].data).hexdigest() if own else found.content
            yield Acceptance(package.name, found.finding.rule, content)


def _blocked(candidate: Candidate) -> str:
    rules = ", ".join(sorted({found.finding.rule for found in candidate.blocking}))
    return f"the audit blocks it: {counted(len(candidate.blocking), 'finding')} ({rules})"


def _taken(candidate: Candidate) -> str:
    if candidate.taken_by and candidate.taken_by != candidate.name:
        return f"the repository has {candidate.taken_by!r}, which is the same name on many file systems"
    return "the repository has another skill of this name"


def _renamed(package: Package, name: str) -> Package:
    """The package of the skill under another name. Raises `ExchangeError` for a name that is not valid."""
    problem = new_name_problem(name)
    if problem:
        raise ExchangeError(f"{package.name} cannot be renamed: {problem}")
    skill = package.skill.renamed(name)
    path = f"{name}.md" if package.flat else package.path
    others = {key: file for key, file in package.files.items() if key != package.path}
    written = File(skill.text.encode("utf-8"), package.files[package.path].executable)
    return Package(name, package.place, skill, path, {path: written, **others}, package.flat)
