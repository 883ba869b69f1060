"""The settings of a run's starts, which are in its log: config.toml can be edited between a stop and a resume.

for event in starting(run, config, steps=10, done=3):     # a `RunStarted`, and a `Notice` if settings have changed
    writer.emit(event)
last_settings(run)                                        # TOML, None where the log has none
changed_settings(run, config)                             # those that differ from the last start's
"""

from __future__ import annotations

import os
import tomllib

from engine.config import Config, load_logged, to_toml
from engine.config.changes import Change, changes
from engine.core.errors import ConfigError
from engine.core.events import AnyEvent, Notice, RunStarted
from engine.runs.directory import Run


def starting(run: Run, config: Config, *, steps: int, done: int) -> list[AnyEvent]:
    """What an engine logs at its start: `steps` are planned, `done` are done and saved."""
    try:
        changed = changed_settings(run, config)
        said = "; ".join(map(str, changed))
        notice = f"the settings are no longer those of the last start: {said}" if said else ""
    except tomllib.TOMLDecodeError as error:
        changed, notice = [], f"the settings of the last start are damaged in the log, and cannot be compared: {error}"
    keys = [change.key for change in changed]
    started = RunStarted(run.kind, config.profile, steps, os.getpid(), done, to_toml(config), keys, config.note)
    return [started, Notice("warning", notice)] if notice else [started]


def changed_settings(run: Run, config: Config) -> list[Change]:
    """The settings in `config` that differ from those of the last start; none before a start. A setting that an older
    version did not have was at its default. Raises `tomllib.TOMLDecodeError` where those in the log are damaged."""
    before = last_settings(run)
    return [] if before is None else changes(_with_defaults(before), to_toml(config))


def _with_defaults(settings: str) -> str:
    """The logged settings, with the defaults of those that they do not have; as they are where they are not understood."""
    try:
        return to_toml(load_logged(settings, "the settings of the last start"))
    except ConfigError:
        return settings


def last_settings(run: Run) -> str | None:
    """The settings that the last start logged; None before a start, and where it was of an older version."""
    for stored in run.tail(1, ["run_started"]):
        if isinstance(stored.event, RunStarted):
            return stored.event.settings
    return None
