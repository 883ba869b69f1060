"""What is known of the worth of edits, and the queue as a person reads it: one entry a skill, the most promising first.

worth(edit), why(edit)                     # 0.31, "r 0.97 (+0.33 over its group), 3 of 8 rollouts leave it"
for entry in grouped(pending(run)):
    entry.skill, entry.newest, entry.older, entry.worth, entry.why
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

import msgspec

from engine.core.edit import OPEN, Edit
from engine.core.findings import Severity
from engine.core.text import counted

WARNING, DANGER = 0.05, 0.25
"""What a finding of the audit takes from the worth of an edit."""


class SkillQueue(msgspec.Struct, frozen=True):
    """The edits of one skill: the newest one that waits, and the `older` ones behind it, the newest of them first.

    `worth` is that of the newest, None where nothing is measured, and `why` says what is known.
    """

    skill: str
    newest: Edit
    older: tuple[Edit, ...]
    worth: float | None
    why: str


def worth(edit: Edit) -> float | None:
    """What is known of an edit's worth, in units of the reward; None where nothing is measured.

        worth = Σ A / (n + 1)  +  mean gate score  −  0.05 · warnings  −  0.25 · dangers

    A are the advantages of the n rollouts of the step that leave an equal edit. An advantage compares a rollout with its
    own group, so edits of different groups can be compared. The sum is divided by n + 1 and not by n, because one lucky
    rollout proves little: its advantage counts half, and that of three rollouts that agree three quarters. An edit that
    all rollouts of a group leave has Σ A = 0: their rewards say nothing of it. A gate's score is a measurement of the
    repository with the edit, in the same units. Findings count so much that, of edits of similar rewards, the one without
    findings stands first. Worth orders the queue and decides nothing.
    """
    standing = edit.provenance.standing
    if standing is None and not edit.scores:
        return None
    known = sum(standing.advantages) / (len(standing.advantages) + 1) if standing else 0.0
    if edit.scores:
        known += fmean(edit.scores.values())
    return known - WARNING * _findings(edit, "warning") - DANGER * _findings(edit, "danger")


def why(edit: Edit) -> str:
    """What `worth` is made of, in a line; what is not measured is named."""
    standing = edit.provenance.standing
    known = []
    if standing is not None:
        equal = len(standing.advantages)
        known.append(f"r {standing.reward:.2f} ({standing.advantages[0]:+.2f} over its group)")
        known.append(f"{equal} of {counted(standing.rollouts, 'rollout')} {'leave' if equal > 1 else 'leaves'} it")
    known += [f"{gate} {score:.2f}" for gate, score in edit.scores.items()]
    if not known:
        task = f" (the task {edit.provenance.outcome})" if edit.provenance.outcome.measured else ""
        known.append(f"not measured: no reward of a step{task}, and no gate score")
    for severity in ("danger", "warning"):
        if found := _findings(edit, severity):
            known.append(counted(found, f"audit {severity}"))
    return ", ".join(known)


def order(edit: Edit) -> tuple[bool, float, int, float]:
    """A key that sorts the most promising edit first. Between equals, more agreeing rollouts and a higher r win."""
    known, standing = worth(edit), edit.provenance.standing
    equal, reward = (len(standing.advantages), standing.reward) if standing else (0, 0.0)
    return known is None, -(known or 0.0), -equal, -reward


def grouped(edits: Iterable[Edit]) -> list[SkillQueue]:
    """One entry a skill, the most promising first; entries without a known worth are last, in the order of `edits`.

    `edits` are oldest first, as `Run.edits` gives them. Newer versions of a skill fold over older ones; an edit that
    waits stands over those that are decided.
    """
    by_skill: dict[str, list[Edit]] = {}
    for edit in edits:
        by_skill.setdefault(edit.skill, []).append(edit)
    entries = []
    for skill, versions in by_skill.items():
        newest = next((edit for edit in reversed(versions) if edit.state in OPEN), versions[-1])
        older = tuple(edit for edit in reversed(versions) if edit is not newest)
        entries.append(SkillQueue(skill, newest, older, worth(newest), why(newest)))
    return sorted(entries, key=lambda entry: order(entry.newest))


def _findings(edit: Edit, severity: Severity) -> int:
    return sum(finding.severity == severity for finding in edit.findings)
