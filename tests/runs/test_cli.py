"""`skillos-engine` from a shell: what it prints, what it refuses, and which exit code it ends with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.cli import main
from engine.config import load_profile, to_toml
from engine.core.events import RunStarted, StateChanged, TurnTaken
from engine.core.parts import kind_of
from engine.runs.directory import Run
from engine.runs.status import loading, status
from engine.runs.supervisor import log_tail, start
from engine.skills import Insert, Skill, SkillRepo
from tests.review.proposing import proposed
from tests.runs.engines import SECONDS, following, kill, kill_engine, spawn, wait_until, worker
from tests.runs.samples import CONFIG, step_ended, turn
from tests.runs.stand_in import go_file

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs one command with a stand-in for the worker; exit code, standard output, standard error."""

    def shell(*arguments: object, behaviour: str = "steps") -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments], worker=worker(behaviour))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return shell


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs' home, away from the user's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "skillos-tui" / "runs"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where a run goes; an engine that still works there at the end of the test is killed."""
    path = tmp_path / "D"
    yield path
    if (path / "run.db").exists():
        with Run.open(path) as run:
            kill_engine(run)


# Starting and following


def test_train_prints_a_line_for_each_step_and_ends_with_0(shell: Shell, place: Path) -> None:
    code, out, err = shell("train", "--profile", "pocket", "--steps", 2, "--run", place, "--set", "training.seed=7")
    assert code == 0, err
    lines = out.splitlines()
    assert [line.split("  ")[0] for line in lines if line.startswith("step")] == ["step 1/2", "step 2/2"]
    assert "cnt unmeasured" in lines[1] and "measured 8/9" in lines[1]
    run = Run.open(place)
    assert (run.kind, run.config.training.steps, run.config.training.seed) == ("train", 2, 7)
    code, out, _ = shell("status", place, "--json")
    shown = json.loads(out)
    assert (code, shown["state"], shown["step"], len(shown["ended"])) == (0, "finished", 2, 2)


def test_without_a_directory_the_run_goes_to_the_users_home_and_is_found_by_name(shell: Shell, home: Path) -> None:
    code, out, _ = shell("train", "--profile", "pocket", "--steps", 1)
    path = Path(out.splitlines()[0].removeprefix("run "))
    assert code == 0 and path.parent == home and path.name.endswith("-train-pocket")
    assert path.name in shell("runs")[1]
    assert "finished, 1 of 1" in shell("status", path.name)[1]


def test_a_failed_run_ends_with_1_and_its_reason(shell: Shell, place: Path) -> None:
    code, _, err = shell("train", "--profile", "pocket", "--run", place, behaviour="fail")
    assert code == 1 and "the model server is gone" in err and f"resume {place}" in err


def test_an_engine_that_does_not_begin_is_reported_with_its_log(shell: Shell, place: Path) -> None:
    code, _, err = shell("train", "--profile", "pocket", "--run", place, behaviour="die")
    assert code == 1 and "weights are missing" in err


def test_an_engine_killed_while_followed_is_reported(place: Path) -> None:
    command = following(place)
    assert command.stdout is not None and command.stdout.readline().startswith("run ")
    with Run.open(place) as run:
        wait_until(lambda: "stand-in at work" in log_tail(run))
        engine = run.engine()
    assert engine is not None
    os.kill(engine.pid, signal.SIGKILL)
    _, err = command.communicate(timeout=SECONDS)
    assert command.returncode == 1 and "interrupted" in err and "stand-in at work" in err


def test_ctrl_c_ends_the_watching_and_not_the_engine(place: Path) -> None:
    command = following(place)
    assert command.stdout is not None and command.stdout.readline().startswith("run ")
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=SECONDS)
    assert command.returncode == 130
    assert "continues without this terminal" in err and f"stop {place}" in err
    assert Run.open(place).engine_alive()


@pytest.mark.slow
def test_a_slow_engine_is_reported_and_ctrl_c_leaves_it_to_load(place: Path) -> None:
    command = following(place, "slow")
    assert command.stderr is not None and command.stderr.readline().startswith("plan: ")
    assert "the engine is loading" in command.stderr.readline()
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=SECONDS)
    assert (command.returncode, out) == (130, "") and "continues without this terminal" in err
    with Run.open(place) as run:
        assert status(run).state == "starting"
        go_file(place).write_text("steps")
        wait_until(lambda: run.state().state == "finished")


def test_a_slow_engine_is_stopped_and_resumed(shell: Shell, run: Run) -> None:
    with ThreadPoolExecutor() as pool:
        starting = pool.submit(start, run.path, worker=worker("slow"))
        wait_until(lambda: loading(run))
        code, _, err = shell("resume", run.path)
        assert code == 1 and "is loading already" in err and f"stop {run.path}" in err
        code, out, _ = shell("stop", run.path)
        assert (code, out) == (0, "stopped, before its engine began; resume starts it again\n")
        starting.result(SECONDS)
    assert "stopped (asked by" in shell("status", run.path)[1]
    assert shell("resume", run.path)[0] == 0
    wait_until(lambda: run.state().state == "finished")


def test_detached_it_returns_while_the_engine_works(shell: Shell, place: Path) -> None:
    code, out, _ = shell("train", "--profile", "pocket", "--run", place, "--detach", behaviour="idle")
    assert (code, out) == (0, f"run {place}\n") and Run.open(place).engine_alive()


def test_curate_works_on_the_repository_that_is_named(shell: Shell, place: Path, tmp_path: Path) -> None:
    arguments = ["curate", "--profile", "pocket", "--repo", tmp_path / "skills", "--tasks", 2, "--review", "auto"]
    code, out, err = shell(*arguments, "--run", place)
    assert code == 0, err
    run = Run.open(place)
    assert run.repo_path == tmp_path / "skills" and run.repo_path.is_dir()
    assert (run.config.curate.tasks, run.config.review.policy) == (2, "auto")
    assert "task 2/2" in out


def test_games_are_kept_in_the_configuration_by_their_absolute_path(
    shell: Shell, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'games "of" mine').mkdir()
    monkeypatch.chdir(tmp_path)
    arguments = ["curate", "--profile", "pocket", "--repo", "R", "--tasks", 1, "--games", 'games "of" mine']
    assert shell(*arguments, "--run", place)[0] == 0
    world = Run.open(place).config.environment
    assert (kind_of(world), world.path) == ("alfworld", str(tmp_path / 'games "of" mine'))


def test_the_pocket_model_chooses_in_official_games_and_says_so_unless_the_user_says_how_it_acts(
    shell: Shell, tmp_path: Path
) -> None:
    arguments = ["curate", "--profile", "pocket", "--repo", tmp_path / "R", "--tasks", 1]
    for name, more, decoding in [
        ("home", [], "generate"),
        ("games", ["--games", tmp_path], "loglikelihood"),
        ("asked", ["--games", tmp_path, "--set", "executor.decoding=generate"], "generate"),
    ]:
        code, out, err = shell(*arguments, "--run", tmp_path / name, *more)
        assert code == 0, err
        assert Run.open(tmp_path / name).config.executor.decoding == decoding
        assert ("executor.decoding=loglikelihood" in out) == (decoding == "loglikelihood")


# What is refused, before anything is created


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["curate", "--profile", "pocket", "--repo", "R", "--games", "absent"], "no games at .*absent"),
        (["curate", "--profile", "pocket", "--repo", "R", "--set", "environment.kind=alfworld"], "by --games PATH"),
        (["train", "--profile", "pocket", "--set", "environment.kind=alfworld"], "held-out groups .* name two splits"),
        (["train", "--profile", "nowhere"], "no profile 'nowhere'"),
        (["train", "--profile", "pocket", "--steps", "0"], r"training\.steps = 0 .* at least 1"),
        (["train", "--profile", "pocket", "--set", "training.pace=3"], "pace"),
    ],
)
def test_bad_requests_create_nothing(
    shell: Shell, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = shell(*arguments)
    assert code == 1 and err.startswith("skillos-engine: ")
    assert re.search(why, err)
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_continued_when_asked_for_again(shell: Shell, place: Path) -> None:
    again = ["train", "--profile", "pocket", "--steps", 3, "--run", place]
    shell(*again, "--detach", behaviour="idle")
    run = Run.open(place)
    code, _, err = shell(*again)
    assert code == 1 and "already" in err
    engine = run.engine()
    assert engine is not None
    os.kill(engine.pid, signal.SIGKILL)
    wait_until(lambda: not run.engine_alive())
    code, out, err = shell(*again)
    assert code == 0, err
    assert "step 3/3" in out
    code, _, err = shell(*again)
    assert code == 1 and "has finished" in err


def test_a_run_of_another_kind_or_with_other_settings_is_not_taken_up(shell: Shell, run: Run, tmp_path: Path) -> None:
    code, _, err = shell("curate", "--profile", "pocket", "--repo", tmp_path / "R", "--run", run.path)
    assert code == 1 and "is a train run, not a curate run" in err
    code, _, err = shell("train", "--profile", "pocket", "--steps", 3, "--run", run.path, "--set", "training.seed=9")
    assert code == 1 and "training.seed (1 there, 9 requested)" in err


def test_a_directory_of_something_else_is_left_as_it_is(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    code, _, err = shell("train", "--profile", "pocket", "--run", tmp_path)
    assert code == 1 and "not empty" in err
    for command in ("status", "events", "pause", "resume", "stop"):
        code, _, err = shell(command, tmp_path)
        assert code == 1 and "is not a run" in err
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


# Watching and commanding


def test_events_are_one_json_object_a_line(shell: Shell, run: Run) -> None:
    run.append(turn(1), step_ended(1))
    code, out, _ = shell("events", run.path, "--json")
    first, second = (json.loads(line) for line in out.splitlines())
    assert code == 0 and (first["id"], first["event"]["kind"], first["event"]["action"]) == (
        1,
        "turn_taken",
        "go box 1",
    )
    assert second["event"]["rewards"]["r_cnt"] is None


def test_what_a_model_wrote_cannot_steer_the_terminal(shell: Shell, run: Run) -> None:
    hostile = TurnTaken(turn(1).at, 1, "", "go\x1b[2J\x07\nbox", "\u202eevil", True)
    run.append(hostile, StateChanged("failed", "\x1b]0;title\x07"))
    for command in ("events", "status"):
        out = shell(command, run.path)[1]
        assert not set(out) & {"\x1b", "\x07", "\u202e"} and "\\x1b" in out


def test_following_events_ends_with_the_run(shell: Shell, run: Run) -> None:
    engine = spawn(run, "steps")
    code, out, _ = shell("events", run.path, "--follow", "--json")
    engine.wait(SECONDS)
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert code == 0 and events[-1] == {"kind": "state_changed", "state": "finished", "reason": "", "ending": False}
    assert len(events) == run.last_id()


def test_a_resume_prints_the_settings_that_were_edited_since_the_last_start(shell: Shell, run: Run) -> None:
    run.append(RunStarted("train", "pocket", 3, 1, settings=to_toml(run.config)), StateChanged("stopped"))
    code, _, err = shell("resume", run.path)
    assert code == 0 and "settings" not in err
    wait_until(lambda: not run.engine_alive())
    (run.path / "config.toml").write_text(CONFIG.replace("steps = 3", "steps = 4"))
    run.append(RunStarted("train", "pocket", 3, 1, settings=to_toml(load_profile("pocket", ["training.steps=3"]))))
    run.append(StateChanged("stopped"))
    code, _, err = shell("resume", run.path)
    assert code == 0 and "training.steps was 3 and is now 4" in err


def test_a_run_is_paused_resumed_and_stopped(shell: Shell, run: Run) -> None:
    engine = spawn(run, "idle")
    try:
        assert shell("pause", run.path)[0] == 0
        wait_until(lambda: run.state().state == "paused")
        assert shell("resume", run.path)[0] == 0
        wait_until(lambda: run.state().state == "running")
        assert shell("stop", run.path)[0] == 0
        wait_until(lambda: run.state().state == "stopped")
    finally:
        kill(engine)


def test_commands_to_a_dead_engine_are_refused(shell: Shell, run: Run) -> None:
    for command in ("pause", "stop"):
        code, _, err = shell(command, run.path)
        assert code == 1 and "no engine works on" in err
    assert run.take_commands() == []


# Reviewing


def propose(run: Run, name: str, body: str = "Mugs are in the safe.\n") -> str:
    operation = Insert(name, Skill.make(name, f"Use when {name} is wanted.", body).text)
    return proposed(run, operation)


def test_edits_are_listed_shown_approved_vetoed_and_undone(shell: Shell, run: Run) -> None:
    assert shell("review", run.path, "list")[1] == "no edits wait for review\n"
    one, two = propose(run, "one"), propose(run, "two")
    listed = shell("review", run.path, "list")[1].splitlines()
    assert [line.split()[:4] for line in listed] == [
        [one, "pending", "insert", "one"],
        [two, "pending", "insert", "two"],
    ]
    assert "+Mugs are in the safe." in shell("review", run.path, "show", one)[1]

    assert shell("review", run.path, "approve", one)[0] == 0
    assert shell("review", run.path, "veto", two, "--reason", "too short")[0] == 0
    assert list(SkillRepo.open(run.repo_path)) == ["one"]
    decided = json.loads(shell("review", run.path, "list", "--all", "--json")[1])
    assert [(edit["state"], edit["decision"]["reason"]) for edit in decided] == [
        ("committed", ""),
        ("vetoed", "too short"),
    ]

    code, _, err = shell("review", run.path, "veto", one)
    assert code == 1 and f"{one} was approved by" in err
    for edit in (one, two):
        assert shell("review", run.path, "undo", edit)[0] == 0
    assert list(SkillRepo.open(run.repo_path)) == [] and run.edit(two).state == "pending"


def test_undo_says_what_it_reverted_and_how_to_take_that_back(shell: Shell, run: Run) -> None:
    one, two = propose(run, "one"), propose(run, "two")
    shell("review", run.path, "approve", one)
    shell("review", run.path, "veto", two, "--reason", "too short")
    decision = run.edit(one).decision
    out = shell("review", run.path, "undo", one)[1]
    assert decision is not None and f"reverted commit {decision.commit[:10]} of one" in out
    assert f"review {run.path} requeue {one}" in out
    code, _, err = shell("review", run.path, "undo", one)
    assert code == 1 and f"{one} was undone by" in err and "it can be queued again" in err
    assert shell("review", run.path, "requeue", one)[0] == 0 and run.edit(one).state == "pending"
    assert "the edit waits for a decision again" in shell("review", run.path, "undo", two)[1]
    code, _, err = shell("review", run.path, "undo", two)
    assert code == 1 and "is pending; there is no decision to undo" in err


def test_a_conflict_says_so_and_how_to_ask_again(shell: Shell, run: Run) -> None:
    first, second = propose(run, "one"), propose(run, "one", "In the fridge.\n")
    shell("review", run.path, "approve", first)
    code, out, err = shell("review", run.path, "approve", second)
    assert code == 1 and "conflicted" in out and f"requeue {second}" in err
    assert "-Mugs are in the safe.\n+In the fridge." in shell("review", run.path, "show", second)[1]
    assert shell("review", run.path, "requeue", second)[0] == 0
    assert shell("review", run.path, "approve", second)[0] == 0


def test_what_the_audit_found_stands_under_the_edit(shell: Shell, run: Run) -> None:
    edit = propose(run, "one", "git push --force\n")
    listed = shell("review", run.path, "list")[1].splitlines()
    assert listed[1].strip().startswith("warning: line 5: destructive-command: throws away commits or changes")
    assert listed[1].strip() in shell("review", run.path, "show", edit)[1].splitlines()
    (finding,) = json.loads(shell("review", run.path, "show", edit, "--json")[1])["findings"]
    assert (finding["rule"], finding["severity"], finding["line"]) == ("destructive-command", "warning", 5)


def test_an_edit_is_amended_from_a_file(shell: Shell, run: Run, tmp_path: Path) -> None:
    edit = propose(run, "one", "Somewhere.\n")
    code, _, err = shell("review", run.path, "amend", edit)
    assert code == 1 and "--text FILE" in err
    code, _, err = shell("review", run.path, "amend", edit, "--text", tmp_path / "absent")
    assert code == 1 and "cannot read" in err
    (tmp_path / "better.md").write_text(run.edit(edit).after.replace("Somewhere", "In the safe"))
    code, out, _ = shell("review", run.path, "amend", edit, "--text", tmp_path / "better.md", "--reason", "more exact")
    assert code == 0 and "amended by" in out
    assert "In the safe." in SkillRepo.open(run.repo_path)["one"].body
    shown = shell("review", run.path, "show", edit)[1]
    assert "-Somewhere.\n+In the safe." in shown and "+In the safe." in shown.partition("amended by")[0]


def test_deciding_needs_the_edits_id(shell: Shell, run: Run) -> None:
    code, _, err = shell("review", run.path, "approve")
    assert code == 1 and "which edit?" in err


def test_a_closed_pipe_is_no_error(run: Run) -> None:
    run.append(*(turn(n) for n in range(5000)))
    command = f"{sys.executable} -c 'import sys; from engine.cli import main; sys.exit(main())' events {run.path}"
    done = subprocess.run(["bash", "-c", f"{command} | head -1"], capture_output=True, text=True, check=True)
    assert "turn_taken" in done.stdout and done.stderr == ""


def test_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys, engine.cli.program; print(sorted({'torch', 'transformers', 'textual', 'pygit2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
