"""Only cells that differ are sent, and the terminal shows what was wanted all the same."""

from __future__ import annotations

import random

import pytest
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual._compositor import LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from skillos_tui.terminal.cells import Cells
from tests.workbench.ptys import Repeating, RepeatingStream

STYLES = [
    Style(),
    Style(color="#d3d7de", bgcolor="#14161a"),
    Style(color="#7fa8d9", bgcolor="#14161a", bold=True),
    Style(color="red", underline=True),
    Style(color="color(200)", bgcolor="color(17)", italic=True),
    Style(reverse=True),
    Style(color="#d3d7de", bgcolor="#14161a", meta={"offset": (1, 2)}),
    Style(color="#d3d7de", bgcolor="#14161a", dim=True),
    Style(bgcolor="#14161a"),
    Style(color="#7fa8d9", bgcolor="#14161a"),
    Style(color="#d3d7de", bgcolor="#14161a", bold=True, underline=True, strike=True),
]
TEXTS = [
    "the safe is closed",
    "   ",
    "─" * 20,
    "=========",
    "日" * 9,
    "╭─── a",
    "│ ── ╮",
    " " * 30,
    "日本語",
    "a",
    "x日y",
    "find-kettle 2.31",
    "⠤⠊⠉ ▐",
]


def strip(text: str, style: Style | None = None) -> Strip:
    return Strip([Segment(text, style or Style())])


def put(cells: Cells, x: int, y: int, *strips: Strip) -> None:
    width = sum(item.cell_length for item in strips)
    cells.put(LayoutUpdate([list(strips)], Region(x, y, width, 1)), ColorSystem.TRUECOLOR)


class Shown:
    """A terminal that is sent changes."""

    def __init__(self, width: int, height: int) -> None:
        self.screen = Repeating(width, height)
        self._stream = RepeatingStream(self.screen)

    def take(self, text: str) -> None:
        self._stream.feed(text.encode())

    def cells(self) -> list[tuple[object, ...]]:
        rows = self.screen.buffer
        return [
            (cell.data, cell.bg, (cell.fg, cell.bold) if cell.data.strip() or cell.reverse or cell.underscore else ())
            for y in range(self.screen.lines)
            for cell in (rows[y][x] for x in range(self.screen.columns))
        ]


@pytest.mark.parametrize("repeats", [False, True])
def test_random_frames_end_as_a_screen_drawn_from_nothing(repeats: bool) -> None:
    dice = random.Random(3)
    width, height = 40, 6
    for _ in range(60):
        cells, shown = Cells(), Shown(width, height)
        cells.resize(width, height)
        cells.repeats = repeats
        for y in range(height):
            put(cells, 0, y, strip(" " * width, STYLES[1]))
        for _ in range(30):
            text = strip(dice.choice(TEXTS), dice.choice(STYLES))
            put(cells, dice.randrange(0, width - text.cell_length + 1), dice.randrange(height), text)
            if dice.random() < 0.6:
                shown.take(cells.changes(dice.choice((50, 5000))))
        while cells.differing:
            shown.take(cells.changes(1 << 20))
        again = Shown(width, height)
        cells.repeats = False
        cells.forget()
        again.take(cells.changes(1 << 20))
        assert shown.cells() == again.cells()


def test_nothing_is_sent_where_nothing_differs_and_a_word_as_a_whole_where_a_letter_does() -> None:
    cells = Cells()
    cells.resize(30, 2)
    put(cells, 0, 0, strip("step 11 of 20", STYLES[1]))
    put(cells, 0, 1, strip("r_task 0.445", STYLES[1]))
    cells.changes(9999)
    put(cells, 0, 0, strip("step 11 of 20", STYLES[6]))
    assert cells.changes(9999) == ""
    put(cells, 0, 1, strip("r_task 0.446", STYLES[1]))
    sent = cells.changes(9999)
    assert "446" in sent and "r_task" not in sent and len(sent) < 70


def test_a_limit_sends_whole_rows_and_continues_where_it_stopped() -> None:
    cells = Cells()
    cells.resize(20, 4)
    for y in range(4):
        put(cells, 0, y, strip(f"row {y} " + "x" * 10))
    first = cells.changes(1)
    assert "row 0" not in first.replace("\x1b[0m", "") or "row 1" not in first
    put(cells, 0, 0, strip("newer  " + "y" * 10))
    assert "newer" in cells.changes(1, from_top=True)
    put(cells, 0, 0, strip("latest " + "y" * 10))
    rest = [cells.changes(1) for _ in range(4)]
    assert ["latest" in text for text in rest] == [False, False, False, True]
    assert not cells.differing


def test_a_terminal_that_erases_in_its_own_colour_is_sent_spaces() -> None:
    for erases in (True, False):
        cells = Cells(erases=erases)
        cells.resize(40, 1)
        put(cells, 0, 0, strip(" " * 40, STYLES[1]))
        assert (" " * 40 in cells.changes(9999)) is not erases


def test_what_ends_at_a_style_is_turned_off_alone_and_the_cursor_moves_only_to_write() -> None:
    cells = Cells()
    cells.resize(60, 1)
    style = Style(color="#d3d7de", bgcolor="#14161a")
    put(cells, 0, 0, strip("a", style + Style(bold=True)), strip("b" + " " * 58, style))
    assert cells.changes(9999) == "\x1b[1;1H\x1b[1;38;2;211;215;222;48;2;20;22;26ma\x1b[22mb\x1b[58X\x1b[0m"
    put(cells, 0, 0, strip("d", style + Style(bold=True)), strip("e", style + Style(dim=True)))
    assert cells.changes(9999).endswith("d\x1b[22;2me\x1b[0m")


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("─" * 30, "─\x1b[29b"),
        ("╭" + "─" * 4 + "╮", "╭─\x1b[3b╮"),
        ("─" * 3, "───"),
        ("=" * 8, "=\x1b[7b"),
        ("=" * 7, "=" * 7),
    ],
)
def test_a_terminal_that_repeats_characters_is_sent_a_border_in_few_bytes(text: str, sent: str) -> None:
    for repeats in (True, False):
        cells = Cells()
        cells.resize(len(text), 1)
        cells.repeats = repeats
        put(cells, 0, 0, strip(text))
        assert (sent if repeats else text) in cells.changes(9999)


def test_a_frame_that_was_made_for_another_size_is_cut() -> None:
    cells = Cells()
    cells.resize(5, 2)
    for x in (-9, -2, 0, 3, 5, 9):
        for y in (-1, 0, 1, 2):
            put(cells, x, y, strip("日本語 ab", STYLES[2]))
    assert all(len(row) == 5 for row in cells.want)
    shown = Shown(5, 2)
    shown.take(cells.changes(9999))


def test_control_characters_are_not_sent() -> None:
    cells, terminal = Cells(), Shown(20, 1)
    cells.resize(20, 1)
    put(cells, 0, 0, strip("a\x1b[2Jb\x1b]0;t\x07c\x9bm\u202ed"), strip("日\x1b\u200e."))
    sent = cells.changes(2000)
    assert "\x1b[2J" not in sent and not set("\x07\x9b\u202e\u200e").intersection(sent) and "\x1b]" not in sent
    terminal.take(sent)
    assert "".join(str(cell[0]) for cell in terminal.cells()).rstrip() == "a[2Jb]0;tcmd日."
