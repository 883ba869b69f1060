"""Evaluation: held-out measurements, paired."""

from skillos_tui.screens.kind import ScreenKind

KIND = ScreenKind(
    "evaluation",
    "Evaluation",
    "Held-out measurements, paired",
    "skillos_tui.screens.evaluation.screen:EvaluationScreen",
    needs_run=True,
)
