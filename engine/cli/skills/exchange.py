"""Skills in and out of a repository: `import` and `export`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.cli.common import CommandError, Commands, add_command, print_json, user_name
from engine.cli.skills.history import print_place
from engine.cli.skills.target import policy_of, root_of
from engine.core.text import printable
from engine.review.settings import AuditSettings

if TYPE_CHECKING:
    from engine.skills.exchange import ImportPlan, Package

SHORT = 10


def add_actions(actions: Commands) -> None:
    bring = add_command(actions, "import", "bring skills in, as one commit", _import)
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
    export = add_command(actions, "export", "write valid Agent Skills to a new folder, or a .zip", _export)
    export.add_argument("target", type=Path)


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
    print_place(root)
    return 0


def _refuse_danger(plan: ImportPlan, policy: AuditSettings) -> None:
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
