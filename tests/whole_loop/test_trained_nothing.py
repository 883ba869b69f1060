"""Runs in which nothing is learned or curated: they end with a reason and exit code 1, and warn as soon as it begins."""

import sqlite3

import pytest

from engine.runs.directory import Run
from tests.whole_loop.shell import SMALLEST, copy_of, skillos, status, told, verified

NO_ROOM = ["model.context=100"]
"""Less than the curator's prompt and answer need, and enough for the executor's."""


def without_room(folder):
    """A train run whose curator never has room for an answer: how its command ended."""
    settings = (*SMALLEST, *NO_ROOM, "training.evaluate_every=0")
    overrides = ("--override", "curator", "--override", "context")
    return skillos("train", *settings, "--steps", 2, *overrides, "--run", folder / "run")


@pytest.fixture(scope="module")
def untrained(made):
    """A train run whose curator never has room for an answer, and how its command ended."""
    folder, done = made("untrained", without_room)
    return Run.open(folder / "run"), done


def notices(run, level):
    return [stored.event.message for stored in run.events(kinds=["notice"]) if stored.event.level == level]


def test_a_train_run_whose_steps_trained_nothing_fails_and_says_why(untrained):
    run, done = untrained
    assert done.returncode == 1
    why = "none of the 2 steps trained anything"
    assert why in done.stderr and "no trajectory fits the curator's prompt" in done.stderr
    shown = status(run.path)
    assert shown["state"] == "failed" and shown["reason"].startswith(why)
    assert notices(run, "error") == [shown["reason"]]


def test_each_step_shows_that_its_update_was_skipped(untrained):
    run, done = untrained
    why = "nothing was measured"
    assert status(run.path)["skipped_updates"] == {"1": why, "2": why}
    for printed in (done.stdout, told("status", run.path)):
        assert printed.count(f"update skipped: {why}") == 2


def test_a_warning_is_printed_in_full(untrained):
    run, done = untrained
    for warning in notices(run, "warning"):
        assert f"warning: {warning}\n" in done.stderr


def test_a_position_without_a_decision_is_not_measured_and_is_counted(untrained):
    run, done = untrained
    for step in status(run.path)["ended"]:
        assert (step["measured"], step["unmeasured"], step["skipped_curations"]) == (0, 4, 4)
    scored = [stored.event for stored in run.events(kinds=["rollout_scored"])]
    assert {(event.measured, event.unmeasured) for event in scored} == {(0, 2)}
    for printed in (done.stdout, told("status", run.path), told("events", run.path)):
        assert printed.count("measured 0/4 (4 without a decision)") == 2


def test_the_first_loss_of_a_kind_is_told_at_once_and_not_again(untrained):
    run, _ = untrained
    skipped, step, *alarms = notices(run, "warning")
    assert len(alarms) == len(set(alarms)) and all(alarm.startswith("step ") for alarm in alarms)
    assert "position 1: the curator made no decision: no trajectory fits the curator's prompt" in skipped
    assert step.startswith("step 1 trained nothing: ")
    ended = next(stored.id for stored in run.events(kinds=["step_ended"]))
    assert len(run.events(until=ended, kinds=["notice"])) == 2


def test_its_log_verifies(untrained):
    report = verified(untrained[0])
    assert report.differences == [] and report.checked["steps"] == 2


def change(path, kind, key, value):
    """Set a field of the last event of `kind`."""
    with sqlite3.connect(path / "run.db") as connection:
        connection.execute(
            "UPDATE events SET data = json_set(data, ?, ?) WHERE id = (SELECT max(id) FROM events WHERE kind = ?)",
            [f"$.{key}", value, kind],
        )


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("update_made", "skipped", ""),
        ("update_made", "skipped", "the rewards inside each group are equal"),
        ("curation_skipped", "at.position", 1),
        ("curation_skipped", "at.rollout", 5),
        ("curation_skipped", "at.step", 1),
    ],
)
def test_a_changed_reason_or_place_of_what_was_skipped_is_found(untrained, tmp_path, kind, key, value):
    path = copy_of(untrained[0], tmp_path)
    change(path, kind, key, value)
    with Run.open(path) as changed:
        assert verified(changed).differences


def test_a_curate_run_whose_curator_never_decided_fails_and_says_why(place):
    where = ["--repo", place / "repo", "--run", place / "run"]
    where = (*where, "--override", "curator", "--override", "context")
    done = skillos("curate", "--profile", "pocket", "--set", *NO_ROOM, "--tasks", 2, "--review", "auto", *where)
    assert done.returncode == 1
    assert "the curator made no decision in any of the 2 tasks" in done.stderr
    shown = status(place / "run")
    assert (shown["state"], [step["measured"] for step in shown["ended"]]) == ("failed", [0, 0])
    assert "no trajectory fits the curator's prompt" in shown["reason"]
