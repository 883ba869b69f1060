"""A million mutated curator outputs: read, applied, and some of them committed to a real folder.

    python -m tests.benchmarks.fuzz_operations [--count 1000000] [--seed 1] [--processes 2] [--json]
        [--skills ../shared/data/skills/skills-sample.jsonl.xz]         # real skill files, beside the sample repositories
    python -m tests.benchmarks.fuzz_operations --seed 1 --only 4711     # one output, and what becomes of it

Output number i of a seed is always the same, so that what a number did can be seen again whatever the processes were;
`digest` is that of all verdicts. A crash is any exception but the documented ones, or a broken promise that `fuzzing.play`
asserts. A process that takes over `LIMIT_SECONDS` for one output shows where it is and is killed: a hang. Every
`DISK_EVERY`-th output is committed to a folder of its block of `BLOCK` outputs; what then is not as it was outside of it,
or what Python was asked to write there, is a write outside. In the end the files and an index that followed the edits
must be what the edits told. It exits with 1 after any fault. Milliseconds are of processor time, for reading and applying
one output.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec

from engine.skills import SkillRepo
from tests.skills.operations.fuzzing.corpus import Corpus
from tests.skills.operations.fuzzing.mutations import output
from tests.skills.operations.fuzzing.play import Disk, Verdict, Watch, play

BLOCK = 2_000
DISK_EVERY = 50
LIMIT_SECONDS = 2.0
DISK_LIMIT_SECONDS = 30.0
MEMORY_BYTES = 1 << 30
"""How much a process may grow beyond what it has when it begins; more is a crash."""
SLOWEST = 5
FAULTS = ("crashes", "hangs", "writes outside", "files or index not as told")


class Result(msgspec.Struct):
    """What a block of outputs came to. `slowest` has (ms, number), `crashes` and `faults` say the number and what."""

    block: int
    outputs: int = 0
    silent: int = 0
    verdicts: dict[str, int] = msgspec.field(default_factory=dict)
    commits: int = 0
    crashes: list[tuple[int, str]] = []
    hangs: list[int] = []
    faults: list[str] = []
    slowest: list[tuple[float, int]] = []
    digest: str = ""
    peak_mb: float = 0.0

    def add_time(self, milliseconds: float, number: int) -> None:
        self.slowest = sorted([*self.slowest, (milliseconds, number)], reverse=True)[:SLOWEST]


class Clock:
    """What a process does, for the one that watches it: a number, and the time by which it must be done with that."""

    def __init__(self, shared: Any) -> None:
        self._shared = shared

    def start(self, number: int, limit: float) -> None:
        self._shared[0], self._shared[1] = number, time.monotonic() + limit

    def stop(self) -> None:
        self._shared[1] = 0.0

    @property
    def number(self) -> int:
        return int(self._shared[0])

    @property
    def late(self) -> bool:
        return bool(0.0 < self._shared[1] < time.monotonic())


# One process


def work(connection: Connection, shared: Any, folder: Path, seed: int, count: int, skills: Path | None) -> None:
    """Play the blocks that the connection names, and answer each with its result."""
    faulthandler.enable()
    sys.dont_write_bytecode = True
    corpus, watch, clock = Corpus.load(skills), Watch(), Clock(shared)
    base = SkillRepo.of(corpus.base)
    with tempfile.TemporaryDirectory(dir=folder) as root, Disk(Path(root), corpus.base, watch) as disk:
        disk.faults()  # so that everything is loaded
    sys.addaudithook(watch)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    while (block := connection.recv()) is not None:
        with tempfile.TemporaryDirectory(dir=folder) as root, Disk(Path(root), corpus.base, watch) as disk:
            connection.send(Player(seed, corpus, base, disk, watch, clock).play(block, count))


class Player:
    """Plays a block of outputs: each on a fork of `base`, some on the `disk`."""

    def __init__(self, seed: int, corpus: Corpus, base: SkillRepo, disk: Disk, watch: Watch, clock: Clock) -> None:
        self._seed = seed
        self._corpus = corpus
        self._base = base
        self._disk = disk
        self._watch = watch
        self._clock = clock

    def play(self, block: int, count: int) -> Result:
        """The outputs of a block that are among the first `count`."""
        result = Result(block)
        digest = hashlib.sha256()
        texts = self._base.texts()
        for number in range(block * BLOCK, min(count, (block + 1) * BLOCK)):
            digest.update(msgspec.json.encode(self._play(number, result)))
        try:
            result.faults = self._disk.faults()
            assert self._base.texts() == texts, "a fork changed what it was forked from"
        except Exception:  # noqa: BLE001  whatever it is, it is what this looks for
            result.crashes.append((number, f"at the end of its block:\n{traceback.format_exc(limit=-6)}"))
        result.commits = self._disk.commits
        result.digest = digest.hexdigest()
        result.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return result

    def _play(self, number: int, result: Result) -> list[Verdict]:
        """Play one output, and add to the result what it came to."""
        text = output(self._corpus, self._seed, number)
        verdicts: list[Verdict] = []
        self._clock.start(number, LIMIT_SECONDS)
        began = time.process_time()
        try:
            with self._watch:
                verdicts = play(text, self._base)
                result.add_time((time.process_time() - began) * 1e3, number)
                if number % DISK_EVERY == 0:
                    self._clock.start(number, DISK_LIMIT_SECONDS)
                    self._disk.play(text)
        except Exception:  # noqa: BLE001  as above
            result.crashes.append((number, traceback.format_exc(limit=-6)))
        self._clock.stop()
        result.outputs += 1
        result.silent += not verdicts
        for verdict, _ in verdicts:
            result.verdicts[verdict] = result.verdicts.get(verdict, 0) + 1
        return verdicts


# All processes


class Worker:
    """A process of its own that plays blocks, and what it is at."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        shared = context.Array("d", 2, lock=False)
        self.connection, theirs = context.Pipe()
        arguments = (theirs, shared, folder, options.seed, options.count, options.skills)
        self.process: BaseProcess = context.Process(target=work, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self.clock = Clock(shared)
        self.block: int | None = None

    def give(self, block: int | None) -> None:
        self.block = block
        self.connection.send(block)

    def kill(self) -> None:
        """End the process; it shows where it is."""
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, signal.SIGABRT)
        self.process.join()


def run(options: argparse.Namespace, folder: Path) -> Iterator[Result]:
    """Play all blocks in as many processes as were asked for, below `folder`; their results, as they come."""
    blocks = iter(range((options.count + BLOCK - 1) // BLOCK))
    workers = [Worker(options, folder) for _ in range(options.processes)]
    for worker in workers:
        worker.give(next(blocks, None))
    while workers := [worker for worker in workers if worker.block is not None]:
        ready = wait([worker.connection for worker in workers], timeout=0.2)
        for place, worker in enumerate(workers):
            if worker.clock.late and worker.connection not in ready:
                worker.kill()
                yield Result(worker.block or 0, hangs=[worker.clock.number])
            elif worker.connection in ready:
                try:
                    yield worker.connection.recv()
                    worker.give(next(blocks, None))
                    continue
                except EOFError:
                    worker.process.join()
                    died = f"the process died ({worker.process.exitcode})"
                    yield Result(worker.block or 0, crashes=[(worker.clock.number, died)])
            else:
                continue
            workers[place] = Worker(options, folder)
            workers[place].give(next(blocks, None))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The whole table; tells of faults as they come."""
    began = time.perf_counter()
    verdicts: Counter[str] = Counter()
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        for result in run(options, Path(folder)):
            results.append(result)
            verdicts.update(result.verdicts)
            told = [f"output {number} crashed:\n{what}" for number, what in result.crashes]
            told += [f"output {number} hung; the rest of its block was not played" for number in result.hangs]
            told += [f"block {result.block}: {fault}" for fault in result.faults]
            for line in told:
                print(f"seed {options.seed}: {line}", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - began
    results.sort(key=lambda result: result.block)
    slowest = sorted((each for result in results for each in result.slowest), reverse=True)[:SLOWEST]
    outputs = sum(result.outputs for result in results)
    faults = [fault for result in results for fault in result.faults]
    return {
        "seed": options.seed,
        "outputs": outputs,
        "without a call": sum(result.silent for result in results),
        "calls valid": verdicts["valid"],
        "calls malformed": verdicts["malformed"],
        "calls refused": verdicts["refused"],
        "commits to a real folder": sum(result.commits for result in results),
        "crashes": sum(len(result.crashes) for result in results),
        "hangs": sum(len(result.hangs) for result in results),
        "writes outside": sum(fault.startswith("outside") for fault in faults),
        "files or index not as told": sum(not fault.startswith("outside") for fault in faults),
        "slowest, ms (number)": ", ".join(f"{ms:.0f} ({number})" for ms, number in slowest),
        "peak memory of a process, MB": round(max((result.peak_mb for result in results), default=0.0)),
        "outputs/s": round(outputs / seconds),
        "seconds": round(seconds),
        "digest": hashlib.sha256("".join(result.digest for result in results).encode()).hexdigest()[:16],
    }


def show(options: argparse.Namespace) -> None:
    """One output, and what becomes of it."""
    corpus = Corpus.load(options.skills)
    text = output(corpus, options.seed, options.only)
    print(text.encode("utf-8", "backslashreplace").decode() if len(text) < 20_000 else f"{text[:20_000]!r} …")
    for verdict, why in play(text, SkillRepo.of(corpus.base)):
        print(f"{verdict:<10} {why}")
    with tempfile.TemporaryDirectory() as folder, Disk(Path(folder), corpus.base, Watch()) as disk:
        disk.play(text)
        print(f"{disk.commits} commits", *disk.faults(), sep="\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--skills", type=Path, help="real skill files, packed")
    parser.add_argument("--only", type=int, help="show the output of this number and stop")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args()
    if options.only is not None:
        show(options)
        return 0
    measured = measure(options)
    if options.json:
        print(json.dumps(measured))
    else:
        for key, value in measured.items():
            print(f"{key:<32}{f'{value:,}' if isinstance(value, int) else value:>16}")
    return int(any(measured[key] for key in FAULTS))


if __name__ == "__main__":
    sys.exit(main())
