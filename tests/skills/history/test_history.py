"""The history: each approved edit is one commit that can be shown and undone, and no text is lost or overwritten."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from engine.skills import Conflict, Delete, History, HistoryError, Insert, Operation, Skill, SkillRepo, Update
from tests.skills.folders import MUGS, NEW_MUGS, files, git, put
from tests.skills.history.edits import commit, edit, messages


def test_the_first_open_keeps_every_file_byte_for_byte(root: Path) -> None:
    before = files(root)
    history = History.open(root)
    assert files(root) == before
    [first] = history.log()
    assert (first.id, first.trailers) == (history.head, {})
    assert sorted(change.path for change in history.show(first.id)) == sorted(before)
    shutil.move(root / ".git", root.parent / "kept.git")
    git(root.parent, "clone", "-q", "kept.git", "copy")
    assert files(root.parent / "copy") == before


def test_a_missing_folder_is_created(tmp_path: Path) -> None:
    history = History.open(tmp_path / "new" / "skills")
    assert len(history.log()) == 1
    assert commit(tmp_path / "new" / "skills", Insert("mugs", MUGS))
    assert list(SkillRepo.open(tmp_path / "new" / "skills")) == ["mugs"]


def test_an_edit_is_a_file_and_one_commit_with_its_trailers(root: Path) -> None:
    trailers = {
        "Run": "r1",
        "Step": "3",
        "Task": "house-1/2",
        "Proposer": "curator",
        "Reason": "seen",
        "Reviewer": "ada",
    }
    done = History.open(root).commit(
        edit(root, Update("mugs", None, NEW_MUGS)), message="Correct mugs\n\nThe safe was empty.", trailers=trailers
    )
    assert (root / "mugs/SKILL.md").read_text() == NEW_MUGS
    newest, first = History.open(root).log()
    assert newest.id == done
    assert (newest.subject, newest.message) == ("Correct mugs", "Correct mugs\n\nThe safe was empty.")
    assert newest.trailers == {**trailers, "Operation": "update", "Skill": "mugs"}
    assert abs(newest.time - first.time) < 60


def test_git_agrees(root: Path) -> None:
    done = commit(root, Update("mugs", "glasses"), Run="r1", Reviewer="ada")
    commit(root, Delete("cups"))
    assert git(root, "status", "--short") == ""
    assert git(root, "fsck", "--strict") == ""
    assert git(root, "log", "-1", "--format=%(trailers)", done).split("\n")[:2] == ["Run: r1", "Reviewer: ada"]
    assert git(root, "log", "--format=%s") == "delete\nupdate\nBegin the history with what is here\n"
    assert "rename from mugs/scripts/look.sh" in git(root, "show", done)


def test_the_four_kinds_of_edit(root: Path) -> None:
    commit(root, Insert("plates", MUGS.replace("mugs", "plates")))
    assert (root / "plates/SKILL.md").read_text() == MUGS.replace("mugs", "plates")
    commit(root, Update("mugs", "glasses"))
    assert files(root)["glasses/scripts/look.sh"] == b"ls\r\n"
    assert os.access(root / "glasses/scripts/look.sh", os.X_OK)
    assert not (root / "mugs").exists()
    commit(root, Update("cups", "beakers", Skill.make("beakers", "Use.", "B.\n").text))
    assert "beakers.md" in files(root) and "cups.md" not in files(root)
    commit(root, Delete("glasses"))
    assert list(files(root)) == ["beakers.md", "notes.bin", "plates/SKILL.md"]
    assert messages(root)[:4] == ["delete", "update", "update", "insert"]


def test_diff_and_show_say_what_a_commit_changed(root: Path) -> None:
    done = commit(root, Update("mugs", None, NEW_MUGS))
    history = History.open(root)
    [change] = history.show(done)
    assert (change.path, change.before, change.after) == ("mugs/SKILL.md", MUGS, NEW_MUGS)
    assert "-Mugs are in the safe.\n+Mugs are in the box.\n" in history.diff(done)
    assert "+Mugs are in the safe." in history.diff(history.log()[-1].id)
    assert "rename to glasses/SKILL.md" in history.diff(commit(root, Update("mugs", "glasses")))


def test_a_commit_is_found_by_its_trailer(root: Path) -> None:
    done = commit(root, Delete("cups"), Edit="e1")
    history = History.open(root)
    found = history.find("Edit", "e1")
    assert found is not None and found.id == done
    assert history.find("Edit", "e2") is None
    assert len(history.log(1)) == 1


def test_the_text_of_trailers_and_messages_cannot_forge_other_trailers(root: Path) -> None:
    history = History.open(root)
    history.commit(
        edit(root, Delete("cups")),
        message="\n \nDone\nReviewer: eve\n\nReviewer: eve",
        trailers={"Reason": "because\n\nReviewer: eve\0\ud800" + "x" * 5000, "Empty": " "},
    )
    newest = history.log()[0]
    assert "Reviewer" not in newest.trailers and "Empty" not in newest.trailers
    assert newest.trailers["Reason"].startswith("because Reviewer: eve ?xxx")
    assert len(newest.trailers["Reason"]) == 1000
    with pytest.raises(ValueError, match="cannot be a trailer"):
        history.commit(edit(root, Delete("mugs")), message="", trailers={"No key": "x"})


# Conflicts


@pytest.mark.parametrize("present", [None, "changed by hand"])
def test_a_file_that_changed_since_is_not_overwritten(root: Path, present: str | None) -> None:
    update = edit(root, Update("mugs", None, NEW_MUGS))
    (root / "mugs/SKILL.md").unlink()
    if present is not None:
        put(root, "mugs/SKILL.md", present)
    with pytest.raises(Conflict, match=r"mugs/SKILL\.md was") as conflict:
        History.open(root).commit(update, message="", trailers={})
    assert (conflict.value.path, conflict.value.present) == ("mugs/SKILL.md", present)
    assert files(root).get("mugs/SKILL.md") == (None if present is None else present.encode())


def test_a_name_that_was_taken_meanwhile_is_not_overwritten(root: Path) -> None:
    insert, rename = edit(root, Insert("plates", MUGS.replace("mugs", "plates"))), edit(root, Update("mugs", "plates"))
    put(root, "plates/SKILL.md", "somebody else's")
    before = files(root)
    history = History.open(root)
    with pytest.raises(Conflict, match="exists already since the edit was proposed"):
        history.commit(insert, message="", trailers={})
    with pytest.raises(Conflict, match="plates exists already, so mugs cannot move there"):
        history.commit(rename, message="", trailers={})
    assert files(root) == before


def test_an_unreadable_file_is_not_overwritten(root: Path) -> None:
    put(root, "large/SKILL.md", b"x" * 2_000_000)
    (root / "linked").symlink_to(root.parent)
    (root / "alias").symlink_to("mugs")
    before = files(root)
    unread = edit(root, Update("large", None, MUGS.replace("mugs", "large")))
    assert unread.before == ""
    with pytest.raises(HistoryError, match="2,000,000 bytes"):
        History.open(root).commit(unread, message="", trailers={})
    inside = Insert("linked", MUGS.replace("mugs", "linked")).apply(SkillRepo.empty())
    with pytest.raises(HistoryError, match="a link"):
        History.open(root).commit(inside, message="", trailers={})
    with pytest.raises(HistoryError, match="alias is a link"):
        commit(root, Update("alias", None, NEW_MUGS.replace("mugs", "alias")))
    assert files(root) == before
    assert not (root.parent / "SKILL.md").exists()


def test_an_unreadable_skill_can_be_deleted_and_restored(root: Path) -> None:
    put(root, "large/SKILL.md", b"x" * 2_000_000)
    commit(root, Delete("large"))
    assert not (root / "large").exists()
    History.open(root).revert(History.open(root).head, trailers={})
    assert (root / "large/SKILL.md").stat().st_size == 2_000_000


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("alias", "mugs"),
        ("flat.md", "mugs/SKILL.md"),
        ("inner/SKILL.md", "../mugs/SKILL.md"),
    ],
)
def test_deleting_a_link_removes_the_link_and_not_its_target(root: Path, link: str, target: str) -> None:
    (root / link).parent.mkdir(exist_ok=True)
    (root / link).symlink_to(target)
    before = files(root.parent)
    name = link.partition("/")[0].removesuffix(".md")
    done = commit(root, Delete(name))
    assert not os.path.lexists(root / link)
    History.open(root).revert(done, trailers={})
    assert str((root / link).readlink()) == target
    assert files(root.parent) == before


def test_an_edit_never_writes_through_a_link(root: Path) -> None:
    (root / "alias.md").symlink_to("mugs/SKILL.md")
    with pytest.raises(HistoryError, match="is a link"):
        commit(root, Update("alias", None, NEW_MUGS.replace("mugs", "alias")))
    assert str((root / "alias.md").readlink()) == "mugs/SKILL.md"


def test_a_file_that_git_cannot_hold_is_not_deleted(root: Path) -> None:
    put(root, "pipe/SKILL.md", MUGS.replace("mugs", "pipe"))
    delete = edit(root, Delete("pipe"))
    (root / "pipe/SKILL.md").unlink()
    os.mkfifo(root / "pipe/SKILL.md")
    with pytest.raises(HistoryError):
        History.open(root).commit(delete, message="delete", trailers={})
    assert (root / "pipe/SKILL.md").exists()


def test_manual_changes_get_a_commit_of_their_own(root: Path) -> None:
    history = History.open(root)
    by_hand = MUGS.replace("safe", "attic")
    put(root, "mugs/SKILL.md", by_hand)
    put(root, "mugs/more.txt", "by hand")
    put(root, "cups.md", MUGS.replace("mugs", "cups"))
    done = commit(root, Delete("mugs"))
    assert messages(root) == [
        "delete",
        "Record what was changed by hand in mugs",
        "Begin the history with what is here",
    ]
    history.revert(done, trailers={})
    assert files(root)["mugs/SKILL.md"] == by_hand.encode()
    assert files(root)["mugs/more.txt"] == b"by hand"
    assert history.record() is not None
    assert [change.path for change in history.show(history.head)] == ["cups.md"]
    assert history.record() is None


# Undo


@pytest.mark.parametrize(
    "operation",
    [
        Insert("plates", MUGS.replace("mugs", "plates")),
        Update("mugs", None, NEW_MUGS),
        Update("mugs", "glasses"),
        Update("cups", "beakers"),
        Delete("mugs"),
        Delete("cups"),
    ],
)
def test_an_undo_restores_every_byte_and_can_be_undone(root: Path, operation: Operation) -> None:
    before = files(root)
    done = commit(root, operation)
    after = files(root)
    history = History.open(root)
    undone = history.revert(done, trailers={"Reviewer": "ada"})
    assert files(root) == before
    newest = history.log()[0]
    assert newest.trailers == {"Reviewer": "ada", "Reverts": done}
    assert newest.subject == f"Undo: {operation.kind}"
    history.revert(undone, trailers={})
    assert files(root) == after
    assert len(history.log()) == 4


def test_an_edit_can_be_undone_after_edits_of_other_skills(root: Path) -> None:
    done = commit(root, Update("mugs", None, NEW_MUGS))
    commit(root, Delete("cups"))
    History.open(root).revert(done, trailers={})
    assert (root / "mugs/SKILL.md").read_text() == MUGS
    assert not (root / "cups.md").exists()


def test_an_edit_cannot_be_undone_after_a_later_edit_of_the_same_file(root: Path) -> None:
    done = commit(root, Update("mugs", None, NEW_MUGS))
    put(root, "mugs/SKILL.md", "by hand")
    with pytest.raises(Conflict, match="undo the later edit first"):
        History.open(root).revert(done, trailers={})
    assert (root / "mugs/SKILL.md").read_text() == "by hand"


def test_where_git_took_a_commit_back_an_undo_says_so(root: Path) -> None:
    done = commit(root, Update("mugs", None, NEW_MUGS))
    git(root, "reset", "-q", "--hard", f"{done}~1")
    with pytest.raises(Conflict, match="as it was before that commit already"):
        History.open(root).revert(done, trailers={})
    put(root, "mugs/SKILL.md", "by hand")
    with pytest.raises(Conflict, match=f"the commit {done[:10]} is not in the present history any more"):
        History.open(root).revert(done, trailers={})
    assert (root / "mugs/SKILL.md").read_text() == "by hand"


@pytest.mark.parametrize("commit_id", ["", "HEAD", "0" * 40, "a1b2c3d", "--all", "main", "x" * 1000])
def test_an_unknown_commit_is_an_error(root: Path, commit_id: str) -> None:
    history = History.open(root)
    for ask in (history.show, history.diff, lambda it: history.revert(it, trailers={})):
        with pytest.raises(HistoryError, match="no commit"):
            ask(commit_id)


def test_the_first_commit_cannot_be_undone(root: Path) -> None:
    history = History.open(root)
    with pytest.raises(HistoryError, match="the first commit and cannot be undone"):
        history.revert(history.head, trailers={})
