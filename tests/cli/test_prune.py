"""`runs prune` and `runs restore`: how much room runs take, and deleting them so that it can be undone."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.events import StateChanged
from engine.core.locks import file_lock
from engine.runs.directory import Run
from engine.runs.trash import TRASH, TrashError, discard, disk_use, empty, restore, trashed
from tests.cli.shell import shell
from tests.runs.engines import ROOT, kill, spawn
from tests.runs.samples import CONFIG

LONG_AGO = 90 * 86400.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    home = tmp_path / "data/skillos-tui/runs"
    home.mkdir(parents=True)
    return home


def make(home: Path, name: str, state: str = "finished", *, age: float = 0.0, repo: Path | None = None) -> Path:
    with Run.create(home / name, kind="train", config_text=CONFIG, repo=repo) as run:
        run.append(StateChanged(state))  # type: ignore[arg-type]
        with run.db.transaction() as connection:
            connection.execute("UPDATE state SET since = since - ?", [age])
    return home / name


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_without_a_choice_it_lists_what_each_run_takes_and_moves_nothing(home: Path) -> None:
    big = make(home, "big")
    (big / "checkpoints/weights").write_bytes(b"x" * 3_000_000)
    make(home, "small", "failed", age=LONG_AGO)
    done = shell("runs", "prune")
    assert done.code == 0 and names(home) == ["big", "small"]
    first, second, total = done.out.splitlines()
    assert "MB  big  (finished" in first and "small  (failed, for 90 days)" in second and "in 2 runs of" in total
    listed = json.loads(shell("runs", "--size", "--json").out)
    assert [run["name"] for run in listed["runs"]] == ["big", "small"]
    assert listed["runs"][0]["bytes"] == disk_use(big) >= 3_000_000


def test_only_what_is_named_is_moved_and_it_comes_back(home: Path) -> None:
    for name in ("a", "b"):
        make(home, name)
    before = {path.relative_to(home): path.read_bytes() for path in (home / "a").rglob("*.db")}
    done = shell("runs", "prune", "a", "--yes")
    assert done.code == 0 and names(home) == ["b"] and "runs restore a" in done.out
    assert "a" not in shell("runs").out.split(":")[0]
    assert "a  (moved" in shell("runs", "restore").out
    assert shell("runs", "restore", "a").code == 0
    assert names(home) == ["a", "b"] and shell("status", "a").code == 0
    assert {path.relative_to(home) for path in (home / "a").rglob("*.db")} == set(before)


def test_runs_are_chosen_by_state_and_age(home: Path) -> None:
    make(home, "old", age=LONG_AGO)
    make(home, "new")
    make(home, "old-failed", "failed", age=LONG_AGO)
    assert shell("runs", "prune", "--state", "finished", "--older", "30d", "--yes").code == 0
    assert names(home) == ["new", "old-failed"]
    done = shell("runs", "prune", "--state", "stopped", "--yes")
    assert done.code == 1 and "no run" in done.err
    assert shell("runs", "prune", "--older", "30 parsecs").code == 2


def test_without_a_terminal_it_needs_yes_and_moves_nothing(home: Path) -> None:
    make(home, "a")
    done = shell("runs", "prune", "a")
    assert done.code == 2 and "--yes" in done.err and names(home) == ["a"]


@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, []), (b"n\n", 1, ["a"]), (b"\x04", 1, ["a"])])
def test_on_a_terminal_it_asks(home: Path, answer: bytes, code: int, left: list[str]) -> None:
    make(home, "a")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "engine.cli", "runs", "prune", "a"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(ours, 1000)
    os.write(ours, answer)
    assert process.wait(60) == code
    os.close(ours)
    assert names(home) == left


def test_a_run_with_an_engine_is_never_moved(home: Path) -> None:
    make(home, "alive")
    with Run.open(home / "alive") as run:
        child = spawn(run, "idle")
        try:
            done = shell("runs", "prune", "alive", "--yes")
            assert done.code == 1 and names(home) == ["alive"]
        finally:
            kill(child)


@pytest.mark.parametrize("lock", ["engine.lock", "engine.starting"])
def test_a_run_that_an_engine_begins_to_work_on_is_not_moved(home: Path, lock: str) -> None:
    make(home, "a")
    with file_lock(home / "a" / lock, wait=1), pytest.raises(TrashError, match="an engine works on"):
        discard(home, ["a"])
    assert names(home) == ["a"] and trashed(home) == []


@pytest.mark.parametrize("name", ["..", ".", "", ".trash", "../x", "/etc", "a/../../x"])
def test_a_name_is_a_name(home: Path, name: str) -> None:
    make(home, "a")
    (home.parent / "x").mkdir()
    assert shell("runs", "prune", name, "--yes").code == 1
    assert names(home) == ["a"] and (home.parent / "x").is_dir()


def test_links_are_never_followed(home: Path, tmp_path: Path) -> None:
    outside = make(tmp_path, "outside")
    (home / "link").symlink_to(outside)
    done = shell("runs", "prune", "link", "--yes")
    assert done.code == 1 and "is a link" in done.err and (home / "link").is_symlink()
    inner = make(home, "a")
    (inner / "checkpoints/away").symlink_to(outside)
    assert disk_use(inner) < disk_use(outside) + disk_use(inner)
    assert shell("runs", "prune", "a", "--yes").code == 0
    assert shell("runs", "prune", "--empty-trash", "--yes").code == 0
    assert (outside / "run.db").is_file()


def test_a_trash_that_is_a_link_is_refused(home: Path, tmp_path: Path) -> None:
    make(home, "a")
    (tmp_path / "elsewhere").mkdir()
    (home / TRASH).symlink_to(tmp_path / "elsewhere")
    assert shell("runs", "prune", "a", "--yes").code == 1
    assert names(home) == ["a"] and names(tmp_path / "elsewhere") == []


def test_a_repository_outside_stays_and_one_that_another_run_works_on_is_kept(home: Path, tmp_path: Path) -> None:
    make(home, "a", repo=tmp_path / "skills")
    (tmp_path / "skills/x.md").write_text("kept")
    assert shell("runs", "prune", "a", "--yes").code == 0
    assert shell("runs", "prune", "--empty-trash", "--yes").code == 0
    assert (tmp_path / "skills/x.md").read_text() == "kept"
    make(home, "owner")
    make(home, "guest", repo=home / "owner/repo")
    done = shell("runs", "prune", "owner", "--yes")
    assert done.code == 1 and "the skill repository of the run guest" in done.err


def test_what_is_no_run_is_left(home: Path) -> None:
    (home / "notes").mkdir()
    (home / "notes/diary.txt").write_text("dear")
    done = shell("runs", "prune", "notes", "--yes")
    assert done.code == 1 and "is not a run" in done.err and (home / "notes/diary.txt").is_file()


def test_a_damaged_run_goes_by_its_name_and_by_no_option(home: Path) -> None:
    make(home, "bad")
    (home / "bad/run.db").write_bytes(b"no database")
    assert shell("runs", "prune", "--older", "0h", "--yes").code == 1
    assert "cannot be read" in shell("runs", "--size").out
    assert shell("runs", "prune", "bad", "--yes").code == 0 and names(home) == []


def test_nothing_is_moved_where_one_of_several_cannot_be(home: Path) -> None:
    make(home, "a")
    assert shell("runs", "prune", "a", "absent", "--yes").code == 1
    assert names(home) == ["a"]


def test_restoring_never_replaces_and_gives_the_newest(home: Path) -> None:
    for text in ("first", "second"):
        (make(home, "a") / "logs/which").write_text(text)
        discard(home, ["a"])
    make(home, "a")
    with pytest.raises(TrashError, match="exists"):
        restore(home, "a")
    discard(home, ["a"])
    restore(home, "a")
    discard(home, ["a"])
    assert len(trashed(home)) == 3
    assert empty(home) > 0 and trashed(home) == [] and names(home / TRASH) == []


@pytest.fixture
def read_only(home: Path) -> Iterator[Path]:
    make(home, "a")
    home.chmod(0o555)
    yield home
    home.chmod(0o755)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_a_sentence(read_only: Path) -> None:
    done = shell("runs", "prune", "a", "--yes")
    assert done.code == 1 and "cannot make" in done.err


def test_a_run_is_moved_together_with_the_run_whose_repository_it_has(home: Path) -> None:
    host = make(home, "host")
    make(home, "guest", repo=host / "repo")
    alone = shell("runs", "prune", "--yes", "host")
    assert alone.code == 1 and "host has the skill repository of the run guest" in alone.err
    assert shell("runs", "prune", "--yes", "host", "guest").code == 0 and names(home) == []


def test_names_and_choices_are_not_mixed_and_names_are_checked_before_the_question(home: Path) -> None:
    make(home, "a", "failed")
    mixed = shell("runs", "prune", "--yes", "a", "--state", "finished")
    assert mixed.code == 2 and "not both" in mixed.err
    unknown = shell("runs", "prune", "nosuch")
    assert unknown.code == 1 and "there is no run 'nosuch'" in unknown.err
    url = shell("runs", "prune", "--yes", "https://ann:tok3n@host/x")
    assert url.code == 1 and "tok3n" not in url.err and "Traceback" not in url.err
    assert names(home) == ["a"]


def test_the_way_back_is_a_command_of_the_shell(home: Path) -> None:
    make(home, "odd name's $HOME")
    done = shell("runs", "prune", "--yes", "odd name's $HOME")
    command = next(line for line in done.out.splitlines() if "to undo it" in line).partition(": ")[2]
    assert shlex.split(command)[1:] == ["runs", "restore", "odd name's $HOME"]


def test_what_a_kill_left_of_a_deleted_run_is_not_restored(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(home, "a")
    discard(home, ["a"])

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("engine.runs.trash.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            empty(home)
    with pytest.raises(TrashError, match="there is no run 'a' in the trash"):
        restore(home, "a")
    assert empty(home) > 0 and trashed(home) == []
