"""Near-duplicates: the index finds the same as comparing every pair, also while skills are added and removed."""

from __future__ import annotations

import random

from engine.skills import Skill
from engine.skills.audit import DuplicateIndex, audit_repo
from engine.skills.audit.duplicates import MAX_NEAR, jaccard, shingles

WORDS = [f"word{number}" for number in range(400)]


def skill(words: list[str]) -> Skill:
    return Skill.make("a-skill", "Use it.", " ".join(words) + "\n")


def changed(words: list[str], share: float, dice: random.Random) -> list[str]:
    """`words` with a share of them replaced."""
    return [dice.choice(WORDS) if dice.random() < share else word for word in words]


def test_the_similarity_is_the_jaccard_coefficient_of_word_trigrams() -> None:
    one, other = shingles(skill(list("abcdef"))), shingles(skill(list("abcdxy")))
    assert len(one) == len(other) == 6  # "use it a", "it a b", "a b c", …
    assert jaccard(one, other) == 4 / 8
    assert jaccard(one, one) == 1.0 and jaccard(set(), set()) == 1.0


def test_the_index_finds_the_same_as_comparing_all_pairs() -> None:
    dice = random.Random(1)
    families = [[dice.choice(WORDS) for _ in range(dice.randint(5, 120))] for _ in range(40)]
    skills = {
        f"s{number}": skill(changed(dice.choice(families), dice.choice([0.0, 0.01, 0.05, 0.3]), dice))
        for number in range(300)
    }
    index = DuplicateIndex.of(skills)
    sets = {name: shingles(item) for name, item in skills.items()}
    for name, item in skills.items():
        near = {other for other in skills if other != name and jaccard(sets[name], sets[other]) >= 0.8}
        found = index.near(item, 0.8, {name})
        assert {other for other, _ in found} <= near and len(found) == min(len(near), MAX_NEAR)
        assert all(value == jaccard(sets[name], sets[other]) for other, value in found)
        assert [value for _, value in found] == sorted((value for _, value in found), reverse=True)


def test_deleted_and_replaced_skills_are_not_found() -> None:
    one, other = skill(WORDS[:50]), skill(WORDS[100:150])
    index = DuplicateIndex.of({"a": one, "b": other})
    assert index.near(one, 0.8) == [("a", 1.0)]
    index.insert("a", other)
    assert index.near(one, 0.8) == [] and index.near(other, 0.8) == [("a", 1.0), ("b", 1.0)]
    index.delete("b")
    index.delete("never-there")
    assert index.near(other, 0.8) == [("a", 1.0)] and len(index) == 1


def test_short_and_empty_skills_are_compared_too() -> None:
    index = DuplicateIndex.of({"a": skill(["safe"]), "b": Skill.parse("", name="b")})
    assert index.near(skill(["safe"]), 0.8) == [("a", 1.0)]
    assert index.near(Skill.parse(""), 0.8) == [("b", 1.0)]


def test_many_copies_of_one_skill_are_audited_in_bounded_time() -> None:
    repo = {f"s{number}": skill(WORDS) for number in range(60)}
    found = audit_repo(repo)
    assert list(found) == list(repo)
    assert all(len(findings) == 1 and findings[0].rule == "duplicate" for findings in found.values())


def test_skills_without_a_body_are_not_duplicates() -> None:
    audited = audit_repo({name: Skill.parse("", name=name) for name in ("empty", "unreadable")})
    assert audited == {"empty": [], "unreadable": []}
