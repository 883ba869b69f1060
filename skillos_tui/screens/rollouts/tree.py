"""The levels of the rollouts as a tree that folds, the newest step first; or the places of a search.

    tree.show(spans, unit)                  # the steps and measurements
    tree.give(step), tree.give_turns(…)     # what an opened level holds, as it has been read
    tree.open_to(spot)                      # unfold what is above a spot, and put the cursor on it

A level with one child is not shown by itself: the task of a curate run has its position below it. Values of items are spots
as text ("3/g0/r2"), and of the places of a search their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from textual.message import Message

from engine.core.events import TurnTaken
from engine.core.position import Spot, spot_of
from engine.core.text import counted
from engine.runs.rollouts.levels import GroupRow, RolloutRow, StepRows
from engine.runs.rollouts.lines import Spans as Pieces
from engine.runs.rollouts.rows import group_row, position_row, rollout_row, step_row, turn_row
from engine.runs.rollouts.spans import Key as SpanKey
from engine.runs.rollouts.spans import Span, Spans
from engine.runs.search.index import Found, Place
from engine.runs.search.texts import KEPT, Query
from skillos_tui.keymap import Key, bindings
from skillos_tui.render.text import Line, line
from skillos_tui.widgets.document import as_line
from skillos_tui.widgets.listing import Item, ListPane

FOLDED, UNFOLDED = "▸ ", "▾ "
MARKED = "◆ "
INDENT = 2

LEGEND = (
    ("✓ ✗ ? ·", "a position that succeeded, failed, was not measured, or is still to be played"),
    ("r ±", "reward of a rollout; of a group its mean and standard deviation, of a step the mean of those"),
    ("A", "advantage: r less the mean of the group; what the update weighs the rollout by"),
    ("▶", "the rollout of the group with the highest r; its edits are put to review"),
    ("flat", "groups whose rewards are equal: they teach nothing"),
    ("task fc cnt comp", "the parts of r: success of later tasks, valid calls, content by the judge, compression"),
    ("r_task", "share of the later tasks of a group that succeeded; ± is the standard error over groups"),
    ("◆", "marked: the rollout that is compared with the one under the cursor"),
)


class RolloutTree(ListPane):
    """The tree. `opened` are the spots that are unfolded; `found` is what a search found, None outside a search."""

    KEYS_TITLE = "In the tree of rollouts"
    KEYS = (
        Key("right,l", "unfold", "unfold", "Unfold this level"),
        Key("left,h", "fold", "fold", "Fold this level, or go to the one above"),
        Key("enter", "lead", "open", "Unfold this level; of one that is unfolded, read its record", True),
    )
    BINDINGS = bindings(KEYS)

    class Opened(Message):
        """What is below `spot` has to be read; with `enter`, the person wants to read its record."""

        def __init__(self, spot: Spot) -> None:
            super().__init__()
            self.spot = spot

    class Entered(Message):
        """The person wants to read the record of the item under the cursor, or to go to the place found."""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(title, id=id)
        self.spans = Spans()
        self.unit = "step"
        self._ordered: list[Span] = []
        self._folded: list[Item] = []
        """The item of each of those steps, as it is while the step is folded."""
        self._at: dict[SpanKey, int] = {}
        self.opened: set[Spot] = set()
        self.steps: dict[SpanKey, StepRows] = {}
        self.turns: dict[Spot, list[TurnTaken]] = {}
        self.only: frozenset[Spot] | None = None
        """The rollouts that are shown; None: all."""
        self._shown: frozenset[Spot] = frozenset()
        """Those rollouts, and the levels above them."""
        self.marked: Spot | None = None
        self.found: Found | None = None
        self.query_ = Query()
        self.empty = "Reading the log …"

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "Rollouts", LEGEND

    @property
    def spot(self) -> Spot | None:
        """The spot under the cursor."""
        return spot_of(self.value) if isinstance(self.value, str) else None

    @property
    def place(self) -> Place | None:
        """The place of the search under the cursor."""
        if self.found is None or not isinstance(self.value, int) or self.value >= len(self.found.places):
            return None
        return self.found.places[self.value]

    def rows_of(self, spot: Spot) -> StepRows | None:
        """The step of a spot, if it has been read."""
        return self.steps.get((spot.held_out, spot.step))

    # What is shown

    def items(self, width: int) -> Sequence[Item]:
        if self.found is not None:
            return list(self._places(self.found))
        shown = self._steps()
        return shown or [Item(line(f"muted:{self.empty}"), whole=True)]

    def _places(self, found: Found) -> Iterator[Item]:
        for number, place in enumerate(found.places):
            yield Item(partial(self._place_line, place), number)
        if not found.places:
            where = KEPT if self.query_.kind == "prompts" else "what is indexed"
            yield Item(line(f"muted:{found.refusal or f'Found nowhere in {where}.'}"), whole=True)

    def _place_line(self, place: Place) -> Line:
        spans = [(f"{place.spot.text:<17} ", "accent"), (f"{place.what:<12} ", "muted")]
        at = 0
        for start, end in self.query_.spans(place.line):
            spans += [(place.line[at:start], ""), (place.line[start:end], "match")]
            at = end
        return as_line(tuple(span for span in (*spans, (place.line[at:], "")) if span[0]))

    def _steps(self) -> list[Item]:
        """The items of all steps, the newest first. Those of folded steps were made before: a run may have thousands."""
        if self.only is not None:
            return [item for span in reversed(self._ordered) for item in self._step(span)]
        opened = {(spot.held_out, spot.step) for spot in self.opened if spot.group is None}
        found: list[Item] = []
        end = len(self._folded)
        for place in sorted((self._at[key] for key in opened if key in self._at), reverse=True):
            found += reversed(self._folded[place + 1 : end])
            found += self._step(self._ordered[place])
            end = place
        found += reversed(self._folded[:end])
        return found

    def _fold(self, ordered: list[Span]) -> None:
        """Make the items of these steps, the oldest first, where they are other ones than before."""
        pairs = enumerate(zip(self._ordered, ordered, strict=False))
        shorter = min(len(self._ordered), len(ordered))
        same = next((at for at, (old, new) in pairs if old is not new), shorter)
        for span in self._ordered[same:]:
            del self._at[span.key]
        del self._folded[same:]
        for span in ordered[same:]:
            self._at[span.key] = len(self._folded)
            row = partial(_drawn, 0, FOLDED, "muted", partial(step_row, span, self.unit))
            self._folded.append(Item(row, span.spot.text))
        self._ordered = ordered

    def _step(self, span: Span) -> Iterator[Item]:
        if self._hides(span.spot):
            return
        yield self._entry(0, span.spot, partial(step_row, span, self.unit), below=True)
        if span.spot not in self.opened:
            return
        rows = self.steps.get(span.key)
        if rows is None:
            yield Item(line("muted:    reading …"))
            return
        groups = [group for _, group in sorted(rows.groups.items())]
        single = len(groups) == 1 and len(groups[0].rollouts) == 1
        for group in groups:
            spot = Spot(span.step, span.held_out, group.number)
            if self._hides(spot):
                continue
            if single:
                yield from self._positions(1, span, group, next(iter(group.rollouts.values())))
                continue
            yield self._entry(1, spot, partial(group_row, group), below=bool(group.rollouts))
            if spot in self.opened:
                yield from self._group(span, group)
        if not groups:
            yield Item(line("muted:    It plays no rollouts, or none has begun."))

    def _group(self, span: Span, group: GroupRow) -> Iterator[Item]:
        for number, rollout in sorted(group.rollouts.items()):
            spot = Spot(span.step, span.held_out, group.number, number)
            if self._hides(spot):
                continue
            if len(group.rollouts) == 1:
                yield from self._positions(2, span, group, rollout)
                continue
            yield self._entry(2, spot, partial(rollout_row, group, rollout), below=bool(rollout.positions))
            if spot in self.opened:
                yield from self._positions(3, span, group, rollout)

    def _positions(self, depth: int, span: Span, group: GroupRow, rollout: RolloutRow) -> Iterator[Item]:
        for _, row in sorted(rollout.positions.items()):
            yield self._entry(depth, row.spot, partial(position_row, row), below=True)
            if row.spot not in self.opened:
                continue
            turns = self.turns.get(row.spot)
            if turns is None:
                yield Item(line(f"muted:{' ' * INDENT * (depth + 2)}reading …"))
                continue
            for number, turn in enumerate(turns):
                spot = Spot(span.step, span.held_out, group.number, rollout.number, row.at.position, number)
                yield Item(partial(_drawn_turn, depth + 1, turn), spot.text)
            if not turns:
                yield Item(line(f"muted:{' ' * INDENT * (depth + 2)}no turn"))

    def _entry(self, depth: int, spot: Spot, row: Callable[[], Pieces], *, below: bool) -> Item:
        """An item; its sign is that of now, so that a change of it is a change of the item."""
        marked = spot == self.marked
        sign = MARKED if marked else UNFOLDED if spot in self.opened else FOLDED if below else "  "
        return Item(partial(_drawn, depth, sign, "warn" if marked else "muted", row), spot.text)

    def _hides(self, spot: Spot) -> bool:
        """Whether the selection hides a step, a group or a rollout."""
        return self.only is not None and spot not in self._shown

    def hides(self, spot: Spot) -> bool:
        """Whether the selection hides the rollout that a place is in."""
        return self._hides(Spot(spot.step, spot.held_out, spot.group, spot.rollout))

    # Changes

    def show(self, spans: Spans, unit: str) -> None:
        """Show these steps; the records of a step that began again are forgotten."""
        for key, rows in list(self.steps.items()):
            span = spans.by_key.get(key)
            if span is None or span.first != rows.span.first:
                del self.steps[key]
                self.turns = {at: turns for at, turns in self.turns.items() if (at.held_out, at.step) != key}
        if unit != self.unit:
            self._fold([])
        self.spans, self.unit = spans, unit
        self._fold(spans.all)
        self.empty = "Nothing has been played yet: the first step appears here by itself."
        self._retitle()
        self.renew()

    def give(self, rows: StepRows) -> None:
        """A step that has been read."""
        self.steps[rows.span.key] = rows
        self.renew()

    def give_turns(self, spot: Spot, turns: list[TurnTaken]) -> None:
        """The turns of a position."""
        self.turns[spot] = turns
        self.renew()

    def show_found(self, found: Found | None, query: Query) -> None:
        """Show what a search found; None shows the tree again."""
        if found is not None and (self.found is None or query != self.query_):
            self.value, self.top = (0 if found.places else None), 0
        self.found, self.query_ = found, query
        self._retitle()
        self.renew()

    def _retitle(self) -> None:
        if self.found is not None:
            more = "more than " if self.found.more else ""
            share = f"indexed {self.found.read / self.found.last:.0%}" if self.found.read < self.found.last else ""
            self.retitle(f"Found · {more}{counted(self.found.total, 'place')}", share)
            return
        steps = sum(not held_out for held_out, _ in self.spans.by_key)
        measured = len(self.spans.by_key) - steps
        count = counted(steps, self.unit)
        more = f", {counted(measured, 'held-out measurement')}" if measured else ""
        only = "" if self.only is None else f" · {counted(len(self.only), 'rollout')} selected"
        self.retitle(f"Rollouts · {count}{more}{only}")

    def select_only(self, only: frozenset[Spot] | None) -> None:
        """Show these rollouts only; None shows all."""
        self.only = only
        above = {Spot(each.step, each.held_out, *each.levels[:deep]) for each in only or () for deep in (0, 1)}
        self._shown = frozenset((*above, *(only or ())))
        self.empty = f"No rollout fits the selection; {self.workbench.key_of('rollouts.show_all')} shows all of them."
        self._retitle()
        self.renew()

    def open_to(self, spot: Spot) -> None:
        """Unfold all levels above a spot; those that have not been read are asked for."""
        above = spot.above
        while above is not None:
            self.opened.add(above)
            above = above.above
        self.post_message(self.Opened(spot))
        self.renew()

    def nearest(self, spot: Spot) -> Spot | None:
        """The spot itself, or the nearest above it that is shown; None where not even its step is."""
        shown = {item.value for item in self.items(80)}
        at: Spot | None = spot
        while at is not None and at.text not in shown:
            at = at.above
        return at

    # Keys

    def _has_below(self, spot: Spot) -> bool:
        return spot.turn is None

    def action_unfold(self) -> None:
        """Unfold the level under the cursor."""
        spot = self.spot
        if spot is None or not self._has_below(spot):
            return
        if spot in self.opened:
            self._move(1)
            return
        self.opened.add(spot)
        self.post_message(self.Opened(spot))
        self.renew()

    def action_fold(self) -> None:
        """Fold the level under the cursor; of a folded one, go to the level above."""
        spot = self.spot
        if spot is None:
            return
        if spot in self.opened:
            self.opened.discard(spot)
            self.renew()
        elif spot.above is not None and (above := self.nearest(spot.above)) is not None:
            self.select(above.text)
            self.post_message(self.Moved(self))

    async def action_lead(self) -> None:
        """Unfold a folded level; enter the record of an unfolded one, or the place that was found."""
        spot = self.spot
        if spot is not None and spot not in self.opened and self._has_below(spot):
            self.action_unfold()
        elif self.value is not None:
            self.post_message(self.Entered())


def _drawn(depth: int, sign: str, style: str, row: Callable[[], Pieces]) -> Line:
    return as_line(((" " * INDENT * depth, ""), (sign, style), *row()))


def _drawn_turn(depth: int, turn: TurnTaken) -> Line:
    return _drawn(depth, "  ", "", partial(turn_row, turn))
