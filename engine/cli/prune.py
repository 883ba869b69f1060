"""`runs prune` and `runs restore`: see how much room runs take, and delete them so that it can be undone.

skillos-engine runs prune                                   # lists runs with their disk use, and deletes nothing
skillos-engine runs prune NAME NAME                         # moves these into the trash
skillos-engine runs prune --state finished --older 30d
skillos-engine runs restore NAME
skillos-engine runs prune --empty-trash
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from pathlib import Path

import msgspec

from engine.cli.common import CommandError, Commands, UsageError, add_command, print_json
from engine.core.output import note, say
from engine.core.paths import user_path
from engine.core.text import counted, printable
from engine.runs import supervisor
from engine.runs.trash import IDLE, TRASH, RunUse, Trashed, check, discard, empty, look, restore, trashed

SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}
SIZES = ("B", "kB", "MB", "GB", "TB")


class Use(msgspec.Struct, frozen=True):
    """What takes room in the runs' home."""

    home: str
    runs: list[RunUse]
    trash: list[Trashed]


class Moved(msgspec.Struct, frozen=True):
    """The runs that were moved into the trash, and the bytes that they take there."""

    moved: list[str]
    bytes: int


def add_actions(runs: argparse.ArgumentParser) -> None:
    """The actions of `runs`."""
    actions: Commands = runs.add_subparsers(metavar="ACTION")
    prune = add_command(actions, "prune", "list runs with their disk use, or move runs into the trash", _prune)
    prune.add_argument("names", nargs="*", metavar="NAME", help="the runs to move into the trash")
    prune.add_argument("--state", action="append", choices=sorted(IDLE), help="those in this state")
    prune.add_argument("--older", type=_age, metavar="AGE", help="those in their state for this long: 12h, 30d, 4w")
    prune.add_argument("--empty-trash", action="store_true", help="delete what is in the trash for good")
    prune.add_argument("--yes", action="store_true", help="do not ask")
    back = add_command(actions, "restore", "move a run from the trash back, or list the trash", _restore)
    back.add_argument("name", nargs="?", metavar="NAME")
    for action in (prune, back):
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def _age(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6})([hdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 12h, 30d or 4w")
    return float(found[1]) * SECONDS[found[2]]


def print_sizes(options: argparse.Namespace) -> int:
    """Every run with its disk use, and the size of the trash."""
    home = supervisor.runs_home()
    use = Use(str(home), look(home), trashed(home))
    if options.json:
        print_json(use)
        return 0
    for each in use.runs:
        state = each.state or f"cannot be read: {each.problem}"
        since = "" if each.age_s is None else f", for {_duration(each.age_s)}"
        say(printable(f"{size(each.bytes):>8}  {each.name}  ({state}{since})"))
    say(f"{size(sum(each.bytes for each in use.runs)):>8}  in {counted(len(use.runs), 'run')} of {use.home}")
    if use.trash:
        say(f"{size(sum(each.bytes for each in use.trash)):>8}  in the trash: {counted(len(use.trash), 'run')}")
    return 0


def _prune(options: argparse.Namespace) -> int:
    home = supervisor.runs_home()
    chosen = bool(options.names or options.state or options.older is not None)
    if options.empty_trash:
        if chosen:
            raise UsageError("--empty-trash deletes the whole trash; leave out names, --state and --older")
        return _empty(home, options)
    if not chosen:
        code = print_sizes(options)
        if not options.json:
            note("nothing was moved; name runs, or choose them by --state and --older")
        return code
    if options.names and (options.state or options.older is not None):
        raise UsageError("name the runs, or choose them by --state and --older, not both")
    uses = {use.name: use for use in look(home)}
    names = list(dict.fromkeys(_name(home, name) for name in options.names)) or [
        use.name for use in uses.values() if _fits(use, options)
    ]
    check(home, names)
    if not names:
        raise CommandError(f"no run in {home} is chosen by these options")
    total = sum(uses[name].bytes for name in names if name in uses)
    _confirm(options, f"move {counted(len(names), 'run')} ({size(total)}) into the trash", names)
    moved = discard(home, names)
    if options.json:
        print_json(Moved(moved, total))
        return 0
    say(f"moved into the trash: {counted(len(moved), 'run')}, {size(total)}")
    say(f"to undo it: skillos-engine runs restore {shlex.quote(moved[0]) if len(moved) == 1 else 'NAME'}")
    say("to free the room: skillos-engine runs prune --empty-trash")
    return 0


def _name(home: Path, text: str) -> str:
    """The name of a run that was given by its name, or by its path in the runs' home."""
    if "/" not in text:
        return text
    path = user_path(text).absolute()
    if path.parent != home.absolute():
        raise CommandError(f"{path} is not in {home}, and only runs there are pruned; delete another folder yourself")
    return path.name


def _fits(use: RunUse, options: argparse.Namespace) -> bool:
    """Whether the options choose a run; one that cannot be read, or has an engine, is chosen by its name only."""
    if use.state not in IDLE or use.age_s is None:
        return False
    return (not options.state or use.state in options.state) and use.age_s >= (options.older or 0.0)


def _confirm(options: argparse.Namespace, what: str, names: list[str]) -> None:
    """Ask on a terminal. Raises `UsageError` where nobody can be asked, and `CommandError` for no."""
    if options.yes:
        return
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()):
        raise UsageError(f"this would {what}; add --yes, since there is no terminal to ask on")
    for name in names:
        say(f"  {printable(name)}")
    say(f"{what[0].upper()}{what[1:]}? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was done")


def _empty(home: Path, options: argparse.Namespace) -> int:
    there = trashed(home)
    if not there:
        raise CommandError(f"the trash ({home / TRASH}) is empty")
    total = size(sum(each.bytes for each in there))
    _confirm(options, f"delete {counted(len(there), 'run')} ({total}) in the trash for good", [e.name for e in there])
    freed = empty(home)
    if options.json:
        print_json({"freed": freed})
    else:
        say(f"the trash is empty; {size(freed)} are free again")
    return 0


def _restore(options: argparse.Namespace) -> int:
    home = supervisor.runs_home()
    if options.name is None:
        there = trashed(home)
        if options.json:
            print_json(there)
            return 0
        for each in there:
            say(printable(f"{size(each.bytes):>8}  {each.name}  (moved {each.batch[:15]})"))
        say(f"{counted(len(there), 'run')} in the trash")
        return 0
    path = restore(home, options.name)
    if options.json:
        print_json({"restored": str(path)})
    else:
        say(f"restored {path}")
    return 0


def size(number: float) -> str:
    """Bytes as a person reads them: "12.3 MB"."""
    for unit in SIZES:
        if number < 1000 or unit == SIZES[-1]:
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"


def _duration(seconds: float) -> str:
    if seconds >= 2 * SECONDS["d"]:
        return counted(int(seconds // SECONDS["d"]), "day")
    return counted(int(seconds // SECONDS["h"]), "hour") if seconds >= SECONDS["h"] else "less than an hour"
