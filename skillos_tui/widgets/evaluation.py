"""The two lists of the evaluation screen: the measurements beside one of them, and the groups with their outcomes.

steps.show(results, changes, view)      # a row each; steps.value is the step under the cursor
groups.show(results, base, step)        # a row each; groups.value is the group's number
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from engine.core.events import HeldOutMeasured
from engine.core.numbers import rounded
from engine.core.outcomes import Outcome
from engine.core.text import counted
from engine.runs.held_out import GroupKey, GroupResult, HeldOutChange, Results, by_group
from engine.runs.paired import Paired, interval
from skillos_tui.render.text import Line, crop, fit, line, safe
from skillos_tui.widgets.listing import Item, ListPane

NOT_MEASURED = "n/m"
SIGNS = {
    "better": "good:▲ better",
    "worse": "bad:▼ worse",
    "no change shown": ":≈ not shown",
    "not measured": "warn:? n/m",
}
OUTCOMES = {"succeeded": ("✓", "good"), "failed": ("✗", "bad"), "unmeasured": ("?", "warn")}
FEW = 0.0005
"""A p below this is shown as "<.001"."""
LEAST_FAMILY = 10
"""Fewer cells show only the beginning of a family's name, which is the same for all."""

ARMS = (
    ("no skills", "what the executor does alone"),
    ("shuffled retrieval", "whether the content of a skill matters, or only that there is one"),
    ("skills by hand", "what the best skills could give"),
    ("replay of the last repository", "what the skills give without further curation"),
    ("frontier curator", "what a large untrained model curates"),
    ("read-time briefings", "what a briefing for each task gives in the place of stored skills"),
)
"""Arms that later parts of the project will measure, and what each shows."""

LEGEND = (
    ("held-out", "success on tasks after the first of each held-out group; the groups are the same each time"),
    ("±", "its standard error over the groups"),
    ("change", "the mean change of a group against the base"),
    ("95 % interval", "Student's t over the groups' changes; a change is shown where it does not hold 0"),
    ("▲ ▼", "how many groups rose and how many fell; the others are equal"),
    ("p", "of a sign-flip test over groups; Holm is p corrected over all measurements of the table"),
    ("could show", "the change that so many groups show in 80 % of cases, were the spread as it is"),
    ("≈ not shown", "the interval holds 0: no change, or one that is too small for so many groups"),
    (
        "✓ ✗ ?",
        "a task that succeeded, failed, or was not measured; the first task of a group does not count, so it is pale",
    ),
    ("n/m", "not measured"),
)


class Measurements(ListPane):
    """The measurements of the run, and the arms that are not measured."""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(title, id=id)
        self.results: Results = {}
        self.changes: dict[int, HeldOutChange] = {}
        self.note = ""

    def show(self, results: Results, changes: Sequence[HeldOutChange], note: str) -> None:
        """Show these measurements; `note` says what is measured next, or why nothing is."""
        self.results, self.note = results, note
        self.changes = {change.step: change for change in changes}
        self.renew()

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "Held-out measurements", LEGEND

    def items(self, width: int) -> Sequence[Item]:
        found = [Item(_header(width))] if self.results else []
        found += [
            Item(partial(_measurement, each.summary, self.changes.get(step), width), step)
            for step, each in self.results.items()
        ]
        if self.note:
            found.append(Item(line(f"muted:{self.note}", indent=2), whole=True))
        told = "measured by the evaluation of arms, which this version does not have yet"
        found.append(Item(crop(line("heading:arms beside this curator", f"muted:  {told}"), width)))
        found += [Item(_arm(name, meaning, width)) for name, meaning in ARMS]
        return found


def _measurement(summary: HeldOutMeasured, change: HeldOutChange | None, width: int) -> Line:
    """A measurement: its value, its standard error, and its change against the base, which has none."""
    value = NOT_MEASURED if summary.r_task is None else rounded(summary.r_task, ".3f")
    error = "" if summary.standard_error is None else f"±{rounded(summary.standard_error, '.3f')}"
    spans = [
        f"strong:{summary.step:>5} ",
        f"{'warn' if summary.r_task is None else ''}:{value:>8} ",
        f"muted:{error:<7}",
    ]
    spans += ["muted:   base"] if change is None else _cells(change, width)
    return crop(line(*spans), width)


def _columns(width: int) -> int:
    """How many of the further columns have room: the groups, p, Holm, and what they could show."""
    return max(0, min(4, (width - 62) // 9))


def _header(width: int) -> Line:
    names = [f"{'▲ ▼':>9}", f"{'p':>9}", f"{'Holm':>9}", f"{'could show':>12}"][: _columns(width)]
    head = f"{'step':>5} {'held-out':>8} {'±':<7}{'change':>8}  {'95 % interval':<18}{'':<13}"
    return crop(line(f"heading:{head}{''.join(names)}"), width)


def _cells(change: HeldOutChange, width: int) -> list[str]:
    """The change against the base: it, its interval, the verdict, and the further columns."""
    found = change.paired
    told = NOT_MEASURED if found.difference is None else rounded(found.difference, "+.3f")
    style, _, sign = SIGNS[found.verdict].partition(":")
    spans = [f"strong:{told:>8}  "]
    if found.low is None:
        return [*spans, f"warn:{found.why}"]
    spans += [f"muted:{interval(found):<18}", f"{style}:{fit(sign, 13)}"]
    further = [
        f"{f'{found.better}▲ {found.worse}▼':>9}",
        f"{_p(found.p):>9}",
        f"{_p(change.holm):>9}",
        f"{_could(found):>12}",
    ]
    return [*spans, f"muted:{''.join(further[: _columns(width)])}"]


def _p(value: float | None) -> str:
    return NOT_MEASURED if value is None else "<.001" if value < FEW else rounded(value, ".3f")


def _could(change: Paired) -> str:
    return NOT_MEASURED if change.smallest is None else rounded(change.smallest, ".3f")


def _arm(name: str, meaning: str, width: int) -> Line:
    return crop(line(f":  {fit(name, 30)}", "warn: not measured", f"muted:  {meaning}"), width)


class Groups(ListPane):
    """The held-out groups: the outcomes of each measurement, and the change from the base to the step that is selected."""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(title, id=id)
        self.table = Table({}, None, None, {})
        self.by_change = False

    def show(self, results: Results, base: int | None, step: int | None) -> None:
        """Show the groups of these measurements."""
        before = by_group(results[base]) if base is not None and base in results else {}
        self.table = Table(results, base, step, before)
        self.renew()

    def sort(self) -> None:
        """Order the groups by their change, the best first, or again by their numbers."""
        self.by_change = not self.by_change
        self.renew()

    @property
    def group(self) -> GroupResult | None:
        """The group under the cursor, in the measurement that is selected."""
        return next((group for group in self.table.groups if group.number == self.value), None)

    def items(self, width: int) -> Sequence[Item]:
        table = self.table
        if not table.groups:
            return [Item(line("muted:The log has no groups of this measurement."), whole=True)] if table.results else []
        groups = sorted(table.groups, key=table.place) if self.by_change else table.groups
        columns = table.columns(width)
        rows = [Item(partial(table.row, each, columns, width), each.number) for each in groups]
        return [Item(table.header(columns, width)), *rows]


class Table(NamedTuple):
    """The groups of the measurement after `step`, beside those of the others; `base` is compared with. It does not change,
    so that rows that were made from it can be compared with new ones."""

    results: Results
    base: int | None
    step: int | None
    before: Mapping[GroupKey, float | None]
    """r_task of each group in the measurement of the base."""

    @property
    def groups(self) -> Sequence[GroupResult]:
        """The groups of the measurement that is selected."""
        found = self.results.get(self.step) if self.step is not None else None
        return found.groups if found else ()

    def place(self, group: GroupResult) -> tuple[bool, float]:
        """What sorts the groups by their change, the best first and what was not measured last."""
        change = self.change(group)
        return change is None, -(change or 0.0)

    def columns(self, width: int) -> list[int]:
        """The measurements that have room: the selected one, the base, then the newest others."""
        count = max(1, (width - 6 - 8) // (self.cells + 2))
        wanted = [step for step in (self.step, self.base) if step is not None and step in self.results]
        others = [step for step in reversed([*self.results]) if step not in wanted]
        return sorted(set([*dict.fromkeys(wanted), *others][:count]))

    @property
    def cells(self) -> int:
        """The cells of one measurement: its outcomes, and its r_task."""
        return max((len(group.outcomes) for found in self.results.values() for group in found.groups), default=0) + 5

    def header(self, columns: Sequence[int], width: int) -> Line:
        """The names of the columns."""
        spans = [f"heading:{'group':<6}"]
        for step in columns:
            style, mark = ("strong", "▸") if step == self.step else ("heading", " ")
            spans.append(f"{style}:{fit(f'{mark}step {step}', self.cells + 2)}")
        return crop(line(*spans, f"heading:{'change':>8}"), width)

    def row(self, group: GroupResult, columns: Sequence[int], width: int) -> Line:
        """A group: its outcomes of each measurement, and its change."""
        spans: list[tuple[str, str]] = [(f"g{group.number:<5}", "strong")]
        for step in columns:
            same = next((each for each in self.results[step].groups if each.key == group.key), None)
            spans += [("▸" if step == self.step else " ", "accent"), *_outcomes(same, self.cells), (" ", "")]
        change = self.change(group)
        told = NOT_MEASURED if change is None else rounded(change, "+.2f") if change else "0"
        style = "warn" if change is None else "good" if change > 0 else "bad" if change < 0 else "muted"
        if self.step == self.base:
            told, style = "base", "muted"
        room = width - 6 - 8 - len(columns) * (self.cells + 2)
        family = f"  {safe(group.family)}" if room >= LEAST_FAMILY else ""
        return crop(Line((*spans, (f"{told:>8}", style), (family, "muted"))), width)

    def change(self, group: GroupResult) -> float | None:
        """From the base to the selected step."""
        before = self.before.get(group.key)
        return None if before is None or group.r_task is None else group.r_task - before


def _outcomes(group: GroupResult | None, width: int) -> list[tuple[str, str]]:
    """The outcomes of a group, and its r_task; "not drawn" where the measurement did not have the group."""
    if group is None:
        return [(fit("not drawn", width), "muted")]
    spans = [_sign(outcome, counts=at > 0) for at, outcome in enumerate(group.outcomes)]
    value = NOT_MEASURED if group.r_task is None else rounded(group.r_task, ".2f")
    return [*spans, (f"{value:>{width - len(spans)}}", "")]


def _sign(outcome: Outcome, *, counts: bool) -> tuple[str, str]:
    sign, style = OUTCOMES[outcome.kind]
    return sign, style if counts else "muted"


def next_one(planned: int, done: int, every: int | None, measured: Sequence[int]) -> str:
    """What is measured next, or why nothing is. `every` is None where the settings do not say."""
    if every == 0:
        return (
            "This run measures no held-out groups: training.evaluate_every is 0. Start one with "
            "training.evaluate_every=10 to see whether it learns."
        )
    if every is None or every < 0:
        return "" if measured else "No held-out measurement is in the log."
    coming = -(-done // every) * every
    if coming in measured:
        coming += every
    coming = min(coming, planned)
    ended = coming < done or coming in measured
    if measured:
        return "" if ended else f"The next one is made after step {coming}."
    first = "never: the run has ended" if ended else "before step 1" if not coming else f"after step {coming}"
    return f"No held-out measurement yet: the first one is made {first}, further ones every {counted(every, 'step')}."
