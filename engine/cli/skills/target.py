"""Which repository is meant, and which skill of it."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from engine.cli.common import CommandError
from engine.core.events import FindingsAccepted
from engine.review.settings import AuditSettings
from engine.runs.directory import DATABASE, Run
from engine.skills import Skill, SkillRepo


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
    """Log the accepted findings in the run that `path` names; of a folder, its history has them."""
    if accepted and (path / DATABASE).exists():
        with Run.open(path) as run:
            run.append(FindingsAccepted(by, sorted(accepted)))


def open_repo(options: argparse.Namespace) -> SkillRepo:
    return SkillRepo.open(root_of(options.repo))


def skill_named(repo: SkillRepo, name: str) -> Skill:
    """One skill. Raises `CommandError` with the names most like it."""
    if name not in repo:
        near = get_close_matches(name, repo, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else f"; it has {len(repo)} skills"
        raise CommandError(f"{repo.path} has no skill {name!r}{hint}")
    return repo[name]
