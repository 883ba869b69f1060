"""The whole record of a step, a group or a rollout as lines; positions and turns are in `engine.runs.rollouts.played`.

    describe_step(step, unit="step"), describe_group(step, group), describe_rollout(step, group, rollout, decisions, weights)

Each line that names something leads there (`engine.runs.rollouts.lines.Text.leads`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from engine.core.events import CurationMade, HeldOutMeasured, PositionId, StepEnded, UnitEnded, UpdateMade
from engine.core.numbers import rounded
from engine.core.outcomes import SUCCEEDED
from engine.core.position import Spot
from engine.core.text import counted
from engine.rollouts.settings import RewardSettings
from engine.runs.rollouts.levels import GroupRow, PositionRow, RolloutRow, StepRows
from engine.runs.rollouts.lines import NOT_MEASURED, Document, Text, figure, heading, outcome_span, say_line
from engine.runs.rollouts.rows import group_row, position_row, rollout_row

WIDE = 14
"""Cells of the names before figures."""


def pair(name: str, value: str, leads: str = "") -> Text:
    """A name and its value, a span."""
    return say_line(f"muted:{name:<{WIDE}} ", value if ":" in value else f":{value}", indent=WIDE + 1, leads=leads)


def describe_step(step: StepRows, unit: str) -> Document:
    """A step or a measurement: its summary, its update, its groups."""
    span, ended = step.span, step.span.ended
    lines: list[Text] = []
    if span.held_out:
        lines.append(say_line(f"strong:Held-out measurement after step {span.step}"))
        lines += _measured(ended if isinstance(ended, HeldOutMeasured) else None)
    else:
        lines.append(say_line(f"strong:{unit.capitalize()} {span.step}"))
        if isinstance(ended, StepEnded):
            lines += _summary(ended)
        elif isinstance(ended, UnitEnded):
            lines += [pair("result", f":{ended.text}"), pair("seconds", f":{ended.seconds:.1f}")]
        else:
            lines.append(say_line("muted:It has not ended."))
    if step.updated is not None:
        lines += _update(step.updated)
    lines += heading("Groups")
    for number, group in sorted(step.groups.items()):
        family = f"  {group.drawn.family}" if group.drawn else ""
        where = Spot(span.step, span.held_out, number).text
        lines.append(Text((*group_row(group), (family, "accent")), 4, f"rollouts:{where}"))
    if not step.groups:
        lines.append(say_line("muted:This one plays no rollouts, or none has begun."))
    return lines


def _measured(ended: HeldOutMeasured | None) -> list[Text]:
    if ended is None:
        return [say_line("muted:It has not ended.")]
    error = f" ± {rounded(ended.standard_error, '.3f')} over groups" if ended.standard_error is not None else ""
    value = f":{rounded(ended.r_task, '.3f')}{error}" if ended.r_task is not None else f"warn:? {NOT_MEASURED}"
    lost = [pair(NOT_MEASURED, f"warn:{counted(ended.unmeasured, 'position')}")] if ended.unmeasured else []
    return [pair("r_task", value), *lost, pair("seconds", f":{ended.seconds:.1f}")]


def _summary(ended: StepEnded) -> list[Text]:
    parts = ended.rewards
    spread = f" ± {rounded(ended.reward_std, '.3f')} inside groups" if ended.reward_std is not None else ""
    human = f"  human {figure(parts.r_human)}" if parts.r_human is not None else ""
    shares = (
        f"task {figure(parts.r_task)}  fc {figure(parts.r_fc)}  cnt {figure(parts.r_cnt)}  comp {figure(parts.r_comp)}"
    )
    invalid = rounded(ended.invalid_action_rate, ".1%") if ended.invalid_action_rate is not None else NOT_MEASURED
    success = rounded(ended.success_rate, ".0%") if ended.success_rate is not None else NOT_MEASURED
    calls = "  ".join(f"{name} {count}" for name, count in sorted(ended.operations.items())) or "none"
    flat = "; they teach nothing" if ended.zero_std_groups else ""
    return [
        pair("r", f":{figure(parts.r, '.3f')}{spread}"),
        pair("parts", f":{shares}{human}"),
        pair("success", f":{success} of {counted(ended.episodes, 'episode')}"),
        pair("invalid", f":{invalid} of the actions"),
        pair("calls", f":{calls}; {ended.invalid_calls} invalid"),
        pair("flat groups", f":{ended.zero_std_groups} with equal rewards{flat}"),
        pair("measured", f":{ended.measured} of {counted(ended.measured + ended.unmeasured, 'position')}"),
        pair("seconds", f":{ended.seconds:.1f}, of which {ended.rollout_seconds:.1f} for the rollouts"),
    ]


def _update(update: UpdateMade) -> list[Text]:
    if update.skipped:
        return [pair("update", f"warn:skipped: {update.skipped}")]
    known = (("loss", update.loss), ("gradient", update.grad_norm), ("entropy", update.entropy), ("KL", update.kl))
    text = "  ".join(f"{name} {value:.3g}" if value is not None else f"{name} –" for name, value in known)
    return [pair("update", f":{text}  {counted(update.samples, 'sample')}")]


def describe_group(step: StepRows, group: GroupRow) -> Document:
    """A group: what was drawn, how its rollouts compare, how each task went."""
    span, drawn = step.span, group.drawn
    where = f"held-out after step {span.step}" if span.held_out else f"step {span.step}"
    lines = [say_line(f"strong:Group {group.number}", f"muted:  {where}")]
    if drawn is not None:
        lines += [pair("family", f"accent:{drawn.family}"), pair("seed", f":{drawn.seed}"), pair("id", f":{drawn.id}")]
    if group.mean is not None:
        spread = f" ± {rounded(group.spread, '.3f')}" if group.spread is not None else ""
        lines.append(
            pair("r", f":{rounded(group.mean, '.3f')}{spread} over {counted(len(group.rewards), 'measured rollout')}")
        )
        if group.spread == 0:
            lines.append(say_line("warn:All rewards are equal, so A is 0 and the group teaches nothing."))
    elif not span.held_out:
        lines.append(pair("r", f"warn:? {NOT_MEASURED}"))
    lines += heading("Rollouts")
    for number, rollout in sorted(group.rollouts.items()):
        place = Spot(span.step, span.held_out, group.number, number).text
        lines.append(Text(rollout_row(group, rollout), 4, f"rollouts:{place}"))
    lines += heading("Tasks")
    for position in range(1, group.tasks + 1):
        rows = [row for rollout in group.rollouts.values() if (row := rollout.positions.get(position)) is not None]
        lines.append(_task(group, position, rows))
    return lines


def _task(group: GroupRow, position: int, rows: Sequence[PositionRow]) -> Text:
    """How the rollouts did at one position."""
    measured = [row for row in rows if row.outcome is not None and row.outcome.measured]
    won = sum(row.outcome == SUCCEEDED for row in measured)
    share = f"{won}/{len(measured)}" if measured else "?"
    lost = sum(row.outcome is not None and not row.outcome.measured for row in rows)
    name = rows[0].task if rows else group.drawn.tasks[position - 1] if group.drawn else ""
    more = f"warn:  {lost} {NOT_MEASURED}" if lost else ""
    return say_line(f"muted:{position:>3}  ", f":{share:>5}  ", f":{name}", more, indent=12)


def describe_rollout(
    step: StepRows,
    group: GroupRow,
    rollout: RolloutRow,
    made: Mapping[PositionId, CurationMade],
    weights: RewardSettings | None,
    *,
    first_counts: bool = False,
) -> Document:
    """A rollout: its reward, how each part of it is made, its positions. `made` are its decisions; `weights` are None where
    the log does not have them. `first_counts`: position 1 starts with skills, so it counts in r_task."""
    span = step.span
    lines = [say_line(f"strong:Rollout {rollout.number}", f"muted:  of group {group.number}")]
    if span.held_out:
        lines.append(say_line("muted:A held-out rollout trains nothing, and its reward is not logged by itself."))
    lines += _reward(group, rollout, weights)
    lines += heading("Positions")
    for number, row in sorted(rollout.positions.items()):
        lines.append(Text(position_row(row), 4, f"rollouts:{row.spot.text}"))
        if (decision := made.get(row.at)) is not None:
            lines.append(_decision(decision))
        elif row.skipped:
            lines.append(say_line(f"warn:      no decision: {row.skipped}", indent=6))
        elif number and row.outcome is None:
            lines.append(say_line("      ", outcome_span(None)))
    lines += _made_of(rollout, made, weights, 1 if first_counts else 2)
    return lines


def _decision(made: CurationMade) -> Text:
    valid = sum(call.verdict == "valid" for call in made.calls)
    judge = f"judge {made.judge:.2f}" if made.judge is not None else f"judge ? {NOT_MEASURED}"
    size = f"|S| {made.repo_tokens}" if made.repo_tokens is not None else "|S| ?"
    text = f"{valid} of {counted(len(made.calls), 'call')} valid · {judge} · {size} of |χ| {made.prompt_tokens} tokens"
    return say_line(f"muted:      {text}", indent=6)


def _reward(group: GroupRow, rollout: RolloutRow, weights: RewardSettings | None) -> list[Text]:
    found = rollout.rewards
    if found is None:
        return []
    terms: list[tuple[str, float | None, float | None]] = [
        ("r_task", None, found.r_task),
        ("r_fc", weights.lambda_f if weights else None, found.r_fc),
        ("r_cnt", weights.lambda_u if weights else None, found.r_cnt),
        ("r_comp", weights.lambda_c if weights else None, found.r_comp),
    ]
    if found.r_human is not None:
        terms.append(("r_human", weights.lambda_h if weights else None, found.r_human))
    sum_ = " + ".join(
        f"{weight:g}·{figure(value)}" if weight is not None else figure(value) for _, weight, value in terms
    )
    r = f":{found.r:.3f} = {sum_}" if found.r is not None else f"warn:? {NOT_MEASURED}: one of its parts is not"
    lines = [pair("r", r)]
    if group.mean is not None and found.r is not None:
        given = (
            rounded(rollout.advantage, "+.3f") if rollout.advantage is not None else "? not in the log: no update yet"
        )
        lines.append(pair("A", f":{given} = r less the group's mean {group.mean:.3f}"))
    lines.append(
        pair("measured", f":{rollout.measured} of {counted(rollout.measured + rollout.unmeasured, 'position')}")
    )
    return lines


def _made_of(
    rollout: RolloutRow, made: Mapping[PositionId, CurationMade], weights: RewardSettings | None, first: int
) -> list[Text]:
    """How each part of the reward is made of the positions."""
    found = rollout.rewards
    if found is None:
        return []
    decided = [made[row.at] for _, row in sorted(rollout.positions.items()) if row.at in made]
    judged = [decision.judge for decision in decided if decision.judge is not None]
    valid = [
        f"{sum(call.verdict == 'valid' for call in decision.calls)}/{len(decision.calls)}"
        if decision.calls
        else f"none → {weights.empty_call_validity:g}"
        if weights
        else "none"
        for decision in decided
    ]
    sizes = [
        f"1 − {decision.repo_tokens}/{decision.prompt_tokens}"
        for decision in decided
        if decision.repo_tokens is not None and decision.prompt_tokens
    ]
    later = [row for number, row in sorted(rollout.positions.items()) if number >= first and row.outcome is not None]
    measured = [row for row in later if row.outcome is not None and row.outcome.measured]
    won = sum(row.outcome == SUCCEEDED for row in measured)
    scored = weights is not None and weights.task == "score"
    task = "the mean of the environment's scores" if scored else f"{won} of {len(measured)} succeeded"
    since = "at all positions" if first == 1 else "after position 1, which starts without skills"
    mean = f" = {figure(fmean(judged), '.3f')}" if judged else ""
    lines = [
        *heading("How the parts are made"),
        pair("r_task", f":{figure(found.r_task, '.3f')}: {task} {since}"),
        pair(
            "r_fc",
            f":{figure(found.r_fc, '.3f')}: mean of valid calls of all calls: {', '.join(valid) or 'no decision'}",
        ),
        pair("r_cnt", f":{figure(found.r_cnt, '.3f')}: mean of the judge's scores: {_list(judged)}{mean}"),
        pair("r_comp", f":{figure(found.r_comp, '.3f')}: mean of 1 − |S|/|χ|: {', '.join(sizes) or 'not counted'}"),
    ]
    if found.r_human is not None:
        lines.append(pair("r_human", f":{found.r_human:.3f}: what people decided on the edits it leaves behind"))
    return lines


def _list(values: Sequence[float]) -> str:
    return ", ".join(figure(value) for value in values) or "none"
