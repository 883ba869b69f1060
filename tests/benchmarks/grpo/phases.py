"""Wall and CPU seconds of the phases of a step, and what was made in it.

clock = Phases()
clock.end("rollouts")          # what has passed since the last end
clock.step(tokens=…)           # a step is over
print(clock.report())          # one line of JSON
"""

from __future__ import annotations

import json
import resource
import time


class Phases:
    """Seconds by phase of each step so far."""

    def __init__(self) -> None:
        self._steps: list[dict[str, object]] = []
        self._phases: dict[str, tuple[float, float]] = {}
        self._last = self._now()

    def start(self) -> None:
        """Forget what has passed since the last end."""
        self._last = self._now()

    def end(self, phase: str) -> None:
        """The phase has ended; one that comes twice in a step is added up."""
        now, had = self._now(), self._phases.get(phase, (0.0, 0.0))
        self._phases[phase] = (had[0] + now[0] - self._last[0], had[1] + now[1] - self._last[1])
        self._last = now

    def step(self, **made: float) -> None:
        """The step has ended; `made` are its counts."""
        self._steps.append({"phases": self._phases, **made})
        self._phases = {}

    def report(self) -> str:
        """All steps, and the most memory that the process had, in MB."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return json.dumps({"steps": self._steps, "peak_mb": peak})

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.monotonic(), time.process_time()
