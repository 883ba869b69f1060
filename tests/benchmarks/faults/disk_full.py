"""A small disk that is full: each command, with a little space left, does all of its work or nothing."""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.faults.commands import Commands
from tests.benchmarks.faults.errors import warmed
from tests.benchmarks.faults.row import Row, row, unmeasured
from tests.benchmarks.faults.scenes import Scene, scenes

DISK = 4 << 20
BLOCK = 4096
LEFT = 40
"""The most blocks that are left free."""


def measure(count: int, seed: int) -> list[Row]:
    """`count` times each command on a disk of 4 MiB with a number of free blocks that is drawn by `seed`."""
    if os.geteuid() != 0:
        return [unmeasured("a full disk", "only root may mount a small disk")]
    draws = random.Random(seed)
    rows = []
    with tempfile.TemporaryDirectory() as name, Commands() as commands:
        for scene in warmed(scenes(Path(name) / "scenes"), commands, Path(name)):
            trials = []
            for _ in range(count):
                left = draws.randrange(LEFT)
                try:
                    with small_disk(Path(name)) as disk:
                        trials.append((f"{left} blocks left", _tried(scene, commands, disk, left)))
                except subprocess.CalledProcessError as error:
                    return [unmeasured("a full disk", error.stderr.strip())]
            rows.append(row(f"a full disk in {scene.name}", trials))
    return rows


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of `DISK` bytes, mounted until the block ends. Raises `subprocess.CalledProcessError`."""
    place = folder / "disk"
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)]
    subprocess.run(mount, check=True, capture_output=True, text=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True, text=True)


def _tried(scene: Scene, commands: Commands, disk: Path, left: int) -> str:
    copy = scene.copy(disk / scene.name)
    (copy / "said").symlink_to(disk.parent / "said")  # the output is not on the full disk
    (disk.parent / "said").unlink(missing_ok=True)
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail
    with filler.open("wb") as file:
        file.write(b"x" * max(0, free - left) * BLOCK)
    ended = commands.run(scene.arguments, copy)
    filler.unlink()
    return scene.judge(copy, ended)
