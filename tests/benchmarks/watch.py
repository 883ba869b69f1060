"""The latency of a watch: from the system call of an edit to the change that `follow` yields.

    python -m tests.benchmarks.watch [--edits 200] [--skills 1000] [--step 5] [--json]

Edits of each kind are made one after the other, at random moments, in a repository of that many skills; a search index is
updated by each (`follow`). An edit that is not reported within 2 s is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from engine.skills import Skill, SkillIndex, SkillRepo
from engine.skills.repo.watch import Changes, follow

LIMIT_SECONDS = 2.0
KINDS = ("new folder", "edit", "atomic replace", "rename", "delete")


def write(path: Path, name: str, number: int) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(Skill.make(name, f"Use for {name}.", f"Edit {number}.\n").text)


def edits(root: Path, kind: str, number: int) -> tuple[Callable[[], object], Callable[[Changes], bool]]:
    """The action of the `number`-th edit of a kind, and a test for its change."""
    name, other = f"watched-{number}", f"renamed-{number}"
    file = root / name / "SKILL.md"
    if kind == "new folder":
        return lambda: write(file, name, 0), lambda change: name in change.added
    if kind == "edit":
        return lambda: write(file, name, 1), lambda change: name in change.changed
    if kind == "atomic replace":
        return lambda: replace(file, name), lambda change: name in change.changed
    if kind == "rename":
        return lambda: (root / name).rename(root / other), lambda change: other in change.added
    return lambda: shutil.rmtree(root / other), lambda change: other in change.removed


def replace(file: Path, name: str) -> None:
    """Save as editors do: write a new file and rename it over the old one."""
    beside = file.with_name(".SKILL.md.swp")
    write(beside, name, 2)
    os.replace(beside, file)  # noqa: PTH105


async def measure(root: Path, count: int, step: int) -> dict[str, list[float]]:
    """The latencies in milliseconds, by kind of edit; infinite for missed edits."""
    repo = SkillRepo.open(root)
    index = SkillIndex.of(repo)
    reported: asyncio.Queue[tuple[float, Changes]] = asyncio.Queue()

    async def listen() -> None:
        async with aclosing(follow(repo, index, step=step)) as changes:
            async for change in changes:
                reported.put_nowait((time.perf_counter(), change))

    listener = asyncio.create_task(listen())
    await asyncio.sleep(1)
    dice = random.Random(0)
    found: dict[str, list[float]] = {}
    for kind in KINDS:
        for number in range(count):
            await asyncio.sleep(dice.uniform(0, 0.05))
            act, wanted = edits(root, kind, number)
            began = time.perf_counter()
            act()
            found.setdefault(kind, []).append(await arrival(reported, wanted, began))
    listener.cancel()
    assert len(index) == len(repo) == len(SkillRepo.open(root))
    return found


async def arrival(
    reported: asyncio.Queue[tuple[float, Changes]], wanted: Callable[[Changes], bool], began: float
) -> float:
    """Milliseconds from `began` until the wanted change was reported."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                at, change = await reported.get()
                if wanted(change):
                    return (at - began) * 1e3
    except TimeoutError:
        return float("inf")


async def idle(root: Path, step: int) -> float:
    """The share of a core, in percent, that the wait takes."""
    listener = asyncio.create_task(anext(follow(SkillRepo.open(root), step=step)))
    await asyncio.sleep(1)
    began = time.process_time()
    await asyncio.sleep(4)
    used = (time.process_time() - began) / 4 * 100
    listener.cancel()
    return used


def row(values: list[float]) -> dict[str, float]:
    seen = sorted(values)
    return {
        "edits": len(seen),
        "missed": sum(value == float("inf") for value in seen),
        "p50_ms": statistics.median(seen),
        "p99_ms": seen[min(len(seen) - 1, int(len(seen) * 0.99))],
        "worst_ms": seen[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=200, help="of each kind")
    parser.add_argument("--skills", type=int, default=1000, help="the number of other skills in the repository")
    parser.add_argument("--step", type=int, default=5, help="milliseconds, see engine.skills.repo.watch")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for number in range(options.skills):
            write(root / f"skill-{number}" / "SKILL.md", f"skill-{number}", 0)
        rows = {kind: row(values) for kind, values in asyncio.run(measure(root, options.edits, options.step)).items()}
        used = asyncio.run(idle(root, options.step))
    if options.json:
        print(json.dumps({**rows, "idle_percent": used}))
        return
    print(f"{'':<16}{'edits':>7}{'missed':>8}{'p50, ms':>9}{'p99, ms':>9}{'worst':>9}")
    for kind, values in rows.items():
        print(f"{kind:<16}{values['edits']:>7}{values['missed']:>8}", end="")
        print(f"{values['p50_ms']:>9.1f}{values['p99_ms']:>9.1f}{values['worst_ms']:>9.1f}")
    print(f"waiting, percent of a core: {used:.2f}")


if __name__ == "__main__":
    main()
