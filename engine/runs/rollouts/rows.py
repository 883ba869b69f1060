"""Each level of the rollouts as one line: what a tree of them shows.

step_row(span, unit="step")          # step 32   r .97 ±.26  success 48 %
group_row(group)                     #   group 2  r .97 ±.26   ✓✗✗✓✗ .81  ✗✗✗✗✗ .44  ▶✓✓✓✗✓ 1.30   A +.33
rollout_row(group, rollout)          #     rollout 2  ✓✓✓✗✓  r 1.30  A +.33
position_row(row), turn_row(turn)
"""

from __future__ import annotations

from engine.core.events import HeldOutMeasured, StepEnded, TurnTaken, UnitEnded
from engine.core.numbers import rounded
from engine.core.outcomes import SUCCEEDED
from engine.core.text import counted
from engine.runs.rollouts.levels import GroupRow, PositionRow, RolloutRow
from engine.runs.rollouts.lines import Spans, figure, say_line, sign
from engine.runs.rollouts.spans import Span

BEST = "▶"
"""Before the rollout of a group with the highest reward, whose edits are put to review."""
MAX_LINE = 500


def step_row(span: Span, unit: str) -> Spans:
    """A step, a task or a measurement."""
    ended = span.ended
    if span.held_out:
        head = f"accent:held-out after {span.step}"
        if not isinstance(ended, HeldOutMeasured):
            return say_line(head, "muted:  being measured").spans
        error = f" ±{figure(ended.standard_error)}" if ended.standard_error is not None else ""
        value = f":  r_task {figure(ended.r_task)}{error}" if ended.r_task is not None else "warn:  ? not measured"
        lost = f"warn:  {ended.unmeasured} not measured" if ended.unmeasured else ""
        return say_line(head, value, f"muted:  {counted(ended.groups, 'group')}", lost).spans
    head = f"strong:{unit} {span.step}"
    if ended is None:
        return say_line(head, "muted:  not ended").spans
    if isinstance(ended, UnitEnded):
        return say_line(head, f":  {ended.text[:MAX_LINE]}").spans
    assert isinstance(ended, StepEnded)
    r = f":  r {figure(ended.rewards.r)}" if ended.rewards.r is not None else "warn:  r ?"
    spread = f": ±{figure(ended.reward_std)}" if ended.reward_std is not None else ""
    success = (
        f"muted:  success {rounded(ended.success_rate, '.0%')}"
        if ended.success_rate is not None
        else "warn:  success ?"
    )
    flat = f"warn:  {ended.zero_std_groups} flat" if ended.zero_std_groups else ""
    lost = f"warn:  {ended.unmeasured} not measured" if ended.unmeasured else ""
    return say_line(head, r, spread, success, flat, lost).spans


def strip(rollout: RolloutRow, tasks: int) -> Spans:
    """The outcomes of a rollout's positions, one sign each."""
    signs = [sign(row.outcome if row else None) for row in (rollout.positions.get(at) for at in range(1, tasks + 1))]
    joined: list[tuple[str, str]] = []
    for text, style in signs:
        if joined and joined[-1][1] == style:
            joined[-1] = joined[-1][0] + text, style
        else:
            joined.append((text, style))
    return tuple(joined)


def group_row(group: GroupRow) -> Spans:
    """A group with the strips of its rollouts; the advantage is that of the best one."""
    spans: list[tuple[str, str]] = [(f"group {group.number}", "strong")]
    if group.mean is not None:
        spread = f" ±{figure(group.spread)}" if group.spread is not None else ""
        spans.append((f"  r {figure(group.mean)}{spread}", ""))
    best = group.best if len(group.rollouts) > 1 else None
    for number, rollout in sorted(group.rollouts.items()):
        spans.append(("  " if number != best else f"  {BEST}", "accent"))
        spans += strip(rollout, group.tasks)
        if rollout.rewards is not None:
            spans.append(
                (f" {figure(rollout.r)}" if rollout.r is not None else " ?", "" if rollout.r is not None else "warn")
            )
    if best is not None and (advantage := group.rollouts[best].advantage) is not None:
        spans.append((f"   A {figure(advantage, '+.2f')}", "muted"))
    if not group.rollouts:
        spans.append(("  not played yet", "muted"))
    return tuple(spans)


def rollout_row(group: GroupRow, rollout: RolloutRow) -> Spans:
    """A rollout: its strip, its reward and its parts."""
    best = BEST if len(group.rollouts) > 1 and group.best == rollout.number else " "
    spans: list[tuple[str, str]] = [(f"rollout {rollout.number} ", "strong"), (best, "accent")]
    spans += strip(rollout, group.tasks)
    found = rollout.rewards
    if found is not None:
        spans.append((f"  r {figure(found.r)}", "") if found.r is not None else ("  r ? not measured", "warn"))
        if rollout.advantage is not None:
            style = "good" if rollout.advantage > 0 else "bad" if rollout.advantage < 0 else "muted"
            spans.append((f"  A {figure(rollout.advantage, '+.2f')}", style))
        human = f" human {figure(found.r_human)}" if found.r_human is not None else ""
        parts = (
            f"task {figure(found.r_task)} fc {figure(found.r_fc)} cnt {figure(found.r_cnt)} comp {figure(found.r_comp)}"
        )
        spans.append((f"   {parts}{human}", "muted"))
    elif rows := [row for row in rollout.positions.values() if row.outcome is not None and row.outcome.measured]:
        won = sum(row.outcome == SUCCEEDED for row in rows)
        spans.append((f"  {won} of {len(rows)} succeeded", "muted"))
    return tuple(spans)


def position_row(row: PositionRow) -> Spans:
    """A position: its outcome, its task, how it was played."""
    text, style = sign(row.outcome)
    spans = [(f"position {row.at.position} ", "strong"), (f"{text} ", style), (row.task, "")]
    if row.outcome is not None:
        invalid = f", {row.invalid} invalid" if row.invalid else ""
        spans.append((f"  {counted(row.turns, 'turn')}{invalid}", "warn" if invalid else "muted"))
    if row.skills:
        spans.append((f"  {counted(row.skills, 'skill')}", "muted"))
    if row.played_by is not None:
        spans.append((f"  played once, by rollout {row.played_by}", "muted"))
    if row.skipped and row.outcome is not None and row.outcome.measured:
        spans.append(("  ? no decision", "warn"))
    return tuple(spans)


def turn_row(turn: TurnTaken) -> Spans:
    """A turn: its action, and the beginning of what came back."""
    mark = [("  invalid", "warn")] if turn.invalid_action else []
    seen = " ".join(turn.observation[:MAX_LINE].split())
    return (
        (f"turn {turn.turn} ", "strong"),
        (" ".join(turn.action[:MAX_LINE].split()) or "(no action)", "action"),
        *mark,
        (f"  {seen}", "muted"),
    )
