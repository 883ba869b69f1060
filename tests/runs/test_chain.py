"""The checksums of the log: every event follows the one before, whoever writes, and what was changed is found."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.core.events import Notice, Unreadable
from engine.evaluation.verify.stored import StoredRun
from engine.runs import projections
from engine.runs.chain import Chain, Row, event_sum, run_sum
from engine.runs.directory import Run
from tests.runs.samples import decided, proposed, step_ended, step_started, turn


def chain_faults(run: Run) -> list[str]:
    """What the walk through the rows finds."""
    [entry] = run.db.all("SELECT id, kind, created, repo FROM run")
    chain = Chain(run_sum(*entry))
    return [fault for page in run.rows() for row in page if (fault := chain.take(row))]


def faults(run: Run) -> list[str]:
    """All that is wrong with what is stored of a run."""
    stored = StoredRun(run)
    for _ in stored.events():
        pass
    stored.finish()
    return stored.faults


def written(run: Run) -> Run:
    run.append(step_started(1), turn(1), turn(2), step_ended(1))
    run.append(proposed("e1"), proposed("e2"), decided("e1", "veto", "ann"))
    run.append(turn(3), turn(4))
    return run


def change(run: Run, *statements: str) -> None:
    with sqlite3.connect(run.path / "run.db") as connection:
        for statement in statements:
            connection.execute(statement)


def append_many(path: Path, first: int) -> None:
    with Run.open(path) as run:
        for number in range(first, first + 20):
            run.append(turn(number))


def test_a_log_that_nobody_touched_has_no_fault(run: Run) -> None:
    assert faults(written(run)) == []


def test_events_of_several_processes_are_one_chain(run: Run) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(run.path, 100 * n)) for n in range(3)]
    for writer in writers:
        writer.start()
    with run.writer() as writer:
        for number in range(50):
            writer.emit(turn(number))
    for writer in writers:
        writer.join(60)
    assert run.last_id() == 110 and faults(run) == []


def test_two_ways_to_cut_a_row_into_fields_have_two_checksums() -> None:
    assert event_sum(b"x", 1, 2.0, b"ab", b"c") != event_sum(b"x", 1, 2.0, b"a", b"bc")
    assert event_sum(b"xa", 1, 2.0, b"b", b"c") != event_sum(b"x", 1, 2.0, b"ab", b"c")
    assert run_sum("a", "b", 1.0, None) != run_sum("a", "b", 1.0, "")


NOT_WRITTEN = "is not what was written: its checksum does not follow from that of event"
CHANGES: dict[str, tuple[str, list[str]]] = {
    "a changed event": ("UPDATE events SET data = replace(data, 'box 1', 'box 9') WHERE id = 2", [f"event 2 {NOT_WRITTEN} 1"]),
    "a changed time": ("UPDATE events SET at = at + 1 WHERE id = 3", [f"event 3 {NOT_WRITTEN} 2"]),
    "a changed kind": ("UPDATE events SET kind = 'notice' WHERE id = 3", [f"event 3 {NOT_WRITTEN} 2"]),
    "a changed checksum": ("UPDATE events SET sum = zeroblob(16) WHERE id = 3", [f"event 3 {NOT_WRITTEN} 2"]),
    "a missing event": ("DELETE FROM events WHERE id = 3", ["event 3 is missing"]),
    "missing events": ("DELETE FROM events WHERE id IN (2, 3)", ["events 2 to 3 are missing"]),
    "a first event that is missing": ("DELETE FROM events WHERE id = 1", ["event 1 is missing"]),
    "an event that was inserted": (
        "INSERT INTO events (id, at, kind, data) SELECT 10, at, kind, data FROM events WHERE id = 9",
        [f"event 10 {NOT_WRITTEN} 9"],
    ),
    "an event that is there twice": (
        "INSERT INTO events SELECT 10, at, kind, data, sum FROM events WHERE id = 9",
        [f"event 10 {NOT_WRITTEN} 9"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "expected"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_one_line_that_names_the_event(run: Run, statement: str, expected: list[str]) -> None:
    change(written(run), statement)
    assert chain_faults(run) == expected


def test_events_that_changed_places_are_found(run: Run) -> None:
    change(
        written(run),
        "UPDATE events SET id = 99 WHERE id = 2",
        "UPDATE events SET id = 2 WHERE id = 3",
        "UPDATE events SET id = 3 WHERE id = 99",
    )
    assert chain_faults(run)[:2] == [f"event 2 {NOT_WRITTEN} 1", f"event 3 {NOT_WRITTEN} 2"]


@pytest.mark.parametrize("column", ["id = 'other'", "created = created + 1", "repo = '/elsewhere'", "sum = x'00'"])
def test_a_changed_row_of_the_run_is_found(run: Run, column: str) -> None:
    change(written(run), f"UPDATE run SET {column}")
    assert [fault for fault in faults(run) if "table run" in fault] == [
        "table run: the row (id, kind, created, repo) is not what was written: its checksum is another"
    ]


# What is derived, and what else knows of the log


def test_a_log_whose_end_is_gone_is_found(run: Run) -> None:
    change(written(run), "DELETE FROM events WHERE id > 7")
    assert faults(run) == ["table state: last is 9, and the events give 7"]


def test_a_checkpoint_of_a_step_that_the_log_does_not_have_is_found(run: Run) -> None:
    (written(run).checkpoints / "step-0001").mkdir()
    assert faults(run) == []
    (run.checkpoints / "step-0002").mkdir()
    assert faults(run) == ["the checkpoint step-0002 is of step 2, and the log has no such step: its end is lost"]


DERIVED: dict[str, tuple[str, str]] = {
    "state": ("UPDATE state SET step = 7", "table state: step is 7, and the events give 1"),
    "no state": ("DELETE FROM state", "table state: its row is missing"),
    "a step": ("UPDATE steps SET data = replace(data, '0.125', '0.5')", "table steps: the row 1 is not what the events give"),
    "no step": ("DELETE FROM steps", "table steps: the row 1 is missing"),
    "an edit's state": ("UPDATE edits SET state = 'pending'", "table edits: the row e1 is not what the events give"),
    "an edit's text": (
        "UPDATE edits SET data = replace(data, 'body', 'bodies') WHERE edit = 'e2'",
        "table edits: the row e2 is not what the events give",
    ),
    "an edit too many": (
        "INSERT INTO edits SELECT 'e7', event, state, data FROM edits WHERE edit = 'e1'",
        "table edits: no event gives the row e7",
    ),
    "garbage": ("UPDATE edits SET data = x'ff' WHERE edit = 'e1'", "table edits: the row e1 cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "expected"), DERIVED.values(), ids=DERIVED)
def test_a_derived_table_that_is_not_what_the_events_give_is_found(run: Run, statement: str, expected: str) -> None:
    change(written(run), statement)
    assert any(fault.startswith(expected) for fault in faults(run))


def test_a_fault_of_the_database_itself_is_found(run: Run) -> None:
    change(
        written(run),
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = replace(sql, '(kind, id)', '(at, id)') WHERE name = 'events_by_kind'",
    )
    run.close()
    with Run.open(run.path) as again:
        assert any(fault.startswith("SQLite's integrity check: ") for fault in faults(again))


# Events that cannot be read


UNREADABLE: dict[str, tuple[str, str, str]] = {
    "a kind of a newer version": ("dreamt", '{"kind":"dreamt"}', "does not know its kind"),
    "a field less": ("turn_taken", '{"kind":"turn_taken"}', "missing required field"),
    "garbage": ("turn_taken", "{{{", "not that of a turn_taken event"),
    "nothing": ("turn_taken", "", "not that of a turn_taken event"),
    "content of another kind": (
        "turn_taken",
        '{"kind":"notice","level":"info","message":"x"}',
        "of another kind: notice",
    ),
}


@pytest.mark.parametrize(("kind", "data", "why"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_event_that_cannot_be_read_is_read_as_such_and_later_ones_still_come(
    run: Run, kind: str, data: str, why: str
) -> None:
    written(run)
    run.db.one("INSERT INTO events (id, at, kind, data) VALUES (10, 5, ?, ?)", [kind, data])
    run.append(Notice("info", "later"))
    unreadable, later = run.events(after=9)
    assert isinstance(unreadable.event, Unreadable) and unreadable.event.kind == kind and why in unreadable.event.why
    assert later.event == Notice("info", "later") and run.tail(1) == [later]
    assert [stored.id for stored in run.stream()] == [*range(1, 12)]


def test_bytes_that_are_no_text_are_read_as_unreadable(run: Run) -> None:
    written(run)
    run.db.one("UPDATE events SET kind = CAST(x'ff' AS TEXT), data = x'ff00' WHERE id = 2")
    run.db.one("UPDATE events SET data = CAST(x'7bff' AS TEXT) WHERE id = 3")
    run.db.one("UPDATE events SET at = 'noon' WHERE id = 4")
    events = run.events()
    assert [isinstance(stored.event, Unreadable) for stored in events] == [False, True, True, *[False] * 6]
    assert events[3].at != events[3].at, "a time that cannot be read is no number"


def test_what_is_derived_skips_an_event_that_cannot_be_read(run: Run) -> None:
    written(run)
    run.db.one("UPDATE events SET data = '{' WHERE kind = 'step_ended'")
    with run.db.transaction() as connection:
        left_out = projections.rebuild(connection)
    assert run.steps() == [] and [edit.state for edit in run.edits()] == ["vetoed", "pending"]
    assert len(left_out) == 1 and left_out[0].startswith("event 4: its content is not that of a step_ended event")


def test_what_is_derived_skips_a_decision_that_its_edit_does_not_allow(run: Run) -> None:
    written(run)
    run.db.one("INSERT INTO events (id, at, kind, data) SELECT 10, at, kind, data FROM events WHERE id = 7")
    assert "event 10 does not follow from those before it: an edit that is vetoed cannot veto" in " ".join(faults(run))
    with run.db.transaction() as connection:
        assert len(projections.rebuild(connection)) == 1
    assert run.edit("e1").state == "vetoed"


# Streams


def test_a_stream_reads_in_pages_what_was_there_when_it_began(run: Run) -> None:
    run.append(*(turn(number) for number in range(2_500)))
    stream = run.stream(after=100, until=2_400)
    first = next(stream)
    run.append(turn(9_999))
    assert [first.id, *(stored.id for stored in stream)] == [*range(101, 2_401)]
    pages = [*run.rows(kinds=["turn_taken"])]
    assert [len(page) for page in pages] == [1_000, 1_000, 501]


def test_a_page_of_long_events_is_short(run: Run) -> None:
    run.append(*(Notice("info", "x" * 1_000_000) for _ in range(12)))
    assert [len(page) for page in run.rows()] == [4, 4, 4]


def test_a_row_without_a_value_has_no_checksum() -> None:
    chain = Chain(b"start")
    assert chain.take(Row(1, None, b"notice", b"{}", b"sum")) == f"event 1 {NOT_WRITTEN} 0"


@pytest.mark.parametrize("call", [Run.events, Run.stream])
def test_kinds_and_limits_are_the_same_for_lists_and_streams(run: Run, call: Callable[..., object]) -> None:
    written(run)
    assert [s.id for s in call(run, after=2, until=8, kinds=["turn_taken"])] == [3, 8]  # type: ignore[attr-defined]
