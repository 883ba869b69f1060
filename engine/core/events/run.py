"""Events of any run: its starts and states, what it does now, and what a person should know."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.core.events.base import Event
from engine.core.records import Check

State = Literal["starting", "running", "paused", "stopping", "stopped", "finished", "failed"]


class RunStarted(Event, frozen=True):
    """An engine process began (or resumed) the run's work. `run_kind` is a name in `engine.jobs.registry.JOBS`.

    `settings` is the resolved configuration as TOML, which is in force until the next start; None in older logs. `changed`
    names the settings ("training.steps") that differ from those of the start before. `note` is that of the configuration.
    """

    run_kind: str
    profile: str
    steps: int
    pid: int
    resumed_from: int = 0
    settings: str | None = None
    changed: list[str] = msgspec.field(default_factory=list)
    note: str = ""


class StateChanged(Event, frozen=True):
    state: State
    reason: str = ""


class Progress(Event, frozen=True):
    """How far the engine is in what it does now: `done` of `total` `unit`s after `seconds`; a `total` of 0 is not known.

    `phase` is the job's word for it: "loading", "rollouts", "distilling". `what` names the thing in a few words ("the pocket
    model"). A new phase replaces the present one, and so does the event that ends it (`StepEnded`, `UnitEnded`,
    `HeldOutMeasured`, a `StateChanged` to anything but running).
    """

    phase: str
    what: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    seconds: float = 0.0


class UnitEnded(Event, frozen=True):
    """The end of a unit that plays no rollouts; others end with `StepEnded`.

    `step` is the unit's number from 1, and `text` its result for people, on one line.
    """

    step: int
    seconds: float
    text: str = ""


class Notice(Event, frozen=True):
    """Something that a person should know: `level` info, warning or error, what happened, and what to do."""

    level: Literal["info", "warning", "error"]
    message: str


class SettingChanged(Event, frozen=True):
    """The person `by` changed a setting of the running run; it is in force from now on. Values are as in TOML.

    `total` is how many units the run has from now on; None where that did not change.
    """

    key: str
    before: str
    after: str
    by: str
    total: int | None = None


class PromptsUsed(Event, frozen=True):
    """The texts that make the prompts of the run, from this start on: each prompt file's text by its name
    ("executor/system.md"), and the chat template of each role's model ("" where only its server knows it).

    `hashes` are their SHA-256, by the same names; templates are under "template/ROLE".
    """

    prompts: dict[str, str]
    templates: dict[str, str]
    hashes: dict[str, str]


class PreflightMade(Event, frozen=True):
    """What the preflight found before the run began. `overridden` are the names of checks that a person let fail."""

    checks: list[Check]
    overridden: list[str] = msgspec.field(default_factory=list)
