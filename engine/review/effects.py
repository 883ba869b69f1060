"""What a decision on an edit does to a train run beside the commit, for the screens where people decide.

effects(settings)          # of the TOML of a start: "An approved edit is in the repository of every rollout …"
results(edit, settings)    # the same for one edit, a sentence for each thing that changes, the repository first
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.core.edit import Edit, OperationName

ROLLOUTS = "An approved edit is in the repository of every rollout from the next step on."
EMPTY = (
    "The rollouts of this run start from an empty repository, so an approved edit does not reach them "
    "(training.start_from = empty)."
)
TASKS = "The next task is played with what is approved."
REWARD = (
    "Decisions count in the reward of later rollouts that leave an equal edit, or one of the same skill: an approval adds "
    "to it, a veto takes from it (rewards.lambda_h = {weight:g})."
)
NO_REWARD = "Decisions do not count in the reward (rewards.lambda_h = 0)."
PROMPT = (
    "A veto and its reason are quoted to the curator from the next {unit} on (the newest {count}: curator.max_vetoes)."
)
NO_PROMPT = "Vetoes are not quoted to the curator (curator.max_vetoes = 0)."
COMMIT: Mapping[OperationName, str] = MappingProxyType(
    {
        "insert": "An approval adds the skill {skill} to the repository, as one commit that undo reverts.",
        "update": "An approval replaces the skill {skill} in the repository, as one commit that undo reverts.",
        "delete": "An approval removes the skill {skill} from the repository, as one commit that undo reverts.",
    }
)
POLICY: Mapping[str, str] = MappingProxyType(
    {
        "auto": "The policy approves what the gates admit (review.policy = auto); you can undo it.",
        "gate": "The policy approves what the gates admit and measure (review.policy = gate); you can undo it.",
        "approve_after": "After {time} without a decision the policy approves (review.policy = approve_after); no "
        "time passes while the edit is open, and you can undo it.",
        "veto_after": "After {time} without a decision the policy vetoes (review.policy = veto_after); no time "
        "passes while the edit is open, and you can undo it.",
    }
)
IDLE = "No engine works on the run now; until one does, the policy decides nothing."
PINNED = "The skill is pinned, so a person decides on it, and no policy."


def effects(settings: str | None, *, works: bool = True) -> str:
    """The sentences that hold for a run of these settings; "" where a decision has no effect beside its commit, or the
    settings cannot be read. No policy decides where no engine `works`."""
    tables = _tables(settings)
    found = []
    if _value(tables, "training", "start_from") == "approved":
        found.append(ROLLOUTS)
    if (weight := _number(tables, "rewards", "lambda_h")) is not None and weight > 0:
        found.append(REWARD.format(weight=weight))
    return " ".join([*found, *_policy(tables, works=works)])


def results(edit: Edit, settings: str | None, kind: str = "", *, pinned: bool = False, works: bool = True) -> list[str]:
    """What a decision on this edit will do: a sentence each on the repository, the curator's prompt, the reward, what the
    rollouts start from, and the policy. `kind` is that of the run, "" for one whose rollouts have repositories of their own.
    What the settings do not say is left out. On a `pinned` skill no policy decides, and none where no engine `works`."""
    tables = _tables(settings)
    unit, forks = _plays(kind)
    found = [COMMIT[edit.operation].format(skill=edit.name)]
    vetoes = _number(tables, "curator", "max_vetoes")
    if vetoes is not None:
        found.append(PROMPT.format(unit=unit, count=int(vetoes)) if vetoes > 0 else NO_PROMPT)
    if not forks:
        return [*found, TASKS, *_policy(tables, pinned, works)]
    if (weight := _number(tables, "rewards", "lambda_h")) is not None:
        found.append(REWARD.format(weight=weight) if weight > 0 else NO_REWARD)
    starts = {"approved": [ROLLOUTS], "empty": [EMPTY]}
    found += starts.get(str(_value(tables, "training", "start_from")), [])
    return [*found, *_policy(tables, pinned, works)]


def _plays(kind: str) -> tuple[str, bool]:
    """What a kind of run counts, and whether each rollout has a repository of its own."""
    from engine.core.registry import UnknownPart
    from engine.jobs.registry import JOBS  # which the workbench imports later than it draws

    try:
        job = JOBS.load(kind) if kind else None
    except UnknownPart:
        job = None
    return ("step", True) if job is None else (job.unit, job.forks)


def policy_of(settings: str) -> str:
    """`review.policy` of these settings; "" where they do not have it."""
    policy = _value(_tables(settings), "review", "policy")
    return policy if isinstance(policy, str) else ""


def gates_of(settings: str) -> tuple[str, ...] | None:
    """`review.gates` of these settings; None where they do not have them."""
    gates = _value(_tables(settings), "review", "gates")
    return tuple(each for each in gates if isinstance(each, str)) if isinstance(gates, list) else None


def time_of(seconds: float | None) -> str:
    """The time of the policies that have one, for a sentence; None: it is not known."""
    return "review.policy_seconds" if seconds is None else f"{seconds:g} s"


def policy_seconds_of(settings: str) -> float | None:
    """`review.policy_seconds` of these settings; None where they do not have it."""
    return _number(_tables(settings), "review", "policy_seconds")


def _policy(tables: dict[str, Any], pinned: bool = False, works: bool = True) -> list[str]:
    said = PINNED if pinned else POLICY.get(str(_value(tables, "review", "policy")), "")
    if not said:
        return []
    sentence = said.format(time=time_of(_number(tables, "review", "policy_seconds")))
    return [sentence] if works or pinned else [sentence, IDLE]


def _tables(settings: str | None) -> dict[str, Any]:
    """The tables of the TOML; none where it cannot be read."""
    import tomllib  # the workbench draws before it reads settings

    try:
        return tomllib.loads(settings or "")
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _number(tables: dict[str, Any], section: str, key: str) -> float | None:
    value = _value(tables, section, key)
    return value if isinstance(value, int | float) else None


def _value(tables: dict[str, Any], section: str, key: str) -> Any:
    table = tables.get(section)
    return table.get(key) if isinstance(table, dict) else None
