"""Following a run and steering it: `status`, `events`, `pause`, `resume`, `stop`, `runs`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec

from engine.cli.common import Commands, add_command, lines, open_run, patience_with_notice, print_json, user_name
from engine.core.events import AnyEvent, HeldOutMeasured, Notice, StepEnded, UpdateMade
from engine.core.text import printable
from engine.runs import supervisor
from engine.runs.commands import AnyCommand, Pause
from engine.runs.directory import FINAL_STATES, Run
from engine.runs.errors import RunError
from engine.runs.measurements import measurements
from engine.runs.status import Status, shown_state, status
from engine.runs.text import event_line, held_out_line, step_line, waiting
from engine.system.preflight import check

POLL_SECONDS = 0.2
END_SECONDS = 10.0
PAGE = 1000


def add_commands(commands: Commands) -> None:
    add_command(commands, "status", "show where a run is", _status, run=True, json=True)
    events = add_command(commands, "events", "print a run's events", _events, run=True)
    events.add_argument("--follow", action="store_true", help="go on until the run ends")
    events.add_argument("--json", action="store_true", help="one JSON object a line")
    add_command(commands, "pause", "let a run wait", _pause, run=True)
    add_command(commands, "resume", "let a run go on, also after its engine was killed", _resume, run=True)
    add_command(commands, "stop", "end a run at the next good moment; it can be resumed", _stop, run=True)
    add_command(commands, "runs", "list the runs of this user", _runs, json=True)


def follow(run: Run, seen: int) -> int:
    """Print a line for each finished step after event `seen` until the run ends; its exit code."""
    skipped = ""
    while True:
        ended = _has_ended(run)
        for stored in run.events(after=seen, kinds=["update_made", "step_ended", "held_out_measured", "notice"]):
            seen = stored.id
            match stored.event:
                case UpdateMade() as made:
                    skipped = made.skipped
                case StepEnded() as step:
                    print(step_line(step, run.state().steps, run.kind, skipped), flush=True)
                case HeldOutMeasured() as measured:
                    print(held_out_line(measured), flush=True)
                case Notice(level="warning", message=message):  # an error is the reason of the verdict
                    print(f"warning: {lines(message)}", file=sys.stderr, flush=True)
        if ended:
            return _verdict(run)
        time.sleep(POLL_SECONDS)


def _has_ended(run: Run) -> bool:
    """Whether no more events will come: the engine is gone, or has said its last word and had time to leave."""
    state = shown_state(run)
    if state not in FINAL_STATES:
        return state == "interrupted"
    return not run.engine_alive() or time.time() - (run.state().since or 0.0) > END_SECONDS


def _verdict(run: Run) -> int:
    end = status(run)
    if end.state == "finished":
        print(f"finished: {end.step} of {end.steps}, {waiting(end.pending_reviews)}", flush=True)
        return 0
    reason = f": {end.reason}" if end.reason else ""
    if end.state == "interrupted":
        reason = " (its engine was killed, or could not write how it ended); its log ends with:"
        reason += f"\n{supervisor.log_tail(run)}"
    print(f"skillos-engine: the run is {end.state} at {end.step} of {end.steps}{lines(reason)}", file=sys.stderr)
    print(f"To go on: skillos-engine resume {run.path}", file=sys.stderr)
    return 1


def _events(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        seen = 0
        while True:
            ended = not options.follow or _has_ended(run)
            while page := run.events(after=seen, limit=PAGE):
                for stored in page:
                    line = msgspec.json.encode(stored).decode() if options.json else _timed(stored.at, stored.event)
                    print(line)
                seen = page[-1].id
            sys.stdout.flush()
            if ended:
                return 0
            time.sleep(POLL_SECONDS)


def _timed(at: float, event: AnyEvent) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(at))} {event_line(event)}"


def _status(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        now = status(run)
        if options.json:
            print_json(now)
            return 0
        print(_summary_line(now))
        for step, rewards in zip(run.steps(), now.rewards, strict=False):
            print(step_line(step, now.steps, run.kind, rewards.skipped_update))
        for measured in measurements(run).values():
            print(held_out_line(measured))
        if now.heartbeat_age_s is not None:
            print(f"{waiting(now.pending_reviews)}; last heartbeat {now.heartbeat_age_s:.0f} s ago")
    return 0


def _summary_line(now: Status) -> str:
    reason = f" ({printable(now.reason, 200)})" if now.reason else ""
    return f"{now.run}: {now.kind} {now.profile}, {now.state}{reason}, {now.step} of {now.steps}"


def _pause(options: argparse.Namespace) -> int:
    return _send(options, Pause(), "asked to pause after what is in hand")


def _stop(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        at_work = supervisor.stop(run, user_name())
    print(
        "asked to stop; what is saved stays, and resume goes on from there"
        if at_work
        else "stopped, before its engine began; resume starts it again"
    )
    return 0


def _send(options: argparse.Namespace, command: AnyCommand, told: str) -> int:
    with open_run(options) as run:
        if not run.engine_alive():
            raise RunError(f"no engine works on {run.path}; the run is {status(run).state}")
        run.send(command, user_name())
    print(told)
    return 0


def _resume(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        pid = supervisor.resume(run, user_name(), check=check, worker=options.worker, patience=patience_with_notice())
    print(f"goes on in process {pid}")
    return 0


def _runs(options: argparse.Namespace) -> int:
    found = supervisor.find_runs(supervisor.runs_home())
    if options.json:
        print_json(found)
        return 0
    for summary in found:
        if summary.status is None:
            print(f"{Path(summary.path).name}: cannot be opened: {printable(summary.problem)}")
        else:
            print(_summary_line(summary.status))
    if not found:
        print(f"no runs yet in {supervisor.runs_home()}")
    return 0
