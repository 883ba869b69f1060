"""Exports of a run's figures: complete, without duplicates, and never over a file of others."""

from __future__ import annotations

import csv
import struct
import threading
import time
from pathlib import Path

import msgspec
import pytest

from engine.cli import main
from engine.core.events import Alarm, AlarmsChecked, RunStarted, StateChanged, StepStarted
from engine.runs.directory import Run
from tests.runs.samples import step_ended
from tests.runs.test_telemetry import update, whole_step


def lines(path: Path) -> list[dict]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def export(run: Run, *options: object) -> int:
    return main(["metrics", str(run.path), *map(str, options)])


@pytest.fixture
def ended(run: Run) -> Run:
    run.append(RunStarted("train", "pocket", 9, 1), *whole_step(1), *whole_step(2))
    return run


def test_a_second_export_changes_nothing_and_a_later_one_appends(ended: Run, tmp_path: Path) -> None:
    files = [tmp_path / "m.jsonl", tmp_path / "m.csv", tmp_path / "tb" / "run"]
    options = ["--jsonl", files[0], "--csv", files[1], "--tensorboard", tmp_path / "tb"]
    assert export(ended, *options) == 0
    (events,) = files[2].iterdir()
    before = [path.read_bytes() for path in (*files[:2], events)]
    assert export(ended, *options) == 0
    assert [path.read_bytes() for path in (*files[:2], events)] == before
    inode = files[0].stat().st_ino
    ended.append(*whole_step(3))
    assert export(ended, *options) == 0
    assert [line["step"] for line in lines(files[0])] == [1, 2, 3]
    after = [path.read_bytes() for path in (*files[:2], events)]
    assert all(new.startswith(old) and len(new) > len(old) for new, old in zip(after, before, strict=True))
    assert files[0].stat().st_ino == inode


def test_a_step_that_a_resume_undid_leaves_the_file(ended: Run, tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    export(ended, "--jsonl", file)
    ended.append(RunStarted("train", "pocket", 9, 1, resumed_from=1), update(2, entropy=0.9), step_ended(2))
    export(ended, "--jsonl", file)
    assert [(line["step"], line["entropy"]) for line in lines(file)] == [(1, 0.3), (2, 0.9)]


def test_a_step_is_written_when_it_is_complete(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    run.append(RunStarted("train", "pocket", 9, 1), *whole_step(1), StepStarted(2, []), update(2), step_ended(2))
    with run.lock():
        export(run, "--jsonl", file)
        assert [line["step"] for line in lines(file)] == [1]
        run.append(AlarmsChecked(2, [Alarm("ratio", "m", "a")]))
        export(run, "--jsonl", file)
        assert [line["alarms"] for line in lines(file)] == [[], ["ratio"]]


def test_csv_has_a_column_for_each_metric_and_nothing_where_there_is_no_value(ended: Run, capsys) -> None:
    assert export(ended, "--csv") == 0
    first, second = csv.DictReader(capsys.readouterr().out.splitlines())
    assert (first["run"], first["step"], first["entropy"], first["kl"]) == ("run", "1", "0.3", "")
    assert second["held_out_r_task"] == "0.4"


def test_json_lines_to_standard_output_are_those_of_the_file(ended: Run, tmp_path: Path, capsys) -> None:
    export(ended, "--jsonl", tmp_path / "m.jsonl")
    export(ended, "--jsonl")
    assert capsys.readouterr().out.encode() == (tmp_path / "m.jsonl").read_bytes()


def test_tensorboard_gets_the_measured_values_by_step(ended: Run, tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    assert export(ended, "--tensorboard", tmp_path / "tb") == 0
    (file,) = (tmp_path / "tb" / "run").iterdir()
    assert file.name.startswith("events.out.tfevents.")
    data, at, events = file.read_bytes(), 0, []
    while at < len(data):  # a record: length, its checksum, the event, its checksum
        (length,) = struct.unpack_from("<Q", data, at)
        events.append(Event.FromString(data[at + 12 : at + 12 + length]))
        at += 16 + length
    assert events[0].file_version == "brain.Event:2"
    values = {value.tag: value.simple_value for value in events[2].summary.value}
    assert events[2].step == 2 and values["update/entropy"] == pytest.approx(0.3) and values["reward/r"] == 1.25
    assert "update/kl" not in values


def test_no_file_of_others_is_overwritten(ended: Run, tmp_path: Path, capsys) -> None:
    notes = tmp_path / "notes.txt"
    for content in ("my notes\n", '{"run":"another","step":1}\n', "run,step,at,alarms\nanother,1,,\n", "{]"):
        notes.write_text(content)
        assert export(ended, "--jsonl", notes) == 1
        assert "is no export of the run" in capsys.readouterr().err
        assert notes.read_text() == content
    assert export(ended, "--jsonl", tmp_path) == 1
    assert "is not a regular file" in capsys.readouterr().err
    assert export(ended, "--jsonl", tmp_path / "nowhere" / "m.jsonl") == 1
    assert "No such file or directory" in capsys.readouterr().err
    assert export(ended, "--tensorboard", notes) == 1


def test_an_export_that_was_cut_off_is_made_whole(ended: Run, tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    export(ended, "--jsonl", file)
    whole = file.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert export(ended, "--jsonl", file) == 0
        assert file.read_bytes() == whole


def test_wrong_uses_are_refused_with_what_to_do(ended: Run, capsys) -> None:
    assert export(ended, "--follow") == 2
    assert "--follow needs --jsonl, --csv or --tensorboard" in capsys.readouterr().err
    assert export(ended, "--jsonl", "--csv") == 2
    assert "give one of them a FILE" in capsys.readouterr().err


def test_follow_appends_until_the_run_ends(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    run.append(RunStarted("train", "pocket", 9, 1), *whole_step(1))
    codes: list[int] = []
    following = threading.Thread(target=lambda: codes.append(export(run, "--jsonl", file, "--follow")))
    with run.lock():
        following.start()
        for step in (2, 3):
            run.append(*whole_step(step))
            until(lambda step=step: file.exists() and len(lines(file)) == step)
        run.append(StepStarted(4, []), update(4), step_ended(4), StateChanged("finished"))
    following.join(30)
    assert codes == [0] and [line["step"] for line in lines(file)] == [1, 2, 3, 4]


def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
