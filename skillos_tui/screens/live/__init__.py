"""Live: the present state of a run in four panes."""

from skillos_tui.screens.kind import ScreenKind

KIND = ScreenKind("live", "Live", "Watch the run as it works", "skillos_tui.screens.live.screen:LiveScreen")
