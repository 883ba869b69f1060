"""Events as they lie in a run's log: what an earlier version wrote is still read."""

from engine.core.events import EpisodeStarted, GroupDrawn, PositionId, SkillFound, StepStarted, decode, encode

EPISODE = b"""{"kind":"episode_started","at":{"step":1,"group":0,"rollout":2,"position":3},"task":"household/house-7/2/mug",
"family":"house-7","prompt":"Get a mug.","skills":[{"name":"mugs","score":1.5}],"observation":"You are in the hall.",
"max_turns":4}"""
STEP = b'{"kind":"step_started","step":1,"groups":[{"id":"household-7","family":"house-7","seed":7,"tasks":["a","b"]}]}'


def test_an_episode_from_before_tasks_had_a_difficulty_is_read_with_none():
    assert decode(EPISODE) == EpisodeStarted(
        at=PositionId(1, 0, 2, 3),
        task="household/house-7/2/mug",
        family="house-7",
        prompt="Get a mug.",
        skills=[SkillFound("mugs", 1.5)],
        observation="You are in the hall.",
        max_turns=4,
        difficulty=None,
    )


def test_a_groups_seed_and_a_tasks_difficulty_travel_in_the_log():
    step = decode(STEP)
    assert step == StepStarted(1, [GroupDrawn("household-7", "house-7", 7, ["a", "b"])])
    assert decode(encode(step)) == step
    episode = EpisodeStarted(PositionId(1), "t", "f", "p", [], "o", 30, difficulty=9)
    assert b'"difficulty":9' in encode(episode) and decode(encode(episode)) == episode
