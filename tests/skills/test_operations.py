"""The curator's calls: every spelling is read, every fault is named, and an edit is applied wholly or not at all."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.skills import (
    TOOLS,
    Delete,
    Edit,
    Insert,
    Malformed,
    Operation,
    Refused,
    Skill,
    SkillRepo,
    Update,
    parse_operations,
)
from engine.skills.calls import MAX_BROKEN
from engine.skills.operations import MAX_CONTENT_BYTES

INSERT, DELETE = Insert("find-mugs", "---\nname: find-mugs\n---\nUse `<tool_call>`.\n```sh\nls\n```\n"), Delete("old")


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def insert_call() -> dict[str, Any]:
    return call("insert_skill", skill_name=INSERT.skill_name, content=INSERT.content)


def delete_call() -> dict[str, Any]:
    return call("delete_skill", skill_name="old")


def hermes(*calls: dict[str, Any]) -> str:
    return "\n".join(f"<tool_call>\n{json.dumps(one)}\n</tool_call>" for one in calls)


def openai(*calls: dict[str, Any], text: bool = True) -> list[dict[str, Any]]:
    def function(one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "arguments": json.dumps(one["arguments"])} if text else one

    return [{"id": f"c{n}", "type": "function", "function": function(one)} for n, one in enumerate(calls)]


def text(name: str, body: str = "Body.\n") -> str:
    return Skill.make(name, f"Use for {name}.", body).text


def why(completion: str) -> str:
    [found] = parse_operations(completion)
    assert isinstance(found, Malformed)
    return found.why


# Reading


@pytest.mark.parametrize(
    "completion",
    [
        hermes(insert_call(), delete_call()),
        f"First this.\n{hermes(insert_call())}\nThen that:\n{hermes(delete_call())}\nDone.",
        hermes(insert_call()).removesuffix("</tool_call>") + hermes(delete_call()).removesuffix("</tool_call>"),
        f"<tool_call>{json.dumps(insert_call())}\n{json.dumps(delete_call())}</tool_call>",
        f"<tool_call>{json.dumps([insert_call(), delete_call()])}</tool_call>",
        f"<think>Maybe {hermes(call('delete_skill', skill_name='x'))}?</think>{hermes(insert_call(), delete_call())}",
        f'An aside {{"kind": 1}} and {{"a" brace, {hermes(insert_call(), delete_call())}',
        json.dumps({"role": "assistant", "content": None, "tool_calls": openai(insert_call(), delete_call())}),
        json.dumps({"tool_calls": openai(insert_call(), delete_call(), text=False)}),
        json.dumps(openai(insert_call(), delete_call())),
        f"Here:\n```json\n{json.dumps([insert_call(), delete_call()], indent=2)}\n```\nDone.",
        f"```\n{json.dumps(insert_call())}\n```\nand\n```json\n{json.dumps(delete_call())}\n```",
        f"I call {json.dumps(insert_call())} and {json.dumps(delete_call())}.",
        hermes(call("new_skill_insert", **insert_call()["arguments"]), call("skill_delete", skill_name="old")),
        hermes({"name": "insert_skill", "parameters": insert_call()["arguments"]}, delete_call()),
        hermes(insert_call(), delete_call()).replace("\\n", "\n"),
    ],
)
def test_the_usual_spellings_are_read(completion: str) -> None:
    assert parse_operations(completion) == [INSERT, DELETE]


def test_updates_take_either_or_both_of_their_arguments() -> None:
    found = parse_operations(
        hermes(
            call("update_skill", skill_name="a", new_name="b"),
            call("skill_update", skill_name="a", new_content="c", new_name=None),
        )
    )
    assert found == [Update("a", "b"), Update("a", None, "c")]


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "There is nothing to learn here.",
        '{"answer": 42} and {"name": "mug"} and [1, 2] and {curly}',
        f"<think>{hermes(delete_call())}",
        f"<think>{hermes(delete_call())}</think>Nothing to do.",
        '```json\n{"broken": [1,\n```',
    ],
)
def test_text_without_a_call_is_no_call(completion: str) -> None:
    assert parse_operations(completion) == []


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (hermes(call("drop_skill", skill_name="a")), "no function 'drop_skill'; the functions are insert_skill, "),
        (hermes(call("delete_skill")), "argument skill_name is missing"),
        (hermes(call("insert_skill", skill_name="a")), "argument content is missing"),
        (hermes(call("delete_skill", skill_name=1)), "argument skill_name is not text"),
        (hermes(call("delete_skill", skill_name=None)), "argument skill_name is not text"),
        (hermes(call("update_skill", skill_name="a", new_name=["b"])), "argument new_name is not text"),
        (
            hermes(call("delete_skill", skill_name="a", force="yes")),
            "no argument 'force'; the arguments are skill_name",
        ),
        (hermes({"name": "delete_skill"}), "argument skill_name is missing"),
        (hermes({"name": "delete_skill", "arguments": [1]}), "not an object"),
        (hermes({"name": "delete_skill", "arguments": '{"skill_name": '}), "arguments of 'delete_skill' are not JSON"),
        (hermes({"arguments": {}}), "no JSON object with a function's name"),
        ("<tool_call>5</tool_call>", "no JSON object with a function's name"),
        ("<tool_call></tool_call>", "no JSON"),
        ("<tool_call>", "cut off"),
        (f"<tool_call>{json.dumps(delete_call())}}}</tool_call>", "text follows the JSON"),
        (f"<tool_call>{json.dumps(delete_call())[:-1]}</tool_call>", "no JSON: Expecting ',' delimiter"),
        (hermes(delete_call()).replace("old", "\\ud800"), "half of a surrogate pair"),
        ("<tool_call>" + "[" * 100_000, "nests too deeply"),
        ('<tool_call>{"n": ' + "1" * 5000 + "}</tool_call>", "cannot be read"),
    ],
)
def test_a_call_that_cannot_be_read_says_why(completion: str, reason: str) -> None:
    assert reason in why(completion)


@pytest.mark.parametrize("cut", range(15, len(hermes(delete_call())) - len("\n</tool_call>")))
def test_a_cut_off_last_call_is_malformed_and_spares_the_others(cut: int) -> None:
    first, last = parse_operations(hermes(insert_call()) + hermes(delete_call())[:cut])
    assert first == INSERT
    assert isinstance(last, Malformed) and "cut off" in last.why


def test_a_cut_off_list_keeps_its_whole_calls() -> None:
    listed = json.dumps(openai(delete_call(), insert_call()))
    first, last = parse_operations(listed[:-40])
    assert first == DELETE
    assert isinstance(last, Malformed) and "cut off" in last.why


def test_a_malformed_call_names_what_it_was_about_where_that_can_be_read() -> None:
    [unknown, lacking] = parse_operations(
        hermes(call("drop_skill", skill_name="a"), call("skill_update", skill_name="b", size="1"))
    )
    assert isinstance(unknown, Malformed) and isinstance(lacking, Malformed)
    assert (unknown.function, unknown.skill_name) == ("drop_skill", "a")
    assert (lacking.function, lacking.skill_name) == ("update", "b")
    assert "drop_skill" in unknown.text


PIECES = [
    *("<tool_call>", '<tool_call>{"', '<tool_call>{"\\"', "<tool_call>{}", "<tool_call>{}</tool_call>", "</tool_call>"),
    *('{"a":', '{"name":', '{"name":{"a":', '[{"name":1,"b":', "[ ", "{ ", '{"', "{}", "```json\n{", "<think>"),
    '<tool_call>{"name": "x"}',
]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("start", ["", "<tool_call>", '{"name": "', '<tool_call>{"name": "'])
def test_hostile_repetition_ends(piece: str, start: str) -> None:
    """A reader that took quadratic time or space would not finish a megabyte while anybody waits."""
    completion = start + piece * (1_000_000 // len(piece))
    found = parse_operations(completion)
    assert sum(len(one.text) for one in found if isinstance(one, Malformed)) <= 2 * len(completion)


def test_reading_stops_after_many_broken_calls_and_says_so() -> None:
    found = parse_operations("<tool_call>" * 1000)
    assert len(found) == MAX_BROKEN + 1
    assert isinstance(found[-1], Malformed) and "reading stopped" in found[-1].why


mutations = st.lists(st.tuples(st.integers(0, 400), st.sampled_from(['"', "{", "}", "\\", "<tool_call>", "x", ""])))


@given(mutations)
def test_no_mutation_of_a_completion_makes_reading_raise(changes: list[tuple[int, str]]) -> None:
    completion = hermes(insert_call(), delete_call())
    for at, piece in changes:
        completion = completion[:at] + piece + completion[at + 1 :]
    for found in parse_operations(completion):
        assert isinstance(found, Insert | Update | Delete | Malformed)
        assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_the_tools_describe_the_calls_that_are_read() -> None:
    described = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
    assert list(described) == ["insert_skill", "update_skill", "delete_skill"]
    for (name, parameters), kind in zip(described.items(), (Insert, Update, Delete), strict=True):
        fields = msgspec.structs.fields(kind)
        assert list(parameters["properties"]) == [field.name for field in fields]
        assert parameters["required"] == [field.name for field in fields if field.required]
        found = parse_operations(hermes(call(name, **dict.fromkeys(parameters["properties"], "x"))))
        assert isinstance(found[0], kind)


# Applying


@pytest.fixture
def repo() -> SkillRepo:
    return SkillRepo.of({"a": text("a"), "b": text("b"), "broken": "no frontmatter"})


def test_insert_adds_a_file(repo: SkillRepo) -> None:
    operation = Insert("c", text("c"))
    assert operation.apply(repo) == Edit(operation, "c", None, text("c"))
    assert repo["c"].description == "Use for c."


def test_update_replaces_the_whole_file(repo: SkillRepo) -> None:
    operation = Update("a", new_content=text("a", "New.\n"))
    assert operation.apply(repo) == Edit(operation, "a", text("a"), text("a", "New.\n"))
    assert repo["a"].body == "New.\n"


def test_a_rename_carries_the_name_into_the_file(repo: SkillRepo) -> None:
    edit = Update("a", new_name="c").apply(repo)
    assert (edit.skill, edit.new_name, edit.before, edit.after) == (
        "a",
        "c",
        text("a"),
        text("a").replace(": a", ": c"),
    )
    assert list(repo) == ["b", "broken", "c"]
    assert repo["c"].findings == ()


def test_a_rename_with_content_takes_the_resulting_name(repo: SkillRepo) -> None:
    assert Update("a", "c", text("c", "New.\n")).apply(repo).after == text("c", "New.\n")
    assert repo["c"].body == "New.\n"


def test_delete_removes_the_file(repo: SkillRepo) -> None:
    assert Delete("a").apply(repo) == Edit(Delete("a"), "a", text("a"), None)
    assert "a" not in repo


def test_a_broken_skill_can_be_mended_and_deleted(repo: SkillRepo) -> None:
    assert Update("broken", new_content=text("broken")).apply(repo.fork()).before == "no frontmatter"
    assert Delete("broken").apply(repo.fork()).before == "no frontmatter"


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (Insert("a", text("a")), "already a skill 'a'"),
        (Insert("../c", text("c")), "is a path"),
        (Insert("c/d", text("c")), "is a path"),
        (Insert(".git", text("c")), "is a path"),
        (Insert("C", text("C")), "not lower-case"),
        (Insert("", text("c")), "the name is empty"),
        (Insert("c" * 65, text("c")), "65 characters"),
        (Insert("c", text("d")), "line 2: the file says 'd', its place says 'c'"),
        (Insert("c", "Body without frontmatter"), "no frontmatter"),
        (Insert("c", "---\nname: c\n---\nBody"), "no description"),
        (Insert("c", "---\ndescription: d\n---\nBody"), "no name"),
        (Insert("c", "---\nname: c\ndescription: d\nBody"), "closes the frontmatter"),
        (Insert("c", "---\nname: c\ndescription: d: e\n---\nBody"), "line 3: the frontmatter is not YAML"),
        (Insert("c", text("c", "x" * MAX_CONTENT_BYTES)), "larger than 65,536 bytes"),
        (Insert("c", text("c", "ü" * (MAX_CONTENT_BYTES // 2))), "larger than 65,536 bytes"),
        (Insert("c", text("c") + "\ud800"), "surrogate"),
        (Insert("c", text("c") + "\0"), "NUL"),
        (Update("c", new_content=text("c")), "no skill 'c'"),
        (Update("a", new_name="b"), "'b' is taken"),
        (Update("a", new_name="B"), "not lower-case"),
        (Update("a", new_name="../b"), "is a path"),
        (Update("a", new_content=text("c")), "the file says 'c', its place says 'a'"),
        (Update("a", "c", text("a")), "the file says 'a', its place says 'c'"),
        (Update("a", "b", text("b")), "'b' is taken"),
        (Update("a"), "changes nothing"),
        (Update("a", "a"), "changes nothing"),
        (Update("a", None, text("a")), "changes nothing"),
        (Update("broken", "mended"), "no frontmatter"),
        (Delete("c"), "no skill 'c'"),
    ],
)
def test_a_refused_operation_says_why_and_changes_nothing(repo: SkillRepo, operation: Operation, reason: str) -> None:
    before = repo.texts()
    with pytest.raises(Refused) as refused:
        operation.apply(repo)
    assert reason in refused.value.why
    assert repo.texts() == before


some_names = st.sampled_from(["a", "b", "c", "Bad", "../x", ""])
some_texts = st.one_of(some_names.map(lambda name: f"---\nname: {name}\ndescription: d\n---\nB\n"), st.just("broken"))
operations = st.one_of(
    st.builds(Insert, some_names, some_texts),
    st.builds(Update, some_names, st.one_of(st.none(), some_names), st.one_of(st.none(), some_texts)),
    st.builds(Delete, some_names),
)


@given(st.lists(operations, max_size=12))
def test_any_sequence_leaves_a_valid_repository_that_the_edits_retell(sequence: list[Operation]) -> None:
    repo, told = SkillRepo.empty(), dict[str, str]()
    for operation in sequence:
        before = repo.texts()
        try:
            edit = operation.apply(repo)
        except Refused:
            assert repo.texts() == before
            continue
        assert told.pop(edit.skill, None) == edit.before
        if edit.after is not None:
            told[edit.new_name or edit.skill] = edit.after
        assert repo.texts() == told
        assert all(not skill.errors for skill in repo.values())
