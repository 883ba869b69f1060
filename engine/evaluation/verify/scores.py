"""Rewards, advantages, summaries and held-out results, recomputed from the positions of a scope."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from engine.core.events import (
    HeldOutMeasured,
    JudgedTwice,
    PositionId,
    RewardBreakdown,
    RolloutScored,
    StepEnded,
    TurnTaken,
    UpdateMade,
)
from engine.core.outcomes import SUCCEEDED
from engine.evaluation.held_out import standard_error
from engine.evaluation.verify.report import Value, Values
from engine.evaluation.verify.scope import Played, Scope
from engine.jobs.base import JobKind
from engine.review.words import Said
from engine.rollouts import rewards
from engine.rollouts.settings import RewardSettings
from engine.runs.text import place
from engine.training.samples import ZERO_GRADIENT, why_untrainable

PAIRS = "scores of the judge and the rubric"
NO_EPISODES = "its episodes are not in the log, as in older ones"


def check_rollout(
    event_id: int, scored: RolloutScored, scope: Scope, settings: RewardSettings, said: Said, *, first_counts: bool
) -> None:
    """A rollout's parts, and how many of its positions were measured. `said` are the decisions of people up to the event
    that the rollout names."""
    key = (scored.group, scored.rollout)
    positions = scope.rollout(*key)
    metrics, human = [played.metrics for played in positions], said.mean(scope.changes(*key))
    parts = rewards.score(metrics, settings, first_counts=first_counts, human=human)
    scope.parts[key] = parts
    measured = sum(played.measured for played in positions)
    scope.checks.compare(
        event_id,
        f"step {scored.step} group {scored.group} rollout {scored.rollout}",
        "rewards",
        {
            **_named(scored.rewards),
            "measured": scored.measured,
            "unmeasured": scored.unmeasured,
            "decided until": scored.decided_until,
        },
        {
            **_named(parts),
            "measured": measured,
            "unmeasured": len(positions) - measured,
            "decided until": _decided_until(event_id, scored, scope),
        },
    )
    _check_decisions(event_id, f"step {scored.step} group {scored.group} rollout {scored.rollout}", positions, scope)


def _decided_until(event_id: int, scored: RolloutScored, scope: Scope) -> int | None:
    """The event that the rollout names where it is between the step's play and its scores; else the nearest that is."""
    until = scored.decided_until
    return None if until is None else max(scope.last, min(until, event_id - 1))


def _check_decisions(event_id: int, where: str, positions: Sequence[Played], scope: Scope) -> None:
    """That each episode was followed by a decision, or by the reason why there is none."""
    consistent = sum(played.consistent for played in positions)
    logged = {"episodes with a decision or a reason": consistent}
    again = {"episodes with a decision or a reason": len(positions)}
    scope.checks.compare(event_id, where, "episodes", logged, again, counts=0)


def check_update(event_id: int, made: UpdateMade, scope: Scope, kl: float) -> None:
    """Every rollout's advantage, how many samples there were, and why the update was skipped."""
    scope.updated = True
    rows = {group: rewards.advantages([part.r for part in row]) for group, row in _groups(scope).items()}
    scope.checks.compare(
        event_id,
        f"step {made.step}",
        "advantages",
        {**_advantages(dict(enumerate(made.advantages))), "samples": made.samples, "update skipped": made.skipped},
        {
            **_advantages(rows),
            "samples": sum(played.samples for played in scope.played.values()),
            "update skipped": _why_skipped(made.skipped, scope, kl),
        },
        counts=sum(map(len, rows.values())),
    )


def _why_skipped(logged: str, scope: Scope, kl: float) -> str:
    """Why the update had to be skipped; the `logged` reason where the log cannot show it: a gradient that was zero."""
    if any(played.old for played in scope.played.values()):
        return logged
    groups = [[part.r for part in row] for row in _groups(scope).values()]
    answered = any(
        scope.parts[at.group, at.rollout].r is not None
        for at, played in scope.played.items()
        if played.samples and (at.group, at.rollout) in scope.parts
    )
    return why_untrainable(groups, answered=answered, kl=kl) or (logged if logged == ZERO_GRADIENT else "")


def check_step(event_id: int, ended: StepEnded, scope: Scope, job: JobKind) -> None:
    """A step's summary, after its update. What older logs do not count is not compared."""
    if job.trains and not scope.updated:
        absent = {"update": "an update_made event"}
        scope.checks.compare(event_id, f"step {ended.step}", "advantages", {}, absent, counts=0)
    names = [
        "reward_std",
        "zero_std_groups",
        "measured",
        "unmeasured",
        "success_rate",
        "invalid_action_rate",
        "invalid_calls",
    ]
    names.append("episodes")
    if not any(played.old for played in scope.played.values()):
        names += ["skipped_curations", "shortened", "dropped_skills"]
    logged, again = dict[str, Value](), dict(_summary(scope))
    if all(played.counts_judging for played in scope.played.values()):
        names.append("unjudged")
        pairs = rewards.judged_twice(played.metrics for played in scope.played.values())
        logged, again = {PAIRS: _pairs(ended.judged_twice)}, {**again, PAIRS: _pairs(pairs)}
    scope.checks.compare(
        event_id,
        f"step {ended.step}",
        "steps",
        {**_named(ended.rewards), **{name: getattr(ended, name) for name in names}, **ended.operations, **logged},
        {name: value for name, value in again.items() if name in names or name not in StepEnded.__struct_fields__},
    )


def check_held_out(event_id: int, measured: HeldOutMeasured, scope: Scope, settings: RewardSettings) -> None:
    """A held-out result, from every position of its groups; one that the log does not have is unmeasured."""
    parts, unmeasured = [], 0
    where = f"held out after step {measured.step}"
    for number, group in enumerate(scope.groups):
        places = [PositionId(measured.step, number, 0, index, True) for index in range(1, len(group.tasks) + 1)]
        rollout = [scope.at(at) for at in places]
        parts.append(rewards.score([played.metrics for played in rollout], settings))
        _check_decisions(event_id, f"{where} group {number}", rollout, scope)
        unmeasured += sum(not played.measured for played in rollout)
    mean = rewards.average(parts)
    logged: Values = {
        "groups": measured.groups,
        "r_task": measured.r_task,
        "standard error": measured.standard_error,
        "unmeasured": measured.unmeasured,
    }
    again: Values = {
        "groups": len(scope.groups),
        "r_task": mean.r_task,
        "standard error": standard_error([part.r_task for part in parts]),
        "unmeasured": unmeasured,
    }
    if measured.rewards is not None:
        logged = {**logged, **{f"{name} of its parts": value for name, value in _named(measured.rewards).items()}}
        again = {**again, **{f"{name} of its parts": value for name, value in _named(mean).items()}}
    scope.checks.compare(event_id, where, "held-out", logged, again)


def check_turn(event_id: int, turn: TurnTaken, scope: Scope) -> None:
    """A turn's number, and that its prompt held no more skills than were found and than the prompt before it."""
    played = scope.at(turn.at)
    before = played.last_two[0] if played.taken > 1 else len(played.found)
    most = turn.skills if turn.skills is None or before is None else min(turn.skills, before)
    logged: Values = {"turn": turn.turn, "skills shown": turn.skills}
    again: Values = {"turn": played.taken, "skills shown": most}
    scope.checks.compare(event_id, place(turn.at), "episodes", logged, again, counts=0)


def check_episode(event_id: int, at: PositionId, scope: Scope, history: int) -> None:
    """An episode's count of turns, and which skills were in its prompts."""
    played = scope.at(at)
    ended, found = played.ended, played.found
    assert ended is not None
    logged: dict[str, float | str | None] = {"turns": ended.turns, "invalid_actions": ended.invalid_actions}
    again: dict[str, float | str | None] = {
        "turns": played.taken,
        "invalid_actions": played.invalid,
    }
    if ended.shown is not None:
        logged["skills shown"] = ", ".join(ended.shown)
        again["skills shown"] = ", ".join(found[: played.most])
        fewer = bool(played.taken) and played.fewest < len(found)
        briefing = played.started is not None and played.started.briefing is not None
        # turns and a briefing that were left out of a prompt are not in the log
        unknown = history > 0 or briefing or not ended.outcome.measured
        logged["shortened"] = ended.shortened
        again["shortened"] = True if fewer else ended.shortened if unknown else False
    scope.checks.compare(event_id, place(at), "episodes", logged, again)


def _pairs(pairs: Sequence[JudgedTwice]) -> str:
    """The scores of the judge and of the rubric as one text."""
    return ", ".join(f"{pair.judge!r} and {pair.check!r} ({pair.decisions})" for pair in pairs)


def _summary(scope: Scope) -> Values:
    groups = _groups(scope).values()
    deviations = [
        deviation for row in groups if (deviation := rewards.reward_std([part.r for part in row])) is not None
    ]
    played = [position for position in scope.played.values() if position.ended is not None]
    outcomes = [position.outcome for position in played if position.outcome.measured]
    measured = sum(position.measured for position in played)
    turns = sum(position.taken for position in played)
    calls = [call for position in scope.played.values() if position.made for call in position.made.calls]
    return {
        **_named(rewards.average([part for row in groups for part in row])),
        "reward_std": fmean(deviations) if deviations else None,
        "zero_std_groups": sum(deviation == 0 for deviation in deviations),
        "measured": measured,
        "unmeasured": len(played) - measured,
        "success_rate": fmean(outcome == SUCCEEDED for outcome in outcomes) if outcomes else None,
        "invalid_action_rate": sum(position.invalid for position in played) / turns if turns else None,
        "invalid_calls": sum(call.verdict != "valid" for call in calls),
        "episodes": len(played),
        "skipped_curations": len(outcomes) - measured,
        "shortened": sum(position.shortened for position in played),
        "dropped_skills": sum(position.dropped_skills for position in played),
        "unjudged": rewards.unjudged(position.metrics for position in scope.played.values()),
        **Counter(call.operation for call in calls if call.verdict == "valid"),
    }


def _groups(scope: Scope) -> dict[int, list[RewardBreakdown]]:
    """The rollouts' parts by group."""
    rows: dict[int, list[RewardBreakdown]] = defaultdict(list)
    for group, rollout in sorted(scope.parts):
        rows[group].append(scope.parts[group, rollout])
    return rows


def _named(parts: RewardBreakdown) -> Values:
    return {name: getattr(parts, name) for name in RewardBreakdown.__struct_fields__}


def _advantages(rows: Mapping[int, list[float | None]]) -> Values:
    return {
        f"advantage of group {group} rollout {rollout}": value
        for group, row in rows.items()
        for rollout, value in enumerate(row)
    }
