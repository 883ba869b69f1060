"""`review`: list the pending edits of a run, show one, and decide on it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.cli.common import Commands, add_command, lines, open_run, print_json, user_name
from engine.core.text import printable
from engine.runs.directory import EditRecord, Run
from engine.runs.errors import RunError


def add_commands(commands: Commands) -> None:
    review = add_command(commands, "review", "decide on the edits of a run", _review, run=True, json=True)
    review.add_argument("action", choices=["list", "show", "approve", "amend", "veto", "undo", "again"])
    review.add_argument("edit", nargs="?", metavar="ID")
    review.add_argument("--reason", default="", help="why an edit is vetoed (quoted to the curator) or amended")
    review.add_argument("--text", metavar="FILE", help="the text of an amended edit; - is standard input")
    review.add_argument("--all", action="store_true", help="list decided edits too")


def _review(options: argparse.Namespace) -> int:
    """List, show or decide. libgit2 is only loaded for this."""
    from engine.review import decisions as reviews

    with open_run(options) as run:
        if options.action == "list":
            return _list_edits(run, options)
        if options.edit is None:
            raise RunError(f"which edit? skillos-engine review {options.run} {options.action} ID")
        if options.action == "show":
            return _show(run, options)
        match options.action:
            case "approve":
                record = reviews.approve(run, options.edit, user_name())
            case "amend":
                record = reviews.amend(run, options.edit, user_name(), _text(options.text), options.reason)
            case "veto":
                record = reviews.veto(run, options.edit, user_name(), options.reason)
            case "undo":
                return _undo(run, options)
            case _:
                record = reviews.requeue(run, options.edit, user_name())
        print(_edit_line(record))
        if record.state == "conflicted":
            print(
                f"{record.proposal.skill} changed since this edit was proposed; nothing was written. "
                f"Against the present text: skillos-engine review {options.run} again {record.id}",
                file=sys.stderr,
            )
            return 1
    return 0


def _undo(run: Run, options: argparse.Namespace) -> int:
    """Undo one decision, say which, and how to decide again."""
    from engine.review import decisions as reviews

    before = run.edit(options.edit)
    record = reviews.undo(run, options.edit, user_name(), shown=before.shown)
    print(_edit_line(record))
    if record.state == "pending":
        print("the veto is taken back: the edit waits for a decision again")
    else:
        commit = before.decision.commit[:10] if before.decision else ""
        print(
            printable(f"reverted commit {commit} of {before.proposal.skill}; to put the edit back into the queue:")
            + f" skillos-engine review {options.run} again {record.id}"
        )
    return 0


def _show(run: Run, options: argparse.Namespace) -> int:
    """An edit's diff, then what its checks and its audit found."""
    from engine.review import decisions as reviews

    record = run.edit(options.edit)
    if options.json:
        print_json(record)
        return 0
    print(lines(reviews.diff(run, options.edit)))
    for note in (*record.proposal.checks, *map(str, record.proposal.audit)):
        print(printable(note))
    if record.proposal.amended_by:
        print(printable(f"amended by {record.proposal.amended_by}:"), lines(reviews.amendment(record)), sep="\n")
    return 0


def _text(file: str | None) -> str:
    """The text of the file that the user named. Raises `RunError`."""
    if file is None:
        raise RunError("amend it to what? give the skill's whole new file: --text FILE, or --text - for standard input")
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunError(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def _list_edits(run: Run, options: argparse.Namespace) -> int:
    records = [record for record in run.edits() if options.all or record.state in ("pending", "conflicted")]
    if options.json:
        print_json(records)
        return 0
    for record in records:
        print(_edit_line(record))
        for finding in record.proposal.audit:
            print(f"      {printable(str(finding), 200)}")
    if not records:
        print("no edits wait for review")
    return 0


def _edit_line(record: EditRecord) -> str:
    proposal, decision = record.proposal, record.decision
    name = f"{proposal.skill} -> {proposal.new_name}" if proposal.new_name else proposal.skill
    why = f"{proposal.task}, {proposal.outcome}: {proposal.reason}"
    decided = f" by {decision.by} {decision.reason} {decision.commit[:10]}".rstrip() if decision else ""
    return printable(f"{record.id:<5} {record.state}{decided}  {proposal.operation} {name}  ({why})", 400)
