"""A history is read without the right to write, in the order of its commits and not of the clock, at any depth."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.skills import Delete, History, HistoryError, SkillRepo, Update
from engine.skills.exchange import read_git
from tests.skills.folders import MUGS, NEW_MUGS, files, git, put
from tests.skills.history.edits import commit
from tests.skills.processes import without_rights


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own folders can be read by their owner only."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("project", [False, True])
def test_the_history_of_another_user_is_read_without_the_right_to_write(shared: Path, project: bool) -> None:
    if project:
        git(shared, "init", "-q")
    root = shared / "skills"
    put(root, "mugs/SKILL.md", MUGS)
    done = commit(root, Update("mugs", None, NEW_MUGS), Run="r1", Step="1")
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = files(shared)

    def read() -> None:
        history = History.existing(root)
        assert history is not None
        assert history.log()[0].id == done
        assert "+Mugs are in the box." in history.diff(done)
        assert history.blame("mugs")[-1].commit is not None
        assert history.at(step=1).id == done
        with pytest.raises(HistoryError, match=r"cannot undo .*Permission denied \(.*skillos\.lock\); give"):
            history.revert(done, trailers={})

    assert without_rights(read) == 0
    assert files(shared) == before
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755)


def test_a_folder_without_a_history_is_read_without_one(shared: Path) -> None:
    put(shared, "skills/mugs/SKILL.md", MUGS)
    (shared / "skills").chmod(0o555)

    def read() -> None:
        assert History.existing(shared / "skills") is None
        assert list(SkillRepo.open(shared / "skills")) == ["mugs"]

    assert without_rights(read) == 0


def test_the_order_of_commits_does_not_depend_on_the_clock(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is set back between two steps, and a branch is merged whose commit has a time between theirs."""
    now = time.time()
    made = [History.open(root).head]
    for step, hours in enumerate((5, 3, 9, 1)):
        monkeypatch.setattr(time, "time", lambda hours=hours: now + 3600 * hours)
        text = MUGS.replace("safe", f"box {step}")
        made.append(commit(root, Update("mugs", None, text), Run="r1", Step=str(step)))
    monkeypatch.undo()
    history = History.open(root)
    assert [found.id for found in history.log()] == made[::-1]
    assert [history.at(step=step).id for step in range(4)] == made[1:]
    assert [found.id for found in history.log(skill="mugs")] == made[::-1]
    assert [found.id for found, _, _ in history.growth()] == made
    git(root, "checkout", "-q", "-b", "side", made[1])
    monkeypatch.setenv("GIT_COMMITTER_DATE", f"{int(now)} +0000")
    git(root, "commit", "-q", "--allow-empty", "-m", "side")
    git(root, "checkout", "-q", "main")
    git(root, "merge", "-q", "--no-ff", "-m", "merge", "side")
    merged = History.open(root)
    assert [found.id for found in merged.log() if found.id in made] == made[::-1]
    assert [merged.at(step=step).id for step in range(3)] == made[1:4]
    assert [read_git(root, step=step).origin[-12:] for step in range(3)] == [commit_id[:12] for commit_id in made[1:4]]


def test_a_skill_in_a_deeper_folder_has_a_history_like_any_other(tmp_path: Path) -> None:
    root = tmp_path / "skills"
    put(root, "pack/mugs/SKILL.md", MUGS)
    put(root, "pack/mugs/scripts/look.sh", "ls\n")
    put(root, "pack/README.md", "a pack")
    history = History.open(root)
    first = history.head
    changed = commit(root, Update("mugs", None, NEW_MUGS))
    renamed = commit(root, Update("mugs", "glasses", NEW_MUGS.replace("mugs", "glasses")))
    assert sorted(files(root)) == ["pack/README.md", "pack/glasses/SKILL.md", "pack/glasses/scripts/look.sh"]
    ids = [renamed, changed, first]
    assert [found.id for found in history.log(skill="glasses")] == ids
    assert history.blame("glasses")[-1].commit == history.log(skill="glasses")[1]
    deleted = commit(root, Delete("glasses"))
    assert sorted(files(root)) == ["pack/README.md"]
    assert [found.id for found in history.log(skill="glasses")] == [deleted, *ids]
    history.revert(deleted, trailers={})
    history.restore(first, trailers={})
    assert (root / "pack/mugs/SKILL.md").read_text() == MUGS
    shutil.rmtree(root)
