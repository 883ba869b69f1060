"""The folders that can have a history (without git, with their own, inside a larger repository) and those that cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pygit2
import pytest

from engine.skills import Delete, History, HistoryError, SkillRepo, Update
from engine.skills.history.store import MARKER, Store
from tests.skills.folders import MUGS, NEW_MUGS, files, git, put
from tests.skills.history.edits import commit


def test_an_existing_repository_keeps_its_branch_its_commits_and_its_staged_files(root: Path) -> None:
    git(root, "init", "-q", "-b", "trunk")
    git(root, "add", "mugs")
    git(root, "commit", "-q", "-m", "mine")
    git(root, "add", "notes.bin")
    commit(root, Update("mugs", None, NEW_MUGS))
    assert git(root, "log", "--format=%s", "trunk") == "update\nmine\n"
    assert git(root, "status", "--short").splitlines() == ["A  notes.bin", "?? cups.md"]


def test_a_detached_head_follows_the_commits(root: Path) -> None:
    History.open(root)
    git(root, "checkout", "-q", "--detach")
    done = commit(root, Delete("cups"))
    assert History.open(root).head == done
    assert git(root, "rev-parse", "main").strip() != done


def test_ignored_files_are_not_committed_but_skills_are(root: Path) -> None:
    put(root, ".gitignore", "*.log\n*.md\n")
    put(root, "mugs/run.log", "log")
    history = History.open(root)
    paths = [change.path for change in history.show(history.head)]
    assert paths == [".gitignore", "cups.md", "mugs/SKILL.md", "mugs/scripts/look.sh", "notes.bin"]


def test_ignored_files_are_moved_deleted_and_restored_with_their_skill(root: Path) -> None:
    put(root, ".gitignore", "*.log\n")
    put(root, "mugs/run.log", "log")
    commit(root, Update("mugs", "plates"))
    assert not (root / "mugs").exists()
    assert files(root)["plates/run.log"] == b"log"
    gone = commit(root, Delete("plates"))
    assert not (root / "plates").exists()
    History.open(root).revert(gone, trailers={})
    assert files(root)["plates/run.log"] == b"log"


def test_links_pipes_odd_names_and_nested_repositories_are_handled(root: Path) -> None:
    (root / "link").symlink_to("/etc")
    os.mkfifo(root / "mugs" / "pipe")
    (root / os.fsdecode(b"caf\xe9")).write_text("odd")
    History.open(root / "inner")
    history = History.open(root)
    paths = [change.path for change in history.show(history.head)]
    assert "link" in paths and not any(path.startswith(("link/", "inner")) or "pipe" in path for path in paths)
    commit(root, Update("mugs", None, NEW_MUGS))
    assert (root / "link").is_symlink()


def test_git_and_a_home_folder_are_not_needed(root: Path) -> None:
    code = (
        "from engine.skills import *; import sys; r = sys.argv[1]; h = History.open(r)\n"
        "h.commit(Delete('cups').apply(SkillRepo.open(r)), message='m', trailers={}); print(len(h.log()), h.log()[0].author)"
    )
    environment = {"PATH": "", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path) or "."}
    here = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code, root], env=environment, cwd=here, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("2 SkillOS\n", "")


def test_a_git_folder_with_another_working_tree_is_refused(root: Path) -> None:
    History.open(root)
    put(root.parent, "elsewhere/kept.md", "mine")
    with (root / ".git/config").open("a") as config:
        config.write(f"[core]\n\tworktree = {root.parent / 'elsewhere'}\n")
    with pytest.raises(HistoryError, match="works on another folder"):
        History.open(root)
    (root / ".git/config").write_text("[core]\n\tbare = true\n\trepositoryformatversion = 0\n")
    with pytest.raises(HistoryError, match="works on another folder"):
        History.open(root)


def test_an_invalid_git_folder_is_an_error_that_names_the_path(root: Path) -> None:
    (root / ".git").mkdir()
    with pytest.raises(HistoryError, match=str(root)):
        History.open(root)
    with pytest.raises(HistoryError, match=r"not a directory|exists"):
        History.open(root / "notes.bin")


def test_no_hook_is_run(root: Path) -> None:
    git(root, "init", "-q", "-b", "main")
    for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction", "post-index-change"):
        put(root, f".git/hooks/{name}", f"#!/bin/sh\ntouch '{root.parent}/{name}-was-run'\n")
        (root / ".git/hooks" / name).chmod(0o755)
    commit(root, Update("mugs", None, NEW_MUGS))
    assert not list(root.parent.glob("*-was-run"))


def test_a_version_that_a_user_staged_stays_staged(root: Path) -> None:
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "mine")
    put(root, "mugs/SKILL.md", "staged")
    git(root, "add", "mugs/SKILL.md")
    git(root, "rm", "-q", "--cached", "cups.md")
    put(root, "mugs/SKILL.md", MUGS)
    commit(root, Update("mugs", None, NEW_MUGS))
    assert git(root, "show", ":mugs/SKILL.md") == "staged"
    assert (root / "mugs/SKILL.md").read_text() == NEW_MUGS
    assert git(root, "status", "--short").splitlines() == ["D  cups.md", "MM mugs/SKILL.md", "?? cups.md"]


def test_a_branch_without_commits_gets_its_first_commit(root: Path) -> None:
    git(root, "init", "-q", "-b", "trunk")
    commit(root, Delete("cups"))
    assert git(root, "log", "--format=%s", "trunk") == "delete\nBegin the history with what is here\n"


def test_existing_changes_nothing(root: Path) -> None:
    git(root, "init", "-q", "-b", "trunk")
    assert History.existing(root) is None
    assert git(root, "rev-list", "--all") == ""
    head = History.open(root).head
    put(root, f".git/{MARKER}", head)
    history = History.existing(root)
    assert history is not None and history.head == head
    assert (root / ".git" / MARKER).exists()
    commit(root, Delete("cups"))
    assert not (root / ".git" / MARKER).exists()


def test_a_shallow_clone_accepts_commits(root: Path) -> None:
    for operation in (Update("mugs", None, NEW_MUGS), Delete("cups")):
        commit(root, operation)
    git(root.parent, "clone", "-q", "--depth", "1", f"file://{root}", "shallow")
    shallow = root.parent / "shallow"
    done = commit(shallow, Delete("mugs"))
    history = History.open(shallow)
    assert [found.subject for found in history.log()] == ["delete", "delete"]
    assert history.revert(done, trailers={})
    assert all(line.commit == history.log()[-1] for line in history.blame("mugs"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["init", "-q", "--object-format=sha256"], "a SHA-256 repository, which libgit2 does not read"),
        (["config", "extensions.partialClone", "origin"], "a partial clone, which libgit2 does not read"),
        (["config", "extensions.refStorage", "reftable"], "an extension of git that libgit2 does not know"),
        (["sparse-checkout", "set", "mugs"], "a sparse checkout, whose absent files look deleted"),
    ],
)
def test_a_repository_that_libgit2_cannot_read_is_refused_with_the_reason(
    root: Path, options: list[str], why: str
) -> None:
    if options[0] != "init":
        git(root, "init", "-q", "-b", "main")
        git(root, "add", ".")
        git(root, "commit", "-q", "-m", "mine")
        git(root, "config", "core.repositoryFormatVersion", "1")
    git(root, *options)
    before = files(root)
    with pytest.raises(HistoryError, match=why) as error:
        History.open(root)
    assert str(root) in str(error.value)
    assert files(root) == before


def test_the_inside_of_a_repository_is_refused(root: Path) -> None:
    History.open(root)
    git(root.parent, "clone", "-q", "--bare", str(root), "bare.git")
    for inside in (root / ".git", root.parent / "bare.git"):
        with pytest.raises(HistoryError, match="the inside of a git repository"):
            History.open(inside)
        assert not (inside / ".git").exists()


def test_nothing_is_written_during_an_unfinished_merge(root: Path) -> None:
    update = Update("mugs", None, NEW_MUGS).apply(SkillRepo.open(root))
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "mine")
    git(root, "checkout", "-q", "-b", "side")
    git(root, "commit", "-q", "--allow-empty", "-m", "theirs")
    git(root, "checkout", "-q", "main")
    git(root, "merge", "-q", "--no-ff", "--no-commit", "side")
    with pytest.raises(HistoryError, match=r"a merge is under way in .*; finish it or abort it first"):
        History.open(root).commit(update, message="edit", trailers={})
    git(root, "merge", "--abort")
    assert History.open(root).commit(update, message="edit", trailers={})


def test_a_concurrent_commit_is_never_lost(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History.open(root)
    update = Update("mugs", None, NEW_MUGS).apply(SkillRepo.open(root))
    before = files(root)
    move = Store.point_to

    def slow(store: Store, new: pygit2.Oid, old: pygit2.Oid | None) -> None:
        git(root, "commit", "-q", "--allow-empty", "-m", "meanwhile")
        move(store, new, old)

    monkeypatch.setattr(Store, "point_to", slow)
    with pytest.raises(HistoryError, match="another process committed meanwhile"):
        history.commit(update, message="edit", trailers={})
    monkeypatch.undo()
    assert files(root) == before
    assert [found.subject for found in history.log()] == ["meanwhile", "Begin the history with what is here"]
    history.commit(update, message="edit", trailers={})
    assert history.log()[1].subject == "meanwhile"
