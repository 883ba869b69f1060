"""The list of all commands, which ctrl+p opens: Textual's, which takes keys of one burst that come too early or too late."""

from __future__ import annotations

from typing import Any

from textual.command import CommandList, CommandPalette
from textual.css.query import NoMatches
from textual.worker import Worker

from skillos_tui.screens.appearing import Appearing

SEARCH = CommandPalette._gather_commands.__wrapped__  # type: ignore[attr-defined]


class Palette(Appearing, CommandPalette):
    """Textual's palette fails where a key moves by a page before its list is laid out, and where it is closed before its
    search has begun."""

    def _gather_commands(self, search_value: str) -> Worker[None]:
        async def search() -> None:
            try:
                await SEARCH(self, search_value)
            except NoMatches:
                if self.app.screen is self:
                    raise

        return self.run_worker(search, group=self._GATHER_COMMANDS_GROUP, exclusive=True)

    def _action_command_list(self, action: str) -> Any:
        commands = self.query_one(CommandList)
        if not action.startswith("page_") or (commands.option_count and commands.size):
            super()._action_command_list(action)
