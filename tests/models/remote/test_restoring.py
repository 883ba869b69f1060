"""What a server parses out of a text is restored, so that the same operations are read."""

import json

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.models.remote.replies import MessageReply
from engine.models.remote.restoring import restored
from engine.skills import parse_operations
from tests.models.standin import parsing

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
PLAIN = WORDS.filter(lambda text: "<" not in text and "{" not in text and "[" not in text)
VALUES = WORDS | st.sampled_from(['a "quoted" word', "</tool_call>", "<think>", "line\nline", "\\", "—"]) | st.none()
ARGUMENTS = st.fixed_dictionaries(
    {}, optional={name: VALUES for name in ("skill_name", "content", "new_name", "new_content")}
)
NAMES = st.sampled_from(["insert_skill", "update_skill", "delete_skill", "skill_update", "look"])


def written(name, arguments, space):
    """A call as Qwen and Hermes write it."""
    return f"<tool_call>{space}{json.dumps({'name': name, 'arguments': arguments})}{space}</tool_call>"


CALLS = st.builds(written, NAMES, ARGUMENTS, st.sampled_from(["", "\n"]))
BROKEN = st.sampled_from(
    ['<tool_call>{"name": "insert_skill", "arguments": {</tool_call>', "<tool_call>\n", "<tool_call>{}"]
)
THOUGHTS = st.builds(lambda text, call: f"<think>{text}{call}</think>", PLAIN, CALLS | st.just(""))
TEXTS = st.builds(
    lambda thought, before, calls, after: f"{thought}{before}{''.join(calls)}{after}",
    THOUGHTS | st.just("") | st.just("<think>\n\n</think>\n\n"),
    PLAIN,
    st.lists(CALLS | BROKEN, max_size=3),
    PLAIN,
)


def parsed_out(text):
    """The message of a server that parses reasoning and calls."""
    reasoning, rest = parsing.split_reasoning(text)
    content, calls = parsing.split_calls(rest)
    message = {"content": content, "reasoning": reasoning, "tool_calls": calls}
    return msgspec.json.decode(json.dumps(message), type=MessageReply)


def read(text):
    """The operations of a text. A malformed call is quoted as it stands there, with the white space of its JSON."""
    return [
        (call.kind, call.why, call.function, call.skill_name) if call.kind == "malformed" else call
        for call in parse_operations(text)
    ]


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example(
    '<think>a</think>x<tool_call>\n{"name": "delete_skill", "arguments": {"skill_name": "</tool_call>"}}\n</tool_call>'
)
def test_the_operations_of_a_restored_message_are_those_of_the_text(text):
    assert read(restored(parsed_out(text))) == read(text)


def test_the_order_is_thought_text_calls():
    text = '<think>hm</think>so\n<tool_call>\n{"name": "delete_skill", "arguments": {"skill_name": "a"}}\n</tool_call>'
    assert restored(parsed_out(text)) == "<think>hm</think>so\n\n" + text.partition("so\n")[2]


def test_arguments_that_are_no_json_stay_as_they_are_and_the_call_is_malformed():
    message = msgspec.convert(
        {"tool_calls": [{"function": {"name": "insert_skill", "arguments": '{"skill_name": "a'}}]}, MessageReply
    )
    text = restored(message)
    assert '{"skill_name": "a' in text
    (call,) = parse_operations(text)
    assert call.kind == "malformed"


def test_arguments_may_be_an_object_or_empty():
    calls = [{"function": {"name": "delete_skill", "arguments": {"skill_name": "a"}}}]
    calls += [{"function": {"name": "look", "arguments": arguments}} for arguments in ("", None)]
    text = restored(msgspec.convert({"tool_calls": calls}, MessageReply))
    first, *others = parse_operations(text)
    assert first.skill_name == "a" and [call.function for call in others] == ["look", "look"]


@pytest.mark.parametrize(
    "call", [None, {}, {"function": None}, {"type": "custom", "custom": {}}, {"function": {"name": None}}]
)
def test_a_call_without_a_name_is_malformed_and_costs_nothing_else(call):
    message = msgspec.json.decode(json.dumps({"content": "text", "tool_calls": [call]}), type=MessageReply)
    text = restored(message)
    assert text.startswith("text") and [each.kind for each in parse_operations(text)] == ["malformed"]


def test_an_answer_that_ends_in_a_thought_is_no_silence():
    message = MessageReply(reasoning="I could insert")
    assert restored(message, cut=True) == "<think>I could insert"
    (call,) = parse_operations(restored(message, cut=True))
    assert call.kind == "malformed" and "thought" in call.why


def test_reasoning_has_two_names_and_content_may_be_a_list_of_parts():
    assert restored(MessageReply(content="b", reasoning_content="a")) == "<think>a</think>b"
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}, {"type": "text", "text": "b"}]
    assert restored(msgspec.convert({"content": parts}, MessageReply)) == "<think>a</think>b"
