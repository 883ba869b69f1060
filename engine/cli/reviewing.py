"""`review`: list the edits of a run that wait, show one, and decide on it."""

from __future__ import annotations

import argparse
import sys

from engine.cli.common import Commands, add_command, lines, open_run, print_json, user_name
from engine.runs.errors import RunError
from engine.runs.store import EditRecord, Run
from engine.runs.text import printable


def add_commands(commands: Commands) -> None:
    review = add_command(commands, "review", "decide on the edits of a run", _review, run=True, json=True)
    review.add_argument("action", choices=["list", "show", "approve", "veto", "undo", "again"])
    review.add_argument("edit", nargs="?", metavar="ID")
    review.add_argument("--reason", default="", help="why an edit is vetoed; quoted to the curator")
    review.add_argument("--all", action="store_true", help="list decided edits too")


def _review(options: argparse.Namespace) -> int:
    """List, show or decide. libgit2 is only loaded for this."""
    from engine.runs import reviews

    with open_run(options) as run:
        if options.action == "list":
            return _list_edits(run, options)
        if options.edit is None:
            raise RunError(f"which edit? skillos-engine review {options.run} {options.action} ID")
        if options.action == "show":
            print(lines(reviews.diff(run, options.edit)))
            return 0
        match options.action:
            case "approve":
                record = reviews.approve(run, options.edit, user_name())
            case "veto":
                record = reviews.veto(run, options.edit, user_name(), options.reason)
            case "undo":
                record = reviews.undo(run, options.edit, user_name())
            case _:
                record = reviews.ask_again(run, options.edit, user_name())
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
        print_json(records)
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
