"""Try a model out: compare its files, load it, and find what its template, its calls, its log-probabilities and its speed
are.

    trial = Trial(messages, TOOLS, read=lambda text: "1 call, valid")
    async for trait in traits(config.model, trial): ...

A trait that could not be found out is `unmeasured`, with the reason. All waits are bounded.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import jinja2
import msgspec

from engine.core.errors import ConfigError, SkillosError
from engine.core.parts import Settings, kind_of
from engine.models.base import Completion, Message, Opened, Opening, Sampling, Scorer
from engine.models.catalogue import store
from engine.models.catalogue.hashes import compare
from engine.models.registry import BACKENDS, load_vocabulary, open_models
from engine.models.tools import Tools, template_takes_tools

LOAD_SECONDS = 1800.0
ANSWER_SECONDS = 300.0
ANSWER_TOKENS = 256
SPEED_TOKENS = 48
STREAMS = (1, 8)
SHIPPED = "pocket"
RENDERED_ELSEWHERE = "the server renders the chats, and this backend has no tokenizer to ask"


class Trait(msgspec.Struct, frozen=True):
    """One thing that was found out. `value` is its number, in the unit that `what` names; None where there is none."""

    what: str
    state: Literal["ok", "warning", "fault", "unmeasured"]
    text: str
    value: float | None = None


class Trial(msgspec.Struct, frozen=True):
    """A chat that should be answered with a call of one of `tools`. `read(text)` says which calls an answer has, and whether
    one is valid."""

    messages: Sequence[Message]
    tools: Tools
    read: Callable[[str], tuple[bool, str]]


async def traits(settings: Settings, trial: Trial, report: Callable[[str], None]) -> AsyncIterator[Trait]:
    """What is found about the model of `settings`, as it is found. Where the model cannot be loaded, that is the last
    one."""
    async for trait in _of_files(settings, report):
        yield trait
    started = time.monotonic()
    try:
        BACKENDS.load(kind_of(settings)).check(settings)
        async with asyncio.timeout(LOAD_SECONDS):
            opened = await open_models(settings, Opening(report=report))
    except (SkillosError, TimeoutError) as error:
        yield Trait("load", "fault", _reason(error, LOAD_SECONDS))
        return
    seconds = time.monotonic() - started
    yield Trait("load, s", "ok", f"{seconds:.1f} s", round(seconds, 2))
    try:
        for trait in await asyncio.to_thread(lambda: list(of_template(settings))):
            yield trait
        async for trait in _of_answers(opened, trial, report):
            yield trait
        yield _memory(settings)
    finally:
        await opened.close()


async def _of_files(settings: Settings, report: Callable[[str], None]) -> AsyncIterator[Trait]:
    """Whether the model's files are as they were made; nothing for one that is shipped, or that a server has."""
    weights = str(getattr(settings, "weights", ""))
    if weights in ("", SHIPPED):
        return
    report("the hashes of its files")
    try:
        compared = await asyncio.to_thread(lambda: compare(store.path_of(weights) or Path(weights)))
    except ConfigError as error:
        yield Trait("hashes", "fault", str(error))
        return
    advice = f"; {compared.advice} makes it again" if compared.advice else ""
    yield Trait("hashes", compared.state, compared.text + advice)


def of_template(settings: Settings) -> Iterator[Trait]:
    """What the chat template does with a chat, with tools and with thinking, and what ends an answer."""
    if not BACKENDS.load(kind_of(settings)).vocabulary:
        for what in ("chat template", "tools", "thinking", "stop tokens"):
            yield Trait(what, "unmeasured", RENDERED_ELSEWHERE)
        return
    vocabulary = load_vocabulary(settings)

    def render(messages: Sequence[Message], tools: Tools | None, **more: Any) -> str:
        chat = [{"role": message.role, "content": message.content} for message in messages]
        return str(
            vocabulary.apply_chat_template(chat, tools=tools, add_generation_prompt=True, tokenize=False, **more)
        )

    chat = [Message("system", "Be brief."), Message("user", "hello")]
    try:
        text = render(chat, None)
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        yield Trait("chat template", "fault", f"it fails on a system and a user message: {error}")
        return
    lost = [message.role for message in chat if message.content not in text]
    yield Trait(
        "chat template",
        "fault" if lost else "ok",
        f"it drops the message of the {lost[0]}" if lost else f"renders {len(chat)} messages to {len(text)} characters",
    )
    if template_takes_tools(render):
        yield Trait("tools", "ok", "the chat template shows them")
    else:
        yield Trait("tools", "warning", "the chat template drops them; they are written into the system message")
    thinks = render(chat, None, enable_thinking=True) != render(chat, None, enable_thinking=False)
    yield Trait("thinking", "ok", "a setting of the template" if thinks else "the template has no setting for it")
    yield Trait("stop tokens", "ok", f"{vocabulary.eos_token} ({vocabulary.eos_token_id})")


async def _of_answers(opened: Opened, trial: Trial, report: Callable[[str], None]) -> AsyncIterator[Trait]:
    """What the model answers, and how fast."""
    curator = opened.models.curator
    report("an answer with a tool call")
    sampling = Sampling(temperature=0.0, max_tokens=ANSWER_TOKENS)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            completion = await curator.complete(trial.messages, sampling, trial.tools)
    except (SkillosError, TimeoutError) as error:
        for what in ("tool call", "log-probabilities", *(f"speed of {streams}, tokens/s" for streams in STREAMS)):
            yield Trait(what, "unmeasured", _reason(error, ANSWER_SECONDS))
        return
    valid, text = trial.read(completion.text)
    yield Trait("tool call", "ok" if valid else "warning", text)
    if completion.finish == "length":
        yield Trait("end of an answer", "warning", f"the answer did not end within {ANSWER_TOKENS} tokens")
    else:
        yield Trait("end of an answer", "ok", f"after {completion.usage.completion} tokens")
    yield _logprobs(completion)
    scores = isinstance(opened.models.executor, Scorer)
    yield Trait("likelihood of given texts", "ok", "yes" if scores else "this backend does not compute it")
    for streams in STREAMS:
        report(f"the speed of {streams}")
        yield await _speed(opened, streams)


def _logprobs(completion: Completion) -> Trait:
    tokens = completion.tokens
    if tokens is None:
        return Trait("log-probabilities", "unmeasured", "the backend reports no token ids, so it cannot be trained")
    mean = sum(tokens.logprobs) / max(1, len(tokens.logprobs))
    return Trait(
        "log-probabilities",
        "ok",
        f"of {len(tokens.logprobs)} tokens, {mean:.3f} a token on average in a greedy answer",
        round(mean, 4),
    )


async def _speed(opened: Opened, streams: int) -> Trait:
    """Completion tokens a second of `streams` requests at the same time, their prompts included."""
    what = f"speed of {streams}, tokens/s"
    executor, sampling = opened.models.executor, Sampling(max_tokens=SPEED_TOKENS)
    asked = [
        asyncio.ensure_future(executor.complete(chat, msgspec.structs.replace(sampling, seed=number)))
        for number, chat in enumerate(_stories(streams))
    ]
    started = time.monotonic()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            completions = await asyncio.gather(*asked)
    except (SkillosError, TimeoutError) as error:
        return Trait(what, "unmeasured", _reason(error, ANSWER_SECONDS))
    finally:
        for task in asked:
            task.cancel()
    seconds = time.monotonic() - started
    tokens = sum(completion.usage.completion for completion in completions)
    return Trait(what, "ok", f"{tokens / seconds:.1f} ({tokens} tokens in {seconds:.1f} s)", round(tokens / seconds, 2))


def _stories(count: int) -> list[list[Message]]:
    """Chats whose answers are long, each with a prompt of its own."""
    return [[Message("user", f"Write a long story about the number {number}.")] for number in range(count)]


def _memory(settings: Settings) -> Trait:
    what = "memory, MB"
    if kind_of(settings) != "local":
        return Trait(what, "unmeasured", "the model is in another process, or on another machine")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    text = f"{peak / 10**6:.0f} MB: the largest of this process, Python and torch included"
    if str(getattr(settings, "device", "cpu")).startswith("cuda"):
        import torch

        text += f"; {torch.cuda.max_memory_allocated() / 10**6:.0f} MB on the device"
    return Trait(what, "ok", text, round(peak / 10**6, 1))


def _reason(error: BaseException, seconds: float) -> str:
    return f"it took over {seconds:.0f} s" if isinstance(error, TimeoutError) else str(error)
