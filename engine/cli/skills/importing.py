"""`import`: bring skills into a repository, as one commit, each as the person chooses.

    skillos-engine skills REPO import collection.zip --plan
    skillos-engine skills REPO import collection.zip --leave cups --rename mugs=mugs-of-tea --take plates=b/plates/SKILL.md

On a terminal, it asks about each skill that needs a decision (`engine.cli.skills.questions`). Elsewhere such a skill is left
out, and it is said how to take it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.cli.common import Commands, UsageError, add_command, print_json, user_name
from engine.cli.progress import progress_of
from engine.cli.skills.history import print_place
from engine.cli.skills.target import log_accepted, policy_of, root_of
from engine.core.errors import SkillosError
from engine.core.output import note, say
from engine.core.text import counted, printable

if TYPE_CHECKING:
    from engine.skills.audit.accepted import Acceptance
    from engine.skills.exchange import Candidate, Choice, ImportReport, Left

SHORT = 10
MAX_SHOWN = 10


def add_actions(actions: Commands) -> None:
    bring = add_command(actions, "import", "bring skills in, as one commit", _import)
    bring.add_argument("source", type=Path, help="a folder, an archive, a git checkout, or another run's repository")
    bring.add_argument("--ref", default="", help="a branch, tag or commit of a git repository")
    bring.add_argument("--step", type=int, help="as it was when this step of its run was over")
    bring.add_argument("--run", default="", dest="of_run", help="which run's step (the newest)")
    bring.add_argument(
        "--clash",
        choices=["refuse", "rename", "replace"],
        default="refuse",
        help="what to do with skills whose names are taken (refuse: leave them out)",
    )
    for option, form, about in (
        ("--only", "NAME", "leave out all skills but these"),
        ("--leave", "NAME", "leave these skills out"),
        ("--take", "NAME=PLACE", "of several skills of one name, take the one at PLACE"),
        ("--rename", "OLD=NEW", "import a skill under another name"),
        ("--replace", "NAME", "replace the skill of this name in the repository"),
        ("--accept", "NAME:RULE:HASH", "accept a finding that blocks a skill, for this content; this is logged"),
    ):
        bring.add_argument(option, action="extend", nargs="+", default=[], metavar=form, help=about)
    bring.add_argument("--plan", "--dry-run", action="store_true", dest="plan", help="print what would be done")
    bring.add_argument("--no-questions", action="store_true", help="ask nothing, also on a terminal")


def _import(options: argparse.Namespace) -> int:
    from engine.cli.skills.questions import ask
    from engine.skills.exchange import ImportReport, candidates, import_skills, plan_import, read_source
    from engine.skills.exchange.candidates import accepting

    root, settings, by = root_of(options.repo), policy_of(options.repo), user_name()
    accept = _accepted(options.accept)
    bundle = read_source(root_of(options.source), ref=options.ref, step=options.step, run=options.of_run)
    with progress_of("audit", "skills") as reached:
        listed = candidates(bundle, root, settings=settings, accept=accept, by=by, reached=reached)
    choices = _choices(options, listed)
    if not options.plan and not options.json and not options.no_questions and _on_a_terminal():
        asked, more = ask(listed, choices, options.clash)
        choices, accept = {**choices, **asked}, [*accept, *more]
        listed = accepting(listed, more, by, settings)
    plan = plan_import(bundle, root, clash=options.clash, choices=choices, accept=accept, listed=listed)
    report = ImportReport(plan.origin, None, plan.imported, plan.left, plan.skipped)
    if not options.plan:
        report = import_skills(root, plan, trailers={"Reviewer": by})
    if report.commit:
        log_accepted(options.repo, [str(each) for done in plan.imported for each in done.accepted], by)
    if options.json:
        print_json({**msgspec.to_builtins(report), "candidates": listed} if options.plan else report)
    else:
        _print(report, listed, planned=options.plan)
    if report.warning:
        note(printable(report.warning, 1_000))
    print_place(root)
    return 0 if report.imported or (options.plan and listed) else 1


def _accepted(texts: Sequence[str]) -> list[Acceptance]:
    from engine.skills.audit.accepted import Acceptance

    try:
        return [Acceptance.parse(text) for text in texts]
    except SkillosError as error:
        raise UsageError(str(error)) from error


def _choices(options: argparse.Namespace, listed: Sequence[Candidate]) -> dict[str, Choice]:
    """The choices of the command line, by name or place. Raises `UsageError` where two contradict."""
    from engine.skills.exchange import Leave, Rename, Replace, Take
    from engine.skills.exchange.importing import by_place

    given: list[tuple[str, Choice]] = [(name, Leave()) for name in options.leave]
    given += [(name, Replace()) for name in options.replace]
    given += [(old, Rename(new)) for old, new in map(_pair, options.rename)]
    for name, place in map(_pair, options.take):
        if not any(each.name == name and place in (each.place, *each.copies) for each in listed):
            places = ", ".join(each.place for each in listed if each.name == name)
            where = f"the source has it at {places}" if places else f"the source has no skill {name}"
            raise UsageError(f"--take {name}={place}: {where}")
        given.append((place, Take()))
    choices: dict[str, Choice] = {}
    for key, choice in given:
        if choices.setdefault(key, choice) != choice:
            raise UsageError(f"{key} is named by two options that contradict each other")
    if options.only:
        taken = by_place({name: Leave() for name in options.only}, listed)
        chosen = by_place(choices, listed)
        choices |= {each.place: Leave() for each in listed if each.place not in {*taken, *chosen}}
    return choices


def _pair(text: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise UsageError(f"{text!r} has no form A=B")
    return left, right


def _on_a_terminal() -> bool:
    return sys.stdin is not None and sys.stdout is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _print(report: ImportReport, listed: Sequence[Candidate], *, planned: bool) -> None:
    by_place = {each.place: each for each in listed}
    for each in listed if planned else ():
        say(printable(_line(each)))
    for done in report.imported if not planned else ():
        findings = f", {counted(len(done.findings), 'finding')}" if done.findings else ""
        say(printable(f"{done.action:<9} {done.name}  ({counted(done.files, 'file')}{findings})"))
        for accepted in done.accepted:
            say(printable(f"accepted  {accepted.short()}"))
    for left in report.left:
        mark = "copy" if left.reason == "copy" else "left out"
        note(printable(f"{mark:<9} {left.name} ({left.place}): {left.why}"))
        for line in _advice(left, by_place.get(left.place)):
            note(printable(f"          {line}"))
    for skipped in report.skipped:
        note(printable(f"skipped   {skipped.place}: {skipped.why}"))
    written = sum(done.action != "same" for done in report.imported)
    same = len(report.imported) - written
    made = f"as {report.commit[:SHORT]}" if report.commit else "nothing was written"
    if not listed:
        made = f"{report.origin} has no skill, which is a folder with a SKILL.md; {made}"
    kept = "to be imported" if planned else "imported"
    copies = sum(left.reason == "copy" for left in report.left)
    out = f"{len(report.left) - copies:,} left out, {len(report.skipped):,} skipped"
    twice = f", {copies:,} identical {'copy' if copies == 1 else 'copies'}" if copies else ""
    say(printable(f"{written:,} {kept}, {same:,} there already{twice}, {out}: {made}"))


def _line(each: Candidate) -> str:
    """One candidate of a plan."""
    marks = ["twice"] * bool(each.twins) + ["blocked"] * bool(each.blocking)
    mark = f"  ({', '.join(marks)})" if marks else ""
    size = f"{counted(each.files, 'file')}, {each.bytes:,} bytes"
    return f"{each.state:<9} {each.name}  {each.place}  {size}{mark}"


def _advice(left: Left, candidate: Candidate | None) -> list[str]:
    """How the person can import a skill that was left out, and all that blocks it."""
    from engine.skills.audit.accepted import Acceptance

    match left.reason:
        case "blocked":
            shown = [
                f"{left.name}/{found.file}:{found.finding.line}: {found.finding.rule}: {found.finding.message}"
                for found in left.blocking[:MAX_SHOWN]
            ]
            more = [f"and {len(left.blocking) - MAX_SHOWN:,} more"] * (len(left.blocking) > MAX_SHOWN)
            wanted = dict.fromkeys(Acceptance.of(left.name, found).short() for found in left.blocking)
            return [*shown, *more, f"if all of that is harmless: --accept {' '.join(wanted)}"]
        case "twice":
            return [f"to import this one: --take {left.name}={left.place}"]
        case "taken":
            key = left.place if candidate and candidate.twins else left.name
            replace = f", or --replace {key}" if candidate and candidate.taken_by == left.name else ""
            return [f"to import it: --rename {key}=NEW-NAME{replace}"]
        case _:
            return []
