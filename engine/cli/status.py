"""`status`: show the state and the results of a run."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import msgspec

from engine.cli.common import Commands, add_command, open_run, print_json
from engine.config import ConfigError
from engine.core.events import Notice
from engine.core.output import say
from engine.core.text import printable
from engine.review.policies import policy_line
from engine.runs.directory import Run
from engine.runs.measured import lines, measured
from engine.runs.metrics import metrics_lines, row
from engine.runs.status import Status, status
from engine.runs.telemetry import last_step
from engine.runs.text import agreement_line, alarm_line, held_out_line, is_alarm, step_line, unit_line, waiting

MOST = 500
"""Characters of a reason."""


def add_commands(commands: Commands) -> None:
    add_command(commands, "status", "show the state and the results of a run", _status, run=True, json=True)


def _status(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        now = msgspec.structs.replace(status(run), measured=measured(run), **_configured(run))
        last = last_step(run, now.ended[-1].step) if now.ended else None
        if last is not None:
            now = msgspec.structs.replace(now, metrics=row(run.id, last), alarms=last.alarms or [])
        if options.json:
            print_json(now)
            return 0
        say(summary_line(now))
        if now.note:
            say(f"note: {printable(now.note)}")
        say_damage(now)
        if now.engine_note:
            say(f"note: {printable(now.engine_note)}")
        shown_below = [f"alarm {alarm.name}:" for alarm in now.alarms]
        for warning in now.warnings:
            if is_alarm(Notice("warning", warning)) and any(name in warning for name in shown_below):
                continue
            say(f"warning: {printable(warning, 400)}")
        for step in now.ended:
            say(step_line(step, now.steps, run.kind, now.skipped_updates.get(step.step, "")))
        for unit in now.units:
            say(unit_line(unit, now.steps, run.kind))
        for held_out in now.held_out:
            say(held_out_line(held_out))
        if last is not None and last.update is not None:
            for line in metrics_lines(last):
                say(line)
        for alarm in now.alarms:
            say(alarm_line(alarm))
        if now.agreement is not None:
            say(agreement_line(now.agreement))
        for line in lines(now.measured, now.used):
            say(line)
        if (age := now.heartbeat_age_s) is not None:
            when = f"{age:.0f} s ago" if age >= 0 else f"{-age:.0f} s in the future (a clock was changed)"
            say(f"{waiting(now.pending_reviews)}; last heartbeat {when}")
        if now.policy:
            say(f"review policy: {now.policy}")
    return 0


def _configured(run: Run) -> dict[str, str]:
    """What the run's configuration says for `Status`; nothing where that cannot be read."""
    try:
        config = run.config
    except ConfigError:
        return {}
    return {"note": config.note, "policy": policy_line(config.review)}


def summary_line(now: Status) -> str:
    """A run in one line."""
    reason = f" ({printable(now.reason, MOST)})" if now.reason else ""
    what = printable(f"{Path(now.path).name}: {now.kind} {now.profile}, {now.state}")
    return f"{what}{reason}, {now.step} of {now.steps}{', read-only' if now.read_only else ''}"


def say_damage(now: Status) -> None:
    """Print what cannot be read of a run, and what can be done."""
    for damaged in now.damaged:
        say(f"  damaged: {printable(damaged)}")
    if now.damaged:
        say(f"  repair it: skillos-engine repair {shlex.quote(now.path)}")
