"""The dialects in which models write function calls, for `parse_operations`.

DIALECTS["hermes"]([("delete_skill", {"skill_name": "old"})])
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

Call = tuple[str, dict[str, Any]]
"""A function's name and its arguments."""

_ESCAPED_BREAK = re.compile(r"(?<!\\)((?:\\\\)*)\\n")


def _object(call: Call, key: str = "arguments") -> dict[str, Any]:
    return {"name": call[0], key: call[1]}


def _function(number: int, call: Call, *, text: bool) -> dict[str, Any]:
    arguments = json.dumps(call[1]) if text else call[1]
    return {"id": f"call_{number}", "type": "function", "function": {"name": call[0], "arguments": arguments}}


def _functions(calls: Sequence[Call], *, text: bool = True) -> list[dict[str, Any]]:
    return [_function(number, call, text=text) for number, call in enumerate(calls)]


def hermes(calls: Sequence[Call]) -> str:
    return "\n".join(f"<tool_call>\n{json.dumps(_object(call))}\n</tool_call>" for call in calls)


def hermes_unescaped(calls: Sequence[Call]) -> str:
    """The form of models that do not escape line breaks and non-ASCII letters."""
    dumped = [json.dumps(_object(call), ensure_ascii=False) for call in calls]
    return "\n".join(f"<tool_call>{_ESCAPED_BREAK.sub(_broken_line, call)}</tool_call>" for call in dumped)


def _broken_line(escape: re.Match[str]) -> str:
    return f"{escape[1]}\n"


def hermes_unclosed(calls: Sequence[Call]) -> str:
    return "\n".join(f"<tool_call>{json.dumps(_object(call))}" for call in calls)


def one_block(calls: Sequence[Call]) -> str:
    return f"<tool_call>{json.dumps([_object(call) for call in calls])}</tool_call>"


def openai_message(calls: Sequence[Call]) -> str:
    return json.dumps({"role": "assistant", "content": None, "tool_calls": _functions(calls)})


def openai_objects(calls: Sequence[Call]) -> str:
    return json.dumps({"tool_calls": _functions(calls, text=False)}, indent=1)


def openai_list(calls: Sequence[Call]) -> str:
    return json.dumps(_functions(calls))


def openai_response(calls: Sequence[Call]) -> str:
    message = {"role": "assistant", "content": "", "tool_calls": _functions(calls)}
    return json.dumps({"id": "r", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})


def openai_output(calls: Sequence[Call]) -> str:
    items = [{"type": "function_call", "call_id": "c", "name": n, "arguments": json.dumps(a)} for n, a in calls]
    return json.dumps({"output": [{"type": "reasoning", "summary": []}, *items]})


def openai_function_call(calls: Sequence[Call]) -> str:
    return "\n".join(
        json.dumps({"role": "assistant", "function_call": {"name": name, "arguments": json.dumps(arguments)}})
        for name, arguments in calls
    )


def anthropic_message(calls: Sequence[Call]) -> str:
    blocks = [{"type": "tool_use", "id": "toolu_1", **_object(call, "input")} for call in calls]
    return json.dumps({"role": "assistant", "content": [{"type": "text", "text": "Now."}, *blocks]})


def anthropic_tags(calls: Sequence[Call]) -> str:
    invokes = "\n".join(f'<invoke name="{name}">\n{_named(arguments)}</invoke>' for name, arguments in calls)
    return f"<function_calls>\n{invokes}\n</function_calls>"


def _named(arguments: Mapping[str, Any]) -> str:
    return "".join(f'<parameter name="{key}">{value}</parameter>\n' for key, value in arguments.items())


def qwen_coder(calls: Sequence[Call]) -> str:
    return "\n".join(
        f"<tool_call>\n<function={name}>\n{_parameters(arguments)}</function>\n</tool_call>"
        for name, arguments in calls
    )


def _parameters(arguments: Mapping[str, Any]) -> str:
    return "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())


def llama_function(calls: Sequence[Call]) -> str:
    return "\n".join(f"<function={name}>{json.dumps(arguments)}</function>" for name, arguments in calls)


def llama_parameters(calls: Sequence[Call]) -> str:
    return "<|python_tag|>" + "; ".join(json.dumps(_object(call, "parameters")) for call in calls)


def mistral(calls: Sequence[Call]) -> str:
    return f"[TOOL_CALLS] {json.dumps([_object(call) for call in calls])}"


def fenced(calls: Sequence[Call]) -> str:
    return "\n".join(f"Next:\n```json\n{json.dumps(_object(call), indent=2)}\n```" for call in calls)


def in_prose(calls: Sequence[Call]) -> str:
    return f"I {{first}} call {' and then '.join(json.dumps(_object(call)) for call in calls)}, and that is all."


DIALECTS: Mapping[str, Callable[[Sequence[Call]], str]] = MappingProxyType(
    {
        dialect.__name__: dialect
        for dialect in (
            *(hermes, hermes_unescaped, hermes_unclosed, one_block),
            *(openai_message, openai_objects, openai_list, openai_response, openai_output, openai_function_call),
            *(anthropic_message, anthropic_tags, qwen_coder, llama_function, llama_parameters),
            *(mistral, fenced, in_prose),
        )
    }
)

TAGS = frozenset({"anthropic_tags", "qwen_coder"})
"""The dialects that write raw values between tags."""
