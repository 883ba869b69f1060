"""Review: the queue of edits, one at a time."""

from skillos_tui.screens.kind import ScreenKind

KIND = ScreenKind("review", "Review", "Decide on the edits that wait", "skillos_tui.screens.review.screen:ReviewScreen")
