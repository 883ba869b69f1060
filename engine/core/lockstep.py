"""A lockstep: concurrent members share a model in this process, which answers them in an order that no clock changes.

    lockstep = Lockstep(holds)
    member = lockstep.member(group, rollout)         # before its task is created
    with member:                                     # in its task: requests that are made in here are the member's
        member.waits(); ...; member.goes_on()        # called by the model: the member waits for an answer
        with elsewhere(): ...                        # the member waits for a server

    await lockstep.quiet()                           # called by the model before it takes requests: no member computes
    with lockstep.working(): ...                     # and while it answers them

The model takes requests only while no member computes: each member waits for an answer, or has ended. Which requests wait
then depends on the earlier answers and not on a clock, and `Ticket` orders them. If a member computes for longer than
`WAIT_SECONDS`, the lockstep becomes `loose`: the model does not wait for members any more, requests are taken in the order
in which they arrive, and `on_loose` is called once.

A member that waits for a server counts as waiting. Others do not stand still meanwhile, so the order then depends on when
that server answers. `Given` is a result that one member makes for others. Everything here runs on one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Generic, TypeVar

import msgspec

from engine.core.holds import Holds

WAIT_SECONDS = 60.0
"""How long the model waits for a member that computes; time in which something holds does not count."""

T = TypeVar("T")


class Ticket(msgspec.Struct, frozen=True, order=True):
    """The place of a request among those that wait: by the member's id, then by the number of its request."""

    member: tuple[int, ...]
    number: int


class Member:
    """A task in a lockstep. It computes from its creation until the end of its `with` block, except while it waits."""

    def __init__(self, lockstep: Lockstep, name: tuple[int, ...]) -> None:
        self.lockstep = lockstep
        self._name = name
        self._requests = 0
        self._waits = 0
        self._token: Token[Member | None] | None = None

    def __enter__(self) -> Member:
        self._token = _member.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._token is not None:
            _member.reset(self._token)
        self.lockstep.left(self)

    def ticket(self) -> Ticket:
        """The ticket of the member's next request."""
        self._requests += 1
        return Ticket(self._name, self._requests)

    def waits(self) -> None:
        """It begins to wait for an answer."""
        self._waits += 1
        self.lockstep.changed()

    def goes_on(self) -> None:
        """It has one of the answers. Call it when the answer is there, not when the task continues."""
        self._waits -= 1

    @property
    def computes(self) -> bool:
        """Whether it waits for no answer."""
        return not self._waits


_member: ContextVar[Member | None] = ContextVar("member of a lockstep", default=None)


def present_member() -> Member | None:
    """The member that the present task works for; None outside of every lockstep."""
    return _member.get()


@contextmanager
def elsewhere() -> Iterator[None]:
    """The present task waits in here for something outside of this process, and its member with it. Others are answered
    meanwhile."""
    member = present_member()
    if member is None:
        yield
        return
    member.waits()
    try:
        yield
    finally:
        member.goes_on()


class Lockstep:
    """Members and their order. `on_loose(why)` is called once, when the order begins to depend on time."""

    def __init__(
        self,
        holds: Holds | None = None,
        on_loose: Callable[[str], None] = lambda why: None,
        seconds: float = WAIT_SECONDS,
    ) -> None:
        self._holds = holds or Holds()
        self._on_loose = on_loose
        self._seconds = seconds
        self._members: set[Member] = set()
        self._working = 0
        self._quiet: asyncio.Future[None] | None = None
        self.loose = False

    def member(self, *name: int) -> Member:
        """A new member, which computes from now on."""
        member = Member(self, name)
        self._members.add(member)
        return member

    def left(self, member: Member) -> None:
        """The member has ended."""
        self._members.discard(member)
        self.changed()

    @contextmanager
    def working(self) -> Iterator[None]:
        """The model answers requests in here; that counts as computing."""
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self.changed()

    def changed(self) -> None:
        """Wake the callers of `quiet` where no member computes now."""
        if self._quiet is not None and not self._quiet.done() and self._is_quiet:
            self._quiet.set_result(None)

    async def quiet(self) -> None:
        """Wait until no member computes and no request is being answered. Returns at once where it is `loose`."""
        try:
            async with self._holds.timeout(self._seconds):
                while not self.loose and not self._is_quiet:
                    if self._quiet is None or self._quiet.done():
                        self._quiet = asyncio.get_running_loop().create_future()
                    await asyncio.shield(self._quiet)
        except TimeoutError:
            if not self.loose:
                self.loose = True
                self._on_loose(
                    f"a rollout computed, or waited for something else than the model, for over {self._seconds:g} s; the "
                    "others go on without it, so that a repetition of this step may differ in the last bits"
                )

    @property
    def _is_quiet(self) -> bool:
        return not self._working and not any(member.computes for member in self._members)


class Given(Generic[T]):
    """A value that one member gives once, and for which others of its lockstep wait."""

    def __init__(self) -> None:
        self._value: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting: list[Member] = []

    def give(self, value: T) -> None:
        """Set the value: members that wait continue."""
        for member in self._waiting:
            member.goes_on()
        self._waiting.clear()
        self._value.set_result(value)

    async def value(self) -> T:
        """The value, as soon as it is given."""
        member = present_member()
        if member is None or self._value.done():
            return await asyncio.shield(self._value)
        self._waiting.append(member)
        member.waits()
        try:
            return await asyncio.shield(self._value)
        finally:
            if member in self._waiting:  # it was cancelled
                self._waiting.remove(member)
                member.goes_on()
