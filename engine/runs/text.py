"""Events as lines of text for a terminal. What models and games wrote is shown with its control characters visible."""

from __future__ import annotations

import msgspec

from engine.core.edit import PAST
from engine.core.events import (
    Alarm,
    AlarmsChecked,
    AnyEvent,
    EditDecided,
    EditProposed,
    EditWithheld,
    FindingsAccepted,
    HeldOutMeasured,
    MeasurementStarted,
    ModelsUsed,
    ModelUse,
    Notice,
    PositionId,
    Progress,
    ProposalsWithheld,
    StateChanged,
    StepEnded,
    TurnTaken,
    UnitEnded,
    Unreadable,
    kind_of,
)
from engine.core.numbers import rounded
from engine.core.registry import UnknownPart
from engine.core.text import counted, money, printable
from engine.jobs.base import JobKind
from engine.jobs.registry import JOBS
from engine.runs.agreement import Agreement

WIDTH = 160
UNMEASURED = "unmeasured"


def waiting(edits: int) -> str:
    """How many edits wait for a decision: "1 edit waits for review"."""
    return f"{counted(edits, 'edit')} {'waits' if edits == 1 else 'wait'} for review"


def number(value: float | None, form: str = ".3f") -> str:
    """A measured number, or the word that it is not measured."""
    return UNMEASURED if value is None else rounded(value, form)


def step_line(ended: StepEnded, steps: int, kind: str, skipped_update: str = "") -> str:
    """One finished unit of a run of `kind`: a step, a task, …

    `skipped_update` is the reason why a step's update was skipped.
    """
    job, unit = _job(kind), _unit(kind)
    parts = ended.rewards
    operations = " ".join(f"{name} {count}" for name, count in sorted(ended.operations.items())) or "none"
    success = f"success {number(ended.success_rate, '.0%')}"
    rewards = f"r {number(parts.r)} (task {number(parts.r_task)} fc {number(parts.r_fc)} "
    human = f" human {number(parts.r_human)}" if parts.r_human is not None else ""
    rewards += f"cnt {number(parts.r_cnt)} comp {number(parts.r_comp)}{human}) std {number(ended.reward_std)}"
    measured = _measured(ended)
    invalid = f"invalid actions {number(ended.invalid_action_rate, '.1%')}"
    rest = f"{success}  {measured}  {invalid}  calls {operations}  {ended.seconds:.1f} s"
    if job is not None and job.trains:
        skipped = f"  update skipped: {skipped_update}" if skipped_update else ""
        return printable(f"{unit} {ended.step}/{steps}  {rewards}  {rest}{skipped}")
    return printable(f"{unit} {ended.step}/{steps}  {rest}")


def unit_line(ended: UnitEnded, steps: int, kind: str) -> str:
    """One finished unit of a run of `kind` that plays no rollouts."""
    return printable(f"{_unit(kind)} {ended.step}/{steps}  {ended.text}  {ended.seconds:.1f} s")


def _job(kind: str) -> JobKind | None:
    """The description of a kind of run; None where no installed package has it."""
    try:
        return JOBS.load(kind)
    except UnknownPart:
        return None


def _unit(kind: str) -> str:
    job = _job(kind)
    return job.unit if job is not None else "step"


def _measured(ended: StepEnded) -> str:
    """How many positions were measured, and what a step lost, where it lost something."""
    lost = {
        "without a decision": ended.skipped_curations,
        "with a shortened prompt": ended.shortened,
        "skills not shown": ended.dropped_skills,
        "not judged": ended.unjudged,
    }
    counts = ", ".join(f"{count} {what}" for what, count in lost.items() if count)
    measured = f"measured {ended.measured}/{ended.measured + ended.unmeasured}"
    return f"{measured} ({counts})" if counts else measured


def place(at: PositionId) -> str:
    """Where in a run something happened, in full: "step 3 group 0 rollout 2 position 1"."""
    where = f"held out after step {at.step}" if at.held_out else f"step {at.step}"
    return f"{where} group {at.group} rollout {at.rollout} position {at.position}"


def progress_line(progress: Progress) -> str:
    """What the engine does now, and how far it is."""
    counted = f"{progress.done}/{progress.total} {progress.unit}".strip() if progress.total else ""
    return printable(" ".join(filter(None, [progress.phase, progress.what, counted])))


def after(step: int, groups: int) -> str:
    """What a held-out measurement covers: "after 2 steps, 32 held-out groups"."""
    return f"after {counted(step, 'step')}, {counted(groups, 'held-out group')}"


def agreement_line(found: Agreement) -> str:
    """How far the judge and the rubric agree."""
    ranks = f"rank correlation {number(found.ranks, '.2f')}"
    why = f", {found.unmeasured}" if found.unmeasured else ""
    difference = f"mean absolute difference {found.difference:.3f}"
    return f"judge beside rubric: {difference}, {ranks} (n = {found.decisions:,}{why})"


def held_out_line(measured: HeldOutMeasured) -> str:
    """The fixed evaluation on one line."""
    r_task = "n/m" if measured.r_task is None else rounded(measured.r_task, ".3f")
    error = "" if measured.standard_error is None else f" ±{rounded(measured.standard_error, '.3f')}"
    lost = f", {counted(measured.unmeasured, 'position')} unmeasured" if measured.unmeasured else ""
    return f"{after(measured.step, measured.groups)}: r_task {r_task}{error}{lost}"


def alarm_line(alarm: Alarm) -> str:
    """An alarm in a sentence, and what to do."""
    return printable(f"alarm {alarm.name}: {alarm.message}. {alarm.advice}")


def alarm_notice(step: int, alarm: Alarm) -> Notice:
    """The notice of an alarm that is raised after `step`."""
    return Notice("warning", f"step {step}: {alarm_line(alarm)}")


def is_alarm(notice: Notice) -> bool:
    """Whether a notice is that of an alarm."""
    step, _, rest = notice.message.partition(": ")
    return step.startswith("step ") and rest.startswith("alarm ")


def use_line(use: ModelUse) -> str:
    """What a role's model was used for: "executor: 240 calls, 9,100 + 1,200 tokens (38% cached), cost 0.05"."""
    cached = use.cached_tokens
    share = f" ({cached / use.prompt_tokens:.0%} of the prompts cached)" if cached and use.prompt_tokens else ""
    tokens = f"{use.prompt_tokens:,} + {use.completion_tokens:,} tokens{share}" if use.calls > use.unmeasured else ""
    retries = f"{use.retries:,} {'retry' if use.retries == 1 else 'retries'}" if use.retries else ""
    parts = [
        counted(use.calls, "call"),
        tokens,
        f"{use.unmeasured:,} of unknown length" if use.unmeasured else "",
        retries,
        f"{use.failures:,} without an answer" if use.failures else "",
        f"cost {money(use.cost)}" if use.cost is not None else "",
    ]
    return printable(f"{use.role}: {', '.join(filter(None, parts))}")


def event_line(event: AnyEvent | Unreadable) -> str:
    """Any event on one line: its kind and its main fields. A reason and a notice, which say what to do, are not cut."""
    match event:
        case Unreadable():
            what = f"cannot be read: {event.why}"
        case StateChanged():
            what = f"{event.state} {event.reason}"
        case Notice():
            what = f"{event.level}: {event.message}"
        case TurnTaken():
            at = event.at
            where = f"{'held-out ' if at.held_out else ''}{at.step}.{at.group}.{at.rollout}.{at.position}"
            what = f"{where} turn {event.turn}: {event.action} -> {event.observation}"
        case Progress():
            what = f"{progress_line(event)} after {event.seconds:.1f} s" if event.total else progress_line(event)
        case MeasurementStarted():
            what = after(event.step, len(event.groups))
        case StepEnded():
            what = f"step {event.step}: r {number(event.rewards.r)} {_measured(event)}"
        case UnitEnded():
            what = f"{event.step}: {event.text} ({event.seconds:.1f} s)"
        case HeldOutMeasured():
            what = held_out_line(event)
        case AlarmsChecked():
            what = f"step {event.step}: {', '.join(alarm.name for alarm in event.alarms) or 'no alarm'}"
        case ModelsUsed():
            what = "; ".join(use_line(use) for use in event.models)
        case EditProposed():
            edit = event.edit
            what = f"{edit.id} {edit.operation} {edit.skill}: {edit.provenance.reason}"
        case EditWithheld(edit=edit):
            why = edit.decision.reason if edit.decision else ""
            what = f"{edit.id} {edit.operation} {edit.skill}: {why}"
        case EditDecided():
            decision = event.decision
            what = f"{event.edit} {PAST[decision.action]} by {decision.by} {decision.reason} {decision.commit[:10]}"
        case _:
            fields = msgspec.to_builtins(event)
            fields.pop("settings", None)  # of a start: a text of a hundred lines
            what = " ".join(f"{name}={value}" for name, value in fields.items() if name != "kind")
    unbounded = StateChanged | Notice | ProposalsWithheld | FindingsAccepted | Unreadable
    width = None if isinstance(event, unbounded) else WIDTH
    return printable(f"{kind_of(event):<18} {what}".rstrip(), width)
