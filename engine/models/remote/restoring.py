"""The text that a model wrote, of a message out of which a server has parsed reasoning and calls.

    restored(message, cut=False)       # "<think>…</think>…\n<tool_call>\n{"name": …, "arguments": …}\n</tool_call>"

The notation is that of Qwen and Hermes, which `engine.skills.parse_operations` reads. The order is that in which models
write: thought, text, calls. Arguments stand there as the server gave them, also where they are no JSON: then the call cannot
be read, and is malformed, as it was before.
"""

from __future__ import annotations

import json

import msgspec

from engine.models.remote.replies import Call, MessageReply, Part


def restored(message: MessageReply, *, cut: bool = False) -> str:
    """What the model wrote. `cut`: the answer reached its longest length, so a thought with nothing behind it has no end."""
    content, thought = _content(message.content)
    thought = message.thought or thought
    calls = [(call.function if call else None) or Call() for call in message.tool_calls or ()]
    calls += [message.function_call] if message.function_call else []
    blocks = [f"<tool_call>\n{_json(call)}\n</tool_call>" for call in calls]
    text = "\n".join([content, *blocks] if content else blocks)
    if not thought:
        return text
    return f"<think>{thought}" if cut and not text else f"<think>{thought}</think>{text}"


def _json(call: Call) -> str:
    arguments = call.arguments
    if not isinstance(arguments, str):
        written = msgspec.json.encode({} if arguments is None else arguments).decode()
    else:
        written = arguments.strip() or "{}"
    return f'{{"name": {json.dumps(call.name or "", ensure_ascii=False)}, "arguments": {written}}}'


def _content(content: str | list[Part] | None) -> tuple[str, str]:
    """The text and the thought of a content, which may be a list of parts."""
    if not isinstance(content, list):
        return content or "", ""
    texts = "".join(part.text or "" for part in content if part.type in ("text", "output_text"))
    thoughts = "".join(
        "".join(inner.text or "" for inner in part.thinking) if isinstance(part.thinking, list) else part.thinking or ""
        for part in content
        if part.type == "thinking"
    )
    return texts, thoughts
