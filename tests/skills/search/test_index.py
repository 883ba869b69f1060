"""Search: Lucene's BM25, also in a repository of one or two skills, with deterministic results."""

from __future__ import annotations

import math

import pytest

from engine.skills import Skill, SkillIndex
from engine.skills.search import index as index_module
from engine.skills.search.index import MAX_QUERY_WORDS, SMALL


def skill(name: str, description: str = "", body: str = "") -> Skill:
    return Skill.make(name, description, body)


def index_of(**bodies: str) -> SkillIndex:
    index = SkillIndex()
    for name, body in bodies.items():
        index.insert(name, skill(name, body=body))
    return index


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


def test_skills_without_words_are_allowed() -> None:
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


def test_stems_are_compared() -> None:
    assert index_of(a="Heating mugs.").search("mug heated", 1) == index_of(a="heat mug").search("heats MUGS", 1)


def test_a_word_counts_by_its_field_and_by_the_formula() -> None:
    """One skill: idf log(1 + 0.5/1.5), and a length that is the average, so that two of two words make 2·2.5/(2 + 1.5)."""
    index = SkillIndex.of({"mug-mug": skill("mug-mug", "Mugs.", "safe")})
    idf = math.log(1 + 0.5 / 1.5)
    assert index.search("mug", 1) == [("mug-mug", pytest.approx(idf * (2 * 2.5 / 3.5 + 2 * 1)))]
    assert index.search("safe", 1) == [("mug-mug", pytest.approx(idf * 2))]
    assert index.search("safe safe safe", 1) == [("mug-mug", pytest.approx(idf * 2 * 3))]


def test_a_file_without_a_name_is_indexed_by_its_name_in_the_repository() -> None:
    index = SkillIndex()
    index.insert("collection/find-mugs", Skill.parse("Look into the safe."))
    index.insert("collection/other", Skill.parse("---\nname: find-cups\n---\nLook into the box."))
    assert [name for name, _ in index.search("mugs", 5)] == ["collection/find-mugs"]
    assert [name for name, _ in index.search("cups", 5)] == ["collection/other"]


def test_only_changed_skills_are_indexed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    skills = {name: skill(name, "Use when a mug is wanted.", f"{name} is in the safe") for name in ("a1", "b1", "c1")}
    index = SkillIndex.of(skills)
    read: list[str] = []
    monkeypatch.setattr(index_module, "count_words", lambda text: read.append(text) or {"plate": 1})
    assert index.sync(skills) == 0
    del skills["a1"]
    skills["b1"] = skill("b1", "Use when a mug is wanted.", "plates")
    skills["d1"] = skill("d1", "Use when a mug is wanted.", "plates")
    assert index.sync(skills) == 3
    assert read == ["b1", "Use when a mug is wanted.", "plates", "d1", "Use when a mug is wanted.", "plates"]
    monkeypatch.undo()
    assert [name for name, _ in index.search("plates safe", 5)] == ["b1", "d1", "c1"]


@pytest.mark.parametrize("count", [3, SMALL + 3])
@pytest.mark.parametrize(
    "query",
    [
        "",
        " \n\t",
        "\0",
        "\ud800",
        "the of and",
        "🙂" * 99,
        "mug " * 2**18,
        "a" * 2**20,
        "\ud800 mug\0safe",
        "数" * 2**19,
    ],
    ids=["empty", "blanks", "nul", "surrogate", "stop", "signs", "repeated", "one word", "broken", "han"],
)
def test_any_query_is_answered(query: str, count: int) -> None:
    index = SkillIndex.of({f"mugs-{number}": skill(f"mugs-{number}") for number in range(count)})
    found = index.search(query, 2)
    assert [name for name, _ in found] == (["mugs-0", "mugs-1"] if "mug" in query else [])


def test_only_the_first_words_of_a_long_query_count() -> None:
    index = index_of(a="mug", b="cup")
    assert index.search("mug " * (MAX_QUERY_WORDS + 1), 1) == index.search("mug " * MAX_QUERY_WORDS, 1)
    assert index.search("mug " * MAX_QUERY_WORDS + "cup", 2) == index.search("mug " * MAX_QUERY_WORDS, 2)


@pytest.mark.parametrize("count", [3, 300])
def test_the_parts_of_a_result_add_up_to_its_score(count: int) -> None:
    skills = {
        f"find-mugs-{n}": skill(f"find-mugs-{n}", "Use when a hot mug is wanted.", "Mugs are hot.")
        for n in range(count)
    }
    skills["cups"] = skill("cups", "Use when a cup is wanted.", "A cup is cold.")
    index = SkillIndex.of(skills)
    found = index.explain("a hot hot mug, or a cup", k=5)
    assert [(name, score) for name, score, _ in found] == index.search("a hot hot mug, or a cup", k=5)
    for _, score, parts in found:
        assert sum(part.score for part in parts) == pytest.approx(score)
        assert {part.field for part in parts} <= {"name", "description", "body"}
    assert index.explain("nothing of it", k=5) == []
