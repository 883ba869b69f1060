"""Rollouts: the environment drives the positions, seeds travel, and what is not known is said and never guessed."""

from engine.core.events import CurationMade, CurationSkipped, EpisodeEnded, EpisodeStarted, TurnTaken
from engine.curation.calls import apply_calls
from engine.curation.retrieval import SkillRetriever
from engine.environments.household.source import HouseholdTasks
from engine.models.base import PromptTooLong
from engine.rollouts.context import RolloutContext
from engine.rollouts.summary import score_rollouts, summary
from engine.skills import Malformed, SkillIndex, SkillRepo, SkillUsage, parse_operations
from tests.training.answering import CONFIG, DOWN, Answering, call, played, played_one, skill


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


async def test_every_position_is_played_whatever_the_curator_did():
    answers = {1: call("insert_skill", skill_name="a"), 2: "no call at all", 3: "<tool_call>{broken", 4: DOWN}
    rollouts, events = await played(Answering(curator=lambda asked: answers.get(asked, "")))
    addresses = [(at.group, at.rollout, at.position) for at in (event.at for event in of(events, EpisodeEnded))]
    assert sorted(addresses) == [(g, r, p) for g in range(2) for r in range(2) for p in (1, 2, 3)]
    assert [[len(rollout.positions) for rollout in row] for row in rollouts] == [[3, 3], [3, 3]]


async def test_all_rollouts_of_a_group_walk_the_same_tasks_with_the_same_seeds_and_curate_with_their_own():
    model = Answering()
    rollouts, _ = await played(model)
    for row in rollouts:
        tasks = [[position.trajectory.task.id for position in rollout.positions] for rollout in row]
        assert tasks[0] == tasks[1] == [task.id for task in row[0].group.tasks]
    executor, curator = model.seeds("executor"), model.seeds("curator")
    assert len(curator) == len(set(curator)) == 12
    assert {executor.count(seed) for seed in executor} == {1, 2}  # the first episode of a group is played once


async def test_the_same_step_is_played_with_the_same_seeds_again_and_another_with_others():
    one, again, other = Answering(), Answering(), Answering()
    await played(one)
    await played(again)
    await played(other, step=2)
    assert sorted(one.seeds("curator")) == sorted(again.seeds("curator"))
    assert not set(one.seeds("curator")) & set(other.seeds("curator"))


async def test_a_rollout_starts_from_an_empty_repository_and_edits_its_own_alone():
    """Each decision inserts a skill of a new name: after position i a rollout has i, none of them another's."""
    _, events = await played(
        Answering(curator=lambda asked: call("insert_skill", skill_name=f"s{asked}", content=skill(f"s{asked}")))
    )
    repos = {}
    for event in of(events, CurationMade):
        repos.setdefault((event.at.group, event.at.rollout), []).append(set(event.repo))
    assert len(repos) == 4
    for grown in repos.values():
        assert [len(names) for names in grown] == [1, 2, 3]
        assert grown[0] < grown[1] < grown[2]
    assert len(set.union(*(grown[-1] for grown in repos.values()))) == 12


async def test_what_a_curator_wrote_is_found_for_the_next_task():
    written = call("insert_skill", skill_name="get-things", content=skill("get-things", "Get a thing: it is shut in."))
    _, events = await played(Answering(curator=lambda asked: written))
    started = of(events, EpisodeStarted)
    assert all(event.skills == [] for event in started if event.at.position == 1)
    assert all([found.name for found in event.skills] == ["get-things"] for event in started if event.at.position > 1)


async def test_an_outage_of_the_curator_is_a_skipped_position_and_not_a_silent_one():
    rollouts, events = await played(Answering(curator=lambda asked: DOWN))
    assert {event.reason for event in of(events, CurationSkipped)} == {str(DOWN)}
    assert not of(events, CurationMade)
    parts = score_rollouts(rollouts, CONFIG.rewards, lambda event: None)
    assert all((part.r, part.r_fc) == (None, None) and part.r_task is not None for row in parts for part in row)


async def test_an_outage_of_the_executor_is_unmeasured_and_not_curated():
    rollouts, events = await played(Answering(executor=lambda asked: DOWN))
    ended = of(events, EpisodeEnded)
    assert all(not event.outcome.measured and str(DOWN) in event.outcome.reason for event in ended)
    assert len(of(events, CurationSkipped)) == len(ended) == 12
    parts = score_rollouts(rollouts, CONFIG.rewards, lambda event: None)
    assert all(part.r is part.r_task is None for row in parts for part in row)


# A prompt without room for everything


class Cramped(Answering):
    """A model whose prompts hold so many words, by role."""

    def __init__(self, limits, **roles):
        super().__init__(**roles)
        self.limits = limits

    async def complete(self, name, messages, sampling):
        words = sum(len(message.content.split()) for message in messages)
        if words > self.limits.get(name, words):
            raise PromptTooLong(words, self.limits[name])
        return await super().complete(name, messages, sampling)


def insert_long(asked):
    return call("insert_skill", skill_name=f"s{asked}", content=skill(f"s{asked}", "Get things. " + "on and on " * 99))


async def test_what_did_not_fit_into_a_prompt_is_in_the_log_and_counted():
    """Long skills fit into the curator's prompt and not into the executor's, where they count as shown to nobody."""
    rollouts, events = await played(Cramped({"executor": 99}, curator=insert_long))
    started = {event.at: [skill.name for skill in event.skills] for event in of(events, EpisodeStarted)}
    assert any(started.values())
    for event in of(events, EpisodeEnded):
        assert (event.shown, event.shortened) == ([], bool(started[event.at]))
    assert {turn.skills for turn in of(events, TurnTaken)} == {0}
    assert all(event.shown == started[event.at] for event in of(events, CurationMade))
    parts = score_rollouts(rollouts, CONFIG.rewards, lambda event: None)
    ended = summary(1, rollouts, parts, rollout_seconds=1, seconds=1)
    assert (ended.shortened, ended.dropped_skills) == (sum(map(bool, started.values())), 0)


async def test_skills_in_neither_prompt_are_counted_as_dropped():
    rollouts, events = await played(Cramped({"executor": 99, "curator": 99}, curator=insert_long))
    found = sum(len(event.skills) for event in of(events, EpisodeStarted))
    parts = score_rollouts(rollouts, CONFIG.rewards, lambda event: None)
    ended = summary(1, rollouts, parts, rollout_seconds=1, seconds=1)
    assert found and ended.dropped_skills == found
    assert {tuple(event.shown) for event in of(events, CurationMade)} == {()}
    assert any(event.dropped_turns for event in of(events, CurationMade))


async def test_a_skill_that_was_not_in_the_prompt_is_not_tried():
    """Or skills too long to show would be translated_errors, or praised, for what happened without them."""
    usage, index = SkillUsage(), SkillIndex()
    repo = SkillRepo.of({"long": skill("long", "Get things. " + "on and on " * 99)})
    index.sync(repo)
    (task,) = HouseholdTasks().stream(1, 1)
    for model, tried in ((Cramped({"executor": 99}), False), (Answering(), True)):
        context = RolloutContext.open(CONFIG, HouseholdTasks(), model.models)
        await played_one(context, task, repo, SkillRetriever(index, usage, 0.0))
        assert (usage.lower_bound("long") is not None) == tried


async def test_a_measured_position_has_an_outcome_and_a_decision():
    rollouts, _ = await played(Answering(curator=lambda asked: DOWN if asked == 1 else ""))
    scored = []
    parts = score_rollouts(rollouts, CONFIG.rewards, scored.append)
    ended = summary(1, rollouts, parts, rollout_seconds=1, seconds=1)
    assert sorted((event.measured, event.unmeasured) for event in scored) == [(2, 1), (3, 0), (3, 0), (3, 0)]
    assert (ended.measured, ended.unmeasured, ended.skipped_curations, ended.episodes) == (11, 1, 1, 12)
    assert ended.success_rate == 0.0


# Applying calls


def following(index):
    return SkillRetriever(index, SkillUsage(), 0.0).follow


def test_a_call_that_does_not_apply_says_why_and_changes_nothing():
    repo, index = SkillRepo.empty(), SkillIndex()
    text = "\n".join(
        [
            call("insert_skill", skill_name="mugs", content=skill("mugs")),
            call("insert_skill", skill_name="mugs", content=skill("mugs")),
            call("delete_skill", skill_name="cups"),
            call("insert_skill", skill_name="pots"),
            call("burn_skill", skill_name="mugs"),
        ]
    )
    calls, edits = apply_calls(parse_operations(text), repo, following(index))
    assert [made.verdict for made in calls] == ["valid", "refused", "refused", "malformed", "malformed"]
    assert [made.skill for made in calls] == ["mugs", "mugs", "cups", "pots", "mugs"]
    assert all(made.why for made in calls[1:])
    assert [edit.skill for edit in edits] == list(repo) == ["mugs"]


def test_the_index_follows_inserts_renames_and_deletions():
    repo, index = SkillRepo.empty(), SkillIndex()

    def apply(text):
        calls, _ = apply_calls(parse_operations(text), repo, following(index))
        assert [made.verdict for made in calls] == ["valid"]
        return [name for name, _ in index.search("where are mugs", 3)]

    assert apply(call("insert_skill", skill_name="mugs", content=skill("mugs"))) == ["mugs"]
    assert apply(call("update_skill", skill_name="mugs", new_name="cups", new_content=skill("cups"))) == ["cups"]
    assert apply(call("delete_skill", skill_name="cups")) == []


def test_text_without_a_call_is_no_call():
    assert apply_calls([], SkillRepo.empty()) == ([], [])
    assert not [found for found in parse_operations("I would rather not.") if not isinstance(found, Malformed)]
