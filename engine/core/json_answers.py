"""The JSON object in a model's answer: a model may think before it, and may put it in a fence.

    json_object('<think>Both are true.</think>\n```json\n{"verdict": "success"}\n```')      # '{"verdict": "success"}'

The answer is text of a model, and hostile until what is found here has been decoded by its type.
"""

from __future__ import annotations

THOUGHT_ENDS = "</think>"
THOUGHT_BEGINS = "<think>"


def json_object(text: str) -> str | None:
    """The text from the first `{` to the last `}` after the thought; None where there is none, where the thought does not
    end, or where anything but the end of a fence follows. An answer with two objects gives both, which no decoder takes for
    one."""
    answer = text.rpartition(THOUGHT_ENDS)[2]
    begin, end = answer.find("{"), answer.rfind("}")
    if THOUGHT_BEGINS in answer or not 0 <= begin < end or answer[end + 1 :].strip("` \t\r\n"):
        return None
    return answer[begin : end + 1]


def unfinished_thought(text: str) -> bool:
    """Whether a thought begins in `text` and does not end."""
    return THOUGHT_BEGINS in text.rpartition(THOUGHT_ENDS)[2]
