"""Properties of all operations: any text is parsed, any call is parsed back as written, and a repository, its forks and its
index agree with the edits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.skills import (
    Delete,
    Insert,
    Malformed,
    Operation,
    Refused,
    Skill,
    SkillIndex,
    SkillRepo,
    Update,
    parse_operations,
)
from tests.skills.operations.dialects import DIALECTS, TAGS
from tests.skills.operations.fuzzing.corpus import HEADERS
from tests.skills.operations.fuzzing.mutations import CHARACTERS, TOKENS

# Reading

any_text = st.text(st.characters(exclude_categories=()))
pieces = st.lists(st.one_of(st.sampled_from(TOKENS), st.sampled_from(CHARACTERS), any_text), max_size=30).map("".join)


@given(pieces)
def test_any_text_is_read_and_what_is_found_can_be_stored(completion: str) -> None:
    for found in parse_operations(completion):
        assert isinstance(found, Insert | Update | Delete | Malformed)
        assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
        assert not isinstance(found, Malformed) or found.why


values = st.text(max_size=60)
calls = st.one_of(
    st.builds(Insert, values, values),
    st.builds(Update, values, st.none() | values, st.none() | values),
    st.builds(Delete, values),
)


def written(operation: Operation) -> tuple[str, dict[str, Any]]:
    arguments = {key: value for key, value in msgspec.structs.asdict(operation).items() if value is not None}
    return f"{operation.kind}_skill", arguments


@pytest.mark.parametrize("dialect", DIALECTS)
@given(operations=st.lists(calls, max_size=4))
def test_calls_are_read_back_as_they_were_written(dialect: str, operations: list[Operation]) -> None:
    listed = [written(operation) for operation in operations]
    if dialect in TAGS:  # these dialects cannot distinguish a tag, or an absent value, from that text
        assume(not any("<" in value or value.strip() == "null" for _, given in listed for value in given.values()))
    if dialect in ("anthropic_tags", "deepseek_3_2"):
        assume(not any(value.startswith("\n") for _, given in listed for value in given.values()))
    assert parse_operations(DIALECTS[dialect](listed)) == operations


# Applying

names = st.sampled_from(["a", "b", "c", "d-1", "Bad", "../x", ".git", "", "a" * 65])
bodies = st.sampled_from(["", "Mugs are in the safe.\n", "Cups, mugs and pots.\r\n", "\x00"])
headers = st.sampled_from(HEADERS)
files = st.builds(lambda name, header, body: f"---\n{header.format(name=name)}---\n{body}", names, headers, bodies)
good_files = st.builds(lambda name, body: f"---\nname: {name}\ndescription: Use for mugs.\n---\n{body}", names, bodies)
contents = st.one_of(good_files, good_files, files, st.just("broken"))
operations = st.one_of(
    st.builds(Insert, names, contents),
    st.builds(Update, names, st.none() | names, st.none() | contents),
    st.builds(Delete, names),
)
repositories = st.dictionaries(st.sampled_from(["a", "b", "c"]), contents)


def apply(operation: Operation, repo: SkillRepo, told: dict[str, str], index: SkillIndex) -> None:
    """Apply an operation to all three; the index and the reported files are updated from the edit alone."""
    try:
        edit = operation.apply(repo)
    except Refused as refusal:
        assert refusal.why
        return
    assert told.pop(edit.skill, None) == edit.before
    if edit.before is not None:
        index.delete(edit.skill)
    if edit.after is not None:
        name = edit.new_name or edit.skill
        told[name] = edit.after
        index.insert(name, repo[name])
        assert repo[name].errors == ()


def found(index: SkillIndex) -> list[list[tuple[str, float]]]:
    return [index.search(query, 9) for query in ("mugs", "the safe pots", "d 1")]


@settings(deadline=None)
@given(repositories, st.lists(st.tuples(operations, st.booleans()), max_size=12))
def test_repository_index_and_edits_agree_and_forks_do_not_touch_each_other(
    texts: dict[str, str], sequence: list[tuple[Operation, bool]]
) -> None:
    base = SkillRepo.of(texts)
    forks = [(repo, dict(texts), SkillIndex.of(repo)) for repo in (base.fork(), base.fork())]
    for operation, which in sequence:
        apply(operation, *forks[which])
        for repo, told, index in forks:
            assert repo.texts() == told
            assert repo == SkillRepo.of(told)
            assert found(index) == found(SkillIndex.of(repo))
    assert base.texts() == texts


@given(repositories, operations)
def test_a_refused_operation_changes_nothing_and_is_refused_again(texts: dict[str, str], operation: Operation) -> None:
    repo = SkillRepo.of(texts)
    before = dict(repo.items())
    try:
        operation.apply(repo)
    except Refused as refusal:
        assert dict(repo.items()) == before
        with pytest.raises(Refused) as again:
            operation.apply(repo)
        assert again.value.why == refusal.why


def test_a_skill_that_was_written_is_valid_as_its_file_says() -> None:
    repo = SkillRepo.empty()
    Insert("a", "---\nname: a\ndescription: d\n---\n").apply(repo)
    assert repo["a"] == Skill.parse("---\nname: a\ndescription: d\n---\n", name="a")
