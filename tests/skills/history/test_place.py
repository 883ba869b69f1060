"""Inside another git repository the history is where that one sees no repository, and never on its branches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.skills import Delete, History, HistoryError, Update
from engine.skills.exchange import import_skills, plan_import, read_folder, read_git
from engine.skills.history.place import place_note, place_of
from tests.skills.folders import MUGS, NEW_MUGS, files, git, put
from tests.skills.history.edits import commit, messages
from tests.skills.processes import start, status_of

APART = ".skillos/history"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A project in git, with one commit."""
    folder = tmp_path / "app"
    put(folder, "code.py", "pass\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "app")
    return folder


def bring(root: Path, source: Path) -> None:
    import_skills(root, plan_import(read_folder(source), root), trailers={})


@pytest.mark.parametrize("place", [".claude/skills", ".agent/skills"])
def test_the_project_around_the_skills_sees_them_as_plain_files(app: Path, place: str) -> None:
    put(app.parent, "source/mugs/SKILL.md", MUGS)
    root = app / place
    bring(root, app.parent / "source")
    assert git(app, "status", "--short", "-uall").splitlines() == [f"?? {place}/mugs/SKILL.md"]
    git(app, "add", "-A")
    git(app, "commit", "-q", "-m", "skills")
    assert git(app, "ls-files", "-s", place).split()[0] == "100644"
    git(app.parent, "clone", "-q", "app", "clone")
    clone = app.parent / "clone"
    assert (clone / place / "mugs/SKILL.md").read_text() == MUGS
    assert not (clone / place / ".skillos").exists()
    done = commit(root, Update("mugs", None, NEW_MUGS))
    assert git(app, "status", "--short").split() == ["M", f"{place}/mugs/SKILL.md"]
    History.open(root).revert(done, trailers={})
    assert git(app, "status", "--short") == ""
    assert messages(root)[:2] == ["Undo: update", "update"]
    assert git(root, f"--git-dir={APART}", "log", "-1", "--format=%s") == "Undo: update\n"
    assert git(root, f"--git-dir={APART}", "status", "--short") == ""
    assert git(root, f"--git-dir={APART}", "fsck", "--strict") == ""


def test_the_index_and_branch_of_the_project_do_not_change(app: Path) -> None:
    put(app, "skills/mugs/SKILL.md", MUGS)
    git(app, "add", ".")
    git(app, "commit", "-q", "-m", "skills")
    put(app, "staged.py", "pass")
    git(app, "add", "staged.py")
    head = git(app, "rev-parse", "HEAD")
    commit(app / "skills", Update("mugs", None, NEW_MUGS))
    assert git(app, "rev-parse", "HEAD") == head
    assert git(app, "status", "--short").split() == ["M", "skills/mugs/SKILL.md", "A", "staged.py"]


def test_a_git_folder_of_its_own_is_kept(app: Path, root: Path) -> None:
    History.open(app)
    assert place_of(app).inside == ".git" and not (app / ".skillos").exists()
    assert place_note(app) == "" == place_note(root)
    History.open(root)
    assert (root / ".git").is_dir() and not (root / ".skillos").exists()


def test_a_submodule_keeps_its_branch(app: Path) -> None:
    put(app.parent, "skills/mugs/SKILL.md", MUGS)
    History.open(app.parent / "skills")
    git(app, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../skills", "skills")
    git(app, "commit", "-q", "-m", "outer")
    inner = git(app / "skills", "rev-parse", "HEAD")
    commit(app / "skills", Update("mugs", None, NEW_MUGS))
    assert git(app / "skills", "rev-parse", "HEAD") == inner
    assert git(app / "skills", "status", "--short").split() == ["M", "mugs/SKILL.md"]
    assert (app / "skills" / APART).is_dir()
    assert "is a file that leads to a repository elsewhere" in place_note(app / "skills")


def test_a_linked_working_tree_keeps_its_branch(app: Path) -> None:
    put(app, "mugs/SKILL.md", MUGS)
    git(app, "add", ".")
    git(app, "commit", "-q", "-m", "mine")
    git(app, "worktree", "add", "-q", "../linked", "-b", "side")
    commit(app.parent / "linked", Update("mugs", None, NEW_MUGS))
    assert git(app, "log", "-1", "--format=%s", "side") == git(app, "log", "-1", "--format=%s", "main") == "mine\n"
    assert (app / "mugs/SKILL.md").read_text() == MUGS
    assert messages(app.parent / "linked")[0] == "update"


def test_a_git_link_keeps_the_branch_that_it_leads_to(app: Path, root: Path) -> None:
    (root / ".git").symlink_to(app / ".git")
    before = files(app / ".git")
    commit(root, Update("mugs", None, NEW_MUGS))
    assert files(app / ".git") == before
    assert "is a link that leads to a repository elsewhere" in place_note(root)


def test_a_repository_that_an_earlier_version_put_inside_a_project_is_kept_and_can_be_moved(
    app: Path, root: Path
) -> None:
    commit(root, Update("mugs", None, NEW_MUGS))
    skills = app / "skills"
    root.rename(skills)
    git(app, "add", "-A")
    note = place_note(skills)
    assert "does not see the skills as files" in note and "rm -q -f --cached skills && mkdir -p" in note
    assert messages(skills)[0] == "update" and not (skills / ".skillos").exists()
    assert os.system(f"({note.partition('to move the history: ')[2]}) >{app.parent}/out 2>&1") == 0
    assert messages(skills)[0] == "update" and place_of(skills).inside == APART
    commit(skills, Delete("cups"))
    git(app, "add", "-A")
    assert "skills/mugs/SKILL.md" in git(app, "ls-files").split()
    assert not any(".skillos" in path for path in git(app, "ls-files").split())


def test_a_repository_that_the_project_ignores_is_not_told_to_move(app: Path) -> None:
    put(app, "runs/r1/repo/mugs/SKILL.md", MUGS)
    git(app / "runs/r1/repo", "init", "-q")
    assert "to move the history" in place_note(app / "runs/r1/repo")
    put(app, ".gitignore", "runs/\n")
    assert place_note(app / "runs/r1/repo") == ""


def test_the_history_stays_where_it_is_when_the_project_is_no_longer_there(app: Path) -> None:
    put(app, "skills/mugs/SKILL.md", MUGS)
    done = commit(app / "skills", Update("mugs", None, NEW_MUGS))
    (app / "skills").rename(app.parent / "moved")
    assert History.open(app.parent / "moved").head == done
    git(app.parent / "moved", "init", "-q")
    assert History.open(app.parent / "moved").head == done


def test_a_history_that_came_with_a_checkout_is_not_used(app: Path) -> None:
    put(app, "skills/mugs/SKILL.md", MUGS)
    commit(app / "skills", Update("mugs", None, NEW_MUGS))
    git(app, "add", "-A", "-f")
    git(app, "commit", "-q", "-m", "a history of somebody else")
    git(app.parent, "clone", "-q", "app", "clone")
    for ask in (History.open, History.existing):
        with pytest.raises(HistoryError, match="came with a checkout"):
            ask(app.parent / "clone/skills")
    assert len(read_git(app.parent / "clone/skills").packages) == 1


@pytest.mark.parametrize(
    ("path", "content", "why"),
    [
        (
            "config",
            "[core]\n\tbare = false\n\trepositoryformatversion = 0\n\tworktree = {elsewhere}\n",
            "another folder",
        ),
        ("config", "[core]\n\tbare = true\n\trepositoryformatversion = 0\n", "another folder"),
        ("commondir", "{elsewhere}/.git\n", "shares its branches"),
        ("objects/info/alternates", "{elsewhere}/.git/objects\n", "borrows the objects"),
    ],
)
def test_a_history_that_leads_elsewhere_is_refused(app: Path, path: str, content: str, why: str) -> None:
    elsewhere = app.parent / "elsewhere"
    put(elsewhere, "kept.md", "mine")
    git(elsewhere, "init", "-q")
    put(app, "skills/mugs/SKILL.md", MUGS)
    History.open(app / "skills")
    before = files(elsewhere)
    put(app / "skills" / APART, path, content.format(elsewhere=elsewhere))
    with pytest.raises(HistoryError, match=why):
        History.open(app / "skills").record()
    assert files(elsewhere) == before


@pytest.mark.parametrize("place", [".skillos", APART])
def test_a_link_in_place_of_the_history_is_not_followed(app: Path, place: str) -> None:
    put(app, "skills/mugs/SKILL.md", MUGS)
    (app.parent / "elsewhere").mkdir()
    (app / "skills" / place).parent.mkdir(exist_ok=True)
    (app / "skills" / place).symlink_to(app.parent / "elsewhere")
    with pytest.raises(HistoryError, match="is a link, and the history needs a folder there"):
        History.open(app / "skills")
    assert list((app.parent / "elsewhere").iterdir()) == []


def test_the_project_stays_blind_for_the_history_when_the_ignore_file_was_deleted(app: Path) -> None:
    put(app, "skills/mugs/SKILL.md", MUGS)
    History.open(app / "skills")
    (app / "skills/.skillos/.gitignore").unlink()
    commit(app / "skills", Update("mugs", None, NEW_MUGS))
    assert git(app, "status", "--short", "-uall").splitlines() == ["?? skills/mugs/SKILL.md"]


def test_two_processes_that_make_the_history_at_once_make_one(app: Path) -> None:
    for number in range(8):
        root = app / f"skills{number}"
        put(root, "mugs/SKILL.md", MUGS)
        children = [start(lambda root=root: History.open(root) and None) for _ in range(3)]  # type: ignore[misc]
        assert [status_of(child) for child in children] == [0, 0, 0]
        assert len(messages(root)) == 1
        assert [path.name for path in (root / ".skillos").iterdir() if path.name != ".gitignore"] == ["history"]


def test_another_run_is_read_from_its_own_history_and_a_ref_of_the_project_from_the_project(app: Path) -> None:
    root = app / "skills"
    put(root, "mugs/SKILL.md", MUGS)
    git(app, "add", ".")
    git(app, "commit", "-q", "-m", "skills")
    commit(root, Update("mugs", None, NEW_MUGS), Run="r1", Step="1")
    commit(root, Delete("mugs"), Run="r1", Step="2")
    assert read_git(root, step=1).packages[0].skill.text == NEW_MUGS
    assert read_git(root, ref="main").packages[0].skill.text == MUGS
    assert read_git(root).packages == ()
    assert read_git(root / APART, step=1).packages[0].skill.text == NEW_MUGS
