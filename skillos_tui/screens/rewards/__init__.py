"""Rewards: reward and telemetry over the steps."""

from skillos_tui.screens.kind import ScreenKind

KIND = ScreenKind(
    "rewards",
    "Rewards",
    "Reward and telemetry over the steps",
    "skillos_tui.screens.rewards.screen:RewardsScreen",
    needs_run=True,
)
