"""How busy the engine keeps a model server, and what a call costs it in CPU beside the HTTP client.

    python -m tests.benchmarks.throughput [--episodes 32] [--slots 32] [--tasks 10] [--milliseconds 20 10] [--json FILE]

The server is a stand-in in a process of its own, pinned to the last core; this process takes the first. It has as many slots
as there are episodes, and each slot emits a token every so many milliseconds: with 32 slots, 20 ms are 1,600 tokens a
second, more than a DGX Spark gives an 8B model. Episodes are whole positions of rollouts: executor, curator, events in a
log.

*Busy* is the share of the slots' time in which they have a request, by the server's own record. The steady state is judged:
it begins when a request is in each slot for the first time, and ends when fewer episodes are left than there are slots, for
then no engine can fill them. "Whole" is from the first request to the end, and loses what "ramp" (before the steady
state) and "tail" (after it) say, in shares of the whole time; the tail is as long as the rollouts' lengths differ. "CPU" is
this process's share of its core, and "waits" the share of the time in which it was ready and other processes had the core:
where that is not near 0, the figures are those of a machine that is shared.

The cost is CPU time of this process a call, threads included, against a server that answers at once: of the client of httpx
alone, of the `openai` client as we use it and as its own `create` is, and of whole rollouts.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from openai import AsyncOpenAI

from engine.config import Config, load_profile, to_toml
from engine.core.events import AnyEvent, CurationMade, CurationSkipped
from engine.jobs import loading
from engine.models.base import Message, Opening, Sampling
from engine.models.openai.client import open_connection
from engine.models.openai.settings import OpenAIModelSettings
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import open_grouping
from engine.rollouts.rollout import collect
from engine.runs.directory import Run

TEXT = "The mug is not in the first cabinet, so I look into the next one and go on from left to right. <action>look</action>"
CHAT = [Message("system", "You play a game. " * 40), Message("user", "What do you do next? " * 60)]
TARGET_BUSY = 0.9
TARGET_MS = 2.0
OURS = "openai, its post (as we use it)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=32, help="how many are played at the same time")
    parser.add_argument("--slots", type=int, default=32, help="how many requests the server answers at the same time")
    parser.add_argument("--tasks", type=int, default=10, help="how many each rollout plays, one after the other")
    parser.add_argument("--milliseconds", type=float, nargs="*", default=[20, 10], help="a token takes in a slot")
    parser.add_argument("--calls", type=int, default=1500, help="how many calls the costs are averaged over")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = {"busy": measure_busy(options), "cost": measure_cost(options)}
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


@contextmanager
def serving(milliseconds: float, slots: int) -> Iterator[str]:
    """A stand-in on the last core; its address."""
    cores = sorted(os.sched_getaffinity(0))
    module = ("-m", "tests.models.standin", "--text", TEXT, "--context", "32768")
    clock = ("--seconds-a-token", str(milliseconds / 1000), "--max-running", str(slots))
    with subprocess.Popen([sys.executable, *module, *clock], stdout=subprocess.PIPE, text=True) as server:
        os.sched_setaffinity(server.pid, {cores[-1]})
        os.sched_setaffinity(0, {cores[0]})
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
            os.sched_setaffinity(0, set(cores))


def measure_busy(options: argparse.Namespace) -> list[dict[str, float]]:
    """A line for each speed of the token clock."""
    names = ("calls/s", "seconds", "steady", "ramp", "tail", "whole", "CPU", "waits")
    print(f"{'ms a token':>10}{''.join(f'{name:>9}' for name in names)}    target: steady {TARGET_BUSY:.0%}")
    rows = []
    for milliseconds in options.milliseconds:
        with serving(milliseconds, options.slots) as url:
            row = asyncio.run(busy(url, options, milliseconds))
        shares = "".join(f"{row[name]:>9.1%}" for name in ("steady", "ramp", "tail", "whole", "cpu", "waits"))
        verdict = "reached" if row["steady"] >= TARGET_BUSY else "missed"
        print(
            f"{milliseconds:>10g}{row['calls_per_second']:>9.1f}{row['seconds']:>9.1f}{shares}    {verdict}", flush=True
        )
        rows.append(row)
    return rows


def config_of(url: str, episodes: int, tasks: int) -> Config:
    """Rollouts over the server, so many at the same time."""
    rollouts = 8 if episodes % 8 == 0 else episodes
    training = (f"training.groups={episodes // rollouts}", f"training.rollouts={rollouts}", f"training.tasks={tasks}")
    return load_profile("endpoint", [f"model.url={url}", "executor.max_tokens=128", *training])


async def busy(url: str, options: argparse.Namespace, milliseconds: float) -> dict[str, float]:
    """How busy rollouts keep the server."""
    config = config_of(url, options.episodes, options.tasks)
    ends: list[float] = []  # of the rollouts

    def note_end(event: AnyEvent) -> None:
        if isinstance(event, CurationMade | CurationSkipped) and event.at.position == options.tasks:
            ends.append(time.monotonic())

    async with playing(config, note_end) as play:
        cpu, waited, began = time.process_time(), waited_for_core(), time.monotonic()
        await play()
        cpu, waited, ended = time.process_time() - cpu, waited_for_core() - waited, time.monotonic()
    async with httpx2.AsyncClient() as client:
        told = (await client.get(url.removesuffix("/v1") + "/timeline")).json()
    timeline = [(at, running) for at, running in told if at >= began]
    record = Record([(began, 0), *timeline, (ended, 0)], options.slots)
    full = next((at for at, running in timeline if running >= options.slots), ended)
    fewer = ends[max(0, options.episodes - options.slots)]
    seconds = ended - began
    return {
        "milliseconds": milliseconds,
        "calls_per_second": sum(later > sooner for (_, sooner), (_, later) in pairwise(record.timeline)) / seconds,
        "seconds": seconds,
        "steady": record.busy(full, fewer),
        "ramp": (full - began) / seconds * (1 - record.busy(began, full)),
        "tail": (ended - fewer) / seconds * (1 - record.busy(fewer, ended)),
        "whole": record.busy(began, ended),
        "cpu": cpu / seconds,
        "waits": waited / seconds,
    }


class Record:
    """How many requests had a slot, from each time on."""

    def __init__(self, timeline: list[tuple[float, int]], slots: int) -> None:
        self.timeline = timeline
        self._slots = slots

    def busy(self, first: float, end: float) -> float:
        """The share of the slots' time with a request, between two times; 0 where there is none between them."""
        spans = ((max(at, first), min(until, end), running) for (at, running), (until, _) in pairwise(self.timeline))
        taken = sum((until - at) * running for at, until, running in spans if until > at)
        return taken / (self._slots * (end - first)) if end > first else 0.0


def waited_for_core() -> float:
    """The seconds in which this thread was ready to run and other threads had its core, so far."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


@contextmanager
def log_of(config: Config) -> Iterator[Callable[[AnyEvent], None]]:
    """A sink into the log of a run."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", kind="train", config_text=to_toml(config))
        with run, run.lock(), run.writer() as writer:
            yield writer.emit


class playing:
    """The rollouts of a step over a server, with a log: `async with playing(config, seen) as play: await play()`."""

    def __init__(self, config: Config, seen: Callable[[AnyEvent], None]) -> None:
        self._config = config
        self._seen = seen
        self._log = log_of(config)

    async def __aenter__(self) -> Callable[[], Awaitable[Any]]:
        emit = self._log.__enter__()

        def both(event: AnyEvent) -> None:
            emit(event)
            self._seen(event)

        source, _ = loading.load_sources(self._config, lambda what: None, held_out=False)
        self._opening = loading.open_models(self._config, Opening(emit=both))
        opened = await self._opening.__aenter__()
        context = RolloutContext.open(self._config, source, opened.models)
        groups = open_grouping(self._config.grouping).groups(source, self._config.training, 1)
        return lambda: collect(groups, step=1, context=context, vetoes=[], emit=both)

    async def __aexit__(self, *error: Any) -> None:
        await self._opening.__aexit__(None, None, None)
        self._log.__exit__(None, None, None)


def measure_cost(options: argparse.Namespace) -> dict[str, float]:
    """CPU milliseconds a call, each the best of three, 32 calls at the same time."""
    with serving(0, 256) as url:
        costs = asyncio.run(cost(url, options))
    print(f"\n{'CPU of a call':<34}{'ms':>7}{'beside ' + OURS:>34}")
    for name, milliseconds in costs.items():
        target = f"    target {TARGET_MS:g} ms" if name == "whole rollouts" else ""
        print(f"{name:<34}{milliseconds:>7.2f}{milliseconds - costs[OURS]:>34.2f}{target}", flush=True)
    return costs


async def cost(url: str, options: argparse.Namespace) -> dict[str, float]:
    body = {"model": "base", "messages": msgspec.to_builtins(CHAT), "max_tokens": 128, "temperature": 0.5, "seed": 1}
    body |= {"logprobs": True}  # as the backend asks
    extra = {"return_token_ids": True}
    encoded = msgspec.json.encode(body | extra)
    config = config_of(url, options.episodes, options.tasks)
    costs: dict[str, float] = {}
    async with (
        httpx2.AsyncClient(base_url=url, timeout=None) as plain,
        AsyncOpenAI(base_url=url, api_key="-") as openai,
    ):

        async def post() -> None:
            answer = await plain.post(
                "/chat/completions", content=encoded, headers={"Content-Type": "application/json"}
            )
            msgspec.json.decode(answer.content)

        async def create() -> None:
            await openai.chat.completions.create(**body, extra_body=extra)

        costs["httpx2 alone"] = await cheapest(post, options)
        costs["openai, its create"] = await cheapest(create, options)
    assert isinstance(config.model, OpenAIModelSettings)
    connection = open_connection(config.model, None)

    async def ours() -> None:
        msgspec.json.decode((await connection.request("POST", "chat/completions", encoded)).body)

    costs[OURS] = await cheapest(ours, options)
    await connection.close()
    async with loading.open_models(config, Opening()) as opened:

        async def complete() -> None:
            await opened.models.executor.complete(CHAT, Sampling(max_tokens=128, seed=1))

        costs["the backend openai, metered"] = await cheapest(complete, options)
    costs["whole rollouts"] = await rollouts_cost(config)
    return costs


async def cheapest(call: Callable[[], Awaitable[None]], options: argparse.Namespace) -> float:
    """CPU milliseconds of a call, the best of three rounds."""
    return min([await _round(call, options.calls // 3, options.episodes) for _ in range(3)])


async def _round(call: Callable[[], Awaitable[None]], calls: int, together: int) -> float:
    left = iter(range(calls))

    async def work() -> None:
        for _ in left:
            await call()

    gc.collect()
    began = time.process_time()
    await asyncio.gather(*(work() for _ in range(together)))
    return (time.process_time() - began) / calls * 1000


async def rollouts_cost(config: Config) -> float:
    """CPU milliseconds a call of whole rollouts."""
    calls = 0

    def count(event: AnyEvent) -> None:
        nonlocal calls
        calls += event.__struct_config__.tag in ("turn_taken", "curation_made")

    found = []
    for _ in range(3):
        async with playing(config, count) as play:
            gc.collect()
            calls, began = 0, time.process_time()
            await play()
            found.append((time.process_time() - began) / calls * 1000)
    return min(found)


if __name__ == "__main__":
    main()
