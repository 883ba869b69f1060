"""The settings of what a run may use: money, tokens and memory."""

from __future__ import annotations

from engine.core.fields import Count, NonNegative, Seconds
from engine.core.parts import Settings


class LimitsSettings(Settings, frozen=True):
    """What a run may use. A run that reaches a limit is paused, and says so."""

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
