"""How busy the engine keeps a model server, and what a call costs it in CPU beside the HTTP client.

    python -m tests.benchmarks.throughput [--episodes 32] [--slots 32] [--tasks 3] [--milliseconds 50 20 10] [--json FILE]

The server is a stand-in in a process of its own, pinned to the last core; this process takes the first. It has as many slots
as there are episodes, and each slot emits a token every so many milliseconds: with 32 slots, 50 ms are 640 tokens a second,
more than a DGX Spark gives an 8B model. *Busy* is the share of all slots' time in which a request had them, "steady" after
the first round of answers and until the first rollout ends, "whole" with the growth of concurrency at the start and with the
tail. Episodes are whole positions of rollouts: executor, curator, events in a log.

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
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from openai import AsyncOpenAI

from engine.config import Config, load_profile, to_toml
from engine.core.events import AnyEvent, EpisodeEnded
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
    parser.add_argument("--tasks", type=int, default=3, help="how many each rollout plays, one after the other")
    parser.add_argument("--milliseconds", type=float, nargs="*", default=[50, 20, 10], help="a token takes in a slot")
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
    print(
        f"{'ms a token':>10}{'tokens/s':>10}{'calls/s':>9}{'steady':>9}{'whole':>9}{'CPU':>7}    target {TARGET_BUSY:.0%}"
    )
    rows = []
    for milliseconds in options.milliseconds:
        with serving(milliseconds, options.slots) as url:
            row = asyncio.run(busy(url, options, milliseconds))
        figures = f"{row['tokens_per_second']:>10.0f}{row['calls_per_second']:>9.1f}"
        shares = f"{row['steady']:>9.1%}{row['whole']:>9.1%}{row['cpu']:>7.0%}"
        print(f"{milliseconds:>10g}{figures}{shares}", flush=True)
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
    async with httpx2.AsyncClient() as client:
        marks: list[tuple[float, float]] = []

        async def mark() -> None:
            """Note the time and how many tokens the server has generated."""
            text = (await client.get(url.removesuffix("/v1") + "/metrics")).text
            (line,) = [line for line in text.splitlines() if line.startswith("vllm:generation_tokens_total{")]
            marks.append((time.monotonic(), float(line.split()[-1])))

        ended: dict[tuple[int, int], int] = {}
        first = asyncio.Event()

        def count(event: AnyEvent) -> None:
            if isinstance(event, EpisodeEnded):
                place = (event.at.group, event.at.rollout)
                ended[place] = ended.get(place, 0) + 1
                if ended[place] == options.tasks:
                    first.set()

        async def steady() -> None:
            await asyncio.sleep(4 * tokens * milliseconds / 1000)  # so many rounds take 8 to grow to 64
            await mark()
            await first.wait()
            await mark()

        tokens = 67
        cpu = time.process_time()
        async with playing(config, count) as play:
            await mark()
            watching = asyncio.create_task(steady())
            cpu = time.process_time()
            await play()
            cpu = time.process_time() - cpu
            await watching
            await mark()
    (start, before), *inner, (end, after) = marks
    (steady_start, steady_before), (steady_end, steady_after) = inner
    rate = options.slots / (milliseconds / 1000)
    return {
        "milliseconds": milliseconds,
        "tokens_per_second": (after - before) / (end - start),
        "calls_per_second": (after - before) / tokens / (end - start),
        "steady": (steady_after - steady_before) / (rate * (steady_end - steady_start)),
        "whole": (after - before) / (rate * (end - start)),
        "cpu": cpu / (end - start),
    }


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
