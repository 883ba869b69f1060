"""What a gate is: it admits an edit to the review queue, or refuses it with a reason.

    class Short:
        async def admit(self, edit: Edit, repo: SkillRepo) -> Verdict:
            return Verdict(len(edit.after or "") < 2000, "the skill is longer than 2,000 characters")

    KIND = GateKind(name="short", settings=Settings, open=lambda context: Short())

The gates of a run are asked in the order of `review.gates`. The first that refuses ends the edit, and the reason is logged.
A gate is awaited, so it may take long; work that blocks belongs into `asyncio.to_thread`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from engine.core.edit import Edit
from engine.core.findings import Finding
from engine.skills.repo.repository import SkillRepo

Measure = Callable[[SkillRepo], Awaitable[float | None]]
"""How good a repository is: mean r_task of held-out tasks that are played with it, in [0, 1]. None is unmeasured."""


class Verdict(msgspec.Struct, frozen=True):
    """What a gate says of an edit. `reason` is for an edit that did not pass. `findings` and `score` (None: nothing was
    measured) are shown to the reviewer of an edit that passed."""

    passed: bool
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    score: float | None = None


class GateContext(msgspec.Struct, frozen=True):
    """What a gate gets from `GateKind.open`.

    `settings` is the section of the configuration that has the gate's name, or the default settings of its kind.
    `trajectory` reads from the log what was said and seen in the trajectory that caused an edit, "" where none did; it
    blocks. `measure` is given by a job that can play; it is None where an edit is amended or queued again by a person.
    """

    settings: Any
    trajectory: Callable[[Edit], str] = lambda edit: ""
    measure: Measure | None = None


class Gate(Protocol):
    """One gate of one run. Edits are admitted one after another."""

    async def admit(self, edit: Edit, repo: SkillRepo) -> Verdict:
        """Whether `edit`, which applies to `repo`, may wait for a decision. `repo` stays as it is.

        A `SkillosError` refuses the edit, with the error's message as the reason.
        """
        ...
