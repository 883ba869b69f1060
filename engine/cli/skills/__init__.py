"""`skills REPO ACTION`: look at a skill repository, search and check it, see its history and undo, bring skills in and out.

    skillos-engine skills sample_repos/household search "get a hot mug"
    skillos-engine skills RUN log --skill find-mugs
    skillos-engine skills REPO import collection.zip --clash rename

REPO is a folder of skills, or a run's directory for the repository that the run works on. Looking changes no skill and
begins no history (a large repository keeps the index of its searches in `.skillos`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.common import Commands, add_command
from engine.cli.skills import audit, exporting, history, importing, inspect, pinning


def add_commands(commands: Commands) -> None:
    skills = add_command(commands, "skills", "look at, check, search, and undo in a skill repository", inspect.overview)
    skills.add_argument("repo", type=Path, metavar="REPO", help="a folder of skills, or a run's directory")
    actions: Commands = skills.add_subparsers(metavar="ACTION")
    for module in (inspect, audit, history, pinning, importing, exporting):
        module.add_actions(actions)
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    skills.add_argument("--all", action="store_true", help=argparse.SUPPRESS)
    skills.add_argument("--json", action="store_true", help="print JSON")
