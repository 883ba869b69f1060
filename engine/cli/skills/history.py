"""The history of a skill repository: `log`, `diff`, `blame`, `revert`, `restore`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.common import CommandError, Commands, add_command, lines, positive, print_json, user_name
from engine.cli.skills.target import open_repo, root_of, skill_named
from engine.core.output import note, say
from engine.core.text import printable

if TYPE_CHECKING:
    from engine.skills import Commit, History

SHORT = 10
SHOWN = ("Run", "Step", "Task", "Outcome", "Proposer", "Reviewer")


def add_actions(actions: Commands) -> None:
    log = add_command(actions, "log", "list the commits, newest first", _log)
    log.add_argument("-n", type=positive, default=20, dest="limit", help="how many at most (20)")
    log.add_argument("--skill", default="", metavar="NAME", help="those of one skill, under its former names too")
    diff = add_command(actions, "diff", "show what a commit changed, by default the newest", _diff)
    _commit_options(diff)
    blame = add_command(actions, "blame", "show which task each line of a skill came from", _blame)
    blame.add_argument("name", metavar="NAME")
    revert = add_command(actions, "revert", "undo one commit with a new one", _revert)
    revert.add_argument("commit", metavar="COMMIT")
    revert.add_argument("--reason", default="", help="kept in the new commit")
    restore = add_command(actions, "restore", "restore the whole repository with a new commit", _restore)
    _commit_options(restore)
    restore.add_argument("--reason", default="", help="kept in the new commit")


def _commit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("commit", nargs="?", default="", metavar="COMMIT", help="an id that log shows")
    parser.add_argument("--step", type=int, help="the last commit when this step of a run was over")
    parser.add_argument("--run", default="", dest="of_run", help="which run's step (the newest)")


def print_place(root: Path) -> None:
    """Print, on standard error, where the history of a folder is if that is not its `.git`, or how to move it there."""
    from engine.skills import HistoryError
    from engine.skills.history.place import place_note

    try:
        where = place_note(root)
    except (HistoryError, OSError) as error:
        where = str(error)
    if where:
        note(printable(where, 1_000))


def _history(options: argparse.Namespace) -> History:
    from engine.skills import History

    root = root_of(options.repo)
    history = History.existing(root) if root.is_dir() else None
    if history is None:
        open_repo(options)
        raise CommandError(f"{options.repo} has no history yet; it begins with the first edit or import")
    print_place(root)
    return history


def _log(options: argparse.Namespace) -> int:
    commits = _history(options).log(options.limit, skill=options.skill)
    if options.json:
        print_json(commits)
        return 0
    for commit in commits:
        say(_commit_line(commit))
    return 0


def _commit_line(commit: Commit) -> str:
    shown = ", ".join(f"{key.lower()} {commit.trailers[key]}" for key in SHOWN if key in commit.trailers)
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(commit.time))
    return printable(f"{commit.id[:SHORT]}  {at}  {commit.subject}" + (f"  ({shown})" if shown else ""), 300)


def _diff(options: argparse.Namespace) -> int:
    history = _history(options)
    commit = history.at(options.commit, step=options.step, run=options.of_run)
    if options.json:
        print_json({"commit": commit, "files": history.show(commit.id)})
        return 0
    say(_commit_line(commit))
    say(lines(history.diff(commit.id)).rstrip("\n"))
    return 0


def _blame(options: argparse.Namespace) -> int:
    history = _history(options)
    skill_named(open_repo(options), options.name)
    blamed = history.blame(options.name)
    if options.json:
        print_json(blamed)
        return 0
    for line in blamed:
        trailers = line.commit.trailers if line.commit else {}
        where = f"step {trailers['Step']} {trailers.get('Task', '')}" if "Step" in trailers else ""
        source = f"{line.commit.id[:SHORT]} {where}".rstrip() if line.commit else "by hand, not committed"
        say(printable(f"{line.number:>4}  {printable(source, 50):<50}  {line.text.rstrip()}", 300))
    return 0


def _revert(options: argparse.Namespace) -> int:
    history = _history(options)
    made = history.revert(options.commit, trailers=_by_whom(options))
    return _report(options, history, made, f"undone by {made[:SHORT]}")


def _restore(options: argparse.Namespace) -> int:
    history = _history(options)
    if not options.commit and options.step is None and not options.of_run:
        raise CommandError("to which state? name a COMMIT, or --step N of a run (see log)")
    commit = history.at(options.commit, step=options.step, run=options.of_run)
    made = history.restore(commit.id, trailers=_by_whom(options))
    text = f"restored to {commit.id[:SHORT]} by {made[:SHORT]}" if made else f"it is as at {commit.id[:SHORT]} already"
    return _report(options, history, made, text)


def _by_whom(options: argparse.Namespace) -> dict[str, str]:
    return {"Reviewer": user_name(), "Reason": options.reason}


def _report(options: argparse.Namespace, history: History, commit: str | None, text: str) -> int:
    if history.warning:
        note(printable(history.warning, 1_000))
    if options.json:
        print_json({"commit": commit})
    else:
        say(text)
    return 0
