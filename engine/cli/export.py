"""`export`: write a checkpoint as an adapter, a whole model, or a GGUF file, with a model card.

skillos-engine export RUN -o FOLDER                     # the adapter of the best checkpoint
skillos-engine export RUN@20 --merge --gguf -o FOLDER   # the model of step 20, for transformers and as GGUF
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.common import CommandError, Commands, add_command, named_run, print_json
from engine.cli.prune import size
from engine.core.output import note, say, show_progress
from engine.core.text import printable
from engine.runs.directory import Run


def add_commands(commands: Commands) -> None:
    about = "write a checkpoint as an adapter or a model, with a model card"
    command = add_command(commands, "export", about, _export, run=True, json=True)
    command.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    command.add_argument("--merge", action="store_true", help="the whole model, with the trained weights in it")
    command.add_argument("--gguf", action="store_true", help="the whole model as a GGUF file")


def _export(options: argparse.Namespace) -> int:
    from engine.training.exporting import export
    from engine.training.selection import chosen

    found = chosen(str(named_run(Path(options.run))))
    if found.run is None:
        raise CommandError(f"{found.path} is no checkpoint of a run: name a train run, or RUN@STEP")
    note(printable(found.sentence.replace("the curator is", "exported:", 1)))
    with Run.open(found.run) as run:
        made = export(run, found, options.out.absolute(), merge=options.merge, gguf=options.gguf, report=_loading)
    show_progress("")
    if options.json:
        print_json(made)
        return 0
    for name, count in made.files.items():
        say(printable(f"{size(count):>10}  {name}"))
    for sentence in made.notes:
        note(printable(f"note: {sentence}"))
    say(f"written to {made.folder}")
    return 0


def _loading(what: str) -> None:
    show_progress(f"exporting: {what}")
