"""`export`: write the skills of a repository as valid Agent Skills."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.cli.common import Commands, add_command, print_json
from engine.cli.skills.target import root_of
from engine.core.text import counted, printable


def add_actions(actions: Commands) -> None:
    export = add_command(actions, "export", "write valid Agent Skills to a new folder, or a .zip", _export)
    export.add_argument("target", type=Path)


def _export(options: argparse.Namespace) -> int:
    from engine.skills.exchange import export_skills, read_repo

    report = export_skills(read_repo(root_of(options.repo)), options.target)
    if options.json:
        print_json(report)
    else:
        for done in report.exported:
            for repair in done.repairs:
                print(printable(f"repaired  {done.name}: {repair}"))
        for left in report.skipped:
            print(printable(f"left out  {left.place}: {left.why}"), file=sys.stderr)
        print(f"{counted(len(report.exported), 'skill')} written to {report.target}, {len(report.skipped):,} left out")
    return 0 if report.exported else 1
