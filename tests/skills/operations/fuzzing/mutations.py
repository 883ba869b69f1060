"""Mutated curator outputs, each of which depends only on its number.

    output(corpus, seed=1, number=7)       # always the same text, in any process and order

A decision's calls are deformed as JSON, written in one of the dialects among thoughts and prose, and then deformed as
text: bytes, tokens, Unicode, lengths, and pieces of other outputs.
"""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable
from typing import Any

from tests.skills.operations.dialects import DIALECTS, Call
from tests.skills.operations.fuzzing.corpus import NAMES, Corpus

MAX_CHARACTERS = 400_000

TOKENS = (
    *"<tool_call> </tool_call> <tool_call <think> </think> <thinking> </thinking> <function_calls> [TOOL_CALLS]".split(),
    *"<function=delete_skill> <function= </function> <parameter=skill_name> <parameter= </parameter> </invoke>".split(),
    *"<|tool_call_begin|> <｜tool▁sep｜> <|message|> to=functions.delete_skill <arg_key> [ARGS] [THINK]".split(),
    *("delete_skill(", "Action: delete_skill\nAction Input: ", "<delete_skill>", "skill_name='", "```tool_code\n"),
    *('<invoke name="skill_delete">', '<parameter name="skill_name">', "```json\n", "```", '"tool_calls": [{'),
    *(
        '{"name": "delete_skill", "arguments": {"skill_name": "broken"}}',
        '{"name":',
        '"arguments":',
        '"type": "function"',
    ),
    *r""" " ' { } [ ] : , \ \\ \" \n \u0000 \ud800 \udc00 \u12 \x / .. null true NaN -Infinity 1e999 0x10 """.split(),
    *("---", "---\n", "\n---\n", "\n", "\r\n", "\t", " "),
    *"insert_skill new_skill_insert skill_update delete_skill drop_skill skill_name content new_name".split(),
)
CHARACTERS = (
    *"\x00 \x01 \x1b[31m \x7f \xad \u200b \u200d \u202e \u2066 \ufeff \ufffe \uffff \ufffd \ud800 \udfff \udc80".split(
        " "
    ),
    *("\x85", "\u2028", "\u2029", "\u0301", "\U0001f600", "\U0010ffff", "\U000e0041"),
    *"é ß “ ” ‘ ’ ＂ ｛ ｝ ： ／ ． ｎ İ ſ Ⅷ 𝐧".split(),
)
_SWAPPED = str.maketrans("\"'", "'\"")
_CURLY = str.maketrans("\"'", "”’")


def output(corpus: Corpus, seed: int, number: int) -> str:
    """The mutated output of this number, at most `MAX_CHARACTERS` long except for rare huge ones (see `_HUGE`)."""
    rng = random.Random(f"{seed}:{number}")
    draw = rng.random()
    if draw < 0.001:
        return rng.choice(_HUGE)(rng)
    if draw < 0.02:
        return "".join(rng.choices((*TOKENS, *CHARACTERS), k=rng.randrange(1, 200)))
    text = _written(corpus, rng)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 6))):
        mutate = rng.choice(_MUTATIONS)
        text = mutate(text, rng, corpus)[:MAX_CHARACTERS]
    return text


def _written(corpus: Corpus, rng: random.Random) -> str:
    """A decision as a model writes it, possibly with deformed calls."""
    calls = [_deformed(call, rng) if rng.random() < 0.25 else call for call in corpus.calls(rng)]
    text = rng.choice(list(DIALECTS.values()))(calls)
    draw = rng.random()
    if draw < 0.2:
        thought = DIALECTS["hermes"](corpus.calls(rng)) if rng.random() < 0.4 else "What is new here? Nothing was kept."
        text = f"<think>\n{thought}\n</think>\n\n{text}"
    elif draw < 0.3:
        text = f"The run succeeded, so {{this}} is worth keeping:\n\n{text}\n\nThat is all."
    return text


# Calls as JSON


def _deformed(call: Call, rng: random.Random) -> Call:
    """A call with a structural error."""
    name, arguments = call
    keys = list(arguments)
    key = rng.choice(keys)
    fault = rng.randrange(8)
    if fault == 0:
        return rng.choice(("drop_skill", "", "INSERT_SKILL", "insert-skill", "x" * 1_000, "../insert_skill")), arguments
    if fault == 1:
        return name, {other: value for other, value in arguments.items() if other != key}
    if fault == 2:
        return name, {**arguments, rng.choice(("force", "content", "new_name", "path", "", "skill_name ")): "x"}
    if fault == 3:
        return name, {other if other != key else other.upper(): value for other, value in arguments.items()}
    if fault == 4:
        return name, {key: json.dumps(arguments)}
    if fault == 5:
        return name, {**arguments, "skill_name": rng.choice(NAMES)}
    return name, {**arguments, key: _value(rng)}


def _value(rng: random.Random) -> Any:
    """A value where text is expected."""
    depth = rng.choice((1, 5, 90, 300))
    return rng.choice(
        (
            *(None, True, 0, -1, 1.5, 10**30, 10**4_000, float("nan"), float("inf"), [], {}, ["a"], {"a": "b"}, ""),
            *(_nested(depth), {"name": "delete_skill", "arguments": {"skill_name": "broken"}}, [None] * 1_000),
        )
    )


def _nested(depth: int) -> Any:
    value: Any = "x"
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


# Text

Mutation = Callable[[str, random.Random, Corpus], str]


def _place(text: str, rng: random.Random) -> int:
    return rng.randrange(len(text) + 1)


def _span(text: str, rng: random.Random) -> tuple[int, int]:
    """A stretch of the text, mostly a short one."""
    start = _place(text, rng)
    return start, min(len(text), start + int(rng.expovariate(1 / rng.choice((2, 20, 500)))))


def change_bytes(text: str, rng: random.Random, corpus: Corpus) -> str:
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(rng.randrange(1, 9)):
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.randrange(2)] = rng.randbytes(rng.randrange(3))
    return data.decode("utf-8", rng.choice(("replace", "surrogateescape", "ignore")))


def drop_bytes(text: str, rng: random.Random, corpus: Corpus) -> str:
    data = text.encode("utf-8", "surrogatepass")
    start = rng.randrange(len(data) + 1)
    return (data[:start] + data[start + rng.randrange(1, 40) :]).decode("utf-8", "surrogateescape")


def put_token(text: str, rng: random.Random, corpus: Corpus) -> str:
    at = _place(text, rng)
    return text[:at] + rng.choice(TOKENS) + text[at:]


def replace_token(text: str, rng: random.Random, corpus: Corpus) -> str:
    """Replace or delete a token of the text."""
    token = rng.choice(TOKENS)
    at = text.find(token, _place(text, rng))
    start, end = (at, at + len(token)) if at >= 0 else _span(text, rng)
    return text[:start] + rng.choice((*TOKENS, "")) + text[end:]


def drop_span(text: str, rng: random.Random, corpus: Corpus) -> str:
    start, end = _span(text, rng)
    return text[:start] + text[end:]


def double_span(text: str, rng: random.Random, corpus: Corpus) -> str:
    start, end = _span(text, rng)
    return text[:end] + text[start:end] * rng.choice((1, 1, 2, 50)) + text[end:]


def move_span(text: str, rng: random.Random, corpus: Corpus) -> str:
    start, end = _span(text, rng)
    rest = text[:start] + text[end:]
    at = _place(rest, rng)
    return rest[:at] + text[start:end] + rest[at:]


def put_character(text: str, rng: random.Random, corpus: Corpus) -> str:
    for _ in range(rng.choice((1, 1, 3, 30))):
        at = _place(text, rng)
        text = text[:at] + rng.choice(CHARACTERS) + text[at + rng.randrange(2) :]
    return text


def normalise(text: str, rng: random.Random, corpus: Corpus) -> str:
    return unicodedata.normalize(rng.choice(("NFC", "NFD", "NFKC", "NFKD")), text)


def swap_quotes(text: str, rng: random.Random, corpus: Corpus) -> str:
    start, end = (0, len(text)) if rng.random() < 0.5 else _span(text, rng)
    return text[:start] + text[start:end].translate(rng.choice((_SWAPPED, _CURLY))) + text[end:]


def cut_end(text: str, rng: random.Random, corpus: Corpus) -> str:
    return text[: _place(text, rng)]


def cut_start(text: str, rng: random.Random, corpus: Corpus) -> str:
    return text[_place(text, rng) :]


def splice(text: str, rng: random.Random, corpus: Corpus) -> str:
    other = _written(corpus, rng)
    return text[: _place(text, rng)] + other[_place(other, rng) :]


def repeat(text: str, rng: random.Random, corpus: Corpus) -> str:
    return text * rng.choice((2, 2, 3, 20))


def nest(text: str, rng: random.Random, corpus: Corpus) -> str:
    """The output inside a call, a thought, a fence, JSON or itself."""
    shape = rng.randrange(6)
    if shape == 0:
        content = f"---\nname: nested\ndescription: d\n---\n{text}"
        return rng.choice(list(DIALECTS.values()))([("insert_skill", {"skill_name": "nested", "content": content})])
    if shape == 1:
        return rng.choice(("<think>{}", "<think>{}</think>", "{}</think>", "<tool_call>{}</tool_call>")).replace(
            "{}", text
        )
    if shape == 2:
        return f"```json\n{text}\n```"
    if shape == 3:
        return json.dumps({"role": "assistant", "content": text, "tool_calls": [text]})
    if shape == 4:
        return "[" * rng.choice((1, 3, 100)) + text + "]" * rng.choice((0, 1, 3, 100))
    at = _place(text, rng)
    return text[:at] + text + text[at:]


def unescape(text: str, rng: random.Random, corpus: Corpus) -> str:
    return text.replace("\\n", "\n") if rng.random() < 0.5 else text.replace('\\"', '"')


def escape(text: str, rng: random.Random, corpus: Corpus) -> str:
    return json.dumps(text)


_MUTATIONS: tuple[Mutation, ...] = (
    *(change_bytes, drop_bytes, put_token, put_token, replace_token, replace_token, drop_span, double_span, move_span),
    *(put_character, normalise, swap_quotes, cut_end, cut_end, cut_start, splice, repeat, nest, unescape, escape),
)


# Huge


def _deep(rng: random.Random) -> str:
    """Brackets nested to the limit of Python, and beyond."""
    depth = rng.choice((*range(900, 1_000), 3_000, 100_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}"), ('[{"name":', "}]"), ('{"content":[', "]}")))
    value = opening * depth + "1" + closing * rng.choice((depth, depth - 1, 0))
    shape = rng.choice(("{}", "<tool_call>{}</tool_call>", '<tool_call>[{"name": "x", "arguments": {}}]</tool_call>'))
    return rng.choice((shape, '{"tool_calls": [{"function": {"name": "x", "arguments": {}}}]}')).replace("{}", value, 1)


def _long(rng: random.Random) -> str:
    """A body, a name, a number or a header of a megabyte or more."""
    size = rng.choice((70_000, 1_000_000, 2_000_000))
    body = rng.choice(("x", "ü", "a\n", "- [ ] \n", "---\n", "\\", "<", "[", '{"')) * (size // 2)
    content = rng.choice(("---\nname: long\ndescription: d\n---\n{}", "---\nname: long\ndescription: {}\n---\n", "{}"))
    call = ("insert_skill", {"skill_name": rng.choice(("long", body)), "content": content.replace("{}", body)})
    written = rng.choice(list(DIALECTS.values()))([call])
    number = '<tool_call>{"name": "delete_skill", "arguments": {"skill_name": ' + "9" * size + "}}</tool_call>"
    return rng.choice((written, written[: len(written) // 2], number))


def _many(rng: random.Random) -> str:
    """A token or two, over and over."""
    piece = "".join(rng.choices(TOKENS, k=rng.choice((1, 2, 3))))
    return rng.choice(("", *TOKENS)) + piece * (rng.choice((20_000, 300_000)) // len(piece))


_HUGE: tuple[Callable[[random.Random], str], ...] = (_deep, _long, _many)
