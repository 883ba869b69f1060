"""Commands reach the engine once, in order, with who sent them."""

from __future__ import annotations

import threading

from engine.runs.commands import Pause, Resume, Sent, Stop
from engine.runs.directory import Run


def test_commands_are_taken_once_in_order(run: Run) -> None:
    assert run.take_commands() == []
    other = Run.open(run.path)
    for command in (Pause(), Resume(), Stop()):
        other.send(command, by="ann")
    taken = run.take_commands()
    assert [sent.command for sent in taken] == [Pause(), Resume(), Stop()]
    assert {sent.by for sent in taken} == {"ann"}
    assert run.take_commands() == [] and other.take_commands() == []


def test_two_takers_never_get_the_same_command(run: Run) -> None:
    for _ in range(50):
        run.send(Pause(), by="ann")
    taken: list[Sent] = []

    def take() -> None:
        for _ in range(20):
            taken.extend(run.take_commands())

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 50
