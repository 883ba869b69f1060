"""The published settings of the method, and where a configuration departs from them (`method.md` §2).

    for departure in departures(config):
        print(departure.setting, departure.published, departure.ours, departure.why)

An environment without published settings has no departures; `compared(config)` says whether there is anything to compare.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from engine.agents.judges.registry import JUDGES
from engine.config import Config
from engine.core.parts import kind_of

Value = float | int | str


OF_THE_METHOD = ("rewards.lambda_h", "training.start_from")
"""Settings that change what is trained, whatever the environment and the model are."""


class Departure(msgspec.Struct, frozen=True):
    """One setting that differs: the published value, ours, and why ("" where no reason is known)."""

    setting: str
    published: Value
    ours: Value
    why: str


class Published(msgspec.Struct, frozen=True):
    """The tables of published.toml, by "section.key"."""

    every: dict[str, Any]
    environments: dict[str, dict[str, Any]]
    reasons: dict[str, str]
    smaller: dict[str, str]


@cache
def published() -> Published:
    """The published settings, read once."""
    text = (resources.files("engine") / "system" / "published.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Published)


def compared(config: Config) -> bool:
    """Whether settings were published for the environment of `config`. The pocket model is compared with nothing."""
    if getattr(config.model, "weights", "") == "pocket":
        return False
    return kind_of(config.environment) in published().environments


def departures(config: Config) -> list[Departure]:
    """Each setting of a train run that is not as published for its environment; for an environment without a table those
    that change the method itself (`OF_THE_METHOD`).

    Beside the settings of the tables: LoRA in place of all weights, the model, quantized models, the judge, and the
    executor's thinking.
    """
    if not compared(config):
        return _differing(config, {setting: published().every[setting] for setting in OF_THE_METHOD})
    table = published()
    wanted = {**table.every, **table.environments[kind_of(config.environment)]}
    return [*_differing(config, wanted), *_of_models(config), *_of_judge(config)]


def _differing(config: Config, wanted: dict[str, Any]) -> list[Departure]:
    """The settings that have another value than is wanted."""
    table = published()
    found = []
    for setting, value in wanted.items():
        section, _, key = setting.partition(".")
        ours = getattr(getattr(config, section), key, None)
        if ours is not None and ours != value:
            full = setting == "training.learning_rate" and config.training.method == "full"
            why = "" if full else table.reasons.get(setting, "")
            if isinstance(value, int | float) and ours < value:
                why = table.smaller.get(setting, why)
            found.append(Departure(setting, value, ours, why))
    return found


def sentence(departure: Departure) -> str:
    """A departure in one line."""
    why = f": {departure.why}" if departure.why else ""
    return f"{departure.setting} is {_shown(departure.ours)} (published: {_shown(departure.published)}){why}"


def _of_models(config: Config) -> list[Departure]:
    rank = config.training.lora_rank
    found = []
    if config.training.method == "lora":
        why = "gradients and optimiser of all weights of 8B need 130 GB"
        found.append(Departure("trained weights", "all", f"LoRA, r = {rank}", why))
    for role, published_name in (("curator", "Qwen3-8B"), ("executor", "Qwen3-8B")):
        settings = config.model_of(role)
        weights = str(getattr(settings, "weights", "")).rstrip("/").rpartition("/")[2]
        quantization = str(getattr(settings, "quantization", ""))
        if published_name.lower() not in weights.lower():
            found.append(Departure(f"{role}'s model", published_name, weights or kind_of(settings), ""))
        elif quantization or weights.lower() != published_name.lower():
            found.append(
                Departure(f"{role}'s model", published_name, f"{weights} {quantization}".strip(), "less memory")
            )
    thinking = getattr(config.executor, "thinking", "template")
    if thinking == "off":
        why = "answers of about 40 tokens in place of 340: a step takes a third of the time"
        found.append(Departure("executor.thinking", "on (reasoning before each action)", "off", why))
    return found


def _of_judge(config: Config) -> list[Departure]:
    judge = JUDGES.load(kind_of(config.judge))
    if not judge.needs_model:
        return [
            Departure("judge.kind", "a model (Qwen3-32B)", judge.name, "no model is asked: a rule scores the content")
        ]
    weights = str(getattr(config.model_of("judge"), "weights", "")).rpartition("/")[2]
    if "qwen3-32b" in weights.lower():
        return []
    return [Departure("judge's model", "Qwen3-32B", weights or kind_of(config.model_of("judge")), "")]


def _shown(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
