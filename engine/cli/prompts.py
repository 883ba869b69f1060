"""`prompts`: print the prompts and chat templates that a run uses, or write them to a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.common import CommandError, Commands, add_command, lines, open_run, print_json
from engine.core.events import PromptsUsed
from engine.core.output import say
from engine.core.text import counted, printable
from engine.runs.directory import Run
from engine.runs.prompts import last_used, texts


def add_commands(commands: Commands) -> None:
    about = "print the prompts and chat templates that a run uses, as its log has them"
    prompts = add_command(commands, "prompts", about, _prompts, run=True, json=True)
    prompts.add_argument(
        "--to", type=Path, metavar="FOLDER", help="write each text to a file in this new folder instead"
    )


def _prompts(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        used = _used(run)
    if options.json:
        print_json(used)
    elif options.to is not None:
        written = _write(used, options.to)
        say(f"wrote {counted(written, 'file')} to {printable(str(options.to), 400)}")
    else:
        for name, text in texts(used).items():
            say(f"--- {printable(name)}  sha256 {used.hashes.get(name, '?')}")
            say(lines(text) if text else "(only the model's server knows it)")
    return 0


def _used(run: Run) -> PromptsUsed:
    """What the log has last. Raises `CommandError` where it has nothing."""
    if (used := last_used(run)) is None:
        raise CommandError(
            f"the log of {run.path} has no prompts: no engine has loaded its models yet, or an older version"
        )
    return used


def _write(used: PromptsUsed, folder: Path) -> int:
    """Write each text to a file of its name in `folder`, which must be absent or empty; how many there are.

    The names come from a log, which anybody may have written: one that leads out of the folder is refused.
    """
    found = {name: text for name, text in texts(used).items() if text}
    for name in found:
        if Path(name).is_absolute() or ".." in Path(name).parts or "\x00" in name:
            raise CommandError(
                f"the log names a text {printable(repr(name))}, which is no place in a folder; nothing was written"
            )
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise CommandError(f"{folder} exists already and is not an empty folder; name another one")
    for name, text in found.items():
        file = folder / (name if Path(name).suffix else f"{name}.jinja")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return len(found)
