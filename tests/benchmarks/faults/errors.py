"""Errors of the operating system, injected into each system call of a command: what was reported must be what is true."""

from __future__ import annotations

import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.asked import ROOT
from tests.benchmarks.faults.commands import Commands, cannot_inject
from tests.benchmarks.faults.row import Row, row, unmeasured
from tests.benchmarks.faults.scenes import Scene, scenes

CALLS = frozenset(
    "openat read pread64 write pwrite64 fsync fdatasync rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir link "
    "linkat symlink symlinkat ftruncate fallocate flock fcntl close mmap munmap stat lstat newfstatat fstat access "
    "faccessat2 getdents64 chmod fchmod utimensat dup readlink readlinkat lseek".split()
)
"""The system calls on files that get errors."""
ERRORS = ("EIO", "ENOSPC", "EPERM", "EINTR")
_CALL = re.compile(r"(\d+) +(\w+)\(")
_INSTALLED = re.compile("|".join(map(re.escape, (sys.base_prefix, sys.prefix, str(ROOT), "/proc/", "/dev/", "/etc/"))))


def injections(scene: Scene, commands: Commands, folder: Path) -> list[str]:
    """Every injection into a command: each error into each system call that it makes, except on installed files."""
    folder.mkdir()
    trace = folder / "trace"
    commands.run(scene.arguments, scene.copy(folder / "counted"), trace=trace)
    counts: Counter[tuple[str, str]] = Counter()
    calls = set()
    for line in trace.read_text(errors="replace").splitlines():
        found = _CALL.match(line)
        if found and found[2] in CALLS:
            counts[found[1], found[2]] += 1  # strace counts the calls of each thread
            if not _INSTALLED.search(line):
                calls.add((found[2], counts[found[1], found[2]]))
    return [f"{call}:error={error}:when={number}" for call, number in sorted(calls) for error in ERRORS]


def tried(scene: Scene, chosen: Sequence[str], commands: Commands, folder: Path) -> Iterator[tuple[str, str]]:
    """Each injection and what was wrong then ("" for nothing)."""
    for number, injection in enumerate(chosen):
        copy = scene.copy(folder / f"{scene.name}-{number}")
        ended = commands.run(scene.arguments, copy, inject=injection)
        yield injection, scene.judge(copy, ended)
        shutil.rmtree(copy)


def measure(count: int, seed: int) -> list[Row]:
    """`count` injections into each command, drawn by `seed`; all of them where `count` is 0."""
    if why := cannot_inject():
        return [unmeasured("errors of system calls", why)]
    rows = []
    with tempfile.TemporaryDirectory() as name, Commands() as commands:
        for scene in warmed(scenes(Path(name) / "scenes"), commands, Path(name)):
            every = injections(scene, commands, Path(name) / f"count-{scene.name}")
            chosen = random.Random(f"{seed} {scene.name}").sample(every, min(count or len(every), len(every)))
            rows.append(row(f"an error in {scene.name}", list(tried(scene, chosen, commands, Path(name)))))
    return rows


def warmed(made: list[Scene], commands: Commands, folder: Path) -> list[Scene]:
    """The scenes, after each command was run once in the server: no import is left in the processes of the commands."""
    for scene in made:
        code = commands.warm(scene.arguments, scene.copy(folder / f"warm-{scene.name}"))
        if code != 0:
            raise SystemExit(f"{scene.name} fails without any fault: exit code {code}")
    return made
