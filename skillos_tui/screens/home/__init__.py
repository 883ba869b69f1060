"""Home: the list of runs, and what can be started."""

from skillos_tui.screens.kind import ScreenKind

KIND = ScreenKind(
    name="home",
    title="Home",
    help="Back to the list of runs; the engine continues",
    screen="skillos_tui.screens.home.screen:HomeScreen",
    needs_run=False,
)
