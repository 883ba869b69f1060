"""From which repository the rollouts of a step start, and how the log names it.

    start = Start.of(SkillRepo.open(run.repo_path), commit)
    await collect(groups, start=start.repo, …)
    StepStarted(…, start=start.digest, start_texts=dict(start.texts))       # the texts only where they are new in the log

With `training.start_from = "empty"`, as published, every rollout starts from `EMPTY`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from engine.skills import SkillRepo


class Start(msgspec.Struct, frozen=True):
    """A repository's file texts by skill name, and the git commit that it is at ("" for none). Text that is not UTF-8 was
    replaced."""

    texts: Mapping[str, str] = {}
    commit: str = ""

    @classmethod
    def of(cls, repo: SkillRepo, commit: str = "") -> Start:
        """The start that `repo` is now."""
        return cls(repo.texts(), commit)

    @property
    def repo(self) -> SkillRepo | None:
        """The repository in memory; None where it is empty."""
        return SkillRepo.of(self.texts) if self.texts else None

    @property
    def digest(self) -> str:
        """`digest` of its texts."""
        return digest(self.texts)


EMPTY = Start()


def digest(texts: Mapping[str, str]) -> str:
    """The SHA-256 of texts by name, in hexadecimal; "" where there are none."""
    return hashlib.sha256(msgspec.json.encode(sorted(texts.items()))).hexdigest() if texts else ""
