"""How an executor's answer becomes an action: the parser that environments share.

    answer = parse_answer("<think>The mug is in the safe.</think><action>go safe</action>")
    answer.thought, answer.action            # "The mug is in the safe.", "go safe"

An environment whose actions have another form brings a parser of its own (`engine.environments.base.EnvironmentKind`).
"""

from __future__ import annotations

import re

import msgspec

_THOUGHT = re.compile(r"<think>(.*?)(?:</think>|<action>|$)", re.DOTALL)
_ACTION = re.compile(r"<action>([^<]*)</action>")
MAX_ACTION = 200
ANSWER_FORM = ("<think></think><action>", "</action>")
"""What is before and after an action in an answer without a thought."""


class Answer(msgspec.Struct, frozen=True):
    """What a model's text holds: a thought, and the action to take. The action is "" where the text holds none."""

    thought: str
    action: str


def parse_answer(text: str) -> Answer:
    """A thought in `<think>` tags, then one action in `<action>` tags, cut to `MAX_ACTION` characters.

    The action is "" where there is not exactly one well-formed pair of action tags. Any text is read in linear time.
    """
    thought = _THOUGHT.search(text)
    actions = _ACTION.findall(text.rpartition("</think>")[2])
    action = " ".join(actions[0].split())[:MAX_ACTION] if len(actions) == 1 else ""
    return Answer(thought[1].strip() if thought else "", action)
