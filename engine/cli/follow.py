"""Following a run until it ends, for the commands that start one and for `events --follow`."""

from __future__ import annotations

import shlex
import time

from engine.cli import exit_codes
from engine.cli.common import lines
from engine.core.events import HeldOutMeasured, Notice, StateChanged, StepEnded, UnitEnded, UpdateMade
from engine.core.output import note, say
from engine.runs import supervisor
from engine.runs.directory import FINAL_STATES, Run
from engine.runs.errors import RunError
from engine.runs.status import shown_state, status
from engine.runs.text import held_out_line, step_line, unit_line, waiting

POLL_SECONDS = 0.2
END_SECONDS = 10.0
FOLLOWED = ("update_made", "step_ended", "unit_ended", "held_out_measured", "notice", "state_changed")


def follow(run: Run, seen: int) -> int:
    """Print a line for each finished step after event `seen` until the run ends; its exit code."""
    skipped, paused = "", False
    while True:
        ended = has_ended(run)
        for stored in run.stream(after=seen, kinds=FOLLOWED):
            seen = stored.id
            match stored.event:
                case UpdateMade() as made:
                    skipped = made.skipped
                case StepEnded() as step:
                    say(step_line(step, run.state().steps, run.kind, skipped), flush=True)
                case UnitEnded() as unit:
                    say(unit_line(unit, run.state().steps, run.kind), flush=True)
                case HeldOutMeasured() as measured:
                    say(held_out_line(measured), flush=True)
                case StateChanged(state="paused", reason=reason):
                    paused = True
                    note(f"paused: {lines(reason)}" if reason else f"paused; to continue: {_to_continue(run)}")
                case StateChanged(state="running") if paused:
                    paused = False
                    note("the run goes on")
                case Notice(level="warning", message=message):  # an error is the reason that the last line gives
                    note(f"warning: {lines(message)}")
        if ended:
            return _conclude(run)
        time.sleep(POLL_SECONDS)


def has_ended(run: Run) -> bool:
    """Whether no more events will come: the engine has exited, or wrote its last state and had time to exit.

    Raises `RunError` for a run that was deleted or moved.
    """
    if not run.path.is_dir():
        raise RunError(f"{run.path} is gone: it was deleted or moved while it was followed")
    state = shown_state(run)
    if state not in FINAL_STATES:
        return state == "interrupted"
    return not run.engine_alive() or abs(time.time() - (run.state().since or 0.0)) > END_SECONDS


def _conclude(run: Run) -> int:
    """Print how the run ended; its exit code."""
    end = status(run)
    if end.state == "finished":
        say(f"finished: {end.step} of {end.steps}, {waiting(end.pending_reviews)}", flush=True)
        return exit_codes.DONE
    reason = f": {end.reason}" if end.reason else ""
    if end.state == "interrupted":
        reason = " (its engine was killed, or could not write how it ended)"
        if full := supervisor.disk_full(run):
            reason += f"; {full}"
        if tail := supervisor.log_tail(run):
            reason += f"; its log ends with:\n{tail}"
    note(f"skillos-engine: the run is {end.state} at {end.step} of {end.steps}{lines(reason)}")
    note(f"To continue: {_to_continue(run)}")
    return exit_codes.FAILED


def _to_continue(run: Run) -> str:
    """The command that continues a run."""
    return f"skillos-engine resume {shlex.quote(str(run.path))}"
