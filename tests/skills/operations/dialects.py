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


def _python_arguments(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in arguments.items())


def pythonic(calls: Sequence[Call]) -> str:
    return f"[{', '.join(f'{name}({_python_arguments(arguments)})' for name, arguments in calls)}]"


def tool_code(calls: Sequence[Call]) -> str:
    lines = [f"print(default_api.{name}({_python_arguments(arguments)}))" for name, arguments in calls]
    return "\n".join(["Now.", "```tool_code", *lines, "```"])


def python_dicts(calls: Sequence[Call]) -> str:
    return "\n".join(f"```python\n{_object(call)!r}\n```" for call in calls)


def mistral_name(calls: Sequence[Call]) -> str:
    return "".join(f"[TOOL_CALLS]{name}{json.dumps(arguments)}" for name, arguments in calls)


def mistral_arguments(calls: Sequence[Call]) -> str:
    return "".join(f"[TOOL_CALLS]{name}[CALL_ID]a1B2[ARGS]{json.dumps(arguments)}" for name, arguments in calls)


def deepseek(calls: Sequence[Call]) -> str:
    begin, end = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"
    made = [f"{begin}function<｜tool▁sep｜>{name}\n```json\n{json.dumps(given)}\n```{end}" for name, given in calls]
    return "<｜tool▁calls▁begin｜>" + "\n".join(made) + "<｜tool▁calls▁end｜>"


def deepseek_3_1(calls: Sequence[Call]) -> str:
    begin, end = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"
    made = [f"{begin}{name}<｜tool▁sep｜>{json.dumps(given)}{end}" for name, given in calls]
    return "<｜tool▁calls▁begin｜>" + "".join(made) + "<｜tool▁calls▁end｜>"


def deepseek_3_2(calls: Sequence[Call]) -> str:
    tag = "｜DSML｜"
    made = []
    for name, given in calls:
        inner = "".join(f'<{tag}parameter name="{k}" string="true">{v}</{tag}parameter>\n' for k, v in given.items())
        made.append(f'<{tag}invoke name="{name}">\n{inner}</{tag}invoke>')
    return f"<{tag}function_calls>\n" + "\n".join(made) + f"\n</{tag}function_calls>"


def kimi(calls: Sequence[Call]) -> str:
    made = [
        f"<|tool_call_begin|>functions.{name}:{number}<|tool_call_argument_begin|>{json.dumps(given)}<|tool_call_end|>"
        for number, (name, given) in enumerate(calls)
    ]
    return f"<|tool_calls_section_begin|>{''.join(made)}<|tool_calls_section_end|>"


def harmony(calls: Sequence[Call]) -> str:
    return "<|start|>assistant".join(
        f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{json.dumps(given)}<|call|>"
        for name, given in calls
    )


def react(calls: Sequence[Call]) -> str:
    return "\n".join(f"Thought: now\nAction: {name}\nAction Input: {json.dumps(given)}" for name, given in calls)


def command_r(calls: Sequence[Call]) -> str:
    made = [{"tool_name": name, "parameters": given} for name, given in calls]
    return f"Action: ```json\n{json.dumps(made, indent=4)}\n```"


def command_a(calls: Sequence[Call]) -> str:
    made = [{"tool_call_id": str(n), "tool_name": name, "parameters": given} for n, (name, given) in enumerate(calls)]
    return f"<|START_ACTION|>{json.dumps(made)}<|END_ACTION|>"


def functionary(calls: Sequence[Call]) -> str:
    return "\n".join(f"<|from|>assistant\n<|recipient|>{n}\n<|content|>{json.dumps(given)}" for n, given in calls)


def named_tag(calls: Sequence[Call]) -> str:
    return "\n".join(f'<tool_call name="{name}">{json.dumps(given)}</tool_call>' for name, given in calls)


def name_in_block(calls: Sequence[Call]) -> str:
    return "\n".join(f"<tool_call>{name}\n{json.dumps(given)}\n</tool_call>" for name, given in calls)


def key_of_the_name(calls: Sequence[Call]) -> str:
    return "\n".join(json.dumps({name: given}) for name, given in calls)


def glm(calls: Sequence[Call]) -> str:
    return "\n".join(
        f"<tool_call>{name}\n"
        + "".join(f"<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n" for key, value in given.items())
        + "</tool_call>"
        for name, given in calls
    )


def own_tags(calls: Sequence[Call]) -> str:
    return "\n".join(
        f"<{name}>\n" + "".join(f"<{key}>\n{value}\n</{key}>\n" for key, value in given.items()) + f"</{name}>"
        for name, given in calls
    )


DIALECTS: Mapping[str, Callable[[Sequence[Call]], str]] = MappingProxyType(
    {
        dialect.__name__: dialect
        for dialect in (
            *(hermes, hermes_unescaped, hermes_unclosed, one_block),
            *(openai_message, openai_objects, openai_list, openai_response, openai_output, openai_function_call),
            *(anthropic_message, anthropic_tags, qwen_coder, llama_function, llama_parameters),
            *(mistral, fenced, in_prose),
            *(pythonic, tool_code, python_dicts, mistral_name, mistral_arguments, named_tag, name_in_block),
            *(deepseek, deepseek_3_1, deepseek_3_2, kimi, harmony, react, command_r, command_a, functionary),
            *(key_of_the_name, glm, own_tags),
        )
    }
)

TAGS = frozenset({"anthropic_tags", "qwen_coder", "deepseek_3_2", "glm", "own_tags"})
"""The dialects that write raw values between tags."""

BARE = frozenset({"pythonic", "tool_code", "react", "key_of_the_name", "own_tags"})
"""The dialects in which no mark comes before the function's name."""

OPEN = frozenset({"python_dicts", "own_tags", "glm"})
"""The dialects in which half a call does not show where it ends: what follows may be a part of its text."""
