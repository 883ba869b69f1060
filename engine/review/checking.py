"""An edit on its way into the review queue: it must apply to the run's repository and pass the run's gates.

gates = Gates(run)
edit = await gates.check(applied(edit, repo), repo)       # with findings and scores; raises `EditRefused`
edit = gated(run, edit, repo)                             # the same outside of an event loop
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from engine.core.edit import Edit
from engine.core.errors import SkillosError
from engine.core.events import EpisodeStarted, StepStarted, TurnTaken
from engine.core.findings import Finding
from engine.review.errors import EditRefused, ReviewError
from engine.review.gates.base import Gate, GateContext, Measure, Verdict
from engine.review.gates.registry import GATES
from engine.runs.directory import Run
from engine.skills.operations.operation import operation_of
from engine.skills.repo.repository import Refused, RepoError, SkillRepo


class Gates:
    """The gates of a run, opened as its configuration names them. `measure` is for gates that play held-out tasks."""

    def __init__(self, run: Run, measure: Measure | None = None) -> None:
        config = run.config
        self._gates: Sequence[tuple[str, Gate]] = [
            (
                name,
                (kind := GATES.load(name)).open(
                    GateContext(config.settings_of(kind), lambda edit: trajectory_of(run, edit), measure)
                ),
            )
            for name in config.review.gates
        ]

    async def check(self, edit: Edit, repo: SkillRepo) -> Edit:
        """`edit` with what the gates found and measured. Raises `EditRefused` with the reason of the first that refuses."""
        findings: list[Finding] = []
        scores: dict[str, float] = {}
        for name, gate in self._gates:
            try:
                verdict = await gate.admit(edit, repo)
            except SkillosError as error:
                verdict = Verdict(False, f"the gate {name} failed: {error}")
            if not verdict.passed:
                raise EditRefused(verdict.reason or f"the gate {name} refuses it and gives no reason")
            findings += verdict.findings
            if verdict.score is not None:
                scores[name] = verdict.score
        return msgspec.structs.replace(edit, findings=tuple(findings), scores=scores)


def gated(run: Run, edit: Edit, repo: SkillRepo) -> Edit:
    """The edit past the run's gates, which are awaited in a thread of their own. Raises `EditRefused`."""
    with ThreadPoolExecutor(1, "gates") as thread:
        return thread.submit(lambda: asyncio.run(Gates(run).check(edit, repo))).result()


def applied(edit: Edit, repo: SkillRepo) -> Edit:
    """The same edit with the texts that `repo` has now. `repo` stays as it is. Raises `EditRefused`."""
    try:
        made = operation_of(edit).apply(repo.fork())
    except Refused as refusal:
        raise EditRefused(f"it does not apply: {refusal.why}") from refusal
    return msgspec.structs.replace(
        edit, operation=made.operation, skill=made.skill, new_name=made.new_name, before=made.before, after=made.after
    )


def open_repo(run: Run) -> SkillRepo:
    """The repository of a run. Raises `ReviewError`."""
    try:
        return SkillRepo.open(run.repo_path)
    except RepoError as error:
        raise ReviewError(str(error)) from error


def trajectory_of(run: Run, edit: Edit) -> str:
    """What the log has of the trajectory that caused an edit: task, observations and actions; "" where none did.

    Where a step was repeated, the last one counts.
    """
    at = edit.provenance.position
    if at is None:
        return ""
    began = 0
    for stored in run.stream(kinds=["step_started"]):
        if isinstance(stored.event, StepStarted) and stored.event.step == at.step:
            began = stored.id
    texts: list[str] = []
    for stored in run.stream(after=began, kinds=["episode_started", "turn_taken"]):
        event = stored.event
        if isinstance(event, EpisodeStarted) and event.at == at:
            texts += [event.prompt, event.observation]
        elif isinstance(event, TurnTaken) and event.at == at:
            texts += [event.action, event.observation]
    return "\n".join(texts)
