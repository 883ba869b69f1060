"""The stand-in's clock, its /metrics in Prometheus text with vLLM's names, and its /timeline."""

import asyncio
import time
from contextlib import asynccontextmanager


class Metrics:
    """What runs, waits and was generated. `seconds_a_token` 0: answers come at once.

    `kv_cache` is the use that /metrics reports, None: by what runs. `frozen`: the counters stay as they are (a deadlock).
    `timeline`: from each time on (seconds of `time.monotonic`, which all processes of a machine share) so many requests run.
    """

    def __init__(self, model, seconds_a_token, max_running):
        self._model, self._seconds = model, seconds_a_token
        self._slots, self._most = asyncio.Semaphore(max_running), max_running
        self.running_now, self.waiting_now = 0, 0
        self.generated, self.prompts, self.queried, self.hits, self.succeeded = 0, 0, 0, 0, 0
        self.kv_cache, self.frozen = None, False
        self.timeline: list[tuple[float, int]] = []

    @asynccontextmanager
    async def running(self):
        """One request, from when it has a slot."""
        self.waiting_now += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting_now -= 1
        self._count(+1)
        try:
            yield
            self.succeeded += 1
        finally:
            self._count(-1)
            self._slots.release()

    def _count(self, change):
        self.running_now += change
        if self._seconds:
            self.timeline.append((time.monotonic(), self.running_now))

    async def generate(self, prompt, tokens, cached):
        """Let the time of so many tokens pass."""
        if self._seconds:
            await asyncio.sleep(self._seconds * tokens)
        if not self.frozen:
            self.generated += tokens
            self.prompts += prompt
            self.queried += prompt
            self.hits += cached

    def text(self):
        labels = f'{{engine="0",model_name="{self._model()}"}}'
        use = self.running_now / self._most if self.kv_cache is None else self.kv_cache
        values = {
            "num_requests_running": ("gauge", self.running_now),
            "num_requests_waiting": ("gauge", self.waiting_now),
            "kv_cache_usage_perc": ("gauge", use),
            "prefix_cache_queries_total": ("counter", self.queried),
            "prefix_cache_hits_total": ("counter", self.hits),
            "num_preemptions_total": ("counter", 0),
            "prompt_tokens_total": ("counter", self.prompts),
            "generation_tokens_total": ("counter", self.generated),
        }
        lines = []
        for name, (kind, value) in values.items():
            lines += [f"# HELP vllm:{name} x", f"# TYPE vllm:{name} {kind}", f"vllm:{name}{labels} {float(value)}"]
        return "\n".join(lines) + "\n"
