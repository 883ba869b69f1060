"""Audit all skills of a repository on disk with all their files, and accept findings there.

report = audit_folder(root, settings)
report.audited, report.unaudited, report.accepted
commit = accept_findings(root, report, [Acceptance.parse("find-mugs:fetch-and-run:1f2e3d4c")], by="ada")
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec

from engine.core.errors import SkillosError
from engine.core.text import counted
from engine.review.settings import AuditSettings
from engine.skills.audit import Context, DuplicateIndex
from engine.skills.audit.accepted import FULL, NOTHING, Acceptance, Known, accepted_in, marked, trailers_of
from engine.skills.audit.files import IN_PART, Located, audit_files
from engine.skills.exchange.bundle import Package, Skipped
from engine.skills.exchange.sources import read_repo
from engine.skills.history.history import History


class NothingToAccept(SkillosError):
    """An acceptance names no finding. The message says which findings there are."""


class SkillAudit(msgspec.Struct, frozen=True):
    """The findings in the files of one skill. `own` is the path of its own file."""

    skill: str
    own: str
    found: tuple[Located, ...]


class RepoAudit(msgspec.Struct, frozen=True):
    """What an audit found: counts of files, the places of those that were not audited (or not to their end), the skills.

    `left_out` is what could be taken for a skill and is none. `accepted` counts the findings that this user accepted for the
    content as it is, `claimed` those that only somebody else's commits say were accepted.
    """

    audited: int
    unaudited: tuple[Skipped, ...]
    left_out: tuple[Skipped, ...]
    accepted: int
    claimed: int
    skills: tuple[SkillAudit, ...]


def audit_folder(
    root: Path,
    settings: AuditSettings,
    names: Collection[str] = (),
    *,
    reached: Callable[[int, int], None] = lambda done, total: None,
) -> RepoAudit:
    """Audit the skills `names` (all by default) of the repository at `root`. Raises `ExchangeError` and `HistoryError`.

    `reached` is called with the number of skills that are audited, and of all.
    """
    bundle = read_repo(root)
    others = DuplicateIndex.of({package.name: package.skill for package in bundle.packages})
    known: Known | None = None
    skills: list[SkillAudit] = []
    unaudited: list[Skipped] = []
    audited = 0
    wanted = [package for package in bundle.packages if not names or package.name in names]
    for number, package in enumerate(wanted):
        reached(number, len(wanted))
        context = Context(others=others, itself=(package.name,), similarity=settings.similarity)
        files = {path: file.data for path, file in package.files.items()}
        checked = audit_files(files, own=package.path, context=context)
        audited += checked.audited
        if checked.found and known is None:
            known = accepted_in(root)
        found = marked(checked.found, package.name, known or NOTHING)
        skills.append(SkillAudit(package.name, package.path, found))
        folder = "" if package.flat else f"{package.name}/"
        unaudited += [
            Skipped(f"{folder}{each.file}", each.finding.message)
            for each in found
            if each.finding.rule in IN_PART and not each.accepted
        ]
    unread = [each for each in bundle.skipped if _is_of(each.place, bundle.packages, names)]
    left_out = () if names else tuple(each for each in bundle.skipped if each not in unread)
    accepted = sum(bool(each.accepted) for skill in skills for each in skill.found)
    claimed = sum(bool(each.claimed) for skill in skills for each in skill.found)
    return RepoAudit(audited, (*unaudited, *unread), left_out, accepted, claimed, tuple(skills))


def _is_of(place: str, packages: Sequence[Package], names: Collection[str]) -> bool:
    """Whether something that was skipped belongs to a skill of `names`, or is a skill's file that cannot be read."""
    folder, _, file = place.rpartition("/")
    if file.lower() == "skill.md":
        return not names or folder.rpartition("/")[2] in names
    homes = [
        package.place.removesuffix(package.path)
        for package in packages
        if not package.flat and (not names or package.name in names)
    ]
    return any(place.startswith(home) for home in homes)


def accept_findings(root: Path, report: RepoAudit, wanted: Collection[Acceptance], by: str) -> list[Acceptance]:
    """Record that the person `by` accepts findings, as a commit that changes no file. Returns them with their full hashes.

    A full hash can also be that of a text that is not in the repository yet, as the audit gate names it. Raises
    `NothingToAccept` where a shorter one names no finding of `report`, and `HistoryError`.
    """
    made: list[Acceptance] = []
    for given in wanted:
        fits = [
            Acceptance.of(skill.skill, each)
            for skill in report.skills
            for each in skill.found
            if given.covers(skill.skill, each)
        ]
        if not fits and len(given.content) == FULL:
            fits = [given]
        if not fits:
            raise NothingToAccept(f"{root} has no finding {given}; `audit` prints the findings that there are")
        made += fits
    accepted = sorted(set(made))
    message = f"Accept {counted(len(accepted), 'finding')} of the audit"
    trailers = {"Reviewer": by, "Operation": "accept", **trailers_of(accepted)}
    History.open(root).put({}, message=message, trailers=trailers)
    return accepted
