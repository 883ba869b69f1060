"""Parsing the curator's calls: every spelling is read, every error has a reason, and a thought is no call."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import msgspec
import pytest

from engine.skills import TOOLS, Delete, Insert, Malformed, Operation, Update, parse_operations
from engine.skills.operations.tool_calls import MAX_BROKEN
from tests.skills.operations.dialects import BARE, DIALECTS, OPEN

CONTENT = "---\nname: find-mugs\n---\nUse `<tool_call>`, é and <think>.\n```sh\nls \\\n```\n"
INSERT, DELETE = Insert("find-mugs", CONTENT), Delete("old")
CALLS = [("insert_skill", {"skill_name": "find-mugs", "content": CONTENT}), ("delete_skill", {"skill_name": "old"})]


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def hermes(*calls: dict[str, Any]) -> str:
    return "\n".join(f"<tool_call>\n{json.dumps(one)}\n</tool_call>" for one in calls)


def insert_call() -> dict[str, Any]:
    return call("insert_skill", skill_name=INSERT.skill_name, content=INSERT.content)


def delete_call(name: str = "old") -> dict[str, Any]:
    return call("delete_skill", skill_name=name)


BOTH = hermes(insert_call(), delete_call())


def only(completion: str) -> Operation | Malformed:
    [found] = parse_operations(completion)
    return found


def why(completion: str) -> str:
    found = only(completion)
    assert isinstance(found, Malformed)
    return found.why


# Spellings


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_read(dialect: str) -> None:
    assert parse_operations(DIALECTS[dialect](CALLS)) == [INSERT, DELETE]


@pytest.mark.parametrize(
    "completion",
    [
        f"First this.\n{hermes(insert_call())}\nThen that:\n{hermes(delete_call())}\nDone.",
        f"<tool_call>{json.dumps(insert_call())}\n{json.dumps(delete_call())}</tool_call>",
        f'An aside {{"kind": 1}} and {{"a" brace, {BOTH}',
        hermes(call("new_skill_insert", **insert_call()["arguments"]), call("skill_delete", skill_name="old")),
        hermes({"name": "insert_skill", "parameters": insert_call()["arguments"]}, delete_call()),
        hermes({"arguments": insert_call()["arguments"], "name": "insert_skill"}, delete_call()),
        DIALECTS["qwen_coder"](CALLS).replace("<tool_call>\n", "").replace("</tool_call>", ""),
        DIALECTS["hermes"](CALLS[:1]) + DIALECTS["qwen_coder"](CALLS[1:]),
        f"{BOTH}\n<tool_call>[]</tool_call>",
        BOTH.removesuffix("ool_call>"),
    ],
)
def test_variants_of_the_same_calls_are_read(completion: str) -> None:
    assert parse_operations(completion) == [INSERT, DELETE]


def test_updates_take_either_or_both_of_their_arguments() -> None:
    found = parse_operations(
        hermes(
            call("update_skill", skill_name="a", new_name="b"),
            call("skill_update", skill_name="a", new_content="c", new_name=None),
        )
    )
    assert found == [Update("a", "b"), Update("a", None, "c")]
    nulls = {"skill_name": "a", "new_name": "null", "new_content": "c"}
    assert only(DIALECTS["qwen_coder"]([("update_skill", nulls)])) == Update("a", None, "c")


def test_the_text_between_tags_is_kept_exactly() -> None:
    for value in ("", "a", "\n\na\n\n", ' {"a": "b"} ', "&lt;", "<parameter>", "<tool_call>x</tool_call>"):
        assert only(DIALECTS["qwen_coder"]([("insert_skill", {"skill_name": "a", "content": value})])) == Insert(
            "a", value
        )
    assert only('<invoke name="skill_delete"><parameter name="skill_name">a b</parameter></invoke>') == Delete("a b")


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "There is nothing to learn here.",
        '{"answer": 42} and {"name": "mug"} and [1, 2] and {curly}',
        '```json\n{"broken": [1,\n```',
        json.dumps({"role": "assistant", "content": "I call nothing.", "tool_calls": []}),
        json.dumps({"content": [{"type": "text", "text": "Nothing."}]}),
        "<function_calls></function_calls> and <function> and <invoke>",
        "I do not need insert_skill here, and `delete_skill()` neither.",
        "I could print(x) or f(a='b') or {'a': 1}.",
        "Action: go to box 1\nObservation: it is open",
    ],
)
def test_text_without_a_call_is_no_call(completion: str) -> None:
    assert parse_operations(completion) == []


# Thoughts


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_call_inside_a_thought_is_no_call(dialect: str) -> None:
    thought = DIALECTS[dialect]([("delete_skill", {"skill_name": "x"})])
    real = DIALECTS[dialect](CALLS)
    assert why(f"<think>{thought}") == "it is cut off inside a thought, before an answer"
    assert parse_operations(f"No.\n<think>{thought}") == []
    assert parse_operations(f"<think>\nMaybe {thought}?\n</think>\nNo.") == []
    assert parse_operations(f"\n<think>Maybe {thought}?</think>{real}") == [INSERT, DELETE]
    assert parse_operations(f"<thinking>Maybe {thought}?</thinking>{real}") == [INSERT, DELETE]
    assert parse_operations(f"{real}\n<think>And {thought}?</think>\nNo.") == [INSERT, DELETE]
    assert parse_operations(f"{real}\n<think>And {thought}") == [INSERT, DELETE]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_thought_that_began_in_the_prompt_ends_with_its_tag(dialect: str) -> None:
    thought, real = DIALECTS[dialect]([("delete_skill", {"skill_name": "x"})]), DIALECTS[dialect](CALLS)
    assert parse_operations(f"Maybe {thought}?\n</think>\n{real}") == [INSERT, DELETE]
    if dialect in OPEN:
        return
    assert parse_operations(f"Maybe {thought[: len(thought) // 2]}</tool_call> …</think>{real}")[-2:] == [
        INSERT,
        DELETE,
    ]


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("[THINK]", "[/THINK]"),
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("◁think▷", "◁/think▷"),
        ("<|channel|>analysis<|message|>", "<|end|>"),
    ],
)
@pytest.mark.parametrize("dialect", ["hermes", "pythonic", "harmony", "mistral_name"])
def test_the_thoughts_of_other_models_are_no_calls(begin: str, end: str, dialect: str) -> None:
    thought, real = DIALECTS[dialect]([("delete_skill", {"skill_name": "x"})]), DIALECTS[dialect](CALLS)
    assert parse_operations(f"{begin}Maybe {thought}?{end}\n{real}") == [INSERT, DELETE]
    assert why(f"{begin}Maybe {thought}") == "it is cut off inside a thought, before an answer"
    assert parse_operations(f"{begin}Maybe {thought}?{end}No.") == []


def test_python_strings_may_hold_line_breaks_and_json_words() -> None:
    assert only('update_skill(skill_name="a", new_name=null, new_content="x\ny")') == Update("a", None, "x\ny")
    assert only("update_skill(**{'skill_name': 'a', 'new_name': 'b'})") == Update("a", "b")
    assert only("update_skill({'skill_name': 'a', 'new_name': None, 'new_content': '''c'd'''})") == Update(
        "a", None, "c'd"
    )


def test_a_thought_can_mention_tags() -> None:
    assert parse_operations(f"I answer with <tool_call> tags.</think>{BOTH}") == [INSERT, DELETE]
    assert parse_operations(f"<think>I answer with <tool_call> or <think> tags.</think>{BOTH}") == [INSERT, DELETE]


def test_the_end_of_a_thought_hides_calls_only_once() -> None:
    assert parse_operations(f"<think>Well.</think>{BOTH}</think>") == [INSERT, DELETE]
    assert parse_operations(f"Well.</think>{BOTH}</think>") == [INSERT, DELETE]


# Faults


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (hermes(call("drop_skill", skill_name="a")), "no function 'drop_skill'; the functions are insert_skill, "),
        (hermes(call("delete_skill")), "argument skill_name is missing"),
        (hermes(call("insert_skill", skill_name="a")), "argument content is missing"),
        (hermes(call("delete_skill", skill_name=1)), "argument skill_name is not text"),
        (hermes(call("delete_skill", skill_name=None)), "argument skill_name is not text"),
        (hermes(call("update_skill", skill_name="a", new_name=["b"])), "argument new_name is not text"),
        (hermes(call("delete_skill", skill_name="a", force="y")), "no argument 'force'; the arguments are skill_name"),
        (hermes({"name": "delete_skill"}), "argument skill_name is missing"),
        (hermes({"name": "delete_skill", "arguments": [1]}), "not an object"),
        (hermes({"name": "delete_skill", "arguments": '{"skill_name": '}), "arguments of 'delete_skill' are not JSON"),
        (hermes({"arguments": {}}), "no JSON object with a function's name"),
        ("<tool_call>5</tool_call>", "no JSON object with a function's name"),
        ("<tool_call></tool_call>", "no JSON"),
        ("<tool_call>", "cut off"),
        (f"<tool_call>{json.dumps(delete_call())}}}</tool_call>", "text follows the JSON"),
        (f"<tool_call>{json.dumps(delete_call())[:-1]}</tool_call>", "no JSON: Expecting ',' delimiter"),
        ('{"arguments": {"skill_name": "a"} "name": "delete_skill"}', "no JSON: Expecting ',' delimiter"),
        ('{"type": "tool_use", "name": "delete_skill", "input": {skill_name: "a"}}', "no JSON: Expecting property"),
        (hermes(delete_call()).replace("old", "\\ud800"), "half of a surrogate pair"),
        ("<tool_call>" + "[" * 100_000, "nests too deeply"),
        ('<tool_call>{"n": ' + "1" * 5000 + "}</tool_call>", "cannot be read"),
        ("<function=delete_skill></function>", "argument skill_name is missing"),
        ('<function=delete_skill>{"skill_name": "a"</function>', "no JSON: Expecting ',' delimiter"),
        ("<function=delete_skill>old</function>", "what stands in its tag is no parameter"),
        ("<function=delete_skill><parameter=skill_name>a</function>", "the parameter 'skill_name' has no end"),
        ("<function=drop><parameter=a>b</parameter></function>", "no function 'drop'"),
        ("[TOOL_CALLS]drop_skill{}", "no function 'drop_skill'"),
        ("[TOOL_CALLS]delete_skill{skill_name}", "(it is in Mistral's notation)"),
        ("[drop_skill(skill_name='a')]", "no function 'drop_skill'"),
        ("delete_skill(skill_name=old)", "not all literals (it is in Python's notation)"),
        ("delete_skill('old')", "its arguments have no names (it is in Python's notation)"),
        ("delete_skill(skill_name='old'", "cut off"),
        ("delete_skill(skill_name='old)", "a string has no end"),
        ("delete_skill(skill_name=__import__('os'))", "not all literals"),
        ("delete_skill(skill_name={'old'})", "not all literals"),
        ("delete_skill(skill_name=b'old')", "not all literals"),
        ("<delete_skill><skill_name>a", "cut off"),
        ("Action: delete_skill\nAction Input: old", "they are no object (it is in ReAct's notation)"),
        (
            "<|channel|>commentary to=functions.delete_skill<|message|>old",
            "they are no object (it is in gpt-oss",
        ),
        (
            "<tool_call>delete_skill<arg_key>skill_name</arg_key>old</tool_call>",
            "its block has no end (it is in GLM's notation)",
        ),
        ("{'name': 'delete_skill', 'arguments': {'skill_name': x}}", "no JSON"),
        (
            "name: delete_skill\narguments:\n  skill_name: old",
            "in YAML, which is not read: delete_skill and skill_name",
        ),
        ("```yaml\n- tool: delete_skill\n  args:\n    skill_name: old\n```", "in YAML, which is not read"),
        ("<invoke><tool_name>delete_skill</tool_name><skill_name>old</skill_name></invoke>", "in XML of another form"),
        ('<tool_use name="delete_skill"><skill_name>old</skill_name></tool_use>', "in XML of another form"),
        ("<start_function_call>call:delete_skill{skill_name:<escape>a<escape>}", "in FunctionGemma's notation"),
        ("[delete_skill]\nskill_name = 'old'", "in TOML, which is not read"),
        ('{"do": "delete_skill", "skill_name": "old"}', "in JSON of another form"),
        ("**Tool:** delete_skill\n**skill_name:** old", "in Markdown, which is not read"),
        ('Action: delete_skill Action Input: {"skill_name": "old"}', "in ReAct's notation without a line for"),
        (
            "<<CALL>> delete_skill | skill_name = old",
            "an unknown notation, which is not read: delete_skill and skill_name",
        ),
        ("<|tool_call|>[", "its list of calls has no end"),
        ("<TOOLCALL>[ {", "its list of calls has no end"),
        ("<｜tool▁calls▁begin｜>[", "its list of calls has no end"),
        ("<|python_tag|>delete old", "unknown notation, with the mark '<|python_tag|>'"),
        ("[TOOL_CALLS] none of these", "they are no object (it is in Mistral's notation)"),
        ("[TOOL_CALLS] 1 and 2", "unknown notation, with the mark '[TOOL_CALLS]'"),
    ],
)
def test_an_unreadable_call_has_a_reason(completion: str, reason: str) -> None:
    assert reason in why(completion)


def test_an_unclosed_parameter_does_not_include_the_next_call() -> None:
    broken = "<function=delete_skill><parameter=skill_name>a</function>\n"
    first, second = parse_operations(broken + DIALECTS["qwen_coder"]([("delete_skill", {"skill_name": "old"})]))
    assert isinstance(first, Malformed) and "has no end before the next call" in first.why
    assert second == DELETE


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_truncated_last_call_is_malformed_and_the_others_are_read(dialect: str) -> None:
    """Truncated at any character: complete calls are kept, and the rest is at most one malformed call."""
    completion = DIALECTS[dialect](CALLS)
    for cut in range(len(completion)):
        found = parse_operations(completion[:cut])
        whole = [one for one in found if not isinstance(one, Malformed)]
        assert whole == [INSERT, DELETE][: len(whole)]
        assert found[len(whole) :] == [one for one in found if isinstance(one, Malformed)][:1]
        assert all("cut off" in one.why for one in found if isinstance(one, Malformed))
        if cut >= completion.index("find-mugs"):
            assert found, completion[:cut]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_truncation_inside_a_call_is_always_reported(dialect: str) -> None:
    completion = DIALECTS[dialect](CALLS[1:])
    for cut in range(completion.index("delete_skill") + (4 if dialect in BARE else 1), completion.index("old") + 3):
        assert isinstance(only(completion[:cut]), Malformed)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_content_of_a_truncated_call_is_not_read_as_calls(dialect: str) -> None:
    """A truncated file that mentions calls is no call, and does not hide the calls before it."""
    for told in (hermes(delete_call()), DIALECTS["llama_function"](CALLS), "<tool_call>", "<think>", "</think>"):
        content = f"---\nname: a\n---\nOne writes {told}, says the manual."
        completion = DIALECTS[dialect]([CALLS[1], ("insert_skill", {"skill_name": "a", "content": content})])
        *whole, last = parse_operations(completion[: completion.rindex(", says")])
        assert whole == ([] if dialect == "one_block" else [DELETE]) and isinstance(last, Malformed)


def test_a_malformed_call_has_the_skill_s_name_if_it_is_readable() -> None:
    [unknown, lacking] = parse_operations(
        hermes(call("drop_skill", skill_name="a"), call("skill_update", skill_name="b", size="1"))
    )
    assert isinstance(unknown, Malformed) and isinstance(lacking, Malformed)
    assert (unknown.function, unknown.skill_name) == ("drop_skill", "a")
    assert (lacking.function, lacking.skill_name) == ("update", "b")
    assert "drop_skill" in unknown.text


@pytest.mark.parametrize(
    "completion", ["<tool_call>\ud800", '<tool_call>{"name": "\\ud800"}', '<function=\udfff>{"a": "b"}']
)
def test_a_malformed_call_can_be_stored_whatever_it_holds(completion: str) -> None:
    found = only(completion)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Malformed) == found


# Hostile sizes


@pytest.mark.parametrize("opening", ['[{"name": "x", "arguments": ', '<tool_call>[{"name": "x", "arguments": '])
def test_json_nested_to_the_limit_of_the_parser_is_malformed(opening: str) -> None:
    """Just below the depth at which decoding fails, encoding fails."""
    for depth in range(900, 1_000):
        assert why(f"{opening}{'[' * depth}{']' * depth}}}]")


PIECES = [
    *("<tool_call>", '<tool_call>{"', '<tool_call>{"\\"', "<tool_call>{}", "<tool_call>{}</tool_call>", "</tool_call>"),
    *(
        '{"a":',
        '{"name":',
        '{"name":{"a":',
        '[{"name":1,"b":',
        "[ ",
        "{ ",
        '{"',
        "{}",
        "```json\n{",
        "<think>",
        "</think>",
    ),
    *(
        '<tool_call>{"name": "x"}',
        "<function=a>",
        "<function=a><parameter=b>",
        "<parameter=b>",
        "<function=",
        "<invoke ",
    ),
    *('{"content":[', '{"tool_calls":[{"function":', "<function=a><parameter=b></parameter>", '{"id": 1, "name": 1,'),
]


NOTATION_PIECES = [
    *(
        "insert_skill(a=",
        "insert_skill(a='b",
        "[insert_skill(",
        "{'name': 'x'}",
        "{'name': ",
        "[{'a': ",
        "(",
        "'",
        '"""',
    ),
    *(
        "[TOOL_CALLS]a{",
        "[TOOL_CALLS]a",
        "<|tool_call_begin|>a",
        "to=functions.a<|message|>{",
        "Action: a\nAction Input: ",
    ),
    *(
        "<insert_skill>",
        "<insert_skill><a>b</a>",
        "<tool_call>a<arg_key>",
        "<arg_key>",
        "functions.",
        "default_api.",
        "to=x",
        "to=x ",
        "Action: a\n",
        ">>>a\n",
        "x",
        "\n",
    ),
]


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        *product(["", "<tool_call>", '{"name": "', '<tool_call>{"name": "', "<function=a><parameter=b>"], PIECES),
        *product([""], NOTATION_PIECES),
    ],
)
def test_hostile_repetition_takes_bounded_time(start: str, piece: str) -> None:
    """A parser with quadratic time or space would not finish a megabyte in a useful time."""
    completion = start + piece * (1_000_000 // len(piece))
    found = parse_operations(completion)
    assert sum(len(one.text) for one in found if isinstance(one, Malformed)) <= 2 * len(completion)


def test_reading_stops_after_many_malformed_calls_with_a_reason() -> None:
    found = parse_operations("<tool_call>x</tool_call>" * 1000)
    assert len(found) == MAX_BROKEN + 1
    assert isinstance(found[-1], Malformed) and "reading stopped" in found[-1].why


# Signatures


def test_the_tools_describe_the_calls_that_are_read() -> None:
    described = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
    assert list(described) == ["insert_skill", "update_skill", "delete_skill"]
    for (name, parameters), kind in zip(described.items(), (Insert, Update, Delete), strict=True):
        fields = msgspec.structs.fields(kind)
        assert list(parameters["properties"]) == [field.name for field in fields]
        assert parameters["required"] == [field.name for field in fields if field.required]
        assert isinstance(only(hermes(call(name, **dict.fromkeys(parameters["properties"], "x")))), kind)


@pytest.mark.parametrize(
    "completion",
    [
        '{"tool": "delete_skill", "skill_name": "old"}',
        '{"operation": "delete_skill", "skill_name": "old"}',
        '{"command": {"name": "delete_skill", "args": {"skill_name": "old"}}}',
        '<|python_tag|>delete_skill.call(skill_name="old")',
    ],
)
def test_a_flat_or_wrapped_call_is_read(completion: str) -> None:
    assert parse_operations(completion) == [Delete("old")]


@pytest.mark.parametrize("completion", ["<|tool_call|>[]", "<TOOLCALL>[]</TOOLCALL>", "<tool_calls>\n</tool_calls>"])
def test_an_empty_list_of_calls_calls_nothing(completion: str) -> None:
    assert parse_operations(completion) == []
