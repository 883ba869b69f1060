"""Text fields that act on their keys in the order in which they were typed.

Textual inserts a character in the field's message queue, and runs the field's bindings (backspace, cursor keys) in that of
the app. So of keys that arrive in one burst, as over a slow line, a backspace would act after the characters that follow it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.binding import BindingsMap
from textual.geometry import Region
from textual.widgets import Input, TextArea

from skillos_tui.render.stand_ins import StandIns

if TYPE_CHECKING:
    from textual.widgets.text_area import Edit, EditResult


class LineField(Input):
    """A field of one line; of a text that is longer than the field, the part at the cursor is shown from the start."""

    def on_mount(self) -> None:
        self.call_after_refresh(self._show_cursor)

    def _show_cursor(self) -> None:
        """Textual scrolls to the cursor when it moves, and not to that of the first text."""
        self.scroll_to_region(Region(self._cursor_offset, 0, width=1, height=1), force=True, animate=False)

    async def on_key(self, event: events.Key) -> None:
        await _run_binding(self, event)


class SearchField(LineField):
    """A field of one row above a list, for what is looked for in the list; hidden until it is asked for."""

    DEFAULT_CSS = """
    SearchField, SearchField:focus {
        height: 1;
        border: none;
        padding: 0 1;
        background: $panel;
        background-tint: transparent;
    }
    """


class NumberField(LineField):
    """A field of digits; other characters are keys of its screen."""

    def __init__(self, value: str, *, max_length: int, id: str) -> None:
        super().__init__(value, restrict=r"\d*", max_length=max_length, id=id, select_on_focus=True)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character is not None and character.isdecimal()


class TextField(TextArea):
    """A field of several lines."""

    async def on_key(self, event: events.Key) -> None:
        await _run_binding(self, event)


class ExactField(TextField):
    """A field of several lines for any text: hidden characters are shown as others, and come back exactly as they were."""

    def __init__(self, text: str, *, id: str) -> None:
        self.stand_ins = StandIns(text)
        super().__init__(self.stand_ins.shown(text), soft_wrap=True, id=id)

    @property
    def written(self) -> str:
        """The text, with the characters that it stands for."""
        return self.stand_ins.written(self.text)

    def edit(self, edit: Edit) -> EditResult:
        """Replace hidden characters in what is typed or pasted, and give it the line ends of the field."""
        edit.text = self.stand_ins.shown(edit.text.replace("\r\n", "\n").replace("\r", "\n"))
        return super().edit(edit)


async def _run_binding(field: Input | TextArea, event: events.Key) -> None:
    """Run the field's own binding of a key now, if it has one."""
    for binding in BindingsMap(field.BINDINGS).key_to_bindings.get(event.key, ()):
        if await field.app.run_action(binding.action, field):
            event.stop()
            event.prevent_default()
            return
