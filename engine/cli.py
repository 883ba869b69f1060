"""`skillos-engine`: start runs, follow them, command them, and decide on their edits, from a shell or a script.

    skillos-engine train --profile pocket --steps 3 --run DIR
    skillos-engine status DIR --json

A run is named by its directory, or by its name among the runs of this user. Exit codes: 0 done, 1 refused or failed
(the reason is on standard error), 2 wrong usage, 130 interrupted by Ctrl+C. Nothing heavy is imported here: the work is
done by `engine.worker` in a process and session of its own.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from engine.config import Config, ConfigError, load_profile, profiles, to_toml
from engine.runs import supervisor
from engine.runs.commands import AnyCommand, Pause, Stop
from engine.runs.errors import RunError
from engine.runs.events import AnyEvent, HeldOutMeasured, Notice, RunKind, StepEnded
from engine.runs.status import Status, shown_state, status
from engine.runs.store import DATABASE, FINAL_STATES, EditRecord, Run
from engine.runs.text import event_line, held_out_line, printable, step_line
from engine.training.recompute import recompute

POLL_SECONDS = 0.2
END_SECONDS = 10.0
PAGE = 1000

Worker = Sequence[str]


def main(arguments: Sequence[str] | None = None, *, worker: Worker = supervisor.WORKER) -> int:
    """Run one command and return its exit code. `worker` is the command that runs an engine."""
    parser = _parser()
    options = parser.parse_args(arguments)
    options.worker = worker
    try:
        return int(options.run_command(options))
    except (RunError, ConfigError) as error:
        print(f"skillos-engine: {_lines(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skillos-engine", description="Train skill curators, and watch and steer it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    train = _command(commands, "train", "train a curator", _train)
    _start_options(train)
    train.add_argument("--steps", type=int, help="GRPO steps (training.steps)")

    curate = _command(commands, "curate", "curate a lasting repository, task after task", _curate)
    _start_options(curate)
    curate.add_argument("--repo", type=Path, required=True, help="the skill repository to work on, made if absent")
    curate.add_argument("--games", type=Path, help="play the ALFWorld games of this directory")
    curate.add_argument(
        "--curator", type=Path, metavar="DIR", help="a train run or checkpoint whose adapter curates (curate.adapter)"
    )
    curate.add_argument("--tasks", type=int, help="how many tasks (curate.tasks)")
    curate.add_argument("--review", choices=["ask", "auto"], help="who decides on edits (review.policy)")

    shown = _command(commands, "status", "show where a run is", _status, run=True)
    shown.add_argument("--json", action="store_true")
    events = _command(commands, "events", "print a run's events", _events, run=True)
    events.add_argument("--follow", action="store_true", help="go on until the run ends")
    events.add_argument("--json", action="store_true", help="one JSON object a line")

    _command(commands, "pause", "let a run wait", _pause, run=True)
    _command(commands, "resume", "let a run go on, also after its engine was killed", _resume, run=True)
    _command(commands, "stop", "end a run at the next good moment; it can be resumed", _stop, run=True)

    review = _command(commands, "review", "decide on the edits of a run", _review, run=True)
    review.add_argument("action", choices=["list", "show", "approve", "veto", "undo", "again"])
    review.add_argument("edit", nargs="?", metavar="ID")
    review.add_argument("--reason", default="", help="why an edit is vetoed; quoted to the curator")
    review.add_argument("--all", action="store_true", help="list decided edits too")
    review.add_argument("--json", action="store_true", help="list as JSON")

    _command(commands, "verify", "recompute a run's rewards and advantages from its events", _verify, run=True)
    listed = _command(commands, "runs", "list the runs of this user", _runs)
    listed.add_argument("--json", action="store_true")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    about: str,
    run_command: Callable[[argparse.Namespace], int],
    *,
    run: bool = False,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
    parser.set_defaults(run_command=run_command)
    if run:
        parser.add_argument("run", metavar="RUN", help="a run's directory, or its name among your runs")
    return parser


def _start_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", required=True, help=f"one of: {', '.join(profiles())}")
    parser.add_argument("--run", type=Path, metavar="DIR", help="the run's directory; an unfinished run there goes on")
    parser.add_argument("--detach", action="store_true", help="return as soon as the engine works")
    parser.add_argument("--set", action="extend", nargs="+", default=[], metavar="KEY=VALUE", help="training.seed=2, …")


# Starting

_LEFT = """
The engine goes on without this terminal.
  watch it:  skillos-tui {0}
             skillos-engine events {0} --follow
  stop it:   skillos-engine stop {0}"""


def _train(options: argparse.Namespace) -> int:
    settings = [*options.set, *_given("training.steps", options.steps)]
    return _start(options, "train", load_profile(options.profile, settings), None)


def _curate(options: argparse.Namespace) -> int:
    settings = [
        *options.set,
        *_given("curate.tasks", options.tasks),
        *_given("review.policy", options.review),
        *_given("curate.adapter", _quoted(options.curator)),
    ]
    if options.games is not None:
        games = _given("environment.path", _quoted(options.games))
        settings = [*_decoding(options), *settings, "environment.name=alfworld", *games]
    return _start(options, "curate", load_profile(options.profile, settings), options.repo.absolute())


def _decoding(options: argparse.Namespace) -> list[str]:
    """How the pocket executor acts in official games, whose actions it cannot write, unless the user says how."""
    key = "executor.decoding"
    if options.profile != "pocket" or any(setting.partition("=")[0].strip() == key for setting in options.set):
        return []
    print(f"{key}=choose: the pocket model cannot write these games' actions, so it chooses among them", flush=True)
    return [f"{key}=choose"]


def _quoted(path: Path | None) -> str | None:
    """A path as the engine, which works elsewhere, can find it, in TOML's quotes."""
    return None if path is None else msgspec.json.encode(str(path.absolute())).decode()


def _given(key: str, value: object) -> list[str]:
    return [] if value is None else [f"{key}={value}"]


def _start(options: argparse.Namespace, kind: RunKind, config: Config, repo: Path | None) -> int:
    """Create the run, or take up the unfinished one in the directory named, start its engine, and follow it.

    Ctrl+C ends the following only.
    """
    _check_games(config)
    with _run_for(options.run, kind, config, repo) as run:
        seen = run.last_id()
        try:
            supervisor.start(run.path, worker=options.worker)
            print(f"run {run.path}", flush=True)
            return 0 if options.detach else _follow(run, seen)
        except KeyboardInterrupt:
            print(_LEFT.format(run.path), file=sys.stderr)
            return 130


def _run_for(path: Path | None, kind: RunKind, config: Config, repo: Path | None) -> Run:
    """The unfinished run in the directory that was named, or a new one there or in the runs' home."""
    if path is not None and (path / DATABASE).exists():
        run = Run.open(path)
        _check_same(run, kind, config, repo)
        return run
    if path is not None:
        return Run.create(path, kind=kind, config_text=to_toml(config), repo=repo)
    reserved = supervisor.new_run_path(supervisor.runs_home(), kind, config.profile)
    try:
        return Run.create(reserved, kind=kind, config_text=to_toml(config), repo=repo)
    except RunError:
        reserved.rmdir()
        raise


def _check_games(config: Config) -> None:
    """What would only fail later, in the engine. Raises `ConfigError`."""
    if config.environment.name == "alfworld":
        path = config.environment.path
        if not path:
            raise ConfigError("ALFWorld needs its games: give --games PATH (environment.path)")
        if not Path(path).exists():
            raise ConfigError(f"there are no games at {path}: no such directory; nothing was created")


def _check_same(run: Run, kind: RunKind, config: Config, repo: Path | None) -> None:
    """A run is only taken up as what it was. Raises `RunError` that says what differs."""
    advice = f"go on with it by: skillos-engine resume {run.path}; or name another directory"
    if run.kind != kind:
        raise RunError(f"{run.path} is a {run.kind} run, not a {kind} run; {advice}")
    if run.state().state == "finished":
        raise RunError(f"{run.path} has finished; name another directory for a new run")
    if repo is not None and repo != run.repo_path:
        raise RunError(f"{run.path} works on {run.repo_path}, not on {repo}; {advice}")
    before, now = _flat(run.config), _flat(config)
    changed = [f"{key} ({before[key]} there, {now[key]} asked for)" for key in now if before[key] != now[key]]
    if changed:
        raise RunError(f"{run.path} was started with other settings: {', '.join(changed)}; {advice}")


def _flat(config: Config) -> dict[str, object]:
    sections = msgspec.to_builtins(config)
    return {
        f"{section}.{key}" if isinstance(values, dict) else section: value
        for section, values in sections.items()
        for key, value in (values.items() if isinstance(values, dict) else [("", values)])
    }


# Following


def _follow(run: Run, seen: int) -> int:
    """Print a line for each finished step after event `seen` until the run ends; its exit code."""
    while True:
        ended = _has_ended(run)
        for stored in run.events(after=seen, kinds=["step_ended", "held_out_measured", "notice"]):
            seen = stored.id
            if isinstance(stored.event, StepEnded):
                print(step_line(stored.event, run.state().steps, run.kind), flush=True)
            elif isinstance(stored.event, HeldOutMeasured):
                print(held_out_line(stored.event), flush=True)
            elif isinstance(stored.event, Notice) and stored.event.level != "info":
                print(event_line(stored.event), file=sys.stderr, flush=True)
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
        print(f"finished: {end.step} of {end.steps}, {end.pending_reviews} edits wait for review", flush=True)
        return 0
    reason = f": {end.reason}" if end.reason else ""
    if end.state == "interrupted":
        reason = " (its engine was killed, or could not write how it ended); its log ends with:"
        reason += f"\n{supervisor.log_tail(run)}"
    print(f"skillos-engine: the run is {end.state} at {end.step} of {end.steps}{_lines(reason)}", file=sys.stderr)
    print(f"To go on: skillos-engine resume {run.path}", file=sys.stderr)
    return 1


def _events(options: argparse.Namespace) -> int:
    with _open(options) as run:
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


# Asking and commanding


def _open(options: argparse.Namespace) -> Run:
    """The run that the user named, by path or by its name in the runs' home."""
    path = Path(options.run)
    if not path.exists() and path.name == options.run:
        at_home = supervisor.runs_home() / options.run
        path = at_home if at_home.exists() else path
    return Run.open(path)


def _status(options: argparse.Namespace) -> int:
    with _open(options) as run:
        now = status(run)
        if options.json:
            print(msgspec.json.format(msgspec.json.encode(now)).decode())
            return 0
        print(_summary_line(now))
        for step in run.steps():
            print(step_line(step, now.steps, run.kind))
        if now.heartbeat_age_s is not None:
            print(f"{now.pending_reviews} edits wait for review; last heartbeat {now.heartbeat_age_s:.0f} s ago")
    return 0


def _summary_line(now: Status) -> str:
    reason = f" ({printable(now.reason, 200)})" if now.reason else ""
    return f"{now.run}: {now.kind} {now.profile}, {now.state}{reason}, {now.step} of {now.steps}"


def _pause(options: argparse.Namespace) -> int:
    return _send(options, Pause(), "asked to pause after what is in hand")


def _stop(options: argparse.Namespace) -> int:
    return _send(options, Stop(), "asked to stop; what is saved stays, and resume goes on from there")


def _send(options: argparse.Namespace, command: AnyCommand, told: str) -> int:
    with _open(options) as run:
        if not run.engine_alive():
            raise RunError(f"no engine works on {run.path}; the run is {status(run).state}")
        run.send(command, _user())
    print(told)
    return 0


def _resume(options: argparse.Namespace) -> int:
    with _open(options) as run:
        pid = supervisor.resume(run, _user(), worker=options.worker)
    print(f"goes on in process {pid}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    """0 where every number of the log is what its own events give, 1 where one differs."""
    with _open(options) as run:
        report = recompute(run.events(), run.config.rewards, run.kind)
    for difference in report.differences:
        told = f"logged {difference.logged}, its events give {difference.recomputed}"
        print(f"event {difference.event}, {difference.where}: {told}")
    counts = f"{report.rollouts} rollouts, {report.advantages} advantages, {report.steps} steps"
    print(f"recomputed {counts}: {len(report.differences)} differences")
    return 1 if report.differences else 0


def _runs(options: argparse.Namespace) -> int:
    found = supervisor.find_runs(supervisor.runs_home())
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
        return 0
    for summary in found:
        if summary.status is None:
            print(f"{Path(summary.path).name}: cannot be opened: {printable(summary.problem)}")
        else:
            print(_summary_line(summary.status))
    if not found:
        print(f"no runs yet in {supervisor.runs_home()}")
    return 0


def _review(options: argparse.Namespace) -> int:
    """List, show or decide. libgit2 is only loaded for this."""
    from engine.runs import reviews

    with _open(options) as run:
        if options.action == "list":
            return _list_edits(run, options)
        if options.edit is None:
            raise RunError(f"which edit? skillos-engine review {options.run} {options.action} ID")
        if options.action == "show":
            print(_lines(reviews.diff(run, options.edit)))
            return 0
        match options.action:
            case "approve":
                record = reviews.approve(run, options.edit, _user())
            case "veto":
                record = reviews.veto(run, options.edit, _user(), options.reason)
            case "undo":
                record = reviews.undo(run, options.edit, _user())
            case _:
                record = reviews.ask_again(run, options.edit, _user())
        print(_edit_line(record))
        if record.state == "conflicted":
            print(
                f"{record.proposal.skill} changed since this edit was proposed; nothing was written. "
                f"Against the present text: skillos-engine review {options.run} again {record.id}",
                file=sys.stderr,
            )
            return 1
    return 0


def _list_edits(run: Run, options: argparse.Namespace) -> int:
    records = [record for record in run.edits() if options.all or record.state in ("pending", "conflicted")]
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(records)).decode())
        return 0
    for record in records:
        print(_edit_line(record))
    if not records:
        print("no edits wait for review")
    return 0


def _edit_line(record: EditRecord) -> str:
    proposal, decision = record.proposal, record.decision
    name = f"{proposal.skill} -> {proposal.new_name}" if proposal.new_name else proposal.skill
    why = f"{proposal.task}, {proposal.outcome}: {proposal.reason}"
    decided = f" by {decision.by} {decision.reason} {decision.commit[:10]}".rstrip() if decision else ""
    return printable(f"{record.id:<5} {record.state}{decided}  {proposal.operation} {name}  ({why})", 400)


def _user() -> str:
    """Who decides, for the record; the numeric id where the system knows no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _lines(text: str) -> str:
    """A message of several lines, safe for a terminal."""
    return "\n".join(printable(line) for line in text.split("\n"))
