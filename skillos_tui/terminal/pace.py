"""How much may be sent before the terminal has replied, so that a slow line never has a long backlog.

    pace = Pace()
    room = pace.room(now, urgent=False)     # bytes that may be sent now; 0 means wait for `answered` or `deadline`
    pace.sent(size, now)                    # then ask the terminal (DSR 5), if `pace.asking`
    pace.answered(now)                      # its reply came

A frame of run events waits until no bytes are in transit. One that answers a key is sent at once, as long as no more than
`KEY_WINDOW` bytes are in transit; the rest of it follows, or is replaced by the answer to the next key.

A terminal that never replies is asked `MAX_MISSES` times, and not waited for after that. Inside tmux it is tmux that
replies, so the line to the terminal is not measured.
"""

from __future__ import annotations

from collections import deque

LEAST_WINDOW, MOST_WINDOW = 1_500, 65_536
"""The window: the bytes of a frame of run events. A prompt reply doubles it, a slow reply halves it."""
KEY_WINDOW = 3_000
PROMPT = 1.5, 0.03
"""A reply is prompt if it takes no longer than the fastest one times the first number, plus the second in seconds."""
FIRST_SECONDS, LATER_SECONDS = 0.5, 5.0
"""How long to wait for a reply: before the first reply of the terminal, and after it."""
MAX_MISSES = 3
UNLIMITED = 1 << 30


class Pace:
    """The bytes in transit, and the times of the replies.

    `sent_frames` counts the frames since the start, and `answered_frames` those whose reply has arrived or was given up.
    """

    def __init__(self) -> None:
        self.asking = True
        self.window = LEAST_WINDOW
        self.fastest: float | None = None
        self._on_way: deque[tuple[int, float]] = deque()
        self._late: deque[float] = deque()  # when the frames were sent that were given up before the first reply
        self._misses = 0
        self.sent_frames = self.answered_frames = 0

    def room(self, now: float, *, urgent: bool) -> int:
        """How many bytes may be sent now; an urgent frame answers a key."""
        self.expire(now)
        if not self.asking or (urgent and self.fastest is None):
            return UNLIMITED
        on_way = sum(size for size, _ in self._on_way)
        if urgent:
            return max(0, max(KEY_WINDOW, self.window) - on_way)
        return 0 if on_way else self.window

    def sent(self, size: int, now: float) -> None:
        """Note that a frame of `size` bytes was written, and a query after it."""
        self.sent_frames += 1
        if self.asking:
            self._on_way.append((size, now))
        else:
            self._nothing_on_way()

    def answered(self, now: float) -> None:
        """Note that the reply to the oldest query has arrived."""
        self.asking, self._misses = True, 0
        if self._late:
            self._took(now - self._late.popleft())
            return
        if not self._on_way:
            return
        size, at = self._on_way.popleft()
        self.answered_frames = self.sent_frames - len(self._on_way)
        took = now - at
        fastest = self._took(took)
        if took > fastest * PROMPT[0] + PROMPT[1]:
            self.window = max(LEAST_WINDOW, self.window // 2)
        elif size * 2 >= self.window:
            self.window = min(MOST_WINDOW, self.window * 2)

    def _took(self, seconds: float) -> float:
        """Note how long a reply took; returns the shortest time so far."""
        self.fastest = seconds if self.fastest is None else min(seconds, self.fastest)
        return self.fastest

    @property
    def deadline(self) -> float | None:
        """When the oldest query is given up; None when nothing is in transit."""
        if not self._on_way:
            return None
        return self._on_way[0][1] + (FIRST_SECONDS if self.fastest is None else LATER_SECONDS)

    @property
    def pending(self) -> bool:
        """Whether a reply is missing, from a terminal that does reply."""
        return self.fastest is not None and bool(self._on_way)

    def forget(self) -> None:
        """Forget the bytes in transit: the terminal was left."""
        self._nothing_on_way()

    def _nothing_on_way(self) -> None:
        self._on_way.clear()
        self.answered_frames = self.sent_frames

    def expire(self, now: float) -> None:
        """Give up the replies that are too late."""
        if self.deadline is not None and now >= self.deadline:
            self._late = deque() if self.fastest is not None else self._late + deque(at for _, at in self._on_way)
            self._nothing_on_way()
            self._misses += 1
            self.asking = self._misses < MAX_MISSES
