"""`review`: list the pending edits of a run, show one, and decide on it."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from engine.cli import exit_codes
from engine.cli.common import Commands, UsageError, add_command, lines, open_run, print_json, user_name
from engine.core.edit import OPEN, PAST, PERSONAL, Edit, actions
from engine.core.output import note, say
from engine.core.text import printable
from engine.review.effects import effects
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.starts import last_settings

LIST_SECONDS = 1.0
"""How long a list waits for another process that decides."""


def add_commands(commands: Commands) -> None:
    review = add_command(commands, "review", "decide on the edits of a run", _review, run=True, json=True)
    review.add_argument("action", choices=["list", "show", *PERSONAL])
    review.add_argument("edit", nargs="?", metavar="ID")
    review.add_argument(
        "--reason", default="", help="why, kept with the decision; of a veto it is quoted to the curator"
    )
    review.add_argument("--text", type=Path, metavar="FILE", help="the text of an amended edit; - is standard input")
    review.add_argument("--all", action="store_true", help="list decided edits too")


def _review(options: argparse.Namespace) -> int:
    """List, show or decide. libgit2 is only loaded for this."""
    from engine.review import decisions as reviews

    with open_run(options) as run:
        if options.action in ("list", "show"):
            _reconcile(run)
        if options.action == "list":
            return _list_edits(run, options)
        if options.edit is None:
            raise RunError(f"which edit? skillos-engine review {shlex.quote(options.run)} {options.action} ID")
        if options.reason and options.action in ("show", "requeue"):
            raise UsageError(f"--reason belongs to a decision, and {options.action} is none")
        if options.action == "show":
            return _show(run, options)
        match options.action:
            case "approve":
                edit = reviews.approve(run, options.edit, user_name(), options.reason)
            case "amend":
                edit = reviews.amend(run, options.edit, user_name(), _text(options.text), options.reason)
            case "veto":
                edit = reviews.veto(run, options.edit, user_name(), options.reason)
            case "undo":
                return _undo(run, options)
            case _:
                edit = reviews.requeue(run, options.edit, user_name())
        say(_edit_line(edit))
        if edit.state == "conflicted":
            note(
                f"{edit.skill} changed since this edit was proposed; nothing was written. "
                f"Against the present text: skillos-engine review {shlex.quote(options.run)} requeue {edit.id}",
            )
            return 1
    return 0


def _reconcile(run: Run) -> None:
    """Log what was committed and not logged, before it is shown as an edit that waits."""
    from engine.review.journal import reconcile

    try:
        logged = reconcile(run, wait=LIST_SECONDS)
    except RunError as error:
        note(f"the edits are shown as the log has them: {error}")
    else:
        if logged:
            note(f"logged now, since the repository has their commits: {', '.join(logged)}")


def _undo(run: Run, options: argparse.Namespace) -> int:
    """Undo one decision, say which, and how to decide again."""
    from engine.review import decisions as reviews

    before = run.edit(options.edit)
    edit = reviews.undo(run, options.edit, user_name(), options.reason, shown=before)
    say(_edit_line(edit))
    if edit.state == "pending":
        say("the veto is taken back: the edit waits for a decision again")
    else:
        commit = before.decision.commit[:10] if before.decision else ""
        say(
            printable(f"reverted commit {commit} of {before.skill}; to put the edit back into the queue:")
            + f" skillos-engine review {shlex.quote(options.run)} requeue {edit.id}"
        )
    return 0


def _show(run: Run, options: argparse.Namespace) -> int:
    """An edit's diff, then what the gates found, and what can be done with it."""
    from engine.review.diff import amendment, diff

    edit = run.edit(options.edit)
    if options.json:
        print_json(edit)
        return 0
    say(lines(diff(run, options.edit)))
    for finding in edit.findings:
        say(printable(str(finding)))
    for gate, score in edit.scores.items():
        say(printable(f"{gate}: {score:.3f}"))
    if edit.amended_by:
        say(f"{printable(f'amended by {edit.amended_by}:')}\n{amendment(edit)}")
    offered = [action for action in PERSONAL if action in actions(edit.state)]
    say(f"{edit.id} is {edit.state}; it can: {', '.join(offered)}")
    _say_effects(run)
    return 0


def _say_effects(run: Run) -> None:
    """What a decision does beside its commit, where it does something."""
    if said := effects(last_settings(run)):
        note(f"note: {said}")


def _text(file: Path | None) -> str:
    """The text of the file that the user named. Raises `RunError`."""
    if file is None:
        raise RunError("amend it to what? give the skill's whole new file: --text FILE, or --text - for standard input")
    if str(file) == "-" and sys.stdin is None:
        raise RunError("the text is to be read from standard input, which is closed")
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunError(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def _list_edits(run: Run, options: argparse.Namespace) -> int:
    """List the edits that can be read; those that cannot are named on standard error, and the exit code is 1."""
    found = run.read_edits()
    edits = [row.data for row in found.values if options.all or row.state in OPEN]
    for row in found.damaged:
        note(f"skillos-engine: {printable(str(row))}")
    if options.json:
        print_json(edits)
        return exit_codes.FAILED if found.damaged else exit_codes.DONE
    for edit in edits:
        say(_edit_line(edit))
        for finding in edit.findings:
            say(f"      {printable(str(finding), 200)}")
    if not edits and not found.damaged:
        say("no edits wait for review")
    _say_effects(run)
    return exit_codes.FAILED if found.damaged else exit_codes.DONE


def _edit_line(edit: Edit) -> str:
    cause, decision = edit.provenance, edit.decision
    name = f"{edit.skill} -> {edit.new_name}" if edit.new_name else edit.skill
    why = f"{cause.task}, {cause.outcome}: {cause.reason}"
    state = PAST[decision.action] if decision else edit.state
    decided = f" by {decision.by} {decision.reason} {decision.commit[:10]}".rstrip() if decision else ""
    amended = f" (amended by {edit.amended_by})" if edit.amended_by else ""
    return printable(f"{edit.id:<5} {state}{decided}{amended}  {edit.operation} {name}  ({why})", 400)
