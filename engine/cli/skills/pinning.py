"""Pin skills of a repository, so that no policy changes them: `pin`, `unpin`."""

from __future__ import annotations

import argparse

from engine.cli.common import Commands, add_command, print_json, user_name
from engine.cli.skills.target import found_name, open_repo, root_of
from engine.core.output import say
from engine.core.text import printable
from engine.skills.repo.pins import pin, pins, unpin


def add_actions(actions: Commands) -> None:
    pinning = add_command(actions, "pin", "pin skills: no policy changes them; without names, list them", _pin)
    pinning.add_argument("names", nargs="*", metavar="NAME")
    unpinning = add_command(actions, "unpin", "let policies change skills again", _unpin)
    unpinning.add_argument("names", nargs="+", metavar="NAME")


def _pin(options: argparse.Namespace) -> int:
    root, repo = root_of(options.repo), open_repo(options)
    for name in [found_name(repo, name) for name in options.names]:
        pin(root, name, user_name())
    return _report(options)


def _unpin(options: argparse.Namespace) -> int:
    root = root_of(options.repo)
    for name in options.names:
        unpin(root, name)
    return _report(options)


def _report(options: argparse.Namespace) -> int:
    found = pins(root_of(options.repo))
    if options.json:
        print_json(found)
    elif not found:
        say("no skill is pinned")
    else:
        for name, each in sorted(found.items()):
            say(printable(f"pinned  {name}  by {each.by}" if each.by else f"pinned  {name}"))
    return 0
