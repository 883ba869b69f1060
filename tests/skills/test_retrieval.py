"""Search: Lucene's BM25, also in a repository of one or two skills, and always the same answer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.skills import Skill, SkillIndex, SkillRepo
from engine.skills.retrieval import words


def skill(name: str, description: str = "", body: str = "") -> Skill:
    return Skill.make(name, description, body)


def index_of(**bodies: str) -> SkillIndex:
    index = SkillIndex()
    for name, body in bodies.items():
        index.insert(name, skill(name, body=body))
    return index


def bm25(query: str, name: str, bodies: dict[str, str]) -> float:
    """BM25 of one document from its formula: k1 = 1.5, b = 0.75, Lucene's idf."""
    documents = {key: words(f"{key} {body}") for key, body in bodies.items()}
    average = sum(map(len, documents.values())) / len(documents)
    score = 0.0
    for word in words(query):
        found = sum(word in document for document in documents.values())
        count = documents[name].count(word)
        idf = math.log(1 + (len(documents) - found + 0.5) / (found + 0.5))
        score += idf * count * 2.5 / (count + 1.5 * (0.25 + 0.75 * len(documents[name]) / average))
    return score


def test_an_empty_repository_answers_with_nothing() -> None:
    assert SkillIndex().search("anything", 5) == []


def test_the_only_skill_is_found() -> None:
    assert [name for name, _ in index_of(mugs="mugs are in the safe").search("where are the mugs", 5)] == ["mugs"]


def test_the_right_one_of_two_is_found_first() -> None:
    index = index_of(mugs="mugs are in the safe", cups="cups are in the box, near the safe")
    found = index.search("cups in the box", 5)
    assert [name for name, _ in found] == ["cups"]
    assert [name for name, _ in index.search("safe", 5)] == ["mugs", "cups"]


def test_no_word_in_common_is_no_result() -> None:
    index = index_of(mugs="mugs are in the safe")
    assert index.search("kettle", 5) == []
    assert index.search("where is the", 5) == []
    assert index.search("", 5) == []
    assert index.search("mugs", 0) == []


def test_name_description_and_body_all_count() -> None:
    index = SkillIndex()
    index.insert("find-mugs", skill("find-mugs", "Use when coffee is wanted.", "Look into the safe."))
    assert all(index.search(query, 1) for query in ("MUGS", "coffee", "safe"))


def test_skills_without_a_word_do_no_harm() -> None:
    index = SkillIndex()
    index.insert("the", skill("the"))
    assert index.search("the", 3) == []
    index.insert("mug", skill("mug"))
    assert [name for name, _ in index.search("mug", 3)] == ["mug"]


def test_ties_are_broken_by_name_whatever_the_order_of_insertion() -> None:
    for order in (["a1", "b1", "c1"], ["c1", "a1", "b1"]):
        index = index_of(**{name: "mugs safe" for name in order})
        assert [name for name, _ in index.search("mugs", 2)] == ["a1", "b1"]


def test_the_index_follows_inserts_updates_and_deletes() -> None:
    index = index_of(a="mugs", b="cups")
    index.update("a", skill("a", body="plates"))
    assert index.search("mugs", 5) == []
    assert [name for name, _ in index.search("plates", 5)] == ["a"]
    index.delete("a")
    assert index.search("plates", 5) == []
    assert len(index) == 1
    with pytest.raises(KeyError):
        index.insert("b", skill("b"))
    with pytest.raises(KeyError):
        index.update("a", skill("a"))
    with pytest.raises(KeyError):
        index.delete("a")


vocabulary = st.sampled_from(["mug", "cup", "safe", "box", "the", "heat", "cold", "shut"])
sentences = st.lists(vocabulary, max_size=8).map(" ".join)


@given(st.dictionaries(st.sampled_from(["x1", "x2", "x3", "x4"]), sentences, min_size=1), sentences)
def test_scores_are_those_of_the_formula(bodies: dict[str, str], query: str) -> None:
    found = index_of(**bodies).search(query, 10)
    expected = {name: bm25(query, name, bodies) for name in bodies}
    assert dict(found) == pytest.approx({name: score for name, score in expected.items() if score > 0}, abs=1e-9)
    assert found == sorted(found, key=lambda pair: (-pair[1], pair[0]))


edits = st.lists(st.tuples(st.sampled_from(["x1", "x2", "x3"]), st.one_of(st.none(), sentences)), max_size=8)


@given(edits, sentences)
def test_an_index_kept_up_to_date_equals_one_built_anew(changes: list[tuple[str, str | None]], query: str) -> None:
    index, repo = SkillIndex(), SkillRepo.empty()
    for name, body in changes:
        if body is None and name in repo:
            repo.delete(name)
            index.delete(name)
        elif body is not None:
            changed = skill(name, body=body)
            (index.update if name in repo else index.insert)(name, changed)
            repo.update(name, changed) if name in repo else repo.insert(changed)
        index.search("mug", 1)
    assert index.search(query, 5) == SkillIndex.of(repo).search(query, 5)
