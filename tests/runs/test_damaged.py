"""One damaged run never hides the others, and a damaged row never crashes a reader: it is named, with what can be done."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.cli import main
from engine.core.events import RunStarted, StateChanged
from engine.runs.directory import Run
from engine.runs.errors import DamagedRun
from engine.runs.listing import RunListing
from engine.runs.status import status
from engine.runs.supervisor import find_runs
from tests.runs.samples import CONFIG, proposed, step_ended, turn

Shell = Callable[..., tuple[int, str, str]]

WHOLE_RUN_LOST = {
    "no row of the run": "DELETE FROM run",
    "no table of the run": "DROP TABLE run",
    "a run without a name": "UPDATE run SET id = ''",
    "bytes for the name of the run": "UPDATE run SET id = x'37'",
    "a text that is no UTF-8 for the kind": "UPDATE run SET kind = CAST(x'ff41' AS TEXT)",
    "a time that is a text": "UPDATE run SET created = 'noon'",
    "an endless time": "UPDATE run SET created = 9e999",
    "a time before all times": "UPDATE run SET created = -1e300",
    "a relative repository": "UPDATE run SET repo = 'somewhere'",
    "a repository with a zero byte": "UPDATE run SET repo = CAST(x'2f6100' AS TEXT)",
    "a number for the repository": "UPDATE run SET repo = 3.5",
    "no row of the state": "DELETE FROM state",
    "no table of the state": "DROP TABLE state",
    "an unknown state": "UPDATE state SET state = 'dreaming'",
    "a state that is a blob": "UPDATE state SET state = x'00'",
    "a reason that is no UTF-8": "UPDATE state SET reason = CAST(x'c328' AS TEXT)",
    "a step that is a text": "UPDATE state SET step = 'two'",
    "a step that is a fraction": "UPDATE state SET step = 1.5",
    "a huge number of steps": "UPDATE state SET steps = 9223372036854775807",
    "a time that is a blob": "UPDATE state SET since = x'41d00000'",
    "no table of the steps": "DROP TABLE steps",
    "no column of the steps": "ALTER TABLE steps RENAME COLUMN data TO datum",
    "no table of the edits": "DROP TABLE edits",
}
ONE_STEP_LOST = {
    "garbage": "UPDATE steps SET data = 'garbage' WHERE step = 2",
    "garbage bytes": "UPDATE steps SET data = x'fffe00' WHERE step = 2",
    "a number": "UPDATE steps SET data = 12 WHERE step = 2",
    "a fraction": "UPDATE steps SET data = 0.5 WHERE step = 2",
    "a list": "UPDATE steps SET data = '[]' WHERE step = 2",
    "a deep list": "UPDATE steps SET data = replace(printf('%100000s', ''), ' ', '[') WHERE step = 2",
    "an event of another kind": """UPDATE steps SET data = '{"kind":"notice","level":"info","message":""}' WHERE step = 2""",
    "an unknown kind": """UPDATE steps SET data = '{"kind":"dreamt"}' WHERE step = 2""",
    "a field less": "UPDATE steps SET data = json_remove(CAST(data AS TEXT), '$.measured') WHERE step = 2",
    "a field of another type": "UPDATE steps SET data = json_set(CAST(data AS TEXT), '$.seconds', 'long') WHERE step = 2",
    "another step": "UPDATE steps SET data = json_set(CAST(data AS TEXT), '$.step', 7) WHERE step = 2",
    "a number above all numbers": "UPDATE steps SET step = 9223372036854775807 WHERE step = 2",
}
ONE_EDIT_LOST = {
    "garbage": "UPDATE edits SET data = 'garbage' WHERE edit = 'e2'",
    "a number": "UPDATE edits SET data = 5 WHERE edit = 'e2'",
    "a text that is no UTF-8": "UPDATE edits SET data = CAST(x'7b22ff' AS TEXT) WHERE edit = 'e2'",
    "a field less": "UPDATE edits SET data = json_remove(CAST(data AS TEXT), '$.operation') WHERE edit = 'e2'",
    "an unknown operation": "UPDATE edits SET data = json_set(CAST(data AS TEXT), '$.operation', 'eat') WHERE edit = 'e2'",
    "another edit": "UPDATE edits SET data = json_set(CAST(data AS TEXT), '$.id', 'e7') WHERE edit = 'e2'",
    "an unknown state": "UPDATE edits SET state = 'lost' WHERE edit = 'e2'",
    "another state": "UPDATE edits SET state = 'vetoed' WHERE edit = 'e2'",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two equal runs."""
    runs = tmp_path_factory.mktemp("made")
    with Run.create(runs / "bad", kind="train", config_text=CONFIG) as run:
        run.append(RunStarted("train", "pocket", 3, 1, settings=CONFIG), turn(1), step_ended(1), step_ended(2))
        run.append(proposed("e1"), proposed("e2"), proposed("e3"), StateChanged("stopped"))
    shutil.copytree(runs / "bad", runs / "good")
    sql(runs / "good", "UPDATE run SET id = 'good'")
    return runs


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs of this user: "bad", which the test damages, and "good"."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return shutil.copytree(made, tmp_path / "skillos-tui" / "runs")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs one command; exit code, standard output, standard error."""

    def shell(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments], worker=["false"])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return shell


def sql(run: Path, *statements: str) -> None:
    with closing(sqlite3.connect(run / "run.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for statement in statements:
            connection.execute(statement)


def damage(home: Path, statement: str) -> Path:
    sql(home / "bad", "DROP INDEX edits_by_state", statement)
    return home / "bad"


@pytest.mark.parametrize("how", WHOLE_RUN_LOST)
def test_a_run_whose_state_cannot_be_read_is_named_and_hides_no_other(home: Path, shell: Shell, how: str) -> None:
    bad = damage(home, WHOLE_RUN_LOST[how])
    code, out, err = shell("runs")
    assert (code, err) == (0, "") and "good: train pocket, stopped, 2 of 3" in out
    (line,) = [line for line in out.splitlines() if line.startswith("bad: ")]
    assert line.startswith(f"bad: cannot be read: {bad} is damaged: ") and f"skillos-engine repair {bad}" in line
    for found in (find_runs(home), RunListing(home).look()):
        assert [(Path(each.path).name, each.status is not None) for each in found] in (
            [("good", True), ("bad", False)],
            [("bad", False), ("good", True)],
        )
    listed = {Path(each["path"]).name: each for each in json.loads(shell("runs", "--json")[1])}
    assert listed["bad"]["status"] is None and "is damaged" in listed["bad"]["problem"]
    code, out, err = shell("status", "bad")
    assert code == 1 and err.count("\n") == 1 and "repair" in err


@pytest.mark.parametrize("how", WHOLE_RUN_LOST)
def test_no_command_on_a_damaged_run_ends_with_a_traceback(home: Path, shell: Shell, how: str) -> None:
    damage(home, WHOLE_RUN_LOST[how])
    for command in (["status"], ["events"], ["review", "list"], ["resume"], ["stop"], ["pause"]):
        code, out, err = shell(command[0], "bad", *command[1:])
        assert code in (0, 1) and (out or err)


@pytest.mark.parametrize("how", ONE_STEP_LOST)
def test_a_step_that_cannot_be_read_costs_that_step(home: Path, shell: Shell, how: str) -> None:
    bad = damage(home, ONE_STEP_LOST[how])
    code, out, err = shell("status", "bad")
    assert (code, err) == (0, "") and "step 1/3" in out and "step 2/3" not in out
    assert "damaged: row " in out and "of the table steps in run.db cannot be read" in out
    assert f"repair it: skillos-engine repair {bad}" in out
    assert "bad: train pocket, stopped" in shell("runs")[1]
    (sentence,) = json.loads(shell("status", "bad", "--json")[1])["damaged"]
    assert sentence.startswith("row ")
    with Run.open(bad) as run, pytest.raises(DamagedRun, match="of the table steps"):
        run.steps()


@pytest.mark.parametrize("how", ONE_EDIT_LOST)
def test_an_edit_that_cannot_be_read_costs_that_edit(home: Path, shell: Shell, how: str) -> None:
    damage(home, ONE_EDIT_LOST[how])
    code, out, err = shell("review", "bad", "list")
    assert code == 1 and [line.split()[0] for line in out.splitlines()] == ["e1", "e3"]
    assert "row e2 of the table edits in run.db cannot be read" in err and err.count("\n") == 1
    code, out, err = shell("review", "bad", "list", "--json")
    assert code == 1 and [edit["id"] for edit in json.loads(out)] == ["e1", "e3"]
    for action in ("show", "approve", "veto", "undo", "requeue"):
        code, out, err = shell("review", "bad", action, "e2")
        assert (code, out) == (1, "") and "row e2 of the table edits" in err and "skillos-engine repair" in err
    assert shell("review", "bad", "show", "e3")[0] == 0
    assert shell("review", "bad", "veto", "e3")[0] == 0


def test_no_repository_is_made_where_a_damaged_row_leads(home: Path, shell: Shell, tmp_path: Path) -> None:
    damage(home, f"UPDATE run SET repo = '{tmp_path}/nowhere'")
    code, _, err = shell("review", "bad", "approve", "e1")
    assert code == 1 and f"e1 could not be committed and still waits: there is no folder {tmp_path}/nowhere" in err
    assert not (tmp_path / "nowhere").exists()


def test_a_step_of_a_version_with_a_field_more_is_read(home: Path) -> None:
    bad = damage(home, "UPDATE steps SET data = json_set(CAST(data AS TEXT), '$.mood', 'good')")
    with Run.open(bad) as run:
        assert [step.step for step in run.steps()] == [1, 2] and status(run).damaged == []


def test_a_command_that_cannot_be_read_is_dropped_with_a_notice(home: Path) -> None:
    bad = damage(home, "INSERT INTO commands (at, by, data) VALUES (1, 'ann', 'garbage')")
    with Run.open(bad) as run:
        assert run.take_commands() == [] and run.take_commands() == []
        (notice,) = [stored.event for stored in run.tail(1)]
        assert "row 1 of the table commands" in notice.message and "send it again" in notice.message


@pytest.mark.parametrize("content", [b"", b"dear", b"SQLite format 3\0" + bytes(84), b"\xff" * 8192])
def test_a_file_that_is_no_database_hides_no_other_run(home: Path, shell: Shell, content: bytes) -> None:
    (home / "bad" / "run.db").write_bytes(content)
    code, out, err = shell("runs")
    assert (code, err) == (0, "") and "good: train pocket" in out and "bad: cannot be read: " in out
    for command in ("status", "events", "verify", "stop", "resume"):
        code, _, err = shell(command, "bad")
        assert code == 1 and err.startswith("skillos-engine: ") and err.count("\n") == 1


def test_a_changed_number_of_the_schema_is_named(home: Path, shell: Shell) -> None:
    for version in (0, 1, 2, 2**31 - 1, -5):
        sql(home / "bad", f"PRAGMA user_version = {version}")
        code, _, err = shell("status", "bad")
        assert code == 1 and ("is damaged" in err or "upgrade" in err) and err.count("\n") == 1
        assert "good: train pocket" in shell("runs")[1]


def test_a_run_of_a_kind_that_is_not_installed_is_shown_as_far_as_it_can(home: Path, shell: Shell) -> None:
    damage(home, "UPDATE run SET kind = 'tsain'")
    code, out, _ = shell("status", "bad")
    assert code == 0 and "tsain" in out and "step 2/3" in out


def test_names_in_a_database_cannot_steer_the_terminal(home: Path, shell: Shell) -> None:
    damage(home, "UPDATE run SET id = 'evil' || char(27) || '[2J', kind = 'x' || char(155)")
    for command in (["runs"], ["status", "bad"]):
        out = shell(*command)[1]
        assert not set(out) & {"\x1b", "\x9b"} and "x\\x9b" in out


@pytest.mark.parametrize("name", ["run.db", "run.db-wal", "config.toml"])
def test_a_file_of_a_run_that_is_a_pipe_is_named_and_not_waited_for(run: Run, name: str) -> None:
    run.close()
    (run.path / name).unlink(missing_ok=True)
    os.mkfifo(run.path / name)
    [summary] = find_runs(run.path.parent)
    assert summary.status is None and f"{name} is not a regular file" in summary.problem
