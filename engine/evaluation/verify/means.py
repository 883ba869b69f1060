"""What is needed to recompute a log by one configuration: a tokenizer, and the sources of its tasks.

means = open_means(config)
means.problems                         # why something cannot be had here
"""

from __future__ import annotations

import msgspec

from engine.config import Config, ConfigError
from engine.environments.base import TaskSource, TaskSourceError
from engine.environments.registry import open_held_out, open_source
from engine.evaluation.verify import tokens
from engine.evaluation.verify.tokens import Tokens


class Means(msgspec.Struct, frozen=True):
    """The tokenizer of the run's model, the source of its tasks and that of its held-out groups. What needs one that is None
    is counted as not checked."""

    tokens: Tokens | None = None
    source: TaskSource | None = None
    held_out: TaskSource | None = None
    problems: tuple[str, ...] = ()


def open_means(config: Config) -> Means:
    """What this machine has of them."""
    problems = []
    counted = source = held_out = None
    try:
        counted = tokens.load(config.model_of("curator"))
    except ConfigError as error:
        problems.append(f"the tokenizer: {error}")
    try:
        source = open_source(config.environment)
        held_out = open_held_out(config.environment, source)
    except (TaskSourceError, ConfigError) as error:
        problems.append(f"the tasks: {error}")
    return Means(counted, source, held_out, tuple(problems))
