"""The line of calls that wait for a server, and how many may be in work.

line = Line()
line.open(8)
turn = await line.enter(ticket)        # at most 8 at once; the lowest ticket is next
line.leave(turn)
"""

from __future__ import annotations

import asyncio
import heapq


class Line:
    """Lets `capacity` calls work at the same time; the lowest ticket is next. Tickets of waiting calls are unique."""

    def __init__(self) -> None:
        self.capacity = 0
        self.working = 0
        self._era = 0
        self._waiting: list[tuple[int, asyncio.Future[int]]] = []

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return sum(not turn.done() for _, turn in self._waiting)

    def open(self, capacity: int) -> None:
        """Let so many calls work at the same time from now on; those in work go on."""
        self.capacity = capacity
        while self._waiting and self.working < self.capacity:
            _, turn = heapq.heappop(self._waiting)
            if not turn.done():  # a call that was given up is cancelled
                self.working += 1
                turn.set_result(self._era)

    def renew(self) -> None:
        """Count the calls in work no more: the server has forgotten them."""
        self._era, self.working = self._era + 1, 0

    async def enter(self, ticket: int) -> int:
        """Wait for a turn, which `leave` takes back."""
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (ticket, turn))
        self.open(self.capacity)
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave(turn.result())
            raise

    def leave(self, turn: int) -> None:
        """The call is not in work any more."""
        if turn == self._era:
            self.working -= 1
            self.open(self.capacity)
