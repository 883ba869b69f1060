"""Skills: the skills of the run's repository, or of any folder; search, text, history, undo."""

from skillos_tui.screens.kind import ScreenKind

KIND = ScreenKind(
    "skills",
    "Skills",
    "Read, search and restore skills",
    "skillos_tui.screens.skills.screen:SkillsScreen",
    needs_run=False,
)
