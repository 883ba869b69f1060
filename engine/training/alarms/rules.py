"""The alarms on a state of the training. Each is a function `(history, settings) -> str`.

`history` has the steps that ended, oldest first, at least one. The result says what was found, with its figures, "" where
the alarm is not raised. What was not measured raises no alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from engine.core.text import counted
from engine.runs.metrics import METRICS, unmeasured_share
from engine.runs.telemetry import StepMetrics
from engine.training.alarms.settings import AlarmsSettings

History = Sequence[StepMetrics]


def zero_std(history: History, settings: AlarmsSettings) -> str:
    """Most groups have one reward."""
    last = _last(history, settings)
    groups = sum(len(step.update.advantages) for step in last if step.update)
    zero = sum(step.ended.zero_std_groups for step in last if step.update)
    if not groups or zero / groups < settings.zero_std_share:
        return ""
    return f"{zero} of {counted(groups, 'group')} of {_steps(last)} have equal rewards in all rollouts"


def entropy_collapse(history: History, settings: AlarmsSettings) -> str:
    """The curator's answers have become nearly certain."""
    measured = [step.update.entropy for step in history if step.update and step.update.entropy is not None]
    if len(measured) < settings.entropy_first + settings.window:
        return ""
    first, last = fmean(measured[: settings.entropy_first]), fmean(measured[-settings.window :])
    if first <= 0 or last >= settings.entropy_share * first:
        return ""
    return (
        f"the curator's entropy fell from {first:.3f} nats in the first steps to {last:.3f}, {last / first:.0%} of it"
    )


def unmeasured(history: History, settings: AlarmsSettings) -> str:
    """Too many positions of the last step have no outcome or no decision."""
    ended, share = history[-1].ended, unmeasured_share(history[-1])
    if share is None or share <= settings.unmeasured_share:
        return ""
    return (
        f"{ended.unmeasured} of {counted(ended.measured + ended.unmeasured, 'position')} are unmeasured ({share:.1%})"
    )


def ratio(history: History, settings: AlarmsSettings) -> str:
    """The trainer and the sampler disagree on the probabilities of the sampled tokens."""
    update = history[-1].update
    found = update.ratio if update else None
    if found is None:
        return ""
    if abs(found.mean - 1) <= settings.ratio_mean and found.p99 <= settings.ratio_p99:  # false for NaN
        return ""
    outside = f"{found.outside:.1%} of {counted(found.tokens, 'token')} are outside 0.9 to 1.1"
    return (
        f"the trainer's probability of a sampled token is {found.mean:.3f} times the sampler's on average, {found.p99:.3f} "
        f"times at the 99th percentile, and {outside}"
    )


def constant_judge(history: History, settings: AlarmsSettings) -> str:
    """The judge gives every decision of a step one score."""
    last = _last(history, settings)
    scores = sum(max(0, step.ended.measured - step.ended.unjudged) for step in last)
    constant = all(step.ended.judge_std is not None and step.ended.judge_std < 1e-9 for step in last)
    if not last or not constant or scores < settings.judge_scores:
        return ""
    return f"in {_steps(last)} the judge gave all decisions of a step one score ({counted(scores, 'score')})"


def nothing_trained(history: History, settings: AlarmsSettings) -> str:
    """Updates leave the curator as it was."""
    last = _last(history, settings)
    if not last or not all(step.update and (step.update.skipped or not step.update.samples) for step in last):
        return ""
    update = last[-1].update
    why = (update.skipped if update else "") or "the curator made no decision"
    return f"{_steps(last)} trained nothing: {why}"


def adapter(history: History, settings: AlarmsSettings) -> str:
    """It is not proved that the adapter that answers is the one that was trained."""
    made = [step for step in history if step.published and step.update and not step.update.skipped]
    last = [step.published for step in made[-settings.adapter_steps :] if step.published]
    if len(last) < settings.adapter_steps or not all(published.unmeasured for published in last):
        return ""
    why = last[-1].unmeasured
    return f"for the last {len(last)} updates it is not proved that the served curator is the trained one: {why}"


def instance_names(history: History, settings: AlarmsSettings) -> str:
    """Skills name instances of the tasks that they were written in."""
    return _share(history, settings, "named_skills", settings.instance_share, "name an instance of their own tasks")


def empty_skills(history: History, settings: AlarmsSettings) -> str:
    """Skills that were written by valid calls have no instructions."""
    return _share(
        history, settings, "empty_skills", settings.empty_share, "have no instructions, and their calls were valid"
    )


def _share(history: History, settings: AlarmsSettings, metric: str, most: float, what: str) -> str:
    """An alarm on a share of the skills, averaged over the last steps."""
    shares = [share for step in _last(history, settings) if (share := METRICS[metric].read(step)) is not None]
    if len(shares) < settings.window or fmean(shares) <= most:
        return ""
    return f"{fmean(shares):.0%} of the skills in the rollouts of {_steps(shares)} {what}"


def _steps(last: Sequence[object]) -> str:
    """ "the last step", "the last 3 steps"."""
    return "the last step" if len(last) == 1 else f"the last {len(last)} steps"


def _last(history: History, settings: AlarmsSettings) -> History:
    """The last steps that an alarm on a state looks at; none before there are as many."""
    return history[-settings.window :] if len(history) >= settings.window else ()


Rule = Callable[[History, AlarmsSettings], str]
