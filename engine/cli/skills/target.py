"""Which repository is meant, and which skill of it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

from engine.cli.common import CommandError
from engine.core.errors import SkillosError
from engine.core.events import FindingsAccepted
from engine.core.output import note
from engine.core.text import counted, printable
from engine.review.settings import AuditSettings
from engine.runs.directory import DATABASE, Run
from engine.skills import Skill, SkillRepo
from engine.skills.format.names import normalized
from engine.skills.repo.rule import LeftOut

SHOWN = 5
"""How many files that are left out are named without `--all`."""


def root_of(path: Path) -> Path:
    """The repository's folder; of a run, the one that it works on."""
    if not (path / DATABASE).exists():
        return path
    with Run.open(path) as run:
        return run.repo_path


def policy_of(path: Path) -> AuditSettings:
    """What audits lead to there: as a run is configured, or the defaults."""
    if not (path / DATABASE).exists():
        return AuditSettings()
    with Run.open(path) as run:
        return run.config.audit


def log_accepted(path: Path, accepted: Collection[str], by: str) -> None:
    """Log the accepted findings in the run that `path` names; of a folder, its history has them.

    The history records them first, so an error here undoes nothing and is a note.
    """
    try:
        if accepted and (path / DATABASE).exists():
            with Run.open(path) as run:
                run.append(FindingsAccepted(by, sorted(accepted)))
    except (SkillosError, OSError) as error:
        note(f"the history of the skills records the acceptance, but the log of the run does not: {error}")


def open_repo(options: argparse.Namespace) -> SkillRepo:
    return SkillRepo.open(root_of(options.repo))


def found_name(repo: SkillRepo, name: str) -> str:
    """The name of the skill `name` as the disk has it, which can have letters in another form of Unicode.

    Raises `CommandError` with the reason why it was left out, or with the names most like it.
    """
    if name in repo:
        return name
    same = [other for other in repo if normalized(other) == normalized(name)]
    if len(same) == 1:
        return same[0]
    left = next((left for left in repo.left_out if name in re.split(r"[/.]", left.place)), None)
    near = get_close_matches(name, repo, n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else f"; it has {counted(len(repo), 'skill')}"
    raise CommandError(
        f"{repo.path} has no skill {name!r}{f'; {left.place} was left out: {left.why}' if left else hint}"
    )


def skill_named(repo: SkillRepo, name: str) -> Skill:
    """One skill. Raises `CommandError` as `found_name` does."""
    return repo[found_name(repo, name)]


def add_all(action: argparse.ArgumentParser) -> None:
    """Add the option `--all`, which `print_left_out` obeys."""
    action.add_argument("--all", action="store_true", default=False, help="list each file that is left out, and why")


def print_left_out(left_out: Sequence[LeftOut], options: argparse.Namespace) -> None:
    """Print, on standard error, what could be taken for a skill and is none: in short, or with `--all` with the reasons."""
    if getattr(options, "all", False):
        for left in left_out:
            note(printable(f"left out  {left.place}: {left.why}"))
    elif left_out:
        places = ", ".join(left.place for left in left_out[:SHOWN])
        more = f" and {len(left_out) - SHOWN:,} more" if len(left_out) > SHOWN else ""
        note(printable(f"{len(left_out):,} left out: {places}{more}; list --all says why"))


def is_empty(repo: SkillRepo) -> bool:
    """Whether the repository has no skill at all, which is then said on standard error."""
    if not len(repo):
        rule = "a skill is a folder with a SKILL.md, or at the top a file name.md that begins with frontmatter"
        note(printable(f"no skill in {repo.path}: {rule}"))
    return not len(repo)
