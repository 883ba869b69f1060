"""The stand-in's tokens, chat template, and what vLLM's parsers take out of a text: reasoning, tool calls.

The tokens and the template are the pocket model's, which encode any text.
"""

import json
import re
from functools import cache
from pathlib import Path

import jinja2
from tokenizers import Tokenizer

import engine.models.pocket

FOLDER = Path(engine.models.pocket.__file__).parent
END = "<|im_end|>"

_CALL = re.compile(r"<tool_call>(.*?)</tool_call>|<tool_call>(.*)", re.DOTALL)


@cache
def _tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


@cache
def _template() -> jinja2.Template:
    return jinja2.Environment().from_string((FOLDER / "chat_template.jinja").read_text("utf-8"))


def encode(text: str) -> list[int]:
    """The ids of `text`; marks of the template become special tokens."""
    return _tokenizer().encode(text, add_special_tokens=False).ids


def decode(ids: list[int]) -> str:
    """The text of `ids`, special tokens left out, as vLLM does it."""
    return _tokenizer().decode(ids, skip_special_tokens=True)


def end_id() -> int:
    """The id of the token that ends an answer."""
    return _tokenizer().token_to_id(END)


def piece(token: int) -> str:
    return _tokenizer().id_to_token(token) or ""


def render(messages: list[dict], tools: list[dict] | None) -> str:
    """The prompt of a chat."""
    return _template().render(messages=messages, tools=tools, add_generation_prompt=True)


def split_reasoning(text: str) -> tuple[str | None, str]:
    """The reasoning and the rest, as vLLM's parser `qwen3` does it."""
    if "</think>" not in text:
        return None, text
    reasoning, _, rest = text.partition("</think>")
    return reasoning.partition("<think>")[2] if "<think>" in reasoning else reasoning, rest


def split_calls(text: str) -> tuple[str | None, list[dict]]:
    """The content and the calls, as vLLM's parser `hermes` does it: the content is what precedes the first call, and a call
    that is no JSON leaves all of it text."""
    if "<tool_call>" not in text:
        return text, []
    try:
        calls = [json.loads(whole or cut) for whole, cut in _CALL.findall(text)]
        functions = [
            {"name": call["name"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)} for call in calls
        ]
    except (ValueError, KeyError, TypeError):
        return text, []
    before = text[: text.find("<tool_call>")]
    return before or None, [
        {"id": f"chatcmpl-tool-{number:032x}", "type": "function", "function": function}
        for number, function in enumerate(functions)
    ]


def instance(schema: dict) -> object:
    """A small value that follows a JSON schema."""
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "object":
            return {name: instance(of) for name, of in schema.get("properties", {}).items()}
        case "array":
            return [instance(schema["items"])] * schema.get("minItems", 0) if "items" in schema else []
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return True
        case "string":
            return "x" * schema.get("minLength", 0)
    return None
