"""Tools for a model whose chat template leaves them out, as SmolLM2's does without a word.

    if tools and not template_takes_tools(render):       # render(messages, tools) -> the prompt's text
        messages, tools = with_tools(messages, tools), None

`with_tools` writes the functions into the system message (`prompts/tools.md`), with the notation of a call that
`engine.skills.parse_operations` reads. A server renders elsewhere: `PROBE_CHAT` and `PROBE_TOOL` are what to ask it, and
`names_probe(text)` says whether a prompt that it gives back has the tool in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import jinja2
import msgspec

from engine.models.base import Message

Tools = list[dict[str, Any]]
Render = Callable[[Sequence[Message], Tools | None], str]
"""The text of the prompt that a chat template makes of a chat and its tools. It may raise `jinja2.TemplateError`."""

PROBE = "look_up_the_probe"
PROBE_CHAT = (Message("user", "hello"),)
PROBE_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": PROBE,
        "description": "Looks up the probe.",
        "parameters": {
            "type": "object",
            "properties": {"key": {"type": "string", "description": "The key of the probe."}},
            "required": ["key"],
        },
    },
}


class Argument(msgspec.Struct, frozen=True):
    """An argument of a function, as the prompt describes it; `type` is JSON schema's name of it."""

    name: str
    type: str
    required: bool
    description: str


class Tool(msgspec.Struct, frozen=True):
    """A function, as the prompt describes it."""

    name: str
    description: str
    arguments: list[Argument]


def names_probe(prompt: str) -> bool:
    """Whether a prompt that was rendered with `PROBE_TOOL` has the tool in it."""
    return PROBE in prompt


def template_takes_tools(render: Render) -> bool:
    """Whether tools that `render` is given are in the prompt. A template that refuses tools does not take them."""
    try:
        return names_probe(render(PROBE_CHAT, [PROBE_TOOL])) and not names_probe(render(PROBE_CHAT, None))
    except jinja2.TemplateError:
        return False


def with_tools(messages: Sequence[Message], tools: Tools | None) -> list[Message]:
    """The chat with its tools, in the form of OpenAI's API, written into the system message, after what it says."""
    if not tools:
        return list(messages)
    text = tools_prompt(tools)
    if messages and messages[0].role == "system":
        return [Message("system", f"{messages[0].content}\n\n{text}"), *messages[1:]]
    return [Message("system", text), *messages]


def tools_prompt(tools: Tools) -> str:
    """What a prompt says of `tools`, and of how to call them."""
    template = resources.files("engine.models").joinpath("prompts", "tools.md").read_text("utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(tools=[_tool(tool["function"]) for tool in tools]).strip()


def _tool(function: dict[str, Any]) -> Tool:
    parameters = function.get("parameters") or {}
    required = parameters.get("required", ())
    arguments = [
        Argument(name, str(schema.get("type", "string")), name in required, str(schema.get("description", "")))
        for name, schema in parameters.get("properties", {}).items()
    ]
    return Tool(function["name"], str(function.get("description", "")), arguments)
