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
from engine.config.changes import Change, changes, with_setting
from engine.core.errors import ConfigError
from engine.core.events import AnyEvent, Notice, RunStarted, SettingChanged
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
    """The settings that the last start logged, with what people changed since; None before a start, and where it was of an
    older version."""
    settings = None
    for started in run.tail(1, ["run_started"]):
        if isinstance(started.event, RunStarted):
            settings = started.event.settings
        for stored in run.stream(after=started.id, kinds=["setting_changed"]) if settings is not None else ():
            if isinstance(stored.event, SettingChanged) and settings is not None:
                settings = _changed(settings, stored.event)
    return settings


def _changed(settings: str, changed: SettingChanged) -> str:
    """The settings after a change; as they are where they are damaged, which whoever reads them finds."""
    try:
        return with_setting(settings, changed.key, changed.after)
    except ConfigError:
        return settings
