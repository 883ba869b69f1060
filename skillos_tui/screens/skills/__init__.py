"""Skills: read, search and restore skills."""

from skillos_tui.screens.kind import ScreenKind

KIND = ScreenKind(
    "skills",
    "Skills",
    "Read, search and restore skills",
    "skillos_tui.screens.skills.screen:SkillsScreen",
    needs_run=False,
)
