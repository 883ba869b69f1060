"""Questions of one name are answered one after another, and only the newest of those that wait."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from skillos_tui.app import SkillosApp
from skillos_tui.client.messages import Answered
from skillos_tui.client.turns import Turns
from tests.workbench.stage import seconds, until, workbench


@contextmanager
def slow_work() -> Iterator[tuple[Turns, list[int], threading.Event]]:
    """Turns with a piece of work for "names" that goes on until the event is set, and what has been done."""
    done: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        go_on.wait(10)
        done.append(0)

    with ThreadPoolExecutor(4) as threads:
        turns = Turns(lambda name, work: (threads.submit(work), None)[1])
        turns.add("names", slow)
        begun.wait(10)
        yield turns, done, go_on


def test_of_what_waits_the_newest_is_done_after_what_is_being_done() -> None:
    with slow_work() as (turns, done, go_on):
        for number in range(1, 6):
            turns.add("names", lambda number=number: done.append(number))
        other = threading.Event()
        turns.add("page", other.set)
        assert other.wait(10) and done == []
        go_on.set()
    assert done == [0, 5]


def test_after_the_end_nothing_begins() -> None:
    with slow_work() as (turns, done, go_on):
        turns.add("names", lambda: done.append(1))
        turns.end()
        turns.add("names", lambda: done.append(2))
        turns.add("page", lambda: done.append(3))
        go_on.set()
    assert done == [0]


def test_after_an_error_the_name_is_worked_on_again() -> None:
    started: list[object] = []
    turns = Turns(lambda name, work: started.append(work))

    def fail() -> None:
        raise ValueError("no")

    turns.add("names", fail)
    with pytest.raises(ValueError, match="no"):
        started[0]()  # type: ignore[operator]
    turns.add("names", lambda: started.append("done"))
    started[1]()  # type: ignore[operator]
    assert started[2] == "done"


def test_turns_that_are_added_from_many_threads_are_never_done_beside_each_other() -> None:
    together, most = 0, 0
    newest: list[int] = []

    def work(number: int) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        time.sleep(0.0005)
        newest.append(number)
        together -= 1

    with ThreadPoolExecutor(8) as threads:
        turns = Turns(lambda name, work: (threads.submit(work), None)[1])
        for number in range(500):
            turns.add("names", lambda number=number: work(number))
            if number % 7 == 0:
                time.sleep(0.0003)
    assert most == 1 and newest[-1] == 499 and newest == sorted(newest)


async def test_the_workbench_answers_the_first_and_the_newest_question() -> None:
    together, most, count = 0, 0, 0

    def slow() -> int:
        nonlocal together, most, count
        together, count = together + 1, count + 1
        most = max(most, together)
        time.sleep(0.2)
        together -= 1
        return count

    answers: list[Answered] = []

    class Listening(SkillosApp):
        CSS_PATH: ClassVar = [Path(inspect.getfile(SkillosApp)).parent / name for name in SkillosApp.CSS_PATH]

        def on_answered(self, message: Answered) -> None:
            answers.append(message)

    async with workbench(kind=Listening) as pilot:
        client = pilot.app.client  # type: ignore[attr-defined]
        client.ask("slow", slow)
        await until(pilot, lambda: together == 1)
        for _ in range(20):
            client.ask("slow", slow)
        await until(pilot, lambda: [each.value for each in answers if each.question == "slow"] == [1, 2])
        await seconds(pilot, 0.5)
    assert (most, count) == (1, 2)
