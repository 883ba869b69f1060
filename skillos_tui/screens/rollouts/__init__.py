"""Rollouts: every rollout of the run, down to its tokens."""

from skillos_tui.screens.kind import ScreenKind

KIND = ScreenKind(
    "rollouts",
    "Rollouts",
    "Every rollout of the run, down to its tokens",
    "skillos_tui.screens.rollouts.screen:RolloutsScreen",
    needs_run=True,
)
