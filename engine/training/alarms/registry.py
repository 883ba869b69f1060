"""The alarms by name: how each is checked, and what a person can do.

raised = check(history, config.alarms)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from engine.core.events import Alarm
from engine.training.alarms import rules
from engine.training.alarms.hacking import reward_hacking
from engine.training.alarms.rules import History, Rule
from engine.training.alarms.settings import AlarmsSettings, Name


class AlarmKind(msgspec.Struct, frozen=True):
    """How an alarm is checked, and what to do where it is raised."""

    rule: Rule
    advice: str


ALARMS: Mapping[Name, AlarmKind] = MappingProxyType(
    {
        "zero_std": AlarmKind(
            rules.zero_std,
            "Such groups teach nothing: raise training.rollouts or curator.temperature, or draw tasks that are neither "
            "always nor never solved.",
        ),
        "entropy_collapse": AlarmKind(
            rules.entropy_collapse,
            "The curator hardly explores any more: lower training.learning_rate, set training.kl, and go on from an "
            "earlier checkpoint.",
        ),
        "unmeasured": AlarmKind(
            rules.unmeasured,
            "See the reasons with `skillos-engine events RUN`: look after the model servers, or raise the deadlines and "
            "prompt limits that were reached.",
        ),
        "ratio": AlarmKind(
            rules.ratio,
            "Sampler and trainer do not have the same weights or precision: check the served model, its dtype and its "
            "adapter before you trust an update.",
        ),
        "constant_judge": AlarmKind(
            rules.constant_judge,
            "A constant score teaches nothing: read the judge's answers with `skillos-engine events RUN`, and try "
            "another judge or judge_model.",
        ),
        "nothing_trained": AlarmKind(
            rules.nothing_trained, "Stop the run, mend the reason, and start again; every further step is wasted."
        ),
        "adapter": AlarmKind(
            rules.adapter,
            "Compare the served model with the checkpoint; if updates are only too small to be seen, raise "
            "alarms.adapter_steps.",
        ),
        "reward_hacking": AlarmKind(
            reward_hacking,
            "Read the newest skills: the curator may please that part of the reward and no task. Lower its weight in "
            "[rewards], and keep the checkpoint with the best held-out result.",
        ),
        "instance_names": AlarmKind(
            rules.instance_names,
            "Such skills help in one episode only: veto them with that reason, or ask for general skills in the "
            "curator's prompt.",
        ),
        "empty_skills": AlarmKind(
            rules.empty_skills,
            "The curator is paid for calls without content: raise rewards.lambda_u, or lower rewards.lambda_c.",
        ),
    }
)
"""Every alarm by its name, in the order in which they are shown."""


def check(history: History, settings: AlarmsSettings) -> list[Alarm]:
    """The alarms that hold after the last step of `history`, which has at least one."""
    found = ((name, kind, kind.rule(history, settings)) for name, kind in ALARMS.items())
    return [Alarm(name, message, kind.advice, name in settings.pause) for name, kind, message in found if message]
