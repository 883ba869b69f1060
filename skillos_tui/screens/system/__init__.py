"""System: memory, model servers, preflight, plan, log and alarms."""

from skillos_tui.screens.kind import ScreenKind

KIND = ScreenKind(
    "system",
    "System",
    "Memory, model servers, preflight, plan, log and alarms",
    "skillos_tui.screens.system.screen:SystemScreen",
    needs_run=False,
)
