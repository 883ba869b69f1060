"""Skills that are brought into the repository of a run, one by one as a person chooses.

source = read("~/collection.zip", repo)      # raises `SkillosError`, `OSError`
answers(source.listed[0])                        # what a person can choose for it, the default first
bring(source, repo, choices, by="ada")           # one commit, or nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine.core.paths import user_path
from engine.core.text import counted
from engine.skills.exchange import (
    Bundle,
    Candidate,
    Choice,
    ImportReport,
    Leave,
    Rename,
    Replace,
    Take,
    candidates,
    import_skills,
    plan_import,
    read_source,
)


class Source(msgspec.Struct, frozen=True):
    """What was read from `place`, as a person named it: the bundle, and its skills as candidates for one repository."""

    place: str
    bundle: Bundle
    listed: tuple[Candidate, ...]


class Answer(msgspec.Struct, frozen=True):
    """One choice for a candidate: a `mark` of one cell, and `text`, which says what happens."""

    choice: Choice
    mark: str
    text: str


def read(place: str, repo: Path) -> Source:
    """Read a folder, an archive or a repository. Raises `SkillosError`, and `OSError`."""
    bundle = read_source(user_path(place).absolute())
    return Source(place, bundle, candidates(bundle, repo))


def answers(candidate: Candidate) -> tuple[Answer, ...]:
    """What a person can choose for a candidate. The first one is the default; a single one cannot be changed."""
    if candidate.state == "same":
        return (Answer(Leave(), "=", "the repository has it already, file by file"),)
    if candidate.blocking:
        first = candidate.blocking[0]
        more = f" and {len(candidate.blocking) - 1} more" if len(candidate.blocking) > 1 else ""
        where = f"{first.finding.rule} in {first.file}, line {first.finding.line}{more}"
        return (Answer(Leave(), "✗", f"the audit blocks it: {where}"),)
    leave = Answer(Leave(), " ", "leave it out")
    rename = Answer(Rename(), "+", "import it under a new name")
    if candidate.state == "differs":
        leave = Answer(Leave(), " ", f"leave it out: the repository has another {candidate.taken_by}")
        replace = Answer(Replace(), "!", f"replace the {candidate.taken_by} of the repository")
        return (leave, replace, rename) if candidate.taken_by == candidate.name else (leave, rename)
    if candidate.twins:
        count = len(candidate.twins) + 1
        unsaid = Answer(Leave(), " ", f"leave it out: one of {count} different skills of this name")
        return unsaid, Answer(Take(), "+", f"import this one of {count}"), rename
    return Answer(Take(), "+", "import it"), leave


def bring(source: Source, repo: Path, choices: Mapping[str, Choice], by: str) -> ImportReport:
    """Import the skills of `source` by the choices, which are by place. Raises `SkillosError`, and `OSError`."""
    plan = plan_import(source.bundle, repo, choices=choices, listed=source.listed)
    return import_skills(repo, plan, trailers={"Reviewer": by})


def sentence(report: ImportReport) -> str:
    """What an import did, for a person."""
    new = [done for done in report.imported if done.action != "same"]
    left = f"; {counted(len(report.left), 'skill')} left out" if report.left else ""
    if not new:
        return f"Nothing was imported from {report.origin}{left}."
    named = ", ".join(done.name for done in new[:3]) + (" …" if len(new) > 3 else "")
    return f"Imported {counted(len(new), 'skill')} from {report.origin}: {named}{left}."
