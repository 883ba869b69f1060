"""What a decision on an edit does to a train run beside the commit, for the screens where people decide.

effects(settings)          # of the TOML of a start: "An approved edit is in the repository of every rollout …"
"""

from __future__ import annotations

from typing import Any

ROLLOUTS = "An approved edit is in the repository of every rollout from the next step on."
REWARD = (
    "Decisions count in the reward of later rollouts that leave an equal edit, or one of the same skill: an approval adds "
    "to it, a veto takes from it (rewards.lambda_h = {weight:g})."
)
POLICY = "The policy approves what the gates admit (review.policy = auto); you can undo it."


def effects(settings: str | None) -> str:
    """The sentences that hold for a run of these settings; "" where a decision has no effect beside its commit, or the
    settings cannot be read."""
    import tomllib  # the workbench draws before it reads settings

    try:
        tables = tomllib.loads(settings or "")
    except (tomllib.TOMLDecodeError, RecursionError):
        return ""
    weight = _value(tables, "rewards", "lambda_h")
    found = []
    if _value(tables, "training", "start_from") == "approved":
        found.append(ROLLOUTS)
    if isinstance(weight, int | float) and weight > 0:
        found.append(REWARD.format(weight=weight))
    if _value(tables, "review", "policy") == "auto":
        found.append(POLICY)
    return " ".join(found)


def policy_of(settings: str) -> str:
    """`review.policy` of these settings; "" where they do not have it."""
    import tomllib

    try:
        policy = _value(tomllib.loads(settings), "review", "policy")
    except (tomllib.TOMLDecodeError, RecursionError):
        return ""
    return policy if isinstance(policy, str) else ""


def _value(tables: dict[str, Any], section: str, key: str) -> Any:
    table = tables.get(section)
    return table.get(key) if isinstance(table, dict) else None
