"""Changing a setting of a run that has begun: while its engine works, and between its starts.

    change(run, "training.steps", "60", by="ann")        # a `SettingChanged`; raises `ConfigError`, `RunError`

A running engine does it itself (`engine.jobs.changing`), at once, and answers with a `SettingChanged`, or with a `Notice`
that says why not. Where no engine works, the change is made here. Either way config.toml has it, so that a resumed run keeps
it, and the log names who made it; other settings are changed by editing config.toml between a stop and a resume.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from engine.config import Config, parse, to_toml
from engine.config.changes import with_setting
from engine.core.errors import ConfigError
from engine.core.events import Notice, SettingChanged
from engine.core.files import replace
from engine.jobs.registry import JOBS
from engine.runs.commands import Change
from engine.runs.directory import CONFIG, Run
from engine.runs.errors import RunError
from engine.runs.process import Idle, engine_of, starting

CHANGEABLE: Mapping[str, str] = MappingProxyType(
    {
        "review.policy": "who decides on edits, from the next one on",
        "review.policy_seconds": "how long an edit waits before the policy approve_after or veto_after decides",
        "review.per_step": "how many edits of a step of a train run are put to review",
        "review.wait_seconds": "how long a curate run waits for a decision",
        "training.steps": "how many steps a train run has",
    }
)
"""The settings that a running engine takes over, and what each is."""
ANSWER_SECONDS = 15.0
"""How long the answer of an engine is waited for; it takes 0.2 s unless its machine is overloaded."""
POLL_SECONDS = 0.05


def change(run: Run, key: str, value: str, by: str) -> SettingChanged:
    """Change a setting; `value` is as in `--set`. Returns what the log has of it.

    Raises `ConfigError` for a setting or a value that cannot be, and `RunError` where the run ends or has finished, or the
    engine does not answer.
    """
    run.check_writable()
    wanted = value_of(changed(run.config, run.kind, key, value), key)
    if run.engine_alive():
        if (answer := _asked(run, key, wanted, by)) is not None:
            return answer
    elif run.state().state == "starting" and starting(run.path) is not None:
        raise RunError(f"an engine of {run.path} is loading; try again when it works")
    return _changed_here(run, key, wanted, by)


def sentence(changed: SettingChanged, asked: str) -> str:
    """What a change did, for the person who `asked` for that value."""
    done = f"{changed.key} is {changed.after} now"
    if changed.key == "training.steps" and changed.after != asked:
        return f"{done}, and not {asked}: step {changed.after} has begun, and the run ends after it"
    if changed.before == changed.after:
        return f"{changed.key} was {changed.after} already"
    return f"{done} (it was {changed.before})"


def changed(config: Config, kind: str, key: str, value: str) -> Config:
    """`config` of a run of `kind` with another value of a setting. Raises `ConfigError`."""
    try:
        after = parse(to_toml(config), [f"{key}={value}"], where="the run's configuration")
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("--set: ")) from error
    if key not in CHANGEABLE:
        raise ConfigError(
            f"{key} cannot be changed in a run that has begun; {', '.join(CHANGEABLE)} can. To change it otherwise: "
            "stop the run, edit its config.toml, and resume it"
        )
    if key == "training.steps" and (why := JOBS.load(kind).fixed(config)):
        raise ConfigError(f"training.steps cannot be changed in this {kind} run: {why}")
    return after


def value_of(config: Config, key: str) -> str:
    """The value of a setting as JSON."""
    section, _, name = key.partition(".")
    return msgspec.json.encode(getattr(config.sections()[section], name)).decode()


def write(run: Run, key: str, value: str) -> None:
    """Write a changed setting into config.toml; what else a person edited there stays. Raises `ConfigError`, `RunError`."""
    path = run.path / CONFIG
    try:
        text = with_setting(path.read_text(encoding="utf-8"), key, value)
        replace(path, text.encode())
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be changed: {error}") from error


def least_steps(requested: int, present: int) -> int:
    """The least number of steps of a run whose running or last step is `present`: that one is not undone."""
    return max(requested, present, 1)


def refusal(key: str, why: str) -> str:
    """The notice of an engine that does not change a setting."""
    return f"{key} was not changed: {why}"


def _asked(run: Run, key: str, value: str, by: str) -> SettingChanged | None:
    """The answer of the engine at work; None where it ended without one, and the command is taken back."""
    if (engine := engine_of(run.path)).suspended:
        raise RunError(f"{engine.note}. It obeys no command until then, and none was sent")
    before, sent = run.last_id(), run.send(Change(key, value), by)
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        works = run.engine_alive()
        for stored in run.events(after=before, kinds=["setting_changed", "notice"]):
            match stored.event:
                case SettingChanged() as answer if answer.key == key:
                    return answer
                case Notice(message=message) if message.startswith(refusal(key, "")):
                    raise RunError(message)
        if not works:
            run.withdraw(sent)
            return None
        if time.monotonic() > deadline:
            raise RunError(
                f"{key}: the engine has not answered within {ANSWER_SECONDS:g} s and may still do it; "
                "its log says so then (skillos-engine events)"
            )
        time.sleep(POLL_SECONDS)


def _changed_here(run: Run, key: str, value: str, by: str) -> SettingChanged:
    """Change a setting of a run without an engine. Raises `RunError` for a run that has finished."""
    with Idle(run.path):
        if run.state().state == "finished":
            more = f": skillos-engine extend {run.path} --steps N goes on" if key == "training.steps" else ""
            raise RunError(f"{run.path} has finished, so {key} has no effect any more{more}")
        config = run.config
        if key == "training.steps":
            value = str(least_steps(int(value), run.last_ended()))
        event = event_of(config, changed(config, run.kind, key, value), run.kind, key, by)
        write(run, key, event.after)
        run.append(event)
    return event


def event_of(before: Config, after: Config, kind: str, key: str, by: str) -> SettingChanged:
    """What the log says of a change from one configuration to another."""
    job = JOBS.load(kind)
    total = job.total(after)
    return SettingChanged(
        key, value_of(before, key), value_of(after, key), by, total if total != job.total(before) else None
    )
