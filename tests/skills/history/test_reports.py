"""What a write reports is what is true, whichever call of the system fails: the commit is made, or nothing was done."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pygit2
import pytest

from engine.core.beneath import Beneath
from engine.skills import Conflict, Delete, History, HistoryError, Insert, Update
from engine.skills.history.errors import Uncertain
from engine.skills.history.store import MARKER, Store
from tests.skills.folders import MUGS, NEW_MUGS, files, git, put
from tests.skills.history.edits import edit
from tests.skills.processes import before_operation, in_child

DONE, NOTHING = 10, 11
PUT = {"mugs": {"mugs/SKILL.md": (NEW_MUGS.encode(), False), "mugs/scripts/new.sh": (b"ls -l\n", True)}}


def rename(history: History) -> str | None:
    renamed = edit(history.path, Update("mugs", "glasses", NEW_MUGS.replace("mugs", "glasses")))
    return history.commit(renamed, message="edit", trailers={})


def revert(history: History) -> str | None:
    return history.revert(history.head, trailers={})


def restore(history: History) -> str | None:
    return history.restore(history.log()[-1].id, trailers={})


def put_skills(history: History) -> str | None:
    return history.put(PUT, message="put", trailers={}, replace={"mugs"})


WORKS = (rename, revert, restore, put_skills)


@pytest.fixture
def prepared(root: Path) -> Path:
    history = History.open(root)
    (root / "notes.bin").unlink()
    history.record()
    history.commit(edit(root, Delete("cups")), message="edit", trailers={})
    return root


def points(prepared: Path, work: Callable[[History], object], onwards: bool, every: int) -> Iterator[tuple[Path, int]]:
    """A new folder after `work` in which one disk operation failed (`onwards`: and all after it), for `every` so many.

    With it comes what was reported.
    """
    for number in range(1, 200, every):
        root = prepared.parent / f"r{number}"
        shutil.copytree(prepared, root, symlinks=True)

        def report(root: Path = root, number: int = number) -> None:
            history, failed = History.open(root), []

            def fail() -> None:
                failed.append(number)
                raise OSError(errno.EIO, "injected")

            before_operation(number, fail, onwards=onwards)
            try:
                work(history)
            except HistoryError as error:
                os._exit(NOTHING if "injected" in str(error) else 1)
            os._exit(DONE if failed else 0)

        status = in_child(report)
        if status == 0:
            assert number > 10, "the work hardly touched the disk"
            return
        yield root, status
        shutil.rmtree(root)


@pytest.mark.parametrize(
    ("work", "onwards", "every"),
    [
        (revert, False, 2),
        (restore, True, 3),
        (put_skills, False, 3),
        *(pytest.param(work, onwards, 1, marks=pytest.mark.slow) for work in WORKS for onwards in (False, True)),
    ],
)
def test_an_error_in_any_disk_operation_is_reported_as_it_is(
    prepared: Path, work: Callable[[History], object], onwards: bool, every: int
) -> None:
    reports = []
    head = History.open(prepared).head
    plates = edit(prepared, Insert("plates", MUGS.replace("mugs", "plates")))
    for root, status in points(prepared, work, onwards, every):
        reports.append(status)
        found = pygit2.Repository(str(root)).head.target
        assert (str(found) != head) == (status == DONE)
        if status == NOTHING:
            assert {path: data for path, data in files(root).items() if ".skillos-" not in path} == files(prepared)
        History.open(root).commit(plates, message="later", trailers={})
        git(root, "reset", "-q")  # as the warning of an index that could not be written says
        assert git(root, "status", "--short") == "" and not list(root.rglob(".skillos-*"))
        assert git(root, "rev-parse", "HEAD~1").strip() == str(found)
    assert DONE in reports and NOTHING in reports


def test_it_is_said_when_it_cannot_be_known_whether_a_commit_was_made(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History.open(root)

    def fail(store: Store, path: str, data: bytes) -> None:
        put(root, ".git/refs/heads/main", "not a commit")
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(Store, "_replacing", fail)
    with pytest.raises(Uncertain, match=r"it is not known whether .* was made .*the disk is broken.*`log`"):
        history.commit(edit(root, Delete("cups")), message="edit", trailers={})


def test_a_marker_that_is_left_blocks_nothing_and_undoes_nothing(root: Path) -> None:
    history = History.open(root)
    done = history.commit(edit(root, Update("mugs", None, NEW_MUGS)), message="edit", trailers={})
    for content in (done, "", done[:20], "0" * 40, "no commit at all, \xff", f"{done}\n"):
        put(root, f".git/{MARKER}", content.encode("latin-1"))
        assert History.open(root).head == done
        assert (root / "mugs/SKILL.md").read_text() == NEW_MUGS
    put(root, f".git/{MARKER}", done)
    undone = History.open(root).revert(done, trailers={})
    put(root, f".git/{MARKER}", done)  # the commit is in the branch, and a later one undid it
    assert History.open(root).head == undone
    assert (root / "mugs/SKILL.md").read_text() == MUGS
    assert not (root / ".git" / MARKER).exists()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(
    "call", ["unlinkat:error=EPERM:when=2+", "fsync:error=EIO:when=1", "renameat:error=EIO:when=4"]
)
def test_an_error_of_the_system_around_the_moment_of_the_commit(prepared: Path, call: str) -> None:
    """The removal of the marker, the sync of a staged file, the new index."""
    code = (
        "import sys\nfrom engine.skills import *\nroot = sys.argv[1]\nhistory = History.open(root)\n"
        "update = Update('mugs', None, sys.argv[2]).apply(SkillRepo.open(root))\n"
        "try: print(history.commit(update, message='edit', trailers={}), history.warning)\n"
        "except HistoryError as error: print('nothing', error)\n"
    )
    before = History.open(prepared).head
    strace = ["strace", "-qq", "-o", "/dev/null", "-e", f"inject={call}", "-e", f"trace={call.partition(':')[0]}"]
    run = [*strace, sys.executable, "-B", "-c", code, str(prepared), NEW_MUGS]
    done = subprocess.run(run, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    if "ptrace" in done.stderr:
        pytest.skip(done.stderr)
    said = done.stdout.split()[0]
    assert done.stderr == ""
    history = History.open(prepared)
    assert history.head == (before if said == "nothing" else said)
    assert (prepared / "mugs/SKILL.md").read_text() == (MUGS if said == "nothing" else NEW_MUGS)
    assert history.commit(edit(prepared, Delete("mugs")), message="edit", trailers={})


# Other processes


def test_a_file_that_another_process_writes_during_a_commit_is_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History.open(root)
    head, move = history.head, Store.point_to

    def slow(store: Store, new: pygit2.Oid, old: pygit2.Oid | None) -> None:
        move(store, new, old)
        put(root, "mugs/scripts/look.sh", "by another process")

    renamed = edit(root, Update("mugs", "glasses", NEW_MUGS.replace("mugs", "glasses")))
    monkeypatch.setattr(Store, "point_to", slow)
    with pytest.raises(HistoryError, match=r"another process changed mugs/scripts/look\.sh meanwhile"):
        history.commit(renamed, message="edit", trailers={})
    monkeypatch.undo()
    assert history.head == head
    assert (root / "mugs/scripts/look.sh").read_text() == "by another process"
    assert (root / "mugs/SKILL.md").read_text() == MUGS and not (root / "glasses").exists()
    assert not list(root.rglob(".skillos-*"))


def test_a_file_that_changes_while_it_is_read_is_not_stored_under_a_wrong_name(root: Path) -> None:
    class Changing(io.FileIO):
        def seek(self, offset: int, whence: int = 0, /) -> int:
            put(root, "notes.bin", os.urandom(9))
            return super().seek(offset, whence)

    History.open(root)
    before = sorted((root / ".git/objects").rglob("*"))
    with Beneath(root / ".git") as directory, Changing(root / "notes.bin") as file:
        store = Store(pygit2.Repository(str(root)), directory)
        with pytest.raises(OSError, match="changed while it was read"):
            store.blob_of(file)  # type: ignore[arg-type]
    assert [path for path in sorted((root / ".git/objects").rglob("*")) if path.is_file()] == [
        path for path in before if path.is_file()
    ]


def test_whole_skills_are_not_written_over_others(root: Path) -> None:
    history = History.open(root)
    before = files(root)
    for name in ("mugs", "cups"):
        with pytest.raises(Conflict, match=f"{name} exists already"):
            history.put({name: {f"{name}/SKILL.md": (b"x", False)}}, message="put", trailers={})
    assert (files(root), len(history.log())) == (before, 1)


def test_a_merge_is_not_undone(root: Path) -> None:
    history = History.open(root)
    git(root, "checkout", "-q", "-b", "side")
    git(root, "commit", "-q", "--allow-empty", "-m", "side")
    git(root, "checkout", "-q", "main")
    git(root, "merge", "-q", "--no-ff", "-m", "merge", "side")
    with pytest.raises(HistoryError, match="is a merge and cannot be undone"):
        history.revert(history.head, trailers={})


def test_a_crash_before_the_branch_moved_leaves_the_staged_files_to_be_removed(root: Path) -> None:
    history = History.open(root)
    first = history.head
    done = history.commit(edit(root, Update("mugs", None, NEW_MUGS)), message="edit", trailers={})
    git(root, "reset", "-q", "--hard", first)
    put(root, f".git/{MARKER}", done)
    put(root, "mugs/.skillos-SKILL.md.tmp", NEW_MUGS)
    assert History.open(root).head == first
    assert files(root)["mugs/SKILL.md"] == MUGS.encode() and not list(root.rglob(".skillos-*"))
    History.open(root).restore(done, trailers={})
    assert files(root)["mugs/SKILL.md"] == NEW_MUGS.encode()


def test_a_file_of_git_whose_name_is_not_utf8_is_kept_and_restored(root: Path) -> None:
    first = History.open(root).head
    odd = root / os.fsdecode(b"caf\xe9.txt")
    odd.write_text("odd")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "odd")
    with_odd = git(root, "rev-parse", "HEAD").strip()
    history = History.open(root)
    assert history.record() is None
    assert history.restore(first, trailers={}) and not odd.exists()
    assert history.restore(with_odd, trailers={}) and odd.read_text() == "odd"
    assert (history.warning, git(root, "status", "--short")) == ("", "")
