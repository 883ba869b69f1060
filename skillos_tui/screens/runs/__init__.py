"""Runs: all runs: start, compare, remove."""

from skillos_tui.screens.kind import ScreenKind

KIND = ScreenKind(
    "runs", "Runs", "All runs: start, compare, remove", "skillos_tui.screens.runs.screen:RunsScreen", needs_run=False
)
