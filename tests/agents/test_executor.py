"""The executor: one chat a turn, three-valued outcomes, invalid actions counted."""

import asyncio

import msgspec
import pytest

from engine.agents.executor import play
from engine.agents.prompting import Prompts, SkillShown
from engine.agents.settings import ExecutorSettings
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.environments.answers import Answer, parse_answer
from engine.environments.household import KIND
from engine.environments.household.source import HouseholdTasks, errand_of, house_of
from tests.agents.scripted import OUTAGE, Scripted, act

SOURCE = HouseholdTasks()
TASK = next(
    task
    for task in SOURCE.stream(4, 16)
    if not errand_of(task).treatment and house_of(task).homes[errand_of(task).thing] not in house_of(task).shut
)
THING, HOME = errand_of(TASK).thing, house_of(TASK).homes[errand_of(TASK).thing]
SETTINGS = ExecutorSettings(history=2, deadline_seconds=5)


async def run(*answers, settings=SETTINGS, skills=(), name="standard", limit=None):
    model = Scripted(*answers, limit=limit)
    trajectory = await play(
        SOURCE, TASK, skills, kind=KIND, model=model, prompts=Prompts.load(name), settings=settings, seed=1
    )
    return trajectory, model


async def test_a_knowing_executor_succeeds():
    trajectory, _ = await run(act(f"go {HOME}"), act(f"take {THING}"))
    assert trajectory.outcome == SUCCEEDED
    assert [turn.action for turn in trajectory.turns] == [f"go {HOME}", f"take {THING}"]
    assert trajectory.invalid_actions == 0


async def test_an_executor_that_runs_into_the_step_cap_has_failed():
    trajectory, _ = await run(*[act(f"go {HOME}")] * SOURCE.max_turns(TASK))
    assert trajectory.outcome == FAILED
    assert len(trajectory.turns) == SOURCE.max_turns(TASK)


async def test_an_answer_that_does_not_parse_is_invalid_and_costs_a_turn():
    trajectory, _ = await run("I would look around.", act("fly away"), act(f"go {HOME}"), act(f"take {THING}"))
    assert [turn.invalid_action for turn in trajectory.turns] == [True, True, False, False]
    assert trajectory.turns[0].observation == "Nothing happens."
    assert trajectory.outcome == SUCCEEDED


async def test_an_outage_is_unmeasured_and_never_a_failure():
    trajectory, _ = await run(act(f"go {HOME}"), OUTAGE)
    assert trajectory.outcome.kind == "unmeasured"
    assert "connection refused" in trajectory.outcome.reason
    assert len(trajectory.turns) == 1


async def test_an_episode_past_its_deadline_is_unmeasured():
    async def never():
        await asyncio.sleep(3600)

    trajectory, _ = await run(never, settings=msgspec.structs.replace(SETTINGS, deadline_seconds=0.05))
    assert trajectory.outcome.kind == "unmeasured"
    assert "0.05 s" in trajectory.outcome.reason


# A prompt over its cap

SKILLS = [SkillShown(name, "Where it is kept.", f"{name} " * 50) for name in ("best", "middle", "worst")]
WAITING = [act("wait")] * SOURCE.max_turns(TASK)


def sizes(model):
    return [model.count(text) for text in texts(model)]


def texts(model):
    return ["".join(m.content for m in messages) for messages, _ in model.asked]


async def test_a_prompt_over_its_cap_loses_the_lowest_ranked_skills_first_and_for_the_whole_episode():
    _, roomy = await run(*WAITING, skills=SKILLS[:2])
    limit = max(sizes(roomy))
    trajectory, model = await run(*WAITING, skills=SKILLS, limit=limit)
    assert trajectory.outcome == FAILED
    assert len(trajectory.turns) == SOURCE.max_turns(TASK)
    assert sizes(model) == sizes(roomy)
    assert model.refused == 1
    assert all("best best" in text and "middle middle" in text and "worst" not in text for text in texts(model))


async def test_a_trajectory_says_which_skills_were_in_a_prompt_and_whether_one_was_shortened():
    _, roomy = await run(*WAITING, skills=SKILLS[:2])
    for limit, shown, shortened in (
        (None, ["best", "middle", "worst"], False),
        (max(sizes(roomy)), ["best", "middle"], True),
        (3, [], True),
    ):
        trajectory, _ = await run(*WAITING, skills=SKILLS, limit=limit)
        assert (trajectory.shown, trajectory.shortened) == (shown, shortened)


async def test_each_turn_is_told_with_how_many_skills_its_prompt_held():
    _, roomy = await run(act("wait"), *WAITING, skills=SKILLS)
    told = []
    model = Scripted(*WAITING, limit=sizes(roomy)[0])  # the first turn fits whole; the next quotes a turn too
    prompts = Prompts.load("standard")
    await play(
        *(SOURCE, TASK, SKILLS),
        kind=KIND,
        model=model,
        prompts=prompts,
        settings=SETTINGS,
        seed=1,
        on_turn=lambda number, turn, skills: told.append((number, skills)),
    )
    assert told[0] == (1, 3) and {skills for _, skills in told[1:]} == {2}


async def test_with_no_skill_left_it_loses_the_quoted_turns():
    _, bare = await run(*WAITING, settings=msgspec.structs.replace(SETTINGS, history=0))
    trajectory, model = await run(*WAITING, skills=SKILLS, limit=max(sizes(bare)))
    assert trajectory.outcome == FAILED
    assert all("best" not in text and "- did:" not in text for text in texts(model)[1:])


async def test_skills_however_long_leave_a_failure_a_failure():
    """Or a curator could take its own failures out of r_task's denominator."""
    endless = [SkillShown(f"s{number}", "Where it is kept.", "on and on " * 10_000) for number in range(5)]
    trajectory, _ = await run(*WAITING, skills=endless, limit=2000)
    assert trajectory.outcome == FAILED


async def test_a_prompt_that_fits_with_neither_skills_nor_history_is_unmeasured():
    trajectory, model = await run(skills=SKILLS, limit=3)
    assert trajectory.outcome.kind == "unmeasured"
    assert "more than the limit of 3" in trajectory.outcome.reason
    assert model.asked == []


# What is asked


async def test_every_turn_is_a_chat_of_its_own_with_task_skills_recent_turns_and_admissible_actions():
    skill = SkillShown("find-it", "Where it is kept.", "Go to the moon.")
    _, model = await run(*[act(f"go {HOME}")] * SOURCE.max_turns(TASK), skills=[skill])
    for messages, _ in model.asked:
        text = "\n".join(message.content for message in messages)
        assert (TASK.prompt in text and "Go to the moon." in text and f"- go {HOME}" in text) or f"go {HOME}" in text
    last = model.asked[-1][0][-1].content
    assert last.count("- did:") == 2


async def test_turns_draw_from_different_seeds_and_the_same_seed_asks_the_same():
    _, first = await run(*[act("wait")] * SOURCE.max_turns(TASK))
    _, second = await run(*[act("wait")] * SOURCE.max_turns(TASK))
    seeds = [sampling.seed for _, sampling in first.asked]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [sampling.seed for _, sampling in second.asked] == [1000 + turn for turn in range(len(seeds))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>a b</think><action>go box</action>", ("a b", "go box")),
        ("<action>  go \n box </action>", ("", "go box")),
        ("<think>a<action>go box</action>", ("a", "go box")),
        (
            "<think><action>x</action></think><action>go box</action>",
            (["", "x</action>"][0], "go box"),
        ),
        ("<action>go box</action><action>go rack</action>", ("", "")),
        ("<action>go box", ("", "")),
        ("", ("", "")),
        ("<action></action>", ("", "")),
    ],
)
def test_an_answer_is_a_thought_and_exactly_one_action(text, expected):
    assert parse_answer(text) == Answer(*expected)


def test_a_huge_answer_is_read_in_linear_time_and_its_action_is_bounded():
    assert len(parse_answer("<action>" + "a" * 1_000_000 + "</action>").action) == 200
    assert parse_answer("<think>" * 200_000 + "<action>" * 200_000).action == ""


async def test_a_trajectory_counts_what_was_generated_also_where_the_answers_do_not_parse():
    trajectory, _ = await run("I would look around.", act(f"go {HOME}"), OUTAGE)
    assert len(trajectory.turns) == 2
    assert trajectory.tokens == sum(len(answer) for answer in ("I would look around.", act(f"go {HOME}")))
