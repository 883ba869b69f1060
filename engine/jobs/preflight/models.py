"""What is checked of the models beside their answers: chat template, context, and adapters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from engine.config import Config
from engine.core.errors import SkillosError
from engine.core.parts import kind_of
from engine.core.records import Check
from engine.models.base import ChatModel, Message, Models, Opened, PromptTooLong, Sampling
from engine.models.catalogue.checking import of_template
from engine.models.registry import BACKENDS
from engine.models.settings import ModelSettings
from engine.system.plan.shapes import UnknownShape, shape_of

FILLER = "one "
"""A word that most tokenizers make one token of."""


def template(sections: Mapping[str, ModelSettings]) -> Check:
    """What the chat template of each model does with a system message, tools and thinking. Slow: it reads a tokenizer."""
    began = time.monotonic()
    faults: list[str] = []
    doubts: list[str] = []
    fine: list[str] = []
    unknown: list[str] = []
    for roles, settings in distinct(sections).items():
        try:
            found = list(of_template(settings))
        except SkillosError as error:
            faults.append(f"{roles}: {error}")
            continue
        for trait in found:
            where = {"fault": faults, "unmeasured": unknown, "warning": doubts, "ok": fine}[trait.state]
            if trait.what in ("chat template", "tools") and not (trait.what == "tools" and "curator" not in roles):
                where.append(f"{roles}: {trait.what}: {trait.text}" if trait.state != "unmeasured" else roles)
    seconds = time.monotonic() - began
    if faults:
        return Check("template", "fail", f"{'; '.join(faults)}: use a model with a chat template", seconds)
    if doubts:
        return Check("template", "warn", "; ".join(doubts), seconds)
    if unknown:
        names = ", ".join(dict.fromkeys(unknown))
        return Check("template", "warn", f"not measured: the server of {names} renders the chats", seconds)
    return Check("template", "pass", "; ".join(fine), seconds)


async def context(
    config: Config, models: Models, sections: Mapping[str, ModelSettings], longest: Mapping[str, int], seconds: float
) -> Check:
    """Whether the longest prompt and answer of each role fit its model. A server is asked, with a prompt of that length and
    an answer of one token. `longest` are the prompts of the probes, in tokens."""
    began = time.monotonic()
    faults, doubts, fine = [], [], []
    by_role: dict[str, ChatModel | None] = {
        "executor": models.executor,
        "curator": models.curator,
        "judge": models.judge,
    }
    for role, settings in sections.items():
        prompt, answer = _lengths(config, role)
        if not prompt:
            continue
        known = BACKENDS.load(kind_of(settings)).context(settings)
        model = by_role[role]
        if kind_of(settings) != "local" and model is not None:
            most, why = await _served(model, prompt + answer, seconds)
            if why:
                doubts.append(f"not measured for the {role}: {why}")
                continue
        else:
            most = known
            if most is None:
                doubts.append(f"not measured for the {role}: its model.kind does not know its context")
                continue
        if most is None or most >= prompt + answer:
            fine.append(f"{role} {prompt + answer:,}")
            continue
        what = (
            f"{role}: {most:,} tokens of context, and a prompt of {prompt:,} with an answer of {answer:,} are allowed"
        )
        if most < longest.get(role, 0) + answer:
            first = f"; the first prompt alone has {longest[role]:,}" if longest.get(role) else ""
            faults.append(f"{what}{first}")
        else:
            doubts.append(
                f"{what}, so longer prompts are shortened: raise the model's context, or lower {role}.max_prompt_tokens"
            )
    took = time.monotonic() - began
    if faults:
        return Check(
            "context",
            "fail",
            f"{'; '.join(faults)}: use a model with a longer context, or lower max_tokens of these roles",
            took,
        )
    if doubts:
        return Check("context", "warn", "; ".join(doubts), took)
    return Check(
        "context", "pass", f"the longest prompts and answers fit: {', '.join(fine) or 'none is generated'}", took
    )


async def _served(model: ChatModel, tokens: int, seconds: float) -> tuple[int | None, str]:
    """The context of a server where `tokens` are more, None where they fit; and why that is not known, "" where it is."""
    chat = [Message("user", FILLER * max(1, tokens - 64))]
    unnamed = 4 * tokens
    try:
        async with asyncio.timeout(seconds):
            await model.complete(chat, Sampling(max_tokens=1, max_prompt_tokens=unnamed))
    except PromptTooLong as error:
        if error.limit == unnamed:
            return None, f"the server takes no prompt of about {tokens:,} tokens, and does not say how many it takes"
        return (error.limit + 1, "") if error.limit + 1 < tokens else (None, "")
    except TimeoutError:
        return None, f"no answer within {seconds:g} s (limits.probe_seconds)"
    except SkillosError as error:
        return None, str(error)
    return None, ""


def _lengths(config: Config, role: str) -> tuple[int, int]:
    """The most tokens of a role's prompt and answer."""
    if role == "executor":
        generates = config.executor.decoding == "generate"
        return config.executor.max_prompt_tokens, config.executor.max_tokens if generates else 0
    if role == "curator":
        return config.curator.max_prompt_tokens, config.curator.max_tokens
    return getattr(config.judge, "max_prompt_tokens", 0), getattr(config.judge, "max_tokens", 0)


def adapters(opened: Opened, config: Config) -> Check:
    """Whether the curator takes what a trainer makes by `training.method`, and whether the rank of an adapter is of use.
    Backends prove it with an adapter of their own as they open."""
    try:
        opened.for_training()
    except SkillosError as error:
        return Check("adapters", "fail", str(error))
    method = config.training.method
    if method == "lora" and (doubt := _rank_without_use(config)):
        return Check("adapters", "warn", doubt)
    what = "checkpoints of all weights" if method == "full" else "adapters"
    how = (
        "the server answered with a test adapter"
        if type(opened.sink).__module__.startswith("engine.models.vllm")
        else ""
    )
    return Check("adapters", "pass", how or f"the curator takes {what}; each one is proved when it is published")


def _rank_without_use(config: Config) -> str:
    """That the adapter has a higher rank than any change of any layer; "" where not, or where the shape is not known."""
    rank, model = config.training.lora_rank, config.model_of("curator")
    try:
        most = shape_of(str(getattr(model, "weights", ""))).rank
    except UnknownShape:
        return ""
    if rank <= most:
        return ""
    return (
        f"training.lora_rank={rank} trains more weights than an adapter of rank {most} and can change no layer in more "
        f"ways, since the smaller side of each has at most {most}: lower it, or set training.method=full"
    )


def distinct(sections: Mapping[str, ModelSettings]) -> dict[str, ModelSettings]:
    """Each model once, by the roles that have it: "curator and executor"."""
    roles: list[tuple[ModelSettings, list[str]]] = []
    for role, settings in sections.items():
        same = next((names for its, names in roles if its == settings), None)
        if same is not None:
            same.append(role)
        else:
            roles.append((settings, [role]))
    return {" and ".join(names): settings for settings, names in roles}
