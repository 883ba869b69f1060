"""Lists of many thousands: only rows in view are made, and a move of the cursor makes no other."""

from __future__ import annotations

from pathlib import Path

from skillos_tui.render.text import Line, line
from skillos_tui.widgets.listing import Item, ListPane
from skillos_tui.widgets.tree import SkillTree
from tests.workbench.recording import record_training
from tests.workbench.stage import on_screen, until, workbench

MANY = 10_000


class Counting(ListPane):
    """Many items, with a count of the lines that were made."""

    made = 0
    listed = 0
    notes: tuple[str, ...] = ()

    def items(self, width: int) -> list[Item]:
        self.listed += 1
        items = [Item(line("muted:a heading")), *(Item(lambda at=at: self._line(at), at) for at in range(MANY))]
        return items + [Item(line(f"muted:{note}", indent=2), whole=True) for note in self.notes]

    def _line(self, at: int) -> Line:
        self.made += 1
        return line(f":item {at}")


async def staged(pilot: object) -> Counting:
    """A list of many on the screen, with the focus."""
    pane = Counting(id="many", classes="plain")
    await pilot.app.screen.mount(pane)  # type: ignore[attr-defined]
    pane.styles.height = 12
    pane.focus()
    await until(pilot, "item 3")  # type: ignore[arg-type]
    return pane


async def test_only_rows_in_view_are_made_and_a_move_lists_nothing_again() -> None:
    async with workbench() as pilot:
        pane = await staged(pilot)
        height = pane.content_size.height
        pane.made = 0
        pane.renew()
        assert pane.made <= 3 * height
        pane.made = pane.listed = 0
        await pilot.press("j")
        assert pane.value == 1 and pane.listed == 0 and pane.made <= 8 * height
        await pilot.press("G")
        await until(pilot, f"item {MANY - 1}")
        assert pane.value == MANY - 1 and pane.listed == 0 and pane.made <= 30 * height


async def test_headings_are_skipped_and_those_behind_the_last_item_can_be_reached() -> None:
    async with workbench() as pilot:
        pane = await staged(pilot)
        pane.notes = tuple(f"note {at}" for at in range(20))
        pane.renew()
        await pilot.press("home", "k")
        assert pane.value == 0 and pane.top == 0
        await pilot.press("G")
        assert pane.value == MANY - 1
        await pilot.press(*["j"] * 25)
        await until(pilot, "note 19")
        assert pane.value == MANY - 1
        await pilot.press("k")
        await until(pilot, f"item {MANY - 2}")


async def test_a_heading_that_is_too_long_is_wrapped_and_the_cursor_knows_its_rows() -> None:
    async with workbench(size=(40, 24)) as pilot:
        pane = await staged(pilot)
        pane.notes = ("one reason that is much too long for a list of forty cells, and is told to its end",)
        pane.renew()
        await pilot.press("G", "j", "j", "j", "j")
        shown = " ".join("".join(text for text, _ in pane.rows[at]).strip() for at in range(MANY, len(pane.rows)))
        assert pane.notes[0] in shown and "  its end" in on_screen(pilot)
        row = pane.content_region.y + pane._list.row_of(MANY) - pane.top
        await pilot.click(offset=(5, row))
        assert pane.value == MANY - 1


async def test_the_cursor_stays_on_its_item_when_others_are_added_and_removed(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    names = [f"skill-{at:05d}" for at in range(MANY)]
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        tree = pilot.app.screen.query_one(SkillTree)
        pilot.app.names = tuple(names)  # type: ignore[attr-defined]
        tree.show(pilot.app.view, tuple(names))  # type: ignore[attr-defined]
        tree.select(("repository", "skill-05000"))
        tree.show(pilot.app.view, tuple(names[3000:]))  # type: ignore[attr-defined]
        assert tree.value == ("repository", "skill-05000")
        tree.show(pilot.app.view, tuple(names[5001:]))  # type: ignore[attr-defined]
        assert tree.value is not None and tree.value != ("repository", "skill-05000")


async def test_the_tree_names_what_is_left_out_and_says_why(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    run.repo_path.mkdir(parents=True, exist_ok=True)
    (run.repo_path / "notes.md").write_text("# Notes\n")
    async with workbench(run.path) as pilot:
        await until(pilot, "notes.md")
        tree = pilot.app.screen.query_one(SkillTree)
        tree.select(("left out", "notes.md"))
        tree.moved = True
        assert "no frontmatter" in tree.change().after


async def test_a_list_with_nothing_to_choose_from_is_copied_as_it_is_shown() -> None:
    class Empty(ListPane):
        def items(self, width: int) -> list[Item]:
            return [Item(line("muted:Nothing is here yet.")), Item(line("muted:It comes later."))]

    async with workbench() as pilot:
        pane = Empty(id="empty", classes="plain")
        await pilot.app.screen.mount(pane)
        await until(pilot, "It comes later.")
        assert pane.copied() == "Nothing is here yet.\nIt comes later."


async def test_the_item_under_the_cursor_stays_in_view_when_the_pane_gets_lower(tmp_path: Path) -> None:
    async with workbench(folder=tmp_path / "runs") as pilot:
        pane = await staged(pilot)
        pane.choose(9)
        await until(pilot, lambda: pane.value == 9)
        pane.styles.height = 5
        await until(pilot, lambda: pane.size.height == 5)
        assert "item 9" in on_screen(pilot)
        pane.scroll_row_to(100)
        pane.styles.height = 6
        await until(pilot, lambda: pane.size.height == 6)
        assert pane.top == 100
