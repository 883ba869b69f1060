"""What `review` prints of edits: the queue by skill, and one edit with what a person should know beside its diff."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from engine.cli import exit_codes
from engine.cli.common import lines, print_json
from engine.core.edit import OPEN, PAST, PERSONAL, Edit, actions
from engine.core.errors import SkillosError
from engine.core.output import note, say
from engine.core.text import counted, printable
from engine.review.effects import effects, results
from engine.review.hunks import Hunk, hunks
from engine.review.worth import grouped, why, worth
from engine.runs.directory import Run
from engine.runs.starts import last_settings

TASKS = 5
"""How many of the tasks that an edit reaches are printed."""


class About(msgspec.Struct, frozen=True):
    """What a person should know beside the diff of an edit; `reasons` say what of it could not be found out."""

    similar: list[tuple[str, float]] = []
    retrieval: list[Any] = []
    vetoes: list[Edit] = []
    pinned: list[str] = []
    reasons: list[str] = []


def list_edits(run: Run, options: argparse.Namespace) -> int:
    """List the edits that can be read, by skill, the most promising skill first and its newest version last; those that
    cannot are named on standard error, and the exit code is 1."""
    queue, withheld = run.read_edits(), run.read_edits("withheld")
    damaged = [*queue.damaged, *withheld.damaged]
    edits = [row.data for row in queue.values if options.all or row.state in OPEN]
    edits += [row.data for row in withheld.values if options.all]
    edits = [edit for edit in edits if options.skill is None or options.skill in (edit.skill, edit.name)]
    for row in damaged:
        note(f"skillos-engine: {printable(str(row))}")
    if options.json:
        print_json(edits)
        return exit_codes.FAILED if damaged else exit_codes.DONE
    for entry in grouped(edits):
        for edit in (*reversed(entry.older), entry.newest):
            _say_edit(edit)
    if not edits and not damaged:
        say("no edits wait for review" + (f" of {printable(options.skill)}" if options.skill else ""))
    if withheld.values and not options.all:
        note(
            f"note: {counted(len(withheld.values), 'edit')} withheld, since others were worth more; --all lists them too"
        )
    say_effects(run)
    return exit_codes.FAILED if damaged else exit_codes.DONE


def show_edit(run: Run, options: argparse.Namespace) -> int:
    """An edit's diff, what is known of it and of what a decision does, and what can be done with it."""
    from engine.review.diff import amendment, diff

    edit = run.edit(options.edit)
    about = _about(run, edit)
    done = results(edit, last_settings(run), run.kind, pinned=bool(about.pinned), works=run.engine_alive())
    parts = hunks(edit.before, edit.after)
    if options.json:
        more = {"worth": worth(edit), "why": why(edit), "hunks": parts, "results": done}
        known = msgspec.to_builtins(about)
        known["vetoes"] = [veto.id for veto in about.vetoes]
        print_json({**msgspec.to_builtins(edit), **msgspec.to_builtins(more), **known})
        return 0
    say(lines(diff(run, options.edit)))
    if len(parts) > 1:
        for number, hunk in enumerate(parts, start=1):
            say(f"hunk {number}: {_hunk_line(hunk)}")
    for finding in edit.findings:
        say(printable(str(finding)))
    for gate, score in edit.scores.items():
        say(printable(f"{gate}: {score:.3f}"))
    if edit.amended_by:
        say(f"{printable(f'amended by {edit.amended_by}:')}\n{amendment(edit)}")
    known_worth = worth(edit)
    say(printable(f"worth{'' if known_worth is None else f' {known_worth:+.3f}'}: {why(edit)}", 400))
    _say_about(about)
    for sentence in done:
        say(printable(sentence, 400))
    offered = [action for action in PERSONAL if action in actions(edit.state)]
    say(f"{edit.id} is {edit.state}; it can: {', '.join(offered)}")
    return 0


def say_effects(run: Run) -> None:
    """What a decision does beside its commit, where it does something."""
    if said := effects(last_settings(run), works=run.engine_alive()):
        note(f"note: {said}")


def edit_line(edit: Edit) -> str:
    """An edit in one line."""
    cause, decision = edit.provenance, edit.decision
    name = f"{edit.skill} -> {edit.new_name}" if edit.new_name else edit.skill
    why_proposed = f"{cause.task}, {cause.outcome}: {cause.reason}"
    state = PAST[decision.action] if decision else edit.state
    decided = f" by {decision.by} {decision.reason} {decision.commit[:10]}".rstrip() if decision else ""
    amended = f" (amended by {edit.amended_by})" if edit.amended_by else ""
    return printable(f"{edit.id:<5} {state}{decided}{amended}  {edit.operation} {name}  ({why_proposed})", 400)


def _say_edit(edit: Edit) -> None:
    """An edit, what is known of its worth, and what the gates found."""
    say(edit_line(edit))
    if (known := worth(edit)) is not None:
        say(f"      {printable(f'worth {known:+.3f}: {why(edit)}', 200)}")
    for finding in edit.findings:
        say(f"      {printable(str(finding), 200)}")


def _about(run: Run, edit: Edit) -> About:
    """What can be found out; each part by itself, so that an unreadable repository hides no veto."""
    from engine.review.checking import open_repo
    from engine.review.context import pinned, retrieval, similar, vetoes_on

    found: dict[str, Any] = {}
    reasons = []
    for name, ask in (
        ("similar", lambda: similar(open_repo(run), edit)),
        ("retrieval", lambda: retrieval(run, edit, run.config.executor.skills)),
        ("vetoes", lambda: vetoes_on(run, edit)),
        ("pinned", lambda: pinned(run, edit)),
    ):
        try:
            found[name] = ask()
        except SkillosError as error:
            reasons.append(f"{name}: not known: {error}")
    return About(**found, reasons=reasons)


def _say_about(about: About) -> None:
    if about.similar:
        say(printable("like: " + ", ".join(f"{name} {score:.2f}" for name, score in about.similar), 400))
    for task in about.retrieval[:TASKS]:
        ranks = " -> ".join("not found" if rank is None else f"rank {rank}" for rank in (task.before, task.after))
        instead = f", in place of {', '.join(task.replaced)}" if task.replaced else ""
        say(printable(f"retrieval: «{task.prompt}»: {ranks}{instead}", 200))
    if (more := len(about.retrieval) - TASKS) > 0:
        say(f"retrieval: {counted(more, 'more recent task')} would get other skills too")
    for veto in about.vetoes[:TASKS]:
        reason = veto.decision.reason if veto.decision and veto.decision.reason else "no reason given"
        by = veto.decision.by if veto.decision else "?"
        say(printable(f"vetoed before: {veto.id} {veto.operation} {veto.name} by {by}: {reason}", 400))
    for reason in about.reasons:
        say(printable(reason, 400))


def _hunk_line(hunk: Hunk) -> str:
    """A hunk with the lines of the file, which count from 1."""

    def named(part: tuple[int, int]) -> str:
        first, end = part
        return f"line {first + 1}" if end - first == 1 else f"lines {first + 1}-{end}"

    if hunk.old[0] == hunk.old[1]:
        return f"adds {named(hunk.new)}"
    if hunk.new[0] == hunk.new[1]:
        return f"removes {named(hunk.old)}"
    return f"{named(hunk.old)} becomes {named(hunk.new)}"
