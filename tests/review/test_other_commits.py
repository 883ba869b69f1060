"""Commits in the repository of a run that the run's log does not expect: of copies, of other runs, rewritten, merged."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.review import decisions as reviews
from engine.review.errors import NotLogged, ReviewError
from engine.review.journal import reconcile
from engine.review.missing import unlogged
from engine.runs.directory import Run
from engine.skills import Insert
from engine.skills.history.history import History
from tests.review.interrupted import lost_events, notices, states
from tests.review.proposing import full_log, git, proposed, skills, text
from tests.runs.samples import CONFIG

# Repositories that others use too


def test_a_commit_of_another_run_of_the_same_name_is_not_ours(tmp_path: Path) -> None:
    repo = tmp_path / "skills"
    with (
        Run.create(tmp_path / "a" / "run", kind="train", config_text=CONFIG, repo=repo) as one,
        Run.create(tmp_path / "b" / "run", kind="train", config_text=CONFIG, repo=repo) as two,
    ):
        assert proposed(one, Insert("x", text("x"))) == proposed(two, Insert("x", text("x")))
        reviews.approve(one, "e1", "ann")
        assert reconcile(two) == [] and notices(two) == [] and states(two) == ["pending"]


def test_a_run_and_its_copy_do_not_take_each_others_commits_in_a_shared_repository(tmp_path: Path) -> None:
    repo = tmp_path / "skills"
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG, repo=repo) as original:
        first, second = (proposed(original, Insert(name, text(name))) for name in "xy")
        original.close()
        shutil.copytree(original.path, tmp_path / "copy")
        reviews.approve(original, first, "ann")
        with Run.open(tmp_path / "copy") as copy:
            assert reconcile(copy) == [] and states(copy) == ["pending", "pending"] and unlogged(copy) == []
            assert "e1 was approved by ann" in notices(copy)[0] and "a copy of this run made it" in notices(copy)[0]
            assert reconcile(copy) == [] and len(notices(copy)) == 1
            assert reviews.approve(copy, first, "bob").state == "conflicted"
            assert reviews.approve(copy, second, "bob").state == "committed"
        assert reconcile(original) == [] and states(original) == ["committed", "pending"] and unlogged(original) == []


def test_a_commit_that_the_log_lacks_is_taken_in_a_shared_repository(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG, repo=tmp_path / "skills") as run:
        edit_id = proposed(run, Insert("x", text("x")))
        with full_log(run), pytest.raises(NotLogged):
            reviews.approve(run, edit_id, "ann")
        assert reconcile(run) == [edit_id] and states(run) == ["committed"] and notices(run) == []


@pytest.mark.parametrize("decide", [reviews.approve, reviews.veto, reviews.undo])
def test_a_decision_in_a_deleted_run_says_that_the_run_is_gone(run: Run, decide: Callable[..., object]) -> None:
    edit_id = proposed(run, Insert("x", text("x")))
    shutil.rmtree(run.path)
    with pytest.raises(ReviewError, match=r"nothing was decided: there is no run at .* any more"):
        decide(run, edit_id, "ann")
    assert not run.path.exists()


def test_a_copied_run_with_a_repository_of_its_own_decides_for_itself(run: Run, tmp_path: Path) -> None:
    edit_id = proposed(run, Insert("x", text("x")))
    run.close()
    shutil.copytree(run.path, tmp_path / "copy")
    reviews.approve(run, edit_id, "ann")
    with Run.open(tmp_path / "copy") as copy:
        assert reviews.veto(copy, edit_id, "bob").state == "vetoed"
        assert skills(copy) == {} and skills(run) == {"x": text("x")}


def test_a_rewritten_history_is_not_logged_twice(run: Run) -> None:
    ids = [proposed(run, Insert(name, text(name))) for name in ("a", "b")]
    for edit_id in ids:
        reviews.approve(run, edit_id, "ann")
    rewritten = "git -c safe.directory='*' filter-branch -f --env-filter 'export GIT_AUTHOR_NAME=other' HEAD"
    environment = {**os.environ, "FILTER_BRANCH_SQUELCH_WARNING": "1"}
    subprocess.run(rewritten, shell=True, cwd=run.repo_path, env=environment, check=True, capture_output=True)
    before = run.last_id()
    assert reconcile(run) == [] and run.last_id() == before
    other = proposed(run, Insert("c", text("c")))
    assert reviews.approve(run, other, "ann").state == "committed"
    assert states(run) == ["committed"] * 3 and notices(run) == []


def test_a_commit_that_was_reverted_by_hand_stays_what_was_decided(run: Run) -> None:
    edit_id = reviews.approve(run, proposed(run, Insert("a", text("a"))), "ann").id
    git(run, "-c", "user.name=x", "-c", "user.email=x@y", "revert", "--no-edit", "HEAD")
    assert reconcile(run) == [] and states(run) == ["committed"] and notices(run) == []
    with pytest.raises(ReviewError, match=f"{edit_id} cannot be undone, for the skill changed since"):
        reviews.undo(run, edit_id, "ann")


def test_a_commit_on_a_branch_that_is_merged_is_logged(run: Run) -> None:
    first, second = (proposed(run, Insert(name, text(name))) for name in ("a", "b"))
    reviews.approve(run, first, "ann")
    main_branch = git(run, "branch", "--show-current").strip()
    git(run, "checkout", "-q", "-b", "side")
    with lost_events(run):
        reviews.approve(run, second, "ann")
    git(run, "checkout", "-q", main_branch)
    assert reconcile(run) == [] and states(run) == ["committed", "pending"]
    (run.repo_path / "note.txt").write_text("by hand\n")
    git(run, "add", "note.txt")
    who = ("-c", "user.name=x", "-c", "user.email=x@y")
    git(run, *who, "commit", "-q", "-m", "By hand")
    git(run, *who, "merge", "-q", "--no-edit", "side")
    assert reconcile(run) == [second] and states(run) == ["committed", "committed"]


def test_a_repository_that_was_replaced_leaves_the_log_as_it_is(run: Run) -> None:
    edit_id = reviews.approve(run, proposed(run, Insert("a", text("a"))), "ann").id
    shutil.rmtree(run.repo_path)
    assert reconcile(run) == []
    run.repo_path.mkdir()
    History.open(run.repo_path)
    assert reconcile(run) == [] and states(run) == ["committed"]
    with pytest.raises(ReviewError, match=f"{edit_id} could not be undone and stays committed: .* has no commit"):
        reviews.undo(run, edit_id, "ann")


def test_a_repository_that_is_gone_is_not_begun_anew(run: Run) -> None:
    edit_id = proposed(run, Insert("a", text("a")))
    run.repo_path.rename(run.path / "moved")
    with pytest.raises(ReviewError, match=f"{edit_id} could not be committed and still waits: there is no folder"):
        reviews.approve(run, edit_id, "ann")
    assert not run.repo_path.exists()
    (run.path / "moved").rename(run.repo_path)
    assert reviews.approve(run, edit_id, "ann").state == "committed"


def test_many_commits_that_do_not_fit_are_few_notices(run: Run) -> None:
    names = [f"s{number}" for number in range(14)]
    with lost_events(run):
        for name in names:
            reviews.approve(run, proposed(run, Insert(name, text(name))), "ann")
    assert reconcile(run) == []
    assert len(notices(run)) == 11 and notices(run)[-1].startswith("4 more commits of")


def test_what_was_compared_is_not_walked_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(25):
        (run.repo_path / "note.txt").write_text(f"{number}\n")
        History.open(run.repo_path).record()
    assert reconcile(run) == []
    monkeypatch.setattr(History, "since", None)
    assert reconcile(run) == []


# The log of an earlier version has no tokens


def strip_tokens(run: Run) -> None:
    with run.db.transaction() as connection:
        for table in ("events", "edits"):
            connection.execute(f"UPDATE {table} SET data = json_remove(data, '$.decision.token')")


def early(run: Run) -> None:
    """Rewrite the history as an earlier version would have made it: tokens without an origin."""
    script = "sed 's/^Decision: .*-/Decision: /'"
    command = f"git -c safe.directory='*' filter-branch -f --msg-filter \"{script}\" HEAD"
    environment = {**os.environ, "FILTER_BRANCH_SQUELCH_WARNING": "1"}
    subprocess.run(command, shell=True, cwd=run.repo_path, env=environment, check=True, capture_output=True)


def test_the_rewritten_history_of_an_earlier_version_is_not_logged_twice(run: Run) -> None:
    edit_id, lost = (proposed(run, Insert(name, text(name))) for name in ("a", "b"))
    reviews.approve(run, edit_id, "ann")
    reviews.undo(run, edit_id, "ann")
    reviews.requeue(run, edit_id, "ann")
    strip_tokens(run)
    with lost_events(run):
        reviews.approve(run, lost, "ann")
    early(run)
    assert reconcile(run) == [lost]
    assert (run.edit(edit_id).state, run.edit(lost).state) == ("pending", "committed")
    assert notices(run) == []
