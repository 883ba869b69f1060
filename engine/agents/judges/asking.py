"""Asking a model for a verdict in JSON: the request, and the reading of its answer.

    answer = await Asking(model, settings, "judge").ask(chats, Verdict, seed=("judge", 1, task, text))
    answer.verdict, answer.reason, answer.text
    read(answer.text, Verdict)                       # the same verdict, from the text that was kept

The type of a verdict is a flat struct of texts, lists of texts and `Literal`s; its JSON schema goes with the request, and a
server that cannot constrain its answers may ignore it. What cannot be read is no verdict: nothing is taken from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

from engine.agents.judges.settings import AskingSettings
from engine.core.errors import SkillosError
from engine.core.json_answers import THOUGHT_BEGINS, json_object, unfinished_thought
from engine.core.seeds import seed_of
from engine.core.text import printable
from engine.models.base import ChatModel, Completion, Message, PromptTooLong, Sampling

T = TypeVar("T")

MAX_TEXT = 8_000
"""The characters of an answer that are read and kept. The verdict is at its end."""
MAX_REASON = 200


class NoVerdict(SkillosError):
    """A model's answer is not the JSON that it was asked for."""


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """What a model answered: the verdict, or None with the reason; and the text, its end where it is long."""

    verdict: T | None
    reason: str
    text: str


class Asking(msgspec.Struct, frozen=True):
    """How a judge asks: the model, the settings, and the name of their section for messages."""

    model: ChatModel
    settings: AskingSettings
    section: str

    async def ask(self, chats: Iterable[list[Message]], verdict: type[T], *, seed: tuple[object, ...]) -> Answer[T]:
        """The verdict by the first of `chats` that fits, each shorter than the one before. `seed` is the key of the draw.

        An answer that cannot be read is asked for again, as often as `retries` says. Raises what the model raises, and
        `PromptTooLong` where none of `chats` fits.
        """
        settings, left = self.settings, iter(chats)
        chat, attempt = next(left), 0
        while True:
            sampling = Sampling(
                temperature=settings.temperature,
                max_tokens=settings.max_tokens,
                max_prompt_tokens=settings.max_prompt_tokens,
                seed=seed_of(*seed, attempt),
                stop=settings.stop,
                thinking=None if settings.thinking == "template" else settings.thinking == "on",
                schema=schema_of(verdict),
            )
            try:
                completion = await self.model.complete(chat, sampling)
            except PromptTooLong:
                if (shorter := next(left, None)) is None:
                    raise
                chat = shorter
                continue
            answer = self._read(completion, verdict)
            attempt += 1
            if answer.verdict is not None or not settings.temperature or attempt > settings.retries:
                return answer

    def _read(self, completion: Completion, verdict: type[T]) -> Answer[T]:
        text = kept(completion.text)
        try:
            return Answer(read(text, verdict), "", text)
        except NoVerdict as error:
            cut = f"was cut at {self.section}.max_tokens={self.settings.max_tokens}"
            how = cut if completion.finish == "length" else "cannot be read"
            return Answer(None, f"the judge's answer {how}: {error}", text)


def kept(text: str) -> str:
    """The end of an answer, of about `MAX_TEXT` characters, as valid Unicode. A thought that does not end begins it."""
    text = text.encode("utf-8", "replace").decode()
    if len(text) <= MAX_TEXT:
        return text
    return f"{THOUGHT_BEGINS if unfinished_thought(text) else ''}… {text[-MAX_TEXT:]}"


def read(text: str, verdict: type[T]) -> T:
    """The verdict in a text that was `kept`. Raises `NoVerdict`."""
    found = json_object(text)
    if found is None:
        thought = "it has a thought that does not end"
        raise NoVerdict(thought if unfinished_thought(text) else "it does not end with a JSON object")
    try:
        return msgspec.json.decode(found.encode(), type=verdict)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NoVerdict(f"it is not the JSON that was asked for: {printable(str(error), MAX_REASON)}") from error


def schema_of(verdict: type) -> str:
    """The JSON schema of a verdict: every field is required, and no other is allowed."""
    _, found = msgspec.json.schema_components([verdict])
    fields: dict[str, Any] = found[verdict.__name__]["properties"]
    typed = {name: {"type": "string", **field} if "enum" in field else field for name, field in fields.items()}
    schema = {"type": "object", "properties": typed, "required": list(typed), "additionalProperties": False}
    return msgspec.json.encode(schema).decode()
