"""What a server takes and gives, found by short requests when it is opened, and never assumed.

    found = await probe(server, served, names, curates=True, seconds=300)      # raises ConfigError, ModelUnavailable
    emit(Notice("info", found.sentence()))

One request has every field that we use. A field that the error names is left out; where it names none, the fields are
halved until the ones that are refused are found. Filters that a server passes over in silence are found by their effect: at
a high temperature, two draws with top_k 1 are equal only where top_k counts. A template that leaves tools out is found by
the length of the prompt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from engine.core.errors import ConfigError
from engine.models.base import Message, ModelUnavailable, PromptTooLong, Sampling
from engine.models.limits.errors import Retryable
from engine.models.remote.completions import NO_USAGE
from engine.models.remote.errors import ModelMissing, Refused
from engine.models.remote.fields import NEEDED, Body
from engine.models.remote.model import CHAT, Served, Server, not_served, shown_name
from engine.models.remote.replies import MessageReply, Reply, read_reply
from engine.models.tools import PROBE_CHAT, PROBE_TOOL

T = TypeVar("T")

WAITS = (0.5, 1.0, 2.0, 4.0)
"""Seconds between the attempts to reach a server when it is opened."""
PROBE_TOKENS = 16
SCHEMA_TOKENS = 5
"""A tool adds more tokens than this to a prompt that shows it."""
HOT = (2.0, 1.0)
"""Temperatures at which two draws of a model differ; some servers take no more than 1."""
DRAWS = (Message("user", "Write eight random words."),)


class Found(msgspec.Struct, frozen=True):
    """What a server gives and what it does not take. `tools` is how it is shown tools: "template", "prompt", or "" where
    none will be."""

    name: str
    ids: bool
    logprobs: bool
    counts: bool
    refused: list[str]
    ignored: list[str]
    tools: str
    aliases: frozenset[str]

    def sentence(self) -> str:
        """What was found, for people."""
        gives = {"token ids": self.ids, "log-probabilities": self.logprobs, "token counts": self.counts}
        parts = [f"gives {_listed([name for name, given in gives.items() if given])}"]
        if lacking := [name for name, given in gives.items() if not given]:
            parts.append(f"does not give {_listed(lacking)}")
        if self.refused:
            parts.append(f"does not take {_listed(self.refused)}")
        if self.ignored:
            parts.append(f"ignores {_listed(self.ignored)}")
        if self.tools == "prompt":
            parts.append("leaves tools out of its prompt, so they are written into the messages")
        if self.aliases:
            parts.append(f"answers as {_listed(sorted(self.aliases))}")
        return f"the server {self.name}: it {'; it '.join(parts)}"


async def patiently(work: Callable[[], Awaitable[T]], server: Server) -> T:
    """The result of `work`, which is tried again while the server cannot be reached. Raises `ModelUnavailable`."""
    for wait in (*WAITS, None):
        try:
            return await work()
        except Retryable as error:
            if wait is None:
                raise ModelUnavailable(
                    f"the server {server.name} cannot be used: {error.reason}; start it, or correct {server.section}.url"
                ) from error
            await asyncio.sleep(min(20.0, error.after or wait))
    raise AssertionError("unreachable")


async def within(seconds: float, asking: Awaitable[T], server: Server, setting: str = "") -> T:
    """The answer to one request. `setting` is where its time comes from. Raises `ModelUnavailable`."""
    try:
        async with asyncio.timeout(seconds):
            return await asking
    except TimeoutError as error:
        by, url = f" ({setting})" if setting else "", f"{server.section}.url"
        do = f", correct {url}, or raise {setting} where it is only slow" if setting else f", or correct {url}"
        raise ModelUnavailable(
            f"the server {server.name} cannot be used: it takes a request and gives no answer within {seconds:g} s{by}; "
            f"start it again{do}"
        ) from error


async def probe(server: Server, served: Served, names: list[str], *, curates: bool, seconds: float) -> Found:
    """Ask the server, and set up `server.extras` and `server.tools_in_prompt`. `names` are the models that it lists, and
    each request may take so many seconds.

    Raises `ConfigError` for a server that cannot be used, `ModelUnavailable` for one that does not answer.
    """
    return await patiently(lambda: _Probe(server, served, names, seconds).run(curates), server)


class _Probe:
    def __init__(self, server: Server, served: Served, names: list[str], seconds: float) -> None:
        self._server = server
        self._served = served
        self._names = names
        self._seconds = seconds

    async def run(self, curates: bool) -> Found:
        server, extras = self._server, self._server.extras
        reply = await self._first()
        choice = reply.choices[0]
        ids = choice.token_ids is not None and reply.prompt_token_ids is not None
        logprobs = choice.logprobs is not None and choice.logprobs.content is not None
        counts = bool(reply.counts.prompt)
        if not counts and not ids and server.tokenizer is None:
            raise ConfigError(
                f"the server {server.name} does not count tokens, and rewards and costs need them: {NO_USAGE}"
            )
        if ids:
            self._check_tokenizer(choice.token_ids or [], choice.message)
        aliases = self._aliases(reply.model)
        self._served = msgspec.structs.replace(self._served, aliases=aliases)
        tools = await self._tools() if curates else ""
        await self._effects()
        refused = sorted(extras.dropped | ({"max_tokens"} if extras.tokens_field != "max_tokens" else set()))
        return Found(server.name, ids, logprobs, counts, refused, sorted(extras.without_effect), tools, aliases)

    async def _first(self) -> Reply:
        """An answer to a request with every field that the server takes."""
        sampling = Sampling(temperature=0.7, max_tokens=PROBE_TOKENS, stop=("<|probe|>",))
        for _ in range(20):
            body = self._server.extras.request(self._served.name, PROBE_CHAT, sampling, None)
            try:
                return await self._ask(body)
            except Refused as error:
                if not self._server.extras.drop(error, body):
                    await self._halve(body, error)
        raise ConfigError(f"the server {self._server.name} refuses every request that is made shorter")

    async def _ask(self, body: Body) -> Reply:
        asked = self._server.asked(self._served.name, PROBE_TOKENS, 1)
        setting = f"{self._server.section}.answer_seconds"
        posting = self._server.client.post(CHAT, msgspec.json.encode(body), asked)
        try:
            return read_reply(await within(self._seconds, posting, self._server, setting), "probe")
        except ModelMissing as error:
            raise ConfigError(not_served(self._served.name, self._server, self._names)) from error
        except PromptTooLong as error:
            raise ConfigError(f"the server {self._server.name} has no room for even a short prompt: {error}") from error

    async def _halve(self, body: Body, refused: Refused) -> None:
        """Find the fields that a server refuses without naming them. Raises `refused` where it refuses all."""
        accepted = {name: value for name, value in body.items() if name in NEEDED}
        if not await self._takes(accepted):
            raise refused
        waiting = [[name for name in body if name not in NEEDED]]
        while waiting:
            part = waiting.pop()
            if await self._takes(accepted | {name: body[name] for name in part}):
                accepted |= {name: body[name] for name in part}
            elif len(part) == 1:
                self._server.extras.leave_out(part[0])
            else:
                waiting += [part[: len(part) // 2], part[len(part) // 2 :]]

    async def _takes(self, body: Body) -> bool:
        try:
            await self._ask(body)
        except Refused:
            return False
        return True

    def _check_tokenizer(self, ids: list[int], message: MessageReply) -> None:
        """Raises `ConfigError` where the ids are of another tokenizer than that of the settings."""
        tokenizer, content = self._server.tokenizer, message.content
        if tokenizer is None or not isinstance(content, str) or not content.strip():
            return
        text = tokenizer.text_of(ids, ended=True)
        if content.strip() not in text:
            raise ConfigError(
                f"{self._server.section}.tokenizer is not the tokenizer of the server's model: the ids of its answer "
                f"{shown_name(content)} are those of {shown_name(text)}"
            )

    def _aliases(self, model: str | None) -> frozenset[str]:
        """The other name by which the server answers. Raises `ConfigError` where that is another of its models."""
        name = self._served.name
        if not model or model == name:
            return frozenset()
        if model in self._names and not _related(model, name):
            raise ConfigError(
                f"the server {self._server.name} answers as {shown_name(model)} where "
                f"{self._server.section}.model={name} was asked"
            )
        return frozenset({model})

    async def _tools(self) -> str:
        """How tools come into the prompt. A server without a parser for calls may want them to be left in the text."""
        extras = self._server.extras
        for choice in (None, "none"):
            extras.tool_choice = choice
            sampling = Sampling(max_tokens=PROBE_TOKENS)
            try:
                without = await self._ask(extras.request(self._served.name, PROBE_CHAT, sampling, None))
                shown = await self._ask(extras.request(self._served.name, PROBE_CHAT, sampling, [PROBE_TOOL]))
            except Refused:
                continue
            if _prompt(shown) > _prompt(without) + SCHEMA_TOKENS:
                return "template"
        extras.tool_choice = None
        self._server.tools_in_prompt = True
        return "prompt"

    async def _effects(self) -> None:
        """Note the filters that have no effect: at this temperature two draws are equal by no other cause."""
        if "temperature" in self._server.extras.dropped:
            return
        for temperature in HOT:
            try:
                return await self._compare(Sampling(temperature=temperature, max_tokens=PROBE_TOKENS, seed=1))
            except Refused:
                continue

    async def _compare(self, plain: Sampling) -> None:
        """Compare two draws for each filter. Raises `Refused`, where the server does not take the temperature."""
        extras = self._server.extras
        pairs = {
            "seed": (plain, plain),
            "top_k": tuple(msgspec.structs.replace(plain, top_k=1, seed=seed) for seed in (1, 2)),
            "min_p": tuple(msgspec.structs.replace(plain, min_p=1.0, seed=seed) for seed in (1, 2)),
        }
        pairs = {name: pair for name, pair in pairs.items() if name not in extras.dropped}
        drawn = await asyncio.gather(*(self._draw(sampling) for pair in pairs.values() for sampling in pair))
        for number, name in enumerate(pairs):
            if drawn[2 * number] != drawn[2 * number + 1]:
                extras.without_effect.add(name)

    async def _draw(self, sampling: Sampling) -> str | list[int]:
        extras = self._server.extras
        choice = (await self._ask(extras.request(self._served.name, DRAWS, sampling, None))).choices[0]
        message = choice.message
        return choice.token_ids or f"{message.thought}{message.content}"


def _prompt(reply: Reply) -> int:
    """How many tokens the prompt of an answer had; 0 where the server does not say."""
    if reply.prompt_token_ids is not None:
        return len(reply.prompt_token_ids)
    return reply.counts.prompt or 0


def _related(one: str, other: str) -> bool:
    """Whether one name is a dated or shortened form of the other."""
    short, long = sorted((one.lower().split("/")[-1], other.lower().split("/")[-1]), key=len)
    return long.startswith(short) and long[len(short) :][:1] in ("", "-", "@", ":", ".")


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing of token ids, log-probabilities and counts"
