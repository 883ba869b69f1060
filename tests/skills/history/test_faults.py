"""The history under failures: kills at any point, a full disk, missing permissions, two writers at once."""

from __future__ import annotations

import os
import random
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import engine.skills.history.history
from engine.core.locks import file_lock
from engine.skills import Delete, Edit, History, HistoryError, Insert, Operation, Skill, SkillRepo, Update
from engine.skills.exchange import ExchangeError, read_git
from engine.skills.history.errors import translate_errors
from tests.skills.folders import MUGS, NEW_MUGS, files, git, put
from tests.skills.history.edits import messages
from tests.skills.processes import in_child, killed_at, start, status_of, without_rights

assert engine.skills.history.history  # loaded here, because a child without rights may not be able to


def edit(root: Path, operation: Operation) -> Edit:
    return operation.apply(SkillRepo.open(root))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "skills"
    put(folder, "mugs/SKILL.md", MUGS)
    put(folder, "mugs/scripts/look.sh", "ls\n")
    put(folder, "cups.md", MUGS.replace("mugs", "cups"))
    return folder


# Damage


def test_a_repository_that_lacks_an_object_is_an_error_that_names_it(root: Path) -> None:
    history = History.open(root)
    history.commit(edit(root, Update("mugs", None, NEW_MUGS)), message="", trailers={})
    asked: list[Callable[[History], object]] = [
        lambda history: history.log(skill="mugs"),
        History.growth,
        lambda history: [history.show(commit.id) for commit in history.log()],
        lambda history: [history.diff(commit.id) for commit in history.log()],
        lambda history: history.blame("mugs"),
        lambda history: read_git(history.path),
    ]
    for lost in list((root / ".git/objects").glob("??/*")):
        lost.rename(root.parent / "lost")
        errors = []
        for ask in asked:
            try:
                ask(History.open(root))
            except (HistoryError, ExchangeError) as error:
                errors.append(str(error))
        assert errors and all(str(root) in message for message in errors)
        (root.parent / "lost").rename(lost)


def test_a_programming_error_is_not_translated(root: Path) -> None:
    with pytest.raises(KeyError), translate_errors(root, "read the history"):
        raise KeyError("a name that our own code looked up")


# Crashes


EACH = pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
"""Every third disk operation; all of them in the slow tests."""


def points(work: Callable[[Path], None], fresh: Callable[[], Path], every: int) -> Iterator[Path]:
    """A new folder after `work` was killed on it, once for `every` so many disk operations."""
    number = 1
    while True:
        root = fresh()
        if not killed_at(number, lambda root=root: work(root)):  # type: ignore[misc]
            break
        yield root
        number += every
    assert number > 5, "the work hardly touched the disk"


def assert_at_a_commit(root: Path) -> None:
    """The folder equals the newest commit, and nothing else is left in it."""
    History.open(root)
    assert not list(root.rglob(".skillos-*"))
    assert git(root, "status", "--short") == ""


def assert_sound(root: Path) -> None:
    """As `assert_at_a_commit`, and `git fsck` finds no error."""
    assert_at_a_commit(root)
    assert git(root, "fsck", "--strict", "--no-dangling") == ""


@EACH
@pytest.mark.parametrize(
    "operation",
    [
        Insert("plates", MUGS.replace("mugs", "plates")),
        Update("mugs", None, NEW_MUGS),
        Update("mugs", "glasses"),
        Delete("mugs"),
    ],
)
def test_a_kill_anywhere_in_a_commit_leaves_one_commit_or_the_other(
    tmp_path: Path, operation: Operation, every: int
) -> None:
    number = 0

    def fresh() -> Path:
        nonlocal number
        number += 1
        root = tmp_path / f"r{number}"
        put(root, "mugs/SKILL.md", MUGS)
        put(root, "mugs/scripts/look.sh", "ls\n")
        History.open(root)
        return root

    def work(root: Path) -> None:
        History.open(root).commit(edit(root, operation), message="edit", trailers={"Edit": "e1"})

    origin, whole = fresh(), fresh()
    work(whole)
    for root in points(work, fresh, every):
        assert_at_a_commit(root)
        if History.open(root).find("Edit", "e1") is None:
            assert files(root) == files(origin)
            work(root)
        assert files(root) == files(whole)
        assert_sound(root)
        assert messages(root) == ["edit", "Begin the history with what is here"]


@EACH
@pytest.mark.parametrize("back", ["revert", "restore"])
def test_a_kill_anywhere_in_an_undo_or_a_restore_leaves_one_commit_or_the_other(
    tmp_path: Path, back: str, every: int
) -> None:
    number = 0

    def fresh() -> Path:
        nonlocal number
        number += 1
        root = tmp_path / f"r{number}"
        put(root, "mugs/SKILL.md", MUGS)
        put(root, "cups.md", MUGS.replace("mugs", "cups"))
        for operation in (Update("mugs", "glasses"), Delete("cups")):
            History.open(root).commit(edit(root, operation), message=operation.kind, trailers={})
        return root

    def work(root: Path) -> None:
        history = History.open(root)
        if back == "revert":
            history.revert(history.log()[1].id, trailers={"Edit": "back"})
        else:
            history.restore(history.log()[2].id, trailers={"Edit": "back"})

    origin, whole = fresh(), fresh()
    work(whole)
    for root in points(work, fresh, every):
        assert_at_a_commit(root)
        if History.open(root).find("Edit", "back") is None:
            assert files(root) == files(origin)
            work(root)
        assert files(root) == files(whole)
        assert_sound(root)
        assert len(messages(root)) == 4


@pytest.mark.slow
def test_a_kill_from_outside_at_any_moment_leaves_one_commit_or_the_other(tmp_path: Path) -> None:
    """Unlike the other tests, this one also kills inside libgit2: at random moments, about 0.1 ms apart."""
    dice, struck = random.Random(0), 0
    texts = [MUGS, NEW_MUGS]
    root = tmp_path / "skills"
    put(root, "mugs/SKILL.md", MUGS)
    put(root, "mugs/scripts/look.sh", "ls\n")
    History.open(root)
    for number in range(600):
        before = (root / "mugs/SKILL.md").read_text()
        operation = Update("mugs", None, texts[before == MUGS])
        change = edit(root, operation)

        def work(change: Edit = change, number: int = number) -> None:
            History.open(root).commit(change, message="edit", trailers={"Edit": f"e{number}"})

        child = start(work)
        time.sleep(dice.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        struck += status_of(child) != 0
        done = History.open(root).find("Edit", f"e{number}") is not None
        assert (root / "mugs/SKILL.md").read_text() == (operation.new_content if done else before)
        assert git(root, "status", "--short") == ""
    assert struck > 100
    assert_sound(root)


@EACH
def test_a_folder_can_be_opened_again_after_a_kill_anywhere_in_the_first_open(tmp_path: Path, every: int) -> None:
    number = 0

    def fresh() -> Path:
        nonlocal number
        number += 1
        put(tmp_path / f"r{number}", "mugs/SKILL.md", MUGS)
        return tmp_path / f"r{number}"

    def work(root: Path) -> None:
        History.open(root)

    for root in points(work, fresh, every):
        assert_sound(root)
        assert files(root) == {"mugs/SKILL.md": MUGS.encode()}
        assert len(messages(root)) == 1


def test_locks_of_a_killed_libgit2_are_removed(root: Path) -> None:
    history = History.open(root)
    put(root, ".git/skillos-pending", history.head)
    put(root, ".git/index.lock", "")
    put(root, ".git/refs/heads/main.lock", "")
    History.open(root).commit(edit(root, Delete("cups")), message="edit", trailers={})
    assert_sound(root)


def test_nothing_is_written_while_git_holds_the_index_lock(root: Path) -> None:
    history = History.open(root)
    put(root, ".git/index.lock", "")
    with pytest.raises(HistoryError, match=r"git is at work .*index\.lock"):
        history.commit(edit(root, Delete("cups")), message="edit", trailers={})
    assert (root / "cups.md").exists()


def test_a_file_changed_after_a_crash_is_kept(root: Path) -> None:
    update = edit(root, Update("mugs", None, NEW_MUGS))
    done = History.open(root).commit(update, message="edit", trailers={})
    put(root, "mugs/SKILL.md", "by hand, after the crash")
    put(root, ".git/skillos-pending", done)
    History.open(root)
    assert (root / "mugs/SKILL.md").read_text() == "by hand, after the crash"


# Errors of the system


@pytest.mark.parametrize("limit", [10, 150, 1_000, 5_000])
def test_a_full_disk_changes_nothing_and_the_message_says_what_to_do(root: Path, limit: int) -> None:
    """Simulates a full disk: no file can grow beyond `limit` bytes, so objects, staged files or the index fail."""
    History.open(root)
    before, first = files(root), messages(root)
    big = Skill.make("big", "Use.", "".join(f"{n} {n * 7919 % 1013}\n" for n in range(6_000))).text
    inserted = edit(root, Insert("big", big))

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with pytest.raises(HistoryError, match=r"cannot commit the edit of 'big'.*(free some space|try again)"):
            History.open(root).commit(inserted, message="edit", trailers={})

    assert in_child(work) == 0
    assert files(root) == before
    assert messages(root) == first
    History.open(root).commit(inserted, message="edit", trailers={})
    assert_sound(root)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder of a user without rights; pytest's own folders can be read by their owner only."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "skills"
        put(folder, "mugs/SKILL.md", MUGS)
        put(folder, "cups.md", MUGS.replace("mugs", "cups"))
        if os.geteuid() == 0:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, 65534, 65534)
        yield folder
        for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
            path.chmod(0o755)


def test_without_permission_nothing_changes_and_the_message_says_where(shared: Path) -> None:
    def closed_from_the_start() -> None:
        shared.chmod(0o555)
        with pytest.raises(HistoryError, match=f"cannot open the history.*{shared}.*permission"):
            History.open(shared)
        shared.chmod(0o755)

    def closed_later() -> None:
        history = History.open(shared)
        update = edit(shared, Update("mugs", None, NEW_MUGS))
        (shared / "mugs").chmod(0o555)
        with pytest.raises(HistoryError, match=r"cannot commit the edit of 'mugs'.*Permission denied.*permission"):
            history.commit(update, message="edit", trailers={})
        (shared / "mugs").chmod(0o755)
        assert (shared / "mugs/SKILL.md").read_text() == MUGS
        assert messages(shared) == ["Begin the history with what is here"]
        history.commit(update, message="edit", trailers={})

    def closed_in_part() -> None:
        """The script cannot be moved out of its folder, and the error occurs after the branch has moved."""
        put(shared, "plates/SKILL.md", MUGS.replace("mugs", "plates"))
        put(shared, "plates/scripts/look.sh", "ls")
        history = History.open(shared)
        assert history.record() is not None
        before, head = files(shared), history.head
        rename, drop = edit(shared, Update("plates", "bowls")), edit(shared, Delete("plates"))
        (shared / "plates/scripts").chmod(0o555)
        for refused in (rename, drop):
            with pytest.raises(HistoryError, match="Permission denied"):
                history.commit(refused, message="edit", trailers={})
            assert (files(shared), history.head) == (before, head)
        (shared / "plates/scripts").chmod(0o755)
        history.commit(rename, message="edit", trailers={})

    def unreadable() -> None:
        (shared / "cups.md").chmod(0)
        assert [finding.rule for finding in SkillRepo.open(shared)["cups"].findings] == ["unreadable"]
        assert History.open(shared).record() is None
        with pytest.raises(HistoryError, match="Permission denied"):
            History.open(shared).commit(edit(shared, Delete("cups")), message="edit", trailers={})

    assert without_rights(closed_from_the_start) == 0
    assert without_rights(closed_later) == 0
    assert without_rights(closed_in_part) == 0
    assert without_rights(unreadable) == 0


# Two writers


def test_the_wait_for_another_writer_is_bounded(root: Path) -> None:
    history = History.open(root, wait=0.1)
    with (
        file_lock(root / ".git/skillos.lock", wait=1),
        pytest.raises(
            HistoryError, match=rf"process {os.getpid()} \(.*\) writes to .* within 0\.1 s; wait for it or stop"
        ),
    ):
        history.commit(edit(root, Delete("cups")), message="edit", trailers={})
    assert len(history.log()) == 1
    history.commit(edit(root, Delete("cups")), message="edit", trailers={})


def test_a_kill_releases_the_lock(root: Path) -> None:
    history = History.open(root, wait=0)

    def hold() -> None:
        with file_lock(root / ".git/skillos.lock", wait=1):
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(hold) == -signal.SIGKILL
    history.commit(edit(root, Delete("cups")), message="edit", trailers={})


def test_two_processes_commit_all_their_edits_one_after_the_other(root: Path) -> None:
    def write(who: str) -> None:
        for number in range(8):
            name = f"{who}-{number}"
            insert = Insert(name, MUGS.replace("mugs", name)).apply(SkillRepo.empty())
            History.open(root).commit(insert, message=name, trailers={"Proposer": who})

    children = [start(lambda who=who: write(who)) for who in ("ann", "bob")]  # type: ignore[misc]
    assert [status_of(child) for child in children] == [0, 0]
    assert_sound(root)
    written = messages(root)[:-1]
    assert sorted(written) == sorted(f"{who}-{number}" for who in ("ann", "bob") for number in range(8))
    for who in ("ann", "bob"):
        assert [name for name in written if name.startswith(who)] == [
            f"{who}-{number}" for number in reversed(range(8))
        ]
    assert len(SkillRepo.open(root)) == 18


def test_a_history_below_a_folder_that_was_deleted_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="No such file"):
        History.open(tmp_path / "run" / "repo", parents=False)
    assert not (tmp_path / "run").exists()
    History.open(tmp_path / "repo", parents=False)
    assert (tmp_path / "repo").is_dir()
