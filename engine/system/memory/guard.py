"""The guard: it holds the run's requests to models while the pool has little headroom, and says so.

    guard = Guard(headroom, holds, say, clock)
    guard.hear(event)                  # which phase the run is in
    guard.look(pool, sampler.largest)  # once a second

Requests are held when less than the headroom is available, or less than half as much again while tasks already wait for
memory. They go on when half as much again has been available for `CALM_SECONDS`, and not before `LEAST_SECONDS`. Where going
on takes the memory again at once, each hold is twice as long as the one before. A person's resume command goes on anyway;
the guard then holds at half of the headroom, until there is enough again.

Nothing can be held during an update or while models are loaded: the guard then only warns.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from engine.core.events import AnyEvent, Notice, Progress, StateChanged, StepEnded, StepStarted, UpdateMade
from engine.core.holds import Holds
from engine.system.memory.pool import Pool, gib

NAME = "memory"
AGAIN = 1.5
"""Work goes on when this many times the headroom is available."""
PRESSED = 0.2
"""Pressure from which on little memory is too little."""
CALM_SECONDS = 5.0
LEAST_SECONDS = 15.0
MOST_SECONDS = 300.0
"""The bounds of a hold's least duration."""
SOON_SECONDS = 120.0
"""A hold that begins within so many seconds after the last one is longer."""
NOTICE_SECONDS = 300.0
NOTICE_AGAIN_SECONDS = 3600.0
"""When a hold that does not end is reported as a notice, and how often again."""
UNHELD = MappingProxyType({"update": "the update", "loading": "loading the models"})
"""Phases that do not ask models, and so cannot be held."""


class Guard:
    """Guards `headroom` bytes; 0 guards nothing. `say` takes notices; `clock` gives seconds that only grow."""

    def __init__(self, headroom: int, holds: Holds, say: Callable[[Notice], None], clock: Callable[[], float]) -> None:
        self._headroom = headroom
        self._holds = holds
        self._say = say
        self._clock = clock
        self._phase = ""
        self._since: float | None = None
        self._ended: float | None = None
        self._enough_since: float | None = None
        self._least = LEAST_SECONDS
        self._said: float | None = None
        self._warned = ""
        self._blind = False
        self._share = 1.0

    @property
    def headroom(self) -> int | None:
        """The bytes that are guarded; None for none."""
        return self._headroom or None

    @property
    def holding(self) -> bool:
        """Whether the guard holds the run now."""
        return self._since is not None

    def hear(self, event: AnyEvent) -> None:
        """Learn the phase of the run."""
        match event:
            case Progress(phase=phase):
                self._phase = phase
            case StepStarted() | UpdateMade() | StepEnded():
                self._phase = ""
            case StateChanged(state="running") if self._phase == "loading":
                self._phase = ""

    def look(self, pool: Pool, largest: Callable[[], str]) -> None:
        """Hold, go on, or warn, by what is available in `pool` now. `largest()` names the largest processes."""
        if not self._headroom or pool.available is None:
            self._say_blind(pool)
            return
        now, free = self._clock(), pool.available
        limit = self._headroom * self._share
        short = free < limit or (free < limit * AGAIN and (pool.pressure or 0) >= PRESSED)
        if free >= self._headroom * AGAIN:
            self._enough_since = now if self._enough_since is None else self._enough_since
            self._share, self._warned = 1.0, ""
        else:
            self._enough_since = None
        if self._since is not None:
            self._holding(now, pool, largest)
        elif short and self._phase in UNHELD:
            self._warn(pool, largest)
        elif short:
            self._begin(now, pool, largest)

    def _begin(self, now: float, pool: Pool, largest: Callable[[], str]) -> None:
        soon = self._ended is not None and now - self._ended < SOON_SECONDS
        self._least = min(self._least * 2, MOST_SECONDS) if soon else LEAST_SECONDS
        self._since, self._said = now, None
        why = f"under limits.headroom_gib={self._headroom / 2**30:g}"
        if (pool.available or 0) >= self._headroom * self._share:
            why = f"and tasks wait for memory ({pool.pressure:.0%} of the time)"
        reason = (
            f"{gib(pool.available)} of {gib(pool.total)} memory available, {why}; requests wait for "
            f"{gib(round(self._headroom * AGAIN))}. Largest: {largest()}"
        )
        self._holds.hold(NAME, reason, self._resumed)

    def _holding(self, now: float, pool: Pool, largest: Callable[[], str]) -> None:
        """Go on if there is enough again; report a hold that does not end."""
        assert self._since is not None
        calm = self._enough_since is not None and now - self._enough_since >= CALM_SECONDS
        if calm and now - self._since >= self._least:
            self._since, self._ended = None, now
            self._holds.lift(NAME)
            return
        due = self._since + NOTICE_SECONDS if self._said is None else self._said + NOTICE_AGAIN_SECONDS
        if now < due:
            return
        self._said = now
        minutes = round((now - self._since) / 60)
        self._say(
            Notice(
                "warning",
                f"the run has waited {minutes} min for memory: {gib(pool.available)} of {gib(pool.total)} are available, "
                f"and it goes on at {gib(int(self._headroom * AGAIN))}. Largest: {largest()}. End a process that is "
                "not needed, lower the memory of the model server, or lower limits.headroom_gib and start the run again; "
                "to resume the run goes on anyway",
            )
        )

    def _warn(self, pool: Pool, largest: Callable[[], str]) -> None:
        """Report little memory in a phase that cannot be held, once a phase."""
        if self._warned == self._phase:
            return
        self._warned = self._phase
        self._say(
            Notice(
                "warning",
                f"only {gib(pool.available)} of {gib(pool.total)} memory are available during {UNHELD[self._phase]}, "
                f"which cannot be paused: the kernel may end the engine. Largest: {largest()}. End a process that is "
                "not needed, lower the memory of the model server, or train with fewer tokens at once; the run can be "
                "resumed from its last step",
            )
        )

    def _say_blind(self, pool: Pool) -> None:
        """Report once that the guard cannot see."""
        if self._headroom and not self._blind:
            self._blind = True
            why = pool.reasons.get("available", "it is not reported")
            self._say(Notice("warning", f"memory is not guarded, limits.headroom_gib has no effect: {why}"))

    def _resumed(self) -> None:
        """A person goes on anyway."""
        self._since, self._ended, self._share = None, self._clock(), 0.5
        self._say(
            Notice(
                "warning",
                f"the run goes on with little memory, as it was asked to; it waits again below "
                f"{gib(int(self._headroom * self._share))}",
            )
        )
