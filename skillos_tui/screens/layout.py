"""The sizes of columns and panes, which a person changes by keys or by dragging a border.

    move(screen, "horizontal", 4)          # the border beside the current column, four cells to the right
    grip = grip_at(screen, x, y)           # the border under the mouse, None where there is none
    grip.drag(x, y)
    sizes(screen), restore(screen, sizes)  # what the session keeps

A *group* is a container of columns or panes. Sizes are shares of the group, so that they hold in a terminal of another size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from textual.screen import Screen
from textual.widget import Widget

Axis = Literal["horizontal", "vertical"]
LEAST = {"horizontal": 12, "vertical": 3}
"""The fewest cells of a column, and the fewest rows of a pane."""


def _groups(screen: Screen[None], axis: Axis) -> Iterator[list[Widget]]:
    """The groups that are laid out along an axis; only what is displayed counts."""
    parents = {child.parent for child in screen.query(".pane, .column")}
    for parent in parents:
        if isinstance(parent, Widget) and parent.layout.name == axis:
            members = [child for child in parent.children if child.has_class("pane") or child.has_class("column")]
            displayed = [child for child in members if child.display]
            if len(displayed) > 1:
                yield displayed


def _length(member: Widget, axis: Axis) -> int:
    return member.outer_size.width if axis == "horizontal" else member.outer_size.height


@dataclass(frozen=True)
class Grip:
    """The border between two members of a group: after the one with this number."""

    axis: Axis
    group: Sequence[Widget]
    number: int

    def move(self, by: int) -> None:
        """Move the border by so many cells, as far as both neighbours keep their least size."""
        lengths = [_length(member, self.axis) for member in self.group]
        low, high = (LEAST[self.axis] - lengths[self.number], lengths[self.number + 1] - LEAST[self.axis])
        by = max(min(low, 0), min(by, max(high, 0)))
        lengths[self.number] += by
        lengths[self.number + 1] -= by
        for member, length in zip(self.group, lengths, strict=True):
            _set(member, self.axis, length)

    def drag(self, x: int, y: int) -> None:
        """Move the border to where the mouse is, in cells of the screen."""
        region = self.group[self.number].region
        self.move(x - region.right + 1 if self.axis == "horizontal" else y - region.bottom + 1)


def _set(member: Widget, axis: Axis, share: int) -> None:
    if axis == "horizontal":
        member.styles.width, member.styles.max_width = f"{share}fr", "100%"
    else:
        member.styles.height, member.styles.max_height = f"{share}fr", "100%"


def move(screen: Screen[None], pane: Widget, axis: Axis, by: int) -> bool:
    """Move the border beside the column of `pane` (or, vertically, beside `pane`); false where there is none."""
    for group in _groups(screen, axis):
        for number, member in enumerate(group):
            if member in pane.ancestors_with_self:
                last = number == len(group) - 1
                grows = -by if last and axis == "vertical" else by
                Grip(axis, group, min(number, len(group) - 2)).move(grows)
                return True
    return False


def grip_at(screen: Screen[None], x: int, y: int) -> Grip | None:
    """The border at a cell of the screen."""
    axes: tuple[Axis, ...] = ("horizontal", "vertical")
    for axis in axes:
        for group in _groups(screen, axis):
            for number, member in enumerate(group[:-1]):
                one, other = member.region, group[number + 1].region
                along = x if axis == "horizontal" else y
                edges = (one.right - 1, other.x) if axis == "horizontal" else (one.bottom - 1, other.y)
                across = one.y <= y < one.bottom if axis == "horizontal" else one.x <= x < one.right
                if across and along in edges:
                    return Grip(axis, group, number)
    return None


def sizes(screen: Screen[None]) -> dict[str, tuple[Axis, int]]:
    """The shares that a person has set, by the id of the column or pane."""
    found: dict[str, tuple[Axis, int]] = {}
    for member in screen.query(".pane, .column"):
        inline = member.styles.inline
        if member.id and inline.has_rule("width") and inline.width is not None:
            found[member.id] = ("horizontal", int(inline.width.value))
        elif member.id and inline.has_rule("height") and inline.height is not None:
            found[member.id] = ("vertical", int(inline.height.value))
    return found


def restore(screen: Screen[None], kept: Mapping[str, tuple[Axis, int]]) -> None:
    """Set the shares that `sizes` returned; those of a member that does not exist any more are ignored."""
    for member in screen.query(".pane, .column"):
        if member.id and member.id in kept:
            _set(member, *kept[member.id])
