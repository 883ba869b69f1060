"""What a vLLM server reports of itself: /metrics, read as the text format of Prometheus.

sample = read(await api.metrics())                       # counters and gauges of one instant
event = measured("127.0.0.1:8000", before, sample, seconds=2.0)
stall.of(sample, now, pending=3)                         # for how long tokens have not grown while requests wait
await Watch(server, settings, opening, gateway.measured, pending).run()
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable
from types import MappingProxyType

import msgspec

from engine.core.errors import SkillosError
from engine.core.events import Notice, ServerMeasured
from engine.models.base import Opening
from engine.models.vllm.api import ServerGone
from engine.models.vllm.server import OtherServer, OwnServer
from engine.models.vllm.settings import VllmModelSettings

EVERY_SECONDS = 2.0
MAX_LINES = 100_000
LINE = re.compile(
    r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>(?:[^\"{}]|\"(?:[^\"\\]|\\.)*\")*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?\s*$"
)


class Sample(msgspec.Struct, frozen=True):
    """Counters since the server began, and gauges; None: it does not report it. `kv_cache` is the used share."""

    running: int | None = None
    waiting: int | None = None
    kv_cache: float | None = None
    prompt_tokens: float | None = None
    generation_tokens: float | None = None
    prefix_queries: float | None = None
    prefix_hits: float | None = None


NAMES = MappingProxyType(
    {
        "running": "vllm:num_requests_running",
        "waiting": "vllm:num_requests_waiting",
        "kv_cache": "vllm:kv_cache_usage_perc",
        "prompt_tokens": "vllm:prompt_tokens_total",
        "generation_tokens": "vllm:generation_tokens_total",
        "prefix_queries": "vllm:prefix_cache_queries_total",
        "prefix_hits": "vllm:prefix_cache_hits_total",
    }
)
GAUGE_OF_ENGINES = ("kv_cache",)
"""Shares: of several engines the largest counts. All else is added up."""


def read(text: str) -> Sample:
    """The sample in a page of metrics. Lines that cannot be read, and values that are no numbers, are left out."""
    values: dict[str, list[float]] = {}
    for line in text.splitlines()[:MAX_LINES]:
        if line.startswith("vllm:") and (found := LINE.match(line)):
            try:
                value = float(found["value"])
            except ValueError:
                continue
            if math.isfinite(value) and value >= 0:
                values.setdefault(found["name"], []).append(value)
    known = {field: values[name] for field, name in NAMES.items() if name in values}
    combined = {field: max(found) if field in GAUGE_OF_ENGINES else sum(found) for field, found in known.items()}
    for field in ("running", "waiting"):
        if field in combined:
            combined[field] = int(combined[field])
    return msgspec.convert(combined, Sample)


def measured(server: str, before: Sample | None, now: Sample, seconds: float) -> ServerMeasured:
    """The event of `now`; rates and shares are of the `seconds` since `before`, None where they are not known."""
    queries = _grown(before, now, "prefix_queries")
    hits = _grown(before, now, "prefix_hits")
    return ServerMeasured(
        server=server,
        running=now.running,
        waiting=now.waiting,
        kv_cache=now.kv_cache,
        prefix_hits=min(1.0, hits / queries) if queries and hits is not None else None,
        prompt_rate=_rate(_grown(before, now, "prompt_tokens"), seconds),
        generation_rate=_rate(_grown(before, now, "generation_tokens"), seconds),
    )


def _grown(before: Sample | None, now: Sample, field: str) -> float | None:
    """How much a counter has grown; None where it is not reported, or where the server began anew."""
    old, new = (None if before is None else getattr(before, field)), getattr(now, field)
    return new - old if old is not None and new is not None and new >= old else None


def _rate(grown: float | None, seconds: float) -> float | None:
    return None if grown is None or seconds <= 0 else grown / seconds


class Stall:
    """Notes for how long a server has made no token though requests wait for it."""

    def __init__(self) -> None:
        self._tokens: tuple[float | None, float | None] = (None, None)
        self._since: float | None = None

    def of(self, sample: Sample, now: float, pending: int = 0) -> float:
        """Seconds of the present stall at the time `now`; 0 where tokens grew, nothing runs, or nothing is reported.

        `pending` requests of ours are not answered: an engine that stopped before one came does not report it as running.
        """
        tokens = (sample.prompt_tokens, sample.generation_tokens)
        still = bool(sample.running or pending) and sample.generation_tokens is not None and tokens == self._tokens
        self._tokens = tokens
        if not still:
            self._since = None
            return 0.0
        if self._since is None:
            self._since = now
        return now - self._since


class Watch:
    """Reads the server's metrics every so many seconds, and gives those that changed to `measured`, as events.

    A server that makes no token for `stall_seconds` though requests wait (`pending()` is how many of ours do), or that does
    not even report its metrics, is restarted, or else the run is paused until it goes on (`on_stall`); a health endpoint
    does not show such a deadlock.
    """

    def __init__(
        self,
        server: OwnServer | OtherServer,
        settings: VllmModelSettings,
        opening: Opening,
        measured: Callable[[ServerMeasured], None],
        pending: Callable[[], int] = lambda: 0,
        every: float = EVERY_SECONDS,
    ) -> None:
        self._server = server
        self._settings = settings
        self._opening = opening
        self._measured = measured
        self._pending = pending
        self._every = every
        self._stall = Stall()
        self._hold = f"stall of {server.url}"
        self._warned = False

    async def run(self) -> None:
        """Watch until the task is cancelled."""
        before: Sample | None = None
        last: ServerMeasured | None = None
        taken = heard = time.monotonic()
        while True:
            await asyncio.sleep(self._every)
            mark = self._server.mark
            await self._server.up()
            heard = heard if mark == self._server.mark else time.monotonic()
            try:
                sample = read(await self._server.api.metrics())
            except ServerGone:
                silent = time.monotonic() - heard
                await self._look(silent, f"did not report its metrics for {silent:.0f} s")
                continue
            except SkillosError:  # a proxy may have none of its metrics
                heard = time.monotonic()
                continue
            now = heard = time.monotonic()
            event = measured(self._server.url.partition("://")[2], before, sample, now - taken)
            before, taken = sample, now
            if event != last:
                self._measured(event)
            last = event
            still = self._stall.of(sample, now, self._pending())
            await self._look(still, f"made no token in {still:.0f} s though requests wait (a deadlock)")

    async def _look(self, seconds: float, what: str) -> None:
        """Act on a stall of so many seconds; `what` the server did then."""
        limit = self._settings.stall_seconds
        if not limit or seconds < limit:
            if self._warned and not seconds:
                self._warned = False
                self._opening.holds.lift(self._hold)
            return
        if self._warned:
            return
        why = f"the vLLM server at {self._server.url} {what}"
        if self._settings.on_stall == "restart" and await self._server.restart(why):
            self._stall = Stall()
            return
        self._warned = True
        self._opening.emit(
            Notice("warning", f"{why}; the run is paused until it goes on: restart the server if it does not")
        )
        self._opening.holds.hold(self._hold, why)
