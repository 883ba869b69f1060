"""Tools that a chat template leaves out are found by rendering, and written into the system message."""

import jinja2
import pytest

from engine.models.base import Message
from engine.models.tools import PROBE_TOOL, template_takes_tools, with_tools
from engine.skills import TOOLS, Insert, parse_operations

SILENT = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
TAKING = "{% if tools %}{{ tools | tojson }}{% endif %}" + SILENT
REFUSING = "{% if tools %}{{ raise('no tools') }}{% endif %}" + SILENT


def rendering(template):
    def refuse(message):
        raise jinja2.TemplateError(message)

    compiled = jinja2.Environment().from_string(template)
    return lambda messages, tools: compiled.render(messages=messages, tools=tools, **{"raise": refuse})


@pytest.mark.parametrize(("template", "takes"), [(TAKING, True), (SILENT, False), (REFUSING, False)])
def test_a_template_that_drops_tools_is_found_by_rendering(template, takes):
    assert template_takes_tools(rendering(template)) is takes


def test_the_functions_stand_after_the_system_message_and_in_one_of_their_own_where_there_is_none():
    chat = [Message("system", "Be brief."), Message("user", "Curate.")]
    first, last = with_tools(chat, TOOLS)
    assert first.role == "system" and first.content.startswith("Be brief.\n\n") and last == chat[1]
    for tool in TOOLS:
        function = tool["function"]
        assert f"{function['name']}: {function['description']}" in first.content
        assert all(f"- {name} (string" in first.content for name in function["parameters"]["properties"])
    alone = with_tools(chat[1:], [PROBE_TOOL])
    assert [message.role for message in alone] == ["system", "user"] and "look_up_the_probe" in alone[0].content
    assert with_tools(chat, None) == chat


def test_the_notation_that_the_prompt_shows_is_one_that_is_read():
    [message, _] = with_tools([Message("user", "Curate.")], TOOLS)
    assert parse_operations(message.content) == [Insert("...", "...")]
