"""Reading a run needs no right to write: another user's run, an archived run, a read-only mount, a full disk."""

from __future__ import annotations

import codecs
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from engine.core.events import Notice, RunStarted, StateChanged
from engine.review import decisions
from engine.runs.commands import Pause
from engine.runs.directory import Run
from engine.runs.errors import ReadOnlyRun, RunError
from engine.runs.status import status
from engine.runs.supervisor import find_runs
from tests.runs.conftest import NOBODY, root_only
from tests.runs.old import unpack
from tests.runs.samples import CONFIG, proposed, step_ended, turn

ROOT = Path(__file__).parents[2]


@contextmanager
def nobody() -> Iterator[None]:
    """Be a user who owns nothing; only root can become one. What Python loads late may not be readable then."""
    codecs.lookup("ascii")
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of runs that others may enter, which pytest's own folders are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def theirs(folder: Path) -> Iterator[Run]:
    """A run of this user with some events, open and so with a -wal, that others may only read."""
    with Run.create(folder / "theirs", kind="train", config_text=CONFIG) as run:
        run.append(RunStarted("train", "pocket", 3, 1), step_ended(1), proposed("e1"))
        for path in (run.path, *run.path.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield run


def shell(*arguments: object) -> tuple[int, str, str]:
    """`skillos-engine` as a user who owns nothing, and who may not read Python's files, so they are loaded before."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    code = (
        "import os, sys, encodings.ascii, encodings.idna, pwd\n"
        "import engine.review.decisions, engine.review.diff, engine.runs.repair\n"
        "from engine.jobs.registry import JOBS; [JOBS.load(name) for name in JOBS.shipped]\n"
        "from engine.cli import main; from engine.cli.program import parser; parser()\n"
        "from engine.config import default_config; default_config()\n"
        f"os.setgid({NOBODY}); os.setuid({NOBODY}); sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_the_run_of_another_user_is_read_while_that_user_writes_it(theirs: Run) -> None:
    with nobody(), Run.open(theirs.path) as run:
        assert "belongs to root" in run.read_only
        seen = run.data_version()
        assert run.last_id() == 3 and [step.step for step in run.steps()] == [1]
        os.seteuid(0)
        theirs.append(turn(1), step_ended(2))
        os.seteuid(NOBODY)
        assert run.data_version() != seen
        assert run.last_id() == 5 and status(run).pending_reviews == 1


def test_a_run_that_begins_to_be_written_after_it_was_opened_is_read_as_it_is(theirs: Run) -> None:
    theirs.close()
    assert not (theirs.path / "run.db-wal").exists()
    with nobody(), Run.open(theirs.path) as run:
        assert run.last_id() == 3
        for count in (4, 5, 6):
            os.seteuid(0)
            version = run.data_version()
            theirs.append(turn(count))
            if count == 5:
                theirs.close()  # the -wal goes, and the file has what was in it
            os.seteuid(NOBODY)
            assert run.data_version() != version and run.last_id() == count


def test_an_archived_run_is_read_and_stays_as_it_is(theirs: Run) -> None:
    theirs.close()
    for path in (*theirs.path.rglob("*"), theirs.path):
        path.chmod(path.stat().st_mode & 0o555)
    before = sorted(path.name for path in theirs.path.iterdir())
    with nobody(), Run.open(theirs.path) as run:
        assert run.last_id() == 3 and status(run).state == "interrupted"
    assert sorted(path.name for path in theirs.path.iterdir()) == before


@pytest.mark.parametrize("shm", [True, False])
def test_what_is_only_in_a_leftover_wal_is_read(folder: Path, shm: bool) -> None:
    """As a killed engine leaves it, archived with its -shm file or without."""
    with Run.create(folder / "live", kind="train", config_text=CONFIG) as run:
        run.append(turn(1), turn(2))
        shutil.copytree(run.path, folder / "kept")
    if not shm:
        (folder / "kept" / "run.db-shm").unlink()
    for path in (*(folder / "kept").rglob("*"), folder / "kept"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.read_bytes() for path in (folder / "kept").iterdir() if path.is_file()}
    with nobody(), Run.open(folder / "kept") as run:
        assert run.last_id() == 2 and run.db.copied is not shm
    assert {path: path.read_bytes() for path in (folder / "kept").iterdir() if path.is_file()} == before


def test_a_private_copy_is_removed_at_the_end_and_said_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = unpack("train", folder)
    for path in (*run.rglob("*"), run):
        path.chmod(0o555 if path.is_dir() else 0o444)
    code, out, err = shell("status", run)
    assert code == 0 and "finished, 2 of 2" in out, err
    assert err.count("private copy") == 1 and "write" in err
    assert not list(Path("/tmp").glob("skillos-copy-*"))


def test_an_old_run_that_cannot_be_migrated_is_read_as_a_migrated_copy(folder: Path) -> None:
    path = unpack("curate", folder)
    before = (path / "run.db").read_bytes()
    for item in (*path.rglob("*"), path):
        item.chmod(0o555 if item.is_dir() else 0o444)
    with nobody(), Run.open(path) as run:
        assert run.db.copied and len(run.edits()) == 7
        with pytest.raises(ReadOnlyRun):
            run.append(turn(1))
    assert (path / "run.db").read_bytes() == before


def test_every_way_to_write_is_refused_with_one_sentence(theirs: Run) -> None:
    with nobody(), Run.open(theirs.path) as run:
        for write in (
            lambda: run.append(turn(1)),
            lambda: run.send(Pause(), "ann"),
            lambda: run.writer(),
            lambda: run.lock(),
            lambda: decisions.approve(run, "e1", "ann"),
            lambda: decisions.veto(run, "e1", "ann"),
            lambda: decisions.amend(run, "e1", "ann", "text"),
            lambda: decisions.undo(run, "e1", "ann"),
            lambda: decisions.requeue(run, "e1", "ann"),
        ):
            with pytest.raises(ReadOnlyRun, match=r"can only be read: .* belongs to root; nothing was changed$"):
                write()
    assert theirs.last_id() == 3


def test_the_commands_read_a_run_of_another_user_and_refuse_the_rest(theirs: Run) -> None:
    for command in (["status"], ["events"], ["status", "--json"]):
        code, out, err = shell(command[0], theirs.path, *command[1:])
        assert (code, err) == (0, "") and out
    for action in (["list"], ["show", "e1"]):
        assert shell("review", theirs.path, *action)[0] == 0
    for command in (["review", "approve", "e1"], ["review", "veto", "e1"], ["resume"], ["repair"]):
        code, out, err = shell(command[0], theirs.path, *command[1:])
        assert (code, out) == (1, "") and "Traceback" not in err, err
        assert "can only be read" in err and err.count("\n") == 1


def test_what_may_not_even_be_read_says_so(theirs: Run) -> None:
    theirs.close()
    (theirs.path / "run.db").chmod(0o600)
    with nobody(), pytest.raises(RunError, match=r"no permission to read .*run\.db, which belongs to root"):
        Run.open(theirs.path)
    theirs.path.chmod(0o700)
    with nobody(), pytest.raises(RunError, match=r"cannot look into .*theirs: Permission denied"):
        Run.open(theirs.path)


def test_a_folder_that_may_be_entered_and_not_listed_is_read(theirs: Run) -> None:
    theirs.path.chmod(0o711)
    with nobody(), Run.open(theirs.path) as run:
        assert run.last_id() == 3 and status(run).step == 1


def test_a_folder_that_cannot_be_entered_hides_no_other_run(theirs: Run) -> None:
    for name in ("closed", "open"):
        Run.create(theirs.path.parent / name, kind="train", config_text=CONFIG).close()
    (theirs.path.parent / "closed").chmod(0)
    (theirs.path.parent / "loop").symlink_to("loop")
    with nobody():
        found = {Path(each.path).name: each for each in find_runs(theirs.path.parent)}
    assert found["theirs"].status and found["open"].status
    assert "Permission denied" in found["closed"].problem


def test_a_run_on_a_full_disk_is_read(run: Run) -> None:
    """The kernel's limit on file size stands for the disk: SQLite cannot make the -shm file that it shares with writers."""
    run.append(Notice("info", "here"), StateChanged("stopped"))
    run.close()
    code = (
        "import resource, sys; from engine.runs.directory import Run; from engine.runs.errors import ReadOnlyRun\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "run = Run.open(sys.argv[1])\n"
        "print(run.last_id(), run.state().state)\n"
        "try: run.append(*run.events())\n"
        "except ReadOnlyRun as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, run.path], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.stdout.startswith("2 stopped"), done.stderr
    assert sqlite3.connect(run.path / "run.db").execute("SELECT count(*) FROM events").fetchone() == (2,)


@root_only
def test_a_run_on_a_full_disk_is_read_and_the_reason_is_that_the_disk_is_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=True)
    try:
        Run.create(disk / "run", kind="train", config_text=CONFIG).close()
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1024))
        with Run.open(disk / "run") as run:
            assert run.last_id() == 0
            with pytest.raises(ReadOnlyRun, match=r"its disk is full \(\d+ KiB are free\); free some space"):
                run.append(Notice("info", "x"))
    finally:
        subprocess.run(["umount", disk], check=True)
