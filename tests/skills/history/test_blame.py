"""Blame and restore: old states are found, shown and restored, each line has its origin, and no text is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.skills import Conflict, Delete, History, HistoryError, Insert, Operation, Skill, SkillRepo, Update
from tests.skills.folders import MUGS, files, git, put

LINES = [f"Line {number} says that the mug is in place {number * 7919 % 1013}." for number in range(1, 9)]


def text(name: str, lines: list[str]) -> str:
    return Skill.make(name, "Use when a mug is wanted.", "".join(f"{line}\n" for line in lines)).text


def changed(number: int) -> list[str]:
    """The lines, with one of them replaced."""
    return [*LINES[: number - 1], f"Line {number} is new.", *LINES[number:]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "skills"
    put(folder, "mugs/SKILL.md", text("mugs", LINES))
    put(folder, "mugs/scripts/look.sh", "ls\n")
    put(folder, "cups.md", MUGS.replace("mugs", "cups"))
    return folder


def commit(root: Path, operation: Operation, step: int, run: str = "r1") -> str:
    edit = operation.apply(SkillRepo.open(root))
    trailers = {"Run": run, "Step": str(step), "Task": f"task-{step}", "Edit": f"e{step}"}
    return History.open(root).commit(edit, message=f"{operation.kind} at {step}", trailers=trailers)


def translated_errors(root: Path, skill: str) -> dict[str, str]:
    """The edit that each line of the body is from, by the line's second word; "" for none."""
    lines = [line for line in History.open(root).blame(skill) if line.text.startswith("Line")]
    return {line.text.split()[1]: line.commit.trailers.get("Edit", "") if line.commit else "hand" for line in lines}


# Restoring


def test_restore_makes_a_new_commit_with_every_old_file_that_can_be_undone(root: Path) -> None:
    first = History.open(root).head
    before = files(root)
    commit(root, Update("mugs", "glasses", text("glasses", changed(3))), 1)
    commit(root, Delete("cups"), 2)
    commit(root, Insert("plates", text("plates", LINES)), 3)
    after = files(root)
    history = History.open(root)
    done = history.restore(first, trailers={"Reviewer": "ada"})
    assert done == history.head
    assert files(root) == before
    newest = history.log()[0]
    assert newest.subject == "Restore: Begin the history with what is here"
    assert newest.trailers == {"Reviewer": "ada", "Restores": first}
    assert len(history.log()) == 5
    history.revert(done, trailers={})
    assert files(root) == after
    assert git(root, "status", "--short") == ""


def test_manual_changes_are_committed_before_a_restore(root: Path) -> None:
    first = History.open(root).head
    commit(root, Delete("cups"), 1)
    put(root, "mugs/SKILL.md", "by hand")
    put(root, "mugs/notes.txt", "by hand too")
    history = History.open(root)
    history.restore(first, trailers={})
    assert (root / "mugs/SKILL.md").read_text() == text("mugs", LINES)
    recorded = history.log()[1]
    assert recorded.subject == "Record what was changed by hand"
    assert {change.path: change.after for change in history.show(recorded.id)} == {
        "mugs/SKILL.md": "by hand",
        "mugs/notes.txt": "by hand too",
    }


def test_restoring_the_present_state_makes_no_commit(root: Path) -> None:
    history = History.open(root)
    assert history.restore(history.head, trailers={}) is None
    assert len(history.log()) == 1


def test_a_restore_does_not_overwrite_uncommitted_files(root: Path) -> None:
    put(root, ".gitignore", "")
    first = History.open(root).head
    history = History.open(root)
    commit(root, Delete("mugs"), 1)
    put(root, ".gitignore", "*.sh\n")
    put(root, "mugs/scripts/look.sh", "ignored by git, and dear to somebody")
    before = files(root)
    with pytest.raises(Conflict, match=r"mugs/scripts/look\.sh is not what any commit holds"):
        history.restore(first, trailers={})
    assert files(root) == before


def test_a_step_is_found_by_its_trailers(root: Path) -> None:
    begin = History.open(root).head
    one = commit(root, Update("mugs", None, text("mugs", changed(1))), 1)
    two = commit(root, Update("mugs", None, text("mugs", changed(2))), 2)
    late = commit(root, Insert("plates", text("plates", LINES)), 1)
    five = commit(root, Delete("cups"), 5)
    other = commit(root, Delete("plates"), 1, run="r2")
    history = History.open(root)
    assert history.at(step=0, run="r1").id == begin
    assert history.at(step=1, run="r1").id == one
    assert history.at(step=2, run="r1").id == late
    assert history.at(step=4, run="r1").id == late
    assert history.at(step=5, run="r1").id == history.at(run="r1").id == five
    assert history.at(step=1).id == history.at(step=7).id == history.at().id == other
    assert history.at(two).subject == "update at 2"
    with pytest.raises(HistoryError, match=r"no commit of the run 'r9'; the runs are r2, r1"):
        history.at(step=1, run="r9")


def test_a_step_without_an_earlier_commit_or_of_an_unknown_run_is_an_error(root: Path) -> None:
    history = History.open(root)
    with pytest.raises(HistoryError, match="no commit names a run"):
        history.at(step=1)
    git(root, "commit", "-q", "--amend", "-m", "begin\n\nRun: r1\nStep: 2\n")
    with pytest.raises(HistoryError, match="nothing was there before step 2"):
        history.at(step=1)


# One skill's commits, and its lines


def test_the_commits_of_one_skill_are_found_under_its_former_names(root: Path) -> None:
    commit(root, Update("mugs", None, text("mugs", changed(1))), 1)
    commit(root, Delete("cups"), 2)
    commit(root, Update("mugs", "glasses"), 3)
    commit(root, Update("glasses", None, text("glasses", changed(2))), 4)
    commit(root, Delete("glasses"), 5)
    commit(root, Insert("mugs", text("mugs", ["Another."])), 6)
    history = History.open(root)

    def steps(skill: str, limit: int = 100) -> list[int | None]:
        return [found.step for found in history.log(limit, skill=skill)]

    assert steps("glasses") == [5, 4, 3, 1, None]
    assert steps("glasses", 2) == [5, 4]
    assert steps("mugs") == [6, 3, 1, None]
    assert steps("cups") == [2, None]
    assert steps("nothing") == []


def test_each_line_is_blamed_on_the_edit_that_added_it(root: Path) -> None:
    commit(root, Update("mugs", None, text("mugs", changed(3))), 1)
    commit(root, Update("mugs", "glasses"), 2)
    both = [*changed(3)[:5], "Line 6 is new.", *LINES[6:]]
    commit(root, Update("glasses", "pots", text("pots", both)), 3)
    assert translated_errors(root, "pots") == {
        "1": "",
        "2": "",
        "3": "e1",
        "4": "",
        "5": "",
        "6": "e3",
        "7": "",
        "8": "",
    }
    third = next(line for line in History.open(root).blame("pots") if line.text == "Line 3 is new.")
    assert third.commit is not None
    assert third.commit.trailers["Task"] == "task-1" and third.commit.step == 1
    assert (third.number, third.path, third.line) == (7, "mugs/SKILL.md", 7)


def test_uncommitted_lines_have_no_commit(root: Path) -> None:
    commit(root, Update("mugs", None, text("mugs", changed(3))), 1)
    put(root, "mugs/SKILL.md", text("mugs", ["Line 0 is by hand.", *changed(3)]).replace("\n", "\r\n"))
    found = translated_errors(root, "mugs")
    assert (found["0"], found["3"], found["4"]) == ("hand", "e1", "")
    put(root, "new/SKILL.md", text("new", LINES))
    assert set(translated_errors(root, "new").values()) == {"hand"}


def test_restored_lines_are_blamed_on_their_first_commit(root: Path) -> None:
    first = commit(root, Update("mugs", None, text("mugs", changed(3))), 1)
    second = commit(root, Update("mugs", None, text("mugs", ["Line 3 is gone."])), 2)
    wanted = {"1": "", "2": "", "3": "e1", "4": "", "5": "", "6": "", "7": "", "8": ""}
    history = History.open(root)
    undone = history.revert(second, trailers={"Step": "2", "Edit": "e2"})
    assert translated_errors(root, "mugs") == wanted
    again = history.revert(undone, trailers={"Edit": "e2"})
    assert translated_errors(root, "mugs") == {"3": "e2"}
    history.revert(again, trailers={"Edit": "e2"})
    assert translated_errors(root, "mugs") == wanted
    commit(root, Delete("mugs"), 3)
    history.restore(first, trailers={"Edit": "not this"})
    assert translated_errors(root, "mugs") == wanted


def test_trailers_with_an_unknown_or_a_wrong_commit_are_ignored(root: Path) -> None:
    put(root, "mugs/SKILL.md", text("mugs", changed(2)))
    head = History.open(root).record()
    for forged in ("Reverts: nonsense", "Reverts: " + "0" * 40, f"Restores: {head}", "Restores: " + "f" * 40):
        put(root, "mugs/SKILL.md", text("mugs", [*LINES, f"Line 9 is {forged}"]))
        git(root, "commit", "-q", "-a", "-m", f"forged\n\nEdit: forged\n{forged}\n")
        assert translated_errors(root, "mugs")["9"] == "forged"


def test_blaming_an_absent_skill_is_an_error(root: Path) -> None:
    for name in ("nothing", "../secret", "", "a\0b"):
        with pytest.raises(HistoryError, match=r"cannot blame|no skill"):
            History.open(root).blame(name)


def test_every_version_of_a_skill_has_its_text_also_under_a_former_name_and_after_a_removal(root: Path) -> None:
    commit(root, Update("mugs", "mugs", text("mugs", changed(3))), 1)
    commit(root, Update("mugs", "glasses", text("glasses", changed(3))), 2)
    commit(root, Delete("glasses"), 3)
    versions = History.open(root).versions("glasses")
    texts = [None if version.text is None else version.text.splitlines()[1] for version in versions]
    assert texts == [None, "name: glasses", "name: mugs", "name: mugs"]
    assert [version.commit.step for version in versions] == [3, 2, 1, None]
    assert [version.text for version in History.open(root).versions("cups")] == [MUGS.replace("mugs", "cups")]
