"""The configurations of runs made before sections had kinds, in today's names.

data = migrate(tomllib.loads(text))

Only a run's own config.toml is migrated. In a profile, a file or `--set` an old name is an error that names the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from engine.core.registry import UnknownPart
from engine.environments.registry import DEFAULT, ENVIRONMENTS

RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "environment.name": "environment.kind",
        "rewards.judge": "judge.kind",
        "training.families": "grouping.weighting",
        "training.order": "grouping.order",
        "training.clip": "training.clip_low",
    }
)
"""Today's name of each setting that was renamed."""

CALLED: Mapping[str, str] = MappingProxyType(
    {
        **RENAMED,
        "training.clip": "training.clip_low, and training.clip_high on the other side",
        "training.micro_batch": "training.micro_batch_tokens, which counts tokens in place of samples",
    }
)
"""What a message says of each setting that is no more."""

FORMERLY_COMMON = frozenset({"path", "split", "evaluate_split", "max_turns"})
"""The keys that every environment's section once had, also where the environment did not use them."""


def migrate(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` under today's names and values. What is wrong in it stays so, for the check that follows."""
    migrated = {name: dict(values) if isinstance(values, dict) else values for name, values in data.items()}
    environment = migrated.get("environment")
    old = isinstance(environment, dict) and "kind" not in environment
    training = migrated.get("training")
    if isinstance(training, dict):
        training.pop("micro_batch", None)  # counted samples, whose lengths are not known here
        if "clip" in training:
            training.setdefault("clip_high", training["clip"])
    for before, now in RENAMED.items():
        section, _, key = before.partition(".")
        values = migrated.get(section)
        if isinstance(values, dict) and key in values:
            target, _, name = now.partition(".")
            table = migrated.setdefault(target, {})
            if isinstance(table, dict):
                table.setdefault(name, values.pop(key))
    executor = migrated.get("executor")
    if isinstance(executor, dict) and executor.get("decoding") == "choose":
        executor["decoding"] = "loglikelihood"
    if old and isinstance(environment, dict):
        for key in FORMERLY_COMMON - _fields(environment.get("kind", DEFAULT)):
            environment.pop(key, None)
    return migrated


def _fields(kind: object) -> set[str]:
    """The settings of an environment; of an unknown one, all that its section could have."""
    try:
        part = ENVIRONMENTS.load(str(kind))
    except UnknownPart:
        return set(FORMERLY_COMMON)
    return {field.name for field in msgspec.structs.fields(part.settings)}
