"""The event writer: any thread emits, batches are committed in the background, and a full disk loses nothing."""

from __future__ import annotations

import threading

import msgspec
import pytest

from engine.core.events import AnyEvent, Notice
from engine.runs.directory import Run
from engine.runs.errors import RunError, WriteFailed
from engine.runs.writer import EventWriter
from tests.runs.engines import wait_until
from tests.runs.samples import turn


def test_what_is_emitted_appears_by_itself_and_flush_waits_for_it(run: Run) -> None:
    with run.writer() as writer:
        writer.emit(turn(1))
        wait_until(lambda: run.last_id() == 1)
        for number in range(2, 101):
            writer.emit(turn(number))
        writer.flush()
        assert [s.event for s in run.events()] == [turn(n) for n in range(1, 101)]


def test_leaving_the_block_writes_the_rest_and_closes(run: Run) -> None:
    with run.writer() as writer:
        writer.emit(turn(1))
    assert run.last_id() == 1
    with pytest.raises(RunError, match="closed"):
        writer.emit(turn(2))


def test_many_threads_emit_and_each_keeps_its_order(run: Run) -> None:
    with run.writer() as writer:

        def work(base: int) -> None:
            for i in range(200):
                writer.emit(turn(base + i))

        threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    numbers = [s.event.turn for s in run.events()]  # type: ignore[union-attr]
    assert len(numbers) == 800
    for n in range(4):
        assert [x for x in numbers if x // 1000 == n] == [1000 * n + i for i in range(200)]


def test_an_event_that_could_not_be_read_back_is_the_emitters_error(run: Run) -> None:
    with run.writer() as writer, pytest.raises(msgspec.ValidationError):
        writer.emit(Notice("shout", "an unknown level"))  # type: ignore[arg-type]
    assert run.last_id() == 0


def test_a_full_disk_is_told_to_the_emitter_and_the_queue_is_written_when_there_is_space(run: Run) -> None:
    """SQLite's own limit on pages, of one connection, stands for the disk: it fails with the same SQLITE_FULL."""
    run.append(turn(1))
    with run.db.borrow() as connection:  # the writer borrows the connection that was given back last
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with run.writer() as writer:
        writer.emit(Notice("info", "x" * 100_000))
        with pytest.raises(WriteFailed, match="disk is probably full"):
            writer.flush()
        with pytest.raises(WriteFailed, match="disk is probably full"):
            writer.emit(turn(2))
        assert [s.event for s in Run.open(run.path).events()] == [turn(1)]
        wait_until(lambda: run.db.one("PRAGMA max_page_count = 1000000") and run.last_id() == 2)
        wait_until(lambda: is_taken(writer, turn(3)))
    assert run.last_id() == 3 and run.events()[-1].event == turn(3)


def is_taken(writer: EventWriter, event: AnyEvent) -> bool:
    """Whether the writer takes an event again, which it does soon after it could write."""
    try:
        writer.emit(event)
    except WriteFailed:
        return False
    return True


def test_closing_on_a_full_disk_says_how_many_events_are_lost(run: Run) -> None:
    with run.db.borrow() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    writer = run.writer()
    writer.emit(Notice("info", "x" * 100_000))
    with pytest.raises(WriteFailed, match="last 1 events"):
        writer.close()
