"""Search equals rank-bm25 to the last bit, with few skills and with many, after any sequence of edits."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.skills import Skill, SkillIndex
from engine.skills.search.index import SMALL
from tests.skills.search import reference

WORDS = ["mug", "cup", "safe", "box", "heat", "cold", "shut", "the", "door", "find"]

sentences = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
names = st.sampled_from([f"{first}-{second}" for first in ("mug", "find", "heat", "x") for second in WORDS])
skills = st.builds(Skill.make, names, sentences, sentences)
queries = st.lists(st.sampled_from([*WORDS, "kettle"]), max_size=30).map(" ".join)


@cache
def many() -> list[Skill]:
    """More than `SMALL` skills, some of them equal except for the name."""
    return [
        Skill.make(f"filler-{number}", " ".join(WORDS[number % 3 : number % 7]), " ".join(WORDS[number % 5 :: 3]))
        for number in range(SMALL + 50)
    ]


@given(st.lists(skills), queries, st.integers(1, 9))
def test_a_small_repository_is_searched_as_rank_bm25_does(made: list[Skill], query: str, k: int) -> None:
    repo = {skill.name: skill for skill in made}
    assert SkillIndex.of(repo).search(query, k) == reference.search(repo, query, k)


fillers = st.sets(st.integers(0, SMALL + 49), min_size=1, max_size=9)
edits = st.one_of(
    st.tuples(st.just("put"), st.lists(skills, min_size=1, max_size=9)),
    st.tuples(st.just("put"), fillers.map(lambda numbers: [many()[number] for number in sorted(numbers)])),
    st.tuples(st.just("drop"), st.lists(names, min_size=1, max_size=9)),
    st.tuples(st.just("drop"), fillers.map(lambda numbers: [f"filler-{number}" for number in sorted(numbers)])),
    st.tuples(st.just("search"), queries),
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([0, SMALL - 9, SMALL + 9]), st.lists(edits, max_size=20), queries)
def test_the_scores_do_not_depend_on_the_order_of_edits(
    start: int, changes: list[tuple[str, list]], query: str
) -> None:
    repo = {skill.name: skill for skill in many()[:start]}
    index = SkillIndex.of(repo)
    for kind, values in [*changes, ("search", query)]:
        if kind == "search":
            assert index.search(values, 5) == reference.search(repo, values, 5)
        for value in values if kind != "search" else ():
            if kind == "put":
                (index.update if value.name in repo else index.insert)(value.name, value)
                repo[value.name] = value
            elif value in repo:
                index.delete(value)
                del repo[value]
    assert len(index) == len(repo)
    assert index.search(query, 2 * SMALL) == reference.search(repo, query, 2 * SMALL)


def test_deleted_skills_leave_no_postings() -> None:
    repo = {skill.name: skill for skill in many()}
    index = SkillIndex.of(repo)
    for name in list(repo):
        index.delete(name)
    assert (len(index), index.search("mug safe", 5)) == (0, [])
    for name, skill in repo.items():
        index.insert(name, skill)
    assert index.search("mug safe", 5) == reference.search(repo, "mug safe", 5)
