"""What a machine or a user can do wrong to a whole run: a clear message, exit code 1, and nothing lost."""

import resource
import subprocess

import pytest

from engine.runs.directory import Run
from tests.whole_loop.shell import (
    ROOT,
    ROWS,
    SECONDS,
    TINY,
    command,
    frozen,
    has_turn,
    skillos,
    status,
    told,
    wait_until,
)

# Places that cannot hold a run


@pytest.mark.parametrize("where", ["letter.txt/run", "/proc/skillos/run"])
def test_a_place_that_cannot_be_written_is_named(place, where):
    (place / "letter.txt").write_text("dear")
    done = skillos("train", *TINY, "--run", place / where)
    assert done.returncode == 1
    assert done.stderr.startswith("skillos-engine: cannot create a run at ") and where in done.stderr
    assert "permissions" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in place.iterdir()] == ["letter.txt"]


def test_a_repository_that_cannot_be_written_is_named(place):
    (place / "letter.txt").write_text("dear")
    done = skillos("curate", "--profile", "pocket", "--repo", place / "letter.txt" / "repo", "--run", place / "run")
    assert done.returncode == 1
    assert "letter.txt" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in place.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("action", ["train", "status", "events", "resume", "verify"])
def test_a_directory_of_something_else_is_left_alone(place, action):
    (place / "letter.txt").write_text("dear")
    done = skillos(*(["train", *TINY, "--run", place] if action == "train" else [action, place]))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and str(place) in done.stderr
    assert [(path.name, path.read_text()) for path in place.iterdir()] == [("letter.txt", "dear")]


def test_a_database_of_something_else_is_left_alone(place):
    (place / "run.db").write_bytes(b"no database at all" * 100)
    done = skillos("train", *TINY, "--run", place)
    assert done.returncode == 1 and "file is not a database" in done.stderr
    assert (place / "run.db").read_bytes() == b"no database at all" * 100


# A disk without room


def at_most(kilobytes):
    """Makes a process, and what it starts, unable to write files over a size: the disk is full for it."""
    limit = f"({kilobytes * 1024}, resource.RLIM_INFINITY)"
    return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, {limit})"


def assert_goes_on(path, steps, positions=ROWS):
    """Once there is room, the run goes on to its end, and no step is missing or twice."""
    told("resume", path)
    told("events", path, "--follow")
    shown = status(path)
    assert shown["state"] == "finished"
    ended = [(step["step"], step["measured"]) for step in shown["ended"]]
    assert ended == [(step, positions) for step in range(1, steps + 1)]
    printed = told("verify", path)
    assert f"steps {steps}, " in printed and ": 0 differences" in printed


def let_fill(path):
    """After the first turn of a run, its engine can write its log no further than a few turns: the disk is full for it."""
    wait_until(lambda: (path / "run.db").exists())
    with Run.open(path) as run:
        wait_until(lambda: has_turn(run, 1))
        with frozen(run):
            room = (path / "run.db-wal").stat().st_size + 20 * 1024
            resource.prlimit(run.engine().pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))


@pytest.mark.slow
def test_events_that_do_not_fit_end_the_run_in_words_and_room_lets_it_go_on(place):
    path = place / "run"
    arguments = ["--profile", "pocket", "--repo", place / "repo", "--tasks", 8, "--review", "auto", "--run", path]
    with subprocess.Popen(command("curate", *arguments), cwd=ROOT, stderr=subprocess.PIPE, text=True) as started:
        let_fill(path)
        _, said = started.communicate(timeout=SECONDS)
    assert started.returncode == 1
    assert "free some space" in said and f"skillos-engine resume {path}" in said
    assert "Traceback" not in said
    with Run.open(path) as run:
        assert len(run.steps()) < 8
    assert_goes_on(path, 8, positions=1)


@pytest.mark.slow
def test_a_checkpoint_that_does_not_fit_fails_the_run_in_words_and_room_lets_it_go_on(place):
    """Of all that is written, the optimiser's state is the largest file."""
    path = place / "run"
    done = skillos("train", *TINY, "--steps", 1, "--run", path, first=at_most(400))
    assert done.returncode == 1
    assert "free some space" in done.stderr and f"skillos-engine resume {path}" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((path / "checkpoints").glob("step-*")) == []
    with Run.open(path) as run:
        assert has_turn(run, 1)
    assert_goes_on(path, 1)


@pytest.fixture
def small_disk(place):
    """A file system of 4 MB, where this user may mount one."""
    disk = place / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=False)


@pytest.mark.slow
def test_a_disk_that_fills_up_in_mid_step_takes_nothing_that_was_written(small_disk):
    path = small_disk / "run"
    engine = subprocess.Popen(
        command("train", *TINY, "--steps", 3, "--run", path),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert engine.stdout.readline().startswith("run ")
    run = Run.open(path)
    wait_until(lambda: has_turn(run, 2))
    with (
        frozen(run),
        pytest.raises(OSError, match="No space left"),
        (small_disk / "ballast").open("wb", buffering=0) as ballast,
    ):
        while True:
            ballast.write(bytes(1024))
    _, err = engine.communicate(timeout=SECONDS)
    assert engine.returncode == 1
    assert "free some space" in err and "Traceback" not in err
    assert [step.step for step in run.steps()] == [1]
    (small_disk / "ballast").unlink()
    assert_goes_on(path, 3)
