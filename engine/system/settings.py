"""The settings of what a run may use: money, tokens, memory, and the time of a phase."""

from __future__ import annotations

from engine.core.fields import Count, NonNegative, Seconds
from engine.core.parts import Settings


class LimitsSettings(Settings, frozen=True):
    """What a run may use. A run that reaches a limit of money, tokens or memory is paused, and says so. Deadlines of phases
    do not run while it is paused."""

    cost: NonNegative = 0.0
    """The most money that the run's models may cost, in the currency of their prices. To resume the run then allows it as
    much again. 0: no limit."""

    tokens: Count = 0
    """The most tokens of prompts and answers together that the run's models may use. To resume the run then allows it as
    many again. 0: no limit."""

    headroom_gib: NonNegative = 0.0
    """Requests to models wait while less memory than this is available (GiB), and go on when half as much again is. 8 suits
    a machine whose GPU shares the host's memory, such as a DGX Spark. 0: never."""

    probe_seconds: Seconds = 120.0
    """The longest that one probe of the preflight may take, in which each model is asked as the run asks it. A model that
    thinks for minutes needs more."""

    rollout_deadline_seconds: NonNegative = 86_400.0
    """How long the rollouts of a step may take, judging included. What is not finished then is unmeasured, what was not
    begun is not played, and the step goes on with the rest. The default, a day, is far above every step that is planned, so
    that only what is stuck reaches it: a step that a clock cuts is not repeated bit for bit. 0: no deadline."""

    measure_deadline_seconds: NonNegative = 86_400.0
    """How long one measurement of held-out groups may take, or of a repository for a gate. What is not finished then is
    unmeasured. 0: no deadline."""

    update_deadline_seconds: NonNegative = 86_400.0
    """How long the update of a step may take. A run whose update takes longer fails; it is resumed before the step. 0: no
    deadline."""

    publish_deadline_seconds: NonNegative = 3600.0
    """How long the server may take until the new adapter answers, and that is proved. A run in which it takes longer fails;
    when it is resumed, the adapter is published again. An hour is many times what loading an adapter and 600 s for requests
    in work take. 0: no deadline."""
