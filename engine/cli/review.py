"""`review`: list the pending edits of a run, show one, and decide on one or on a filter of them."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from engine.cli import exit_codes
from engine.cli.common import Commands, UsageError, add_command, open_run, user_name
from engine.cli.edits import edit_line, list_edits, show_edit
from engine.core.edit import PERSONAL, Edit, actions
from engine.core.output import note, say
from engine.core.text import counted, printable
from engine.review.worth import grouped
from engine.runs.directory import Run
from engine.runs.errors import RunError

LIST_SECONDS = 1.0
"""How long a list waits for another process that decides."""
FILTERED = ("approve", "veto")
"""The decisions that can be taken on many edits at once."""


def add_commands(commands: Commands) -> None:
    review = add_command(commands, "review", "decide on the edits of a run", _review, run=True, json=True)
    review.add_argument("action", choices=["list", "show", *PERSONAL])
    review.add_argument("edit", nargs="?", metavar="ID")
    review.add_argument(
        "--reason", default="", help="why, kept with the decision; of a veto it is quoted to the curator"
    )
    review.add_argument("--text", type=Path, metavar="FILE", help="the text of an amended edit; - is standard input")
    review.add_argument("--editor", action="store_true", help="amend: write the text in $VISUAL or $EDITOR")
    review.add_argument(
        "--hunks", type=_numbers, metavar="N,N", help="approve: take these hunks alone, as show counts them"
    )
    review.add_argument("--skill", metavar="NAME", help="list, approve, veto: the edits of this skill")
    all_help = "list: decided, superseded and withheld edits too; approve, veto: all edits that wait"
    review.add_argument("--all", action="store_true", help=all_help)
    review.add_argument("--yes", action="store_true", help="approve or veto what a filter selects without asking")


def _numbers(text: str) -> tuple[int, ...]:
    """Numbers of hunks for argparse: "1,3"."""
    parts = text.split(",")
    if not all(part.isdecimal() and part.isascii() and int(part) >= 1 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers from 1 on, such as 1,3")
    return tuple(map(int, parts))


def _review(options: argparse.Namespace) -> int:
    """List, show or decide. libgit2 is only loaded for this."""
    _check_usage(options)
    with open_run(options) as run:
        if options.action in ("list", "show"):
            _reconcile(run)
        if options.action == "list":
            return list_edits(run, options)
        if options.action in FILTERED and (options.skill is not None or options.all):
            return _decide_on_many(run, options)
        if options.edit is None:
            more = f", or --all, or --skill NAME for {options.action}" if options.action in FILTERED else ""
            raise RunError(f"which edit? skillos-engine review {shlex.quote(options.run)} {options.action} ID{more}")
        if options.action == "show":
            return show_edit(run, options)
        if options.action == "undo":
            return _undo(run, options)
        edit = _decided(run, options)
        if edit is None:
            return exit_codes.FAILED
        say(edit_line(edit))
        if edit.state == "conflicted":
            note(_conflict(edit, options))
            return exit_codes.FAILED
    return exit_codes.DONE


def _check_usage(options: argparse.Namespace) -> None:
    """Raise `UsageError` for options that belong to another action."""
    action = options.action
    if options.reason and action in ("list", "show", "requeue"):
        raise UsageError(f"--reason belongs to a decision, and {action} is none")
    if options.hunks and action != "approve":
        raise UsageError("--hunks belongs to approve: it takes these hunks alone")
    if (options.editor or options.text is not None) and action != "amend":
        raise UsageError(f"{'--editor' if options.editor else '--text'} belongs to amend")
    if options.editor and options.text is not None:
        raise UsageError("give --editor or --text, not both")
    if options.skill is not None and action not in ("list", *FILTERED):
        raise UsageError(f"--skill selects edits for list, approve and veto; {action} is for one edit: give its ID")
    if action in FILTERED and (options.skill is not None or options.all) and (options.edit or options.hunks):
        raise UsageError(f"--all and --skill select edits, and {options.edit or '--hunks'} names one: give one of both")


def _decided(run: Run, options: argparse.Namespace) -> Edit | None:
    """The edit after a decision; None where a person changed nothing."""
    from engine.review import decisions as reviews

    name, by, reason = options.edit, user_name(), options.reason
    match options.action:
        case "approve" if options.hunks:
            return reviews.amend(run, name, by, _with_hunks(run.edit(name), options.hunks), reason)
        case "approve":
            return reviews.approve(run, name, by, reason)
        case "amend" if options.editor:
            return _edited(run, options)
        case "amend":
            return reviews.amend(run, name, by, _text(options.text), reason)
        case "veto":
            return reviews.veto(run, name, by, reason)
    return reviews.requeue(run, name, by)


def _with_hunks(edit: Edit, numbers: tuple[int, ...]) -> str:
    """The text with these hunks alone, which count from 1. Raises `RunError`."""
    from engine.review.hunks import hunks, taking

    count = len(hunks(edit.before, edit.after))
    if edit.after is None:
        raise RunError(f"{edit.id} removes a skill, which is one hunk: approve or veto it as a whole")
    if wrong := [number for number in numbers if number > count]:
        raise RunError(f"{edit.id} has {counted(count, 'hunk')}, and no hunk {wrong[0]}; show counts them")
    text = taking(edit.before, edit.after, {number - 1 for number in numbers})
    assert text is not None  # some hunk of a text is taken
    return text


def _edited(run: Run, options: argparse.Namespace) -> Edit | None:
    """Amend an edit in the person's editor; None where nothing was changed. Raises `RunError`; the text is kept then."""
    from engine.cli.editor import edited
    from engine.review import decisions as reviews

    edit = run.edit(options.edit)
    if "amend" not in actions(edit.state) or edit.after is None:
        return reviews.amend(run, edit.id, user_name(), "", options.reason)  # which says why not
    draft = edited(edit.after, f"{edit.id}-SKILL.md")
    if draft.text == edit.after:
        draft.remove()
        note(f"the text is as it was, so {edit.id} still waits; to approve it as it is: review RUN approve {edit.id}")
        return None
    try:
        made = reviews.amend(run, edit.id, user_name(), draft.text, options.reason)
    except RunError as error:
        raise RunError(f"{error}; your text is kept: amend {edit.id} --text {shlex.quote(str(draft.path))}") from error
    draft.remove()
    return made


def _decide_on_many(run: Run, options: argparse.Namespace) -> int:
    """Approve or veto the edits that wait and that the filter selects, after saying which. An approval takes the newest
    version of each skill, for it replaces the older ones."""
    from engine.review import decisions as reviews

    waiting = [edit for edit in run.edits("pending") if options.skill in (None, edit.skill, edit.name)]
    entries = grouped(waiting)
    if options.action == "approve":
        chosen = [entry.newest for entry in entries]
    else:
        chosen = [edit for entry in entries for edit in (entry.newest, *entry.older)]
    if not chosen:
        say("no edits wait for review" + (f" of {printable(options.skill)}" if options.skill else ""))
        return exit_codes.FAILED
    say(f"{options.action} {counted(len(chosen), 'edit')}:")
    for edit in chosen:
        say(edit_line(edit))
    if (left := len(waiting) - len(chosen)) > 0:
        say(f"{counted(left, 'older version')} of the same skills still wait{'s' if left == 1 else ''} then")
    if not options.yes and not _confirmed():
        note("nothing was done; add --yes to do it")
        return exit_codes.FAILED
    decide = reviews.approve if options.action == "approve" else reviews.veto
    failed = 0
    for edit in chosen:
        try:
            done = decide(run, edit.id, user_name(), options.reason, shown=edit)
        except reviews.NotLogged:
            raise
        except RunError as error:
            failed += 1
            note(printable(f"{edit.id}: {error}"))
            continue
        failed += done.state == "conflicted"
        if done.state == "conflicted":
            note(_conflict(done, options))
    say(f"{counted(len(chosen) - failed, 'edit')} decided; undo takes back one at a time: review RUN undo ID")
    return exit_codes.FAILED if failed else exit_codes.DONE


def _confirmed() -> bool:
    """Whether a person at a terminal says yes."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    say("do it? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _conflict(edit: Edit, options: argparse.Namespace) -> str:
    return (
        f"{edit.skill} changed since this edit was proposed; nothing was written. "
        f"Against the present text: skillos-engine review {shlex.quote(options.run)} requeue {edit.id}"
    )


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
    say(edit_line(edit))
    if edit.state == "pending":
        say("the veto is taken back: the edit waits for a decision again")
    else:
        commit = before.decision.commit[:10] if before.decision else ""
        say(
            printable(f"reverted commit {commit} of {before.skill}; to put the edit back into the queue:")
            + f" skillos-engine review {shlex.quote(options.run)} requeue {edit.id}"
        )
    return 0


def _text(file: Path | None) -> str:
    """The text of the file that the user named. Raises `RunError`."""
    if file is None:
        raise RunError(
            "amend it to what? give the skill's whole new file: --text FILE, --text - for standard input, or --editor"
        )
    if str(file) == "-" and sys.stdin is None:
        raise RunError("the text is to be read from standard input, which is closed")
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunError(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}") from error
