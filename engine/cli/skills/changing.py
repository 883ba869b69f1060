"""The history of a skill repository and what writes: `log`, `diff`, `blame`, `revert`, `restore`, `import`, `export`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.cli.common import CommandError, Commands, add_command, lines, positive, print_json, user_name
from engine.cli.skills.place import in_words, open_repo, policy_of, root_of, skill_named
from engine.config import Audit
from engine.core.text import printable

if TYPE_CHECKING:
    from engine.skills import Commit, History
    from engine.skills.exchange import ImportPlan, Package

SHORT = 10
TOLD = ("Run", "Step", "Task", "Outcome", "Proposer", "Reviewer")


def add_actions(actions: Commands) -> None:
    log = add_command(actions, "log", "list the commits, newest first", in_words(_log))
    log.add_argument("-n", type=positive, default=20, dest="limit", help="how many at most (20)")
    log.add_argument("--skill", default="", metavar="NAME", help="those of one skill, under its former names too")
    diff = add_command(actions, "diff", "show what a commit changed, by default the newest", in_words(_diff))
    _commit_options(diff)
    blame = add_command(actions, "blame", "show which task each line of a skill came from", in_words(_blame))
    blame.add_argument("name", metavar="NAME")
    revert = add_command(actions, "revert", "undo one commit by a new one", in_words(_revert))
    revert.add_argument("commit", metavar="COMMIT")
    revert.add_argument("--reason", default="", help="kept in the new commit")
    restore = add_command(actions, "restore", "bring the whole repository back, by a new commit", in_words(_restore))
    _commit_options(restore)
    restore.add_argument("--reason", default="", help="kept in the new commit")

    bring = add_command(actions, "import", "bring skills in, as one commit", in_words(_import))
    bring.add_argument("source", type=Path, help="a folder, a zip, a git checkout, or another run's repository")
    bring.add_argument("--ref", default="", help="a branch, tag or commit of a git repository")
    bring.add_argument("--step", type=int, help="as it stood when this step of its run was over")
    bring.add_argument("--run", default="", dest="of_run", help="which run's step (the newest)")
    bring.add_argument(
        "--clash",
        choices=["refuse", "rename", "replace"],
        default="refuse",
        help="what to do with names that are taken",
    )
    bring.add_argument("--dry-run", action="store_true", help="say what would be done")
    bring.add_argument("--accept-danger", action="store_true", help="also what the audit finds dangerous")
    export = add_command(actions, "export", "write valid Agent Skills to a new folder, or a .zip", in_words(_export))
    export.add_argument("target", type=Path)


def _commit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("commit", nargs="?", default="", metavar="COMMIT", help="an id that log shows")
    parser.add_argument("--step", type=int, help="the last commit when this step of a run was over")
    parser.add_argument("--run", default="", dest="of_run", help="which run's step (the newest)")


def _history(options: argparse.Namespace) -> History:
    from engine.skills import History

    root = open_repo(options).path
    history = History.existing(root) if root else None
    if history is None:
        raise CommandError(f"{options.repo} has no history yet; it begins with the first edit or import")
    return history


# The history


def _log(options: argparse.Namespace) -> int:
    commits = _history(options).log(options.limit, skill=options.skill)
    if options.json:
        print_json(commits)
        return 0
    for commit in commits:
        print(_commit_line(commit))
    return 0


def _commit_line(commit: Commit) -> str:
    told = ", ".join(f"{key.lower()} {commit.trailers[key]}" for key in TOLD if key in commit.trailers)
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(commit.time))
    return printable(f"{commit.id[:SHORT]}  {at}  {commit.subject}" + (f"  ({told})" if told else ""), 300)


def _diff(options: argparse.Namespace) -> int:
    history = _history(options)
    commit = history.at(options.commit, step=options.step, run=options.of_run)
    if options.json:
        print_json({"commit": commit, "files": history.show(commit.id)})
        return 0
    print(_commit_line(commit))
    print(lines(history.diff(commit.id)).rstrip("\n"))
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
        print(printable(f"{line.number:>4}  {printable(source, 50):<50}  {line.text.rstrip()}", 300))
    return 0


def _revert(options: argparse.Namespace) -> int:
    made = _history(options).revert(options.commit, trailers=_by_whom(options))
    return _told(options, made, f"undone by {made[:SHORT]}")


def _restore(options: argparse.Namespace) -> int:
    history = _history(options)
    if not options.commit and options.step is None and not options.of_run:
        raise CommandError("to which state? name a COMMIT, or --step N of a run (see log)")
    commit = history.at(options.commit, step=options.step, run=options.of_run)
    made = history.restore(commit.id, trailers=_by_whom(options))
    told = f"restored to {commit.id[:SHORT]} by {made[:SHORT]}" if made else f"it is as at {commit.id[:SHORT]} already"
    return _told(options, made, told)


def _by_whom(options: argparse.Namespace) -> dict[str, str]:
    return {"Reviewer": user_name(), "Reason": options.reason}


def _told(options: argparse.Namespace, commit: str | None, told: str) -> int:
    if options.json:
        print_json({"commit": commit})
    else:
        print(told)
    return 0


# In and out


def _import(options: argparse.Namespace) -> int:
    from engine.skills.exchange import ImportReport, import_skills, plan_import, read_source

    root = root_of(options.repo)
    bundle = read_source(root_of(options.source), ref=options.ref, step=options.step, run=options.of_run)
    plan = plan_import(bundle, root, clash=options.clash)
    if not options.accept_danger:
        _refuse_danger(plan, policy_of(options.repo))
    report = ImportReport(plan.origin, None, plan.imported, plan.skipped)
    if not options.dry_run:
        report = import_skills(root, plan, trailers={"Reviewer": user_name()})
    if options.json:
        print_json(report)
        return 0
    for done in report.imported:
        print(printable(f"{done.action:<9} {done.name}  ({done.files} files, {len(done.findings)} findings)"))
    for left in report.skipped:
        print(printable(f"skipped   {left.place}: {left.why}"), file=sys.stderr)
    written = sum(done.action != "same" for done in report.imported)
    made = f"as {report.commit[:SHORT]}" if report.commit else "nothing was written"
    same = len(report.imported) - written
    kept = "to be imported" if options.dry_run else "imported"
    print(f"{written:,} {kept}, {same:,} there already, {len(report.skipped):,} skipped: {made}")
    return 0


def _refuse_danger(plan: ImportPlan, policy: Audit) -> None:
    """Raises `CommandError` for what the policy blocks, in a skill or in a text file beside it."""
    from engine.skills.audit import audit

    found = [
        f"{name}/{path}:{finding.line}: {finding.rule}: {finding.message}"
        for name, package in plan.packages.items()
        for path, text in _texts(package)
        for finding in audit(text)
        if msgspec.structs.asdict(policy)[finding.severity] == "block"
    ]
    if found:
        shown = "\n  ".join(found[:20]) + (f"\n  … and {len(found) - 20} more" if len(found) > 20 else "")
        raise CommandError(
            f"the audit blocks {len(found)} lines of {plan.origin}; nothing was imported. "
            f"Read them, and add --accept-danger to import all the same:\n  {shown}"
        )


def _texts(package: Package) -> Iterator[tuple[str, str]]:
    """The files of a skill that are text; what is not UTF-8 has nothing for the audit to read."""
    for path, file in package.files.items():
        with suppress(UnicodeDecodeError):
            yield path, file.data.decode("utf-8")


def _export(options: argparse.Namespace) -> int:
    from engine.skills.exchange import export_skills, read_repo

    report = export_skills(read_repo(root_of(options.repo)), options.target)
    if options.json:
        print_json(report)
        return 0
    for done in report.exported:
        for repair in done.repairs:
            print(printable(f"repaired  {done.name}: {repair}"))
    for left in report.skipped:
        print(printable(f"skipped   {left.place}: {left.why}"), file=sys.stderr)
    print(f"{len(report.exported):,} skills written to {report.target}, {len(report.skipped):,} skipped")
    return 0
