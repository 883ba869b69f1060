"""The policies in runs at work: in time, switched live, under their own names, through crashes, and never twice."""

import asyncio
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from engine.config import load_profile, to_toml
from engine.core.edit import Edit, Provenance, Standing
from engine.core.events import RewardBreakdown, RunStarted
from engine.core.outcomes import SUCCEEDED
from engine.jobs import deciding as engine_deciding
from engine.jobs.changing import carry_out
from engine.jobs.control import Control
from engine.jobs.curate.reviewing import Reviewing
from engine.jobs.deciding import Deciding
from engine.jobs.job import JobContext
from engine.jobs.proposals import candidates, vetoes_of
from engine.review import decisions as reviews
from engine.review.errors import NotLogged, PinnedSkill
from engine.review.gates.base import Verdict
from engine.review.gates.registry import GateKind
from engine.review.journal import reconcile
from engine.review.opened import Lease
from engine.review.words import KINDS, Words
from engine.runs import changing
from engine.runs.commands import Change
from engine.runs.directory import Run
from engine.skills import Delete, Insert, SkillRepo, Update
from engine.skills.repo.pins import pin, pins, unpin
from tests.extending.installed import install
from tests.jobs.test_proposals import agents
from tests.jobs.test_reviewing import edited
from tests.review.proposing import choose, commits, full_log, proposed, rated, skills, text
from tests.runs.engines import ROOT
from tests.training.played import completion, rollout


def created(folder, *settings, kind="train"):
    config = to_toml(load_profile("pocket", settings))
    run = Run.create(folder / "run", kind=kind, config_text=config)
    run.append(RunStarted(kind, "pocket", 1, 1, settings=config))
    return run


def job_of(run, writer):
    return JobContext(run, run.config, writer, Control(lambda state, reason: None))


def decide(run):
    """One round of the policy of an engine that begins now."""
    with run.writer() as writer:
        asyncio.run(Deciding(job_of(run, writer)).decide())


def decisions(run):
    return [(edit.id, edit.state, edit.decision.by if edit.decision else "") for edit in run.edits()]


# In a train run


@pytest.mark.parametrize(("policy", "state"), [("approve_after", "committed"), ("veto_after", "vetoed")])
async def test_beside_the_steps_the_policy_decides_when_the_time_is_over(tmp_path, monkeypatch, policy, state):
    monkeypatch.setattr(engine_deciding, "POLL_SECONDS", 0.02)
    with created(tmp_path, f"review.policy={policy}", "review.policy_seconds=0.3") as run, run.writer() as writer:
        await asyncio.to_thread(proposed, run, Insert("a", text("a")))
        async with Deciding(job_of(run, writer)).beside():
            await asyncio.sleep(0.1)
            assert run.edit("e1").state == "pending"
            async with asyncio.timeout(10):
                while run.edit("e1").state == "pending":
                    await asyncio.sleep(0.02)
        assert decisions(run) == [("e1", state, f"policy {policy}")]
        reason = run.edit("e1").decision.reason
    assert reason == "nobody decided within 0.3 s"


def test_auto_approves_what_a_step_chose_and_a_person_undoes_it(tmp_path):
    with created(tmp_path, "review.policy=auto") as run:
        choose(run, 2, rated(run, Insert("a", text("a")), 0.3), rated(run, Insert("b", text("b")), 0.2), most=1)
        decide(run)
        assert decisions(run) == [("e1", "committed", "policy auto")] and list(skills(run)) == ["a"]
        assert [edit.state for edit in run.edits("withheld")] == ["withheld"]
        assert reviews.undo(run, "e1", "ann").state == "undone" and skills(run) == {}
        reviews.requeue(run, "e1", "ann")
        decide(run)
        assert run.edit("e1").state == "pending"


def test_the_policy_s_veto_is_no_word_of_a_person_and_a_person_takes_it_back(tmp_path):
    with created(tmp_path, "review.policy=veto_after", "review.policy_seconds=1e-9") as run:
        proposed(run, Insert("a", text("a")))
        decide(run)
        assert decisions(run) == [("e1", "vetoed", "policy veto_after")]
        words = Words()
        for stored in run.stream(kinds=KINDS):
            words.take(stored)
        assert words.said().skills == {} and vetoes_of(run, agents()) == []
        reviews.undo(run, "e1", "ann")
        decide(run)
        assert run.edit("e1").state == "pending"
        reviews.veto(run, "e1", "ann", "too vague")
        assert [veto.reason for veto in vetoes_of(run, agents())] == ["too vague"]


class Probing:
    def __init__(self, context):
        pass

    async def admit(self, edit, repo):
        return Verdict(True, score=0.5 if edit.skill != "unmeasured" else None)


def test_the_policy_gate_approves_what_a_gate_measured_and_leaves_the_rest(tmp_path, monkeypatch):
    kind = GateKind(name="probing", settings=load_profile("pocket").audit.__class__, open=Probing)
    monkeypatch.setattr("tests.jobs.test_deciding.PROBING", kind, raising=False)
    install(tmp_path / "packages", monkeypatch, "skillos.gates", probing="tests.jobs.test_deciding:PROBING")
    with created(tmp_path, 'review.gates=["format", "probing"]', "review.policy=gate") as run:
        for name in ("measured", "unmeasured"):
            proposed(run, Insert(name, text(name)))
        decide(run)
        assert decisions(run) == [("e1", "committed", "policy gate"), ("e2", "pending", "")]
        assert run.edit("e1").decision.reason == "measured by the gates: probing 0.500"


def test_the_edit_that_a_person_has_open_is_left_alone_by_every_policy(tmp_path):
    with created(tmp_path, "review.policy=auto") as run:
        proposed(run, Insert("a", text("a")))
        lease = Lease(run, "ann")
        lease.open("e1")
        decide(run)
        assert run.edit("e1").state == "pending"
        lease.close()
        decide(run)
        assert run.edit("e1").state == "committed"


def test_what_cannot_be_written_stays_with_a_notice_and_is_tried_once(tmp_path):
    with created(tmp_path, "review.policy=auto") as run, run.writer() as writer:
        proposed(run, Insert("a", text("a")))
        run.repo_path.rename(tmp_path / "away")
        deciding = Deciding(job_of(run, writer))
        for _ in range(2):
            asyncio.run(asyncio.wait_for(deciding.decide(), 20))
        writer.flush()
        (notice,) = [stored.event for stored in run.events(kinds=["notice"])]
        assert notice.message.startswith("e1 stays in the review queue: e1 could not be committed")


# Switched live, and by nobody's engine


async def test_a_policy_is_switched_while_the_run_works_and_its_time_begins_then(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_deciding, "POLL_SECONDS", 0.02)
    with created(tmp_path) as run, run.writer() as writer:
        await asyncio.to_thread(proposed, run, Insert("a", text("a")))
        job = job_of(run, writer)
        async with Deciding(job).beside():
            for key, value in (("review.policy_seconds", "0.2"), ("review.policy", '"approve_after"')):
                await carry_out(Change(key, value), "ann", run, writer, job.control)
            async with asyncio.timeout(10):
                while run.edit("e1").state == "pending":
                    await asyncio.sleep(0.02)
        decided = [stored.at for stored in run.events(kinds=["edit_decided"])]
        switched = [stored.at for stored in run.events(kinds=["setting_changed"])]
        assert decided[0] - switched[1] >= 0.2 and run.config.review.policy == "approve_after"
        await carry_out(Change("review.policy", '"gate"'), "ann", run, writer, job.control)
        (refused,) = [stored.event for stored in run.events(kinds=["notice"])]
        assert refused.message.startswith("review.policy was not changed: ") and "add a gate" in refused.message
        assert job.now.review.policy == "approve_after"


def test_the_settings_of_review_are_changed_between_the_starts_too(tmp_path):
    with created(tmp_path) as run:
        for key, value in (("review.policy", "veto_after"), ("review.policy_seconds", "90"), ("review.per_step", "5")):
            changing.change(run, key, value, "ann")
        review = run.config.review
        assert (review.policy, review.policy_seconds, review.per_step) == ("veto_after", 90.0, 5)


# In a curate run


@pytest.mark.parametrize(("policy", "state"), [("approve_after", "committed"), ("veto_after", "vetoed")])
async def test_a_curate_run_waits_for_a_person_until_the_policy_decides(tmp_path, policy, state):
    settings = (f"review.policy={policy}", "review.policy_seconds=0.3")
    with created(tmp_path, *settings, kind="curate") as run, run.writer() as writer:
        reviewing = Reviewing(job_of(run, writer))
        await reviewing.propose(edited("find-mugs"))
        assert run.edit("e1").state == "pending"
        await asyncio.wait_for(reviewing.wait(), 20)
        assert decisions(run) == [("e1", state, f"policy {policy}")]


# Crashes

DYING = """
import asyncio, os, signal, sys
from engine.jobs.control import Control
from engine.jobs.deciding import Deciding
from engine.jobs.job import JobContext
from engine.runs.directory import Run
from engine.skills.history.history import History

def dying(real):
    def call(*arguments, **named):
        if moment == "after":
            real(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    return call

path, moment = sys.argv[1:]
History.commit = dying(History.commit)
run = Run.open(path)
with run.writer() as writer:
    asyncio.run(Deciding(JobContext(run, run.config, writer, Control(lambda state, reason: None))).decide())
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_in_the_middle_of_a_policy_s_decision_loses_nothing_and_doubles_nothing(tmp_path, moment):
    with created(tmp_path, "review.policy=auto") as run:
        for name in ("a", "b"):
            proposed(run, Insert(name, text(name)))
        before = commits(run) if (run.repo_path / ".git").exists() else 0
        killed = subprocess.run([sys.executable, "-c", DYING, str(run.path), moment], cwd=ROOT, check=False)
        assert killed.returncode == -signal.SIGKILL and [edit.state for edit in run.edits()] == ["pending"] * 2
        assert reconcile(run) == (["e1"] if moment == "after" else [])  # as every engine begins
        decide(run)
        assert decisions(run) == [("e1", "committed", "policy auto"), ("e2", "committed", "policy auto")]
        assert len(run.events(kinds=["edit_decided"])) == 2 and commits(run) - before in (2, 3)  # and the first of all


async def test_a_decision_that_cannot_be_logged_ends_the_run(tmp_path):
    with created(tmp_path, "review.policy=auto") as run, run.writer() as writer:
        await asyncio.to_thread(proposed, run, Insert("a", text("a")))
        job = job_of(run, writer)
        with full_log(run):
            async with Deciding(job).beside():
                with pytest.raises(NotLogged):
                    await asyncio.wait_for(job.control.interruptible(asyncio.sleep(20)), 20)
        assert reconcile(run) == ["e1"]


# What a step's rollouts leave behind


def left(group, index, *names, body="Look.\n"):
    played = rollout(group, index, completion(1), outcomes=(SUCCEEDED,))
    edits = [Insert(name, text(name, body)).apply(SkillRepo.empty()) for name in names]
    return msgspec.structs.replace(played, positions=[msgspec.structs.replace(played.positions[0], edits=edits)])


def parts(*rewards):
    return [RewardBreakdown(r, r, None, None, None) for r in rewards]


def test_every_measured_rollout_of_a_step_gives_candidates_and_equal_ones_are_one_with_their_advantages():
    rows = [
        [left(0, 0, "a", "b"), left(0, 1, "a"), left(0, 2, "c")],
        [left(1, 0, "a"), left(1, 1), left(1, 2, "d")],
    ]
    found = candidates(rows, [parts(0.2, 0.8, 0.5), parts(1.0, 0.0, None)])
    assert {edit.skill: edit.provenance.standing for edit in found} == {
        "a": Standing(1.0, (0.5, pytest.approx(0.3), pytest.approx(-0.3)), 5),
        "b": Standing(0.2, (pytest.approx(-0.3),), 5),
        "c": Standing(0.5, (0.0,), 5),
    }
    a = next(edit for edit in found if edit.skill == "a")
    assert (a.provenance.position.group, a.provenance.position.rollout) == (1, 0)
    assert [(at.group, at.rollout) for at in a.provenance.evidence] == [(0, 1), (0, 0)]
    assert a.provenance.reason.startswith("after «get 1» succeeded")


def test_other_texts_of_a_skill_are_other_candidates_and_what_ends_as_it_was_is_none():
    rows = [[left(0, 0, "a"), left(0, 1, "a", body="Other.\n"), left(0, 2, "a")]]
    start = {"a": text("a", "Look.\n")}
    found = candidates(rows, [parts(0.2, 0.8, 0.5)], start)
    assert [(edit.operation, edit.skill) for edit in found] == [("update", "a")]
    assert isinstance(found[0], Edit) and isinstance(found[0].provenance, Provenance)


@pytest.mark.parametrize("policy", ["auto", "approve_after", "veto_after"])
def test_no_policy_decides_on_a_pinned_skill_until_it_is_unpinned(tmp_path, policy):
    run = created(tmp_path, f"review.policy={policy}", "review.policy_seconds=0.01")
    edit_id = proposed(run, Insert("mugs", text("mugs")))
    pin(run.repo_path, "mugs", "ann")
    time.sleep(0.05)
    decide(run)
    assert [(each.id, each.state) for each in run.edits()] == [(edit_id, "pending")]
    assert "mugs is pinned" in run.tail(1, ["notice"])[0].event.message
    unpin(run.repo_path, "mugs")
    decide(run)
    assert run.edit(edit_id).state == ("vetoed" if policy == "veto_after" else "committed")


def test_a_pin_stays_on_a_skill_that_a_person_renames_and_no_policy_amends_or_undoes(tmp_path):
    run = created(tmp_path, "review.policy=auto")
    reviews.approve(run, proposed(run, Insert("mugs", text("mugs"))), "ann")
    pin(run.repo_path, "mugs", "ann")
    renaming = reviews.approve(run, proposed(run, Update("mugs", "glasses")), "ann")
    assert renaming.state == "committed" and set(pins(run.repo_path)) == {"mugs", "glasses"}
    edit_id = proposed(run, Delete("glasses"))
    decide(run)
    assert run.edit(edit_id).state == "pending"
    later = proposed(run, Update("glasses", None, text("glasses", "Look twice.\n")))
    for refused in (
        lambda: reviews.amend(run, later, "policy auto", text("glasses", "Never look.\n")),
        lambda: reviews.undo(run, renaming.id, "policy auto"),
    ):
        with pytest.raises(PinnedSkill, match="is pinned"):
            refused()
    reviews.undo(run, renaming.id, "ann")
    decide(run)
    assert (run.repo_path / "mugs").is_dir() and "mugs" in pins(run.repo_path)


def test_a_person_decides_on_a_pinned_skill_and_pins_that_cannot_be_read_stop_policies_only(tmp_path):
    run = created(tmp_path, "review.policy=auto")
    edit_id = proposed(run, Insert("mugs", text("mugs")))
    (run.repo_path / ".skillos").mkdir(exist_ok=True)
    (run.repo_path / ".skillos" / "pins.json").write_text("{")
    decide(run)
    assert run.edit(edit_id).state == "pending"
    assert reviews.approve(run, edit_id, "ann").state == "committed"
