"""A process that exchanges folders with links that lead outside, while the history is written: no byte gets out, or in."""

from __future__ import annotations

import ctypes
import random
import shutil
import tempfile
from pathlib import Path

from tests.benchmarks.faults.row import Row, row, unmeasured
from tests.skills.history.racing import PLACES, WRITES, tried


def measure(count: int, seed: int) -> list[Row]:
    """`count` races of each write, through places that are drawn by `seed`."""
    if not hasattr(ctypes.CDLL(None), "renameat2"):
        return [unmeasured("links swapped in", "the C library has no renameat2")]
    draws = random.Random(seed)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for write in WRITES:
            trials = []
            for number in range(count):
                folder, place = Path(name) / f"{write}-{number}", draws.choice(PLACES)
                folder.mkdir()
                trials.append((place, tried(folder, write, place)[1]))
                shutil.rmtree(folder)
            rows.append(row(f"links swapped in during {write}", trials))
    return rows
