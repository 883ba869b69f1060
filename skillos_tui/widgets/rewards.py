"""The reward, step by step: a curve of the success, a row of the composite reward, and the last step's parts as bars.

The bar of r has the spread of r inside a group at its end. A value that was not measured is "n/m", never 0. A run that
trains shows r_task and r; any other one shows the success rate over the last ten measured episodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from engine.core.numbers import rounded
from engine.core.text import counted
from engine.runs.agreement import agreement_of
from skillos_tui.model.target import Target
from skillos_tui.model.view import RunView
from skillos_tui.render.chart import Values, bars, bounds, braille
from skillos_tui.render.text import Line, clip, crop, fit, line, short, widest, width_of
from skillos_tui.render.verdict import verdict_of
from skillos_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from engine.core.events import StepEnded

NOT_MEASURED = "n/m"
WINDOW = 10
AXIS = 6
PARTS = 27
"""The least width of the facts beside the curve."""
LABEL = 10
GAP = 2
"""Cells between two columns."""
BAR = range(6, 25)
"""The cells of a bar; where they have no room, it is a character."""
MOST_GROUPS = 12
"""The groups whose spread is shown."""
LEAST_CURVE = 30
MANY_INVALID = 0.1
OPERATIONS = {"insert": "+", "update": "~", "delete": "-"}

NOTE = ("r_task success", "r_fc valid calls", "r_cnt content", "r_comp brevity")
"""What the names of the rewards mean, shown while the pane has the focus."""
SHORT_NOTE = ("fc calls", "cnt content", "comp brevity")
FRAME = 8
"""Cells of the border beside its text."""
SIGNS = (
    ("━━━━├──┤", "r, with the standard deviation of r inside a group to both sides"),
    ("reward std ▄▇▆█", "the standard deviation of r inside a group, mean; the bars are the groups; 0 teaches nothing"),
    ("calls +41 ~3 -0", "valid insertions, updates and deletions of skills"),
    ("vs rubric Δ ρ n", "the judge beside the rubric: mean absolute difference, rank correlation, decisions"),
)

Fact = tuple[str, str, str]
"""A label, a value, and the style of the value."""


class RewardPane(Pane):
    """The reward breakdown of a run."""

    def __init__(self, title: str, *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(title, id=id, classes=classes)
        self.view = RunView()
        self._title = title
        self._metrics = False
        self._course = Course()

    def switch(self) -> None:
        """Show every metric of the last step, or the reward again."""
        self._metrics = not self._metrics
        self._retitle(self.has_focus)
        self.top = 0
        self.renew()

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        from skillos_tui.widgets.metrics import legend

        title, figures = legend()
        return title, [*SIGNS, *figures]

    def meanings(self) -> Sequence[str]:
        return [*NOTE, *(f"{name}: {meaning}" for name, meaning in SIGNS)]

    def on_focus(self) -> None:
        self._retitle(True)

    def on_blur(self) -> None:
        self._retitle(False)

    def on_resize(self) -> None:
        self._retitle(self.has_focus)

    def _retitle(self, focused: bool) -> None:
        """Show the title, and in the focused pane what the names mean, as long as there is room."""
        notes = [" · ".join(note) for note in (NOTE, SHORT_NOTE)]
        fitting = [note for note in notes if len(note) <= self.outer_size.width - FRAME]
        self.retitle("Metrics" if self._metrics else self._title, fitting[0] if focused and fitting else "")

    def target(self) -> Target:
        return Target("rewards", "parts")

    def show(self, view: RunView) -> None:
        """Show the rewards of this run as they are now."""
        self.view = view
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        if self._metrics:
            from skillos_tui.widgets.metrics import metric_lines  # not for the first paint

            return metric_lines(self.view, width)
        facts = reward_facts(self.view)
        if not self.view.history.newest and not self.view.outcomes:
            return [
                line("muted:No step has ended yet."),
                *_unproved_line(self.view, width),
                *_judge_line(self.view, width),
            ]
        said = _judge_line(self.view, width)
        height -= len(said)
        parts = max(PARTS, *(LABEL + GAP + cell_len(value) for _, value, _ in facts))
        spare = width - parts - GAP - LEAST_CURVE
        if spare >= 0:
            facts = reward_facts(self.view, min(BAR[-1], BAR[0] + spare // 2))
            parts = max(PARTS, *(LABEL + GAP + cell_len(value) for _, value, _ in facts))
        if width < parts + GAP + LEAST_CURVE:
            drawn = curves(self.view, self._course, width, max(3, height - -(-len(facts) // 2)))
            return [*said, *drawn, *fact_columns(facts, width)]
        left = curves(self.view, self._course, width - parts - GAP, height)
        return [*said, *_beside(left, [_fact(fact, parts) for fact in facts], width - parts - GAP)]


class Course:
    """The curve and the bars as they were drawn last; the same values are not drawn again."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._drawn: tuple[list[str], list[str], str] = [], [], ""

    def draw(
        self, values: Values, composite: Values, total: int, width: int, rows: int
    ) -> tuple[list[str], list[str], str]:
        """The labels and the rows of the curve through `values`, and the bars of `composite`."""
        key = (tuple(values), tuple(composite), total, width, rows)
        if key != self._key:
            low, high = bounds(values, least=0.2)
            labels = [""] * rows
            labels[0], labels[-1] = f"{high:.2f}", f"{low:.2f}"
            shown = bars(composite, total, width, *bounds(composite, least=0.2)) if composite else ""
            self._key, self._drawn = key, (labels, braille(values, total, width, rows, low, high), shown)
        return self._drawn


def curves(view: RunView, course: Course, width: int, height: int) -> list[Line]:
    """The curve of the success over the steps planned, and under it the composite reward as bars; `height` lines."""
    name, values, composite = _series(view)
    width = max(8, width - AXIS)
    total = max(view.planned, len(values), 2)
    foot = height > 6
    above = _unproved_line(view, width + AXIS)
    rows = max(2, height - 1 - len(above) - foot * (2 if composite else 1))
    labels, drawn, shown = course.draw(values, composite, total, width, rows)
    newest = f"muted:   r {_last(composite)}" if composite else ""
    lines = [
        *above,
        widest(
            width + AXIS,
            line(f"muted:{'':{AXIS}}", f"chart:{name} {_last(values)}", newest),
            line(f"chart:{name} {_last(values)}"),
        ),
    ]
    lines += [line(f"muted:{label:>4} ", "axis:│", f"chart:{row}") for label, row in zip(labels, drawn, strict=True)]
    if not foot:
        return lines
    if composite:
        lines.append(line("muted:   r ", "axis:│", f"muted:{shown}"))
    first = f"{view.unit} 1"
    last = f" {total:>{width - len(first) - 1}}" if len(first) + 1 + len(str(total)) <= width else ""
    return [*lines, line(f"muted:{'':{AXIS}}{first}{last}")]


def _judge_line(view: RunView, width: int) -> list[Line]:
    """What the judge's model answered of the newest decision, on one row."""
    made = view.judged
    if made is None:
        return []
    verdict = verdict_of(made.judge_text)
    score = f"good:{made.judge:.2f}" if made.judge is not None else f"warn:{NOT_MEASURED}"
    said = " ".join([*verdict.sentences[:1], *verdict.words])
    return [crop(line("muted:judge ", score, f"muted:  {view.place(made.at)}  ", f"thought:{said}"), width)]


def _last(values: Values) -> str:
    """The last value; "n/m" when it was not measured."""
    return rounded(values[-1], ".3f") if values and values[-1] is not None else NOT_MEASURED


def _series(view: RunView) -> tuple[str, Values, Values]:
    if not view.trains:
        return f"success, last {WINDOW} {view.unit}s", view.success(WINDOW), []
    return "r_task", view.history.r_task, view.history.r


def reward_facts(view: RunView, cells: int = 1) -> list[Fact]:
    """The parts of the last finished step, each as label, value and style; values of rewards with bars of so many cells."""
    last = view.history.last
    facts = [] if view.trains else _outcome_facts(view)
    if last is None:
        return facts
    parts = last.rewards
    facts.append((f"last {view.unit}", f"{last.step} of {view.planned or '?'}", ""))
    facts += _losses(view, last)
    names = ["r", "r_task", "r_fc", "r_cnt", "r_comp"]
    if view.history.with_people:
        names.append("r_human")
    top = max(1.0, (parts.r or 0.0) + (last.reward_std or 0.0))
    facts += [_part(name, getattr(parts, name), last.reward_std if name == "r" else None, top, cells) for name in names]
    facts += _agreement(view)
    if view.trains:
        facts.append(_spread(view, last))
        facts.append(("measured", short(last.measured), ""))
        facts.append(("unmeasured", short(last.unmeasured), "warn" if last.unmeasured else "muted"))
    facts += _published(view)
    facts.append(_invalid_actions(last.invalid_action_rate))
    facts.append(("calls", _operations(last), ""))
    facts.append(("bad calls", short(last.invalid_calls), "" if last.invalid_calls else "muted"))
    return facts


def _part(name: str, value: float | None, spread: float | None, top: float, cells: int) -> Fact:
    """A reward and its bar, on a scale from 0 to `top`; r has its spread inside a group at the bar's end."""
    if value is None:
        return (name, NOT_MEASURED, "warn")
    if cells < BAR[0]:
        return (name, f"{rounded(value, '.3f')} {bars([value], 1, 1, 0.0, top)}", "")
    return (name, f"{rounded(value, '.3f')} {spread_bar(value, spread, top, cells)}", "")


def spread_bar(value: float, spread: float | None, top: float, cells: int) -> str:
    """A bar of a value, with its spread to both sides: "━━━━├──┤"."""
    end = round(max(0.0, min(1.0, value / top)) * cells)
    if not spread:
        return "━" * end
    low, high = (round(max(0.0, min(1.0, edge / top)) * cells) for edge in (value - spread, value + spread))
    high = max(high, low + 2)
    return f"{'━' * low}├{'─' * (high - low - 2)}┤"


def _spread(view: RunView, last: StepEnded) -> Fact:
    """The mean standard deviation of r inside a group, that of each group as a bar, and how many groups are at 0."""
    if last.reward_std is None:
        return ("reward std", NOT_MEASURED, "warn")
    update = view.history.updates.get(last.step)
    groups = [_deviation(group) for group in update.advantages[:MOST_GROUPS]] if update else []
    highest = max((value for value in groups if value is not None), default=0.0)
    drawn = f" {bars(groups, len(groups), len(groups), 0.0, highest)}" if len(groups) > 1 else ""
    zero = f" · {last.zero_std_groups} at 0" if last.zero_std_groups else ""
    return ("reward std", f"{rounded(last.reward_std, '.3f')}{drawn}{zero}", "warn" if zero else "")


def _deviation(advantages: Sequence[float | None]) -> float | None:
    """The standard deviation of r inside a group, whose advantages are r - mean(r); None below two measured rollouts."""
    known = [value for value in advantages if value is not None]
    return math.sqrt(math.fsum(value * value for value in known) / len(known)) if len(known) > 1 else None


def _agreement(view: RunView) -> list[Fact]:
    """How far the judge and the rubric agree over the run: the mean absolute difference, the rank correlation, and of how
    many decisions."""
    found = agreement_of(view.history.pairs)
    if found is None:
        return []
    ranks = NOT_MEASURED if found.ranks is None else f"{found.ranks:.2f}"
    return [("vs rubric", f"Δ{found.difference:.2f} ρ {ranks} n {short(found.decisions)}", "")]


def _losses(view: RunView, last: StepEnded) -> list[Fact]:
    """The losses: updates of the run that were skipped, and what the last step left out."""
    skipped = len(view.history.skipped)
    counts = [
        ("skipped", skipped, f"{short(skipped)} update{'' if skipped == 1 else 's'}"),
        ("no curator", last.skipped_curations, short(last.skipped_curations)),
        ("shortened", last.shortened, f"{short(last.shortened)} prompt{'' if last.shortened == 1 else 's'}"),
        ("not judged", last.unjudged, counted(last.unjudged, "decision")),
        (
            "left out",
            last.dropped_skills,
            f"{short(last.dropped_skills)} skill{'' if last.dropped_skills == 1 else 's'}",
        ),
    ]
    return [(label, text, "warn") for label, count, text in counts if count > 0]


def _published(view: RunView) -> list[Fact]:
    """Which adapter answers as the curator, and whether that was proved."""
    published = view.published
    if published is None:
        return []
    return [
        ("curator", f"v{published.step} not proved", "warn")
        if published.unmeasured
        else ("curator", f"v{published.step} proved", "good")
    ]


def _unproved_line(view: RunView, width: int) -> list[Line]:
    """Why it could not be proved which adapter answers; no line where it was."""
    published = view.published
    if published is None or not published.unmeasured:
        return []
    name, why = f"curator-v{published.step}", f"warn:not distinguishable from v{published.step - 1}"
    reason = f"muted: ({clip(published.unmeasured, 200)})"
    return [
        widest(width, line(f"warn:{name} ", why, reason), line(f"warn:{name} ", why), line(f"warn:{name} not proved"))
    ]


def _outcome_facts(view: RunView) -> list[Fact]:
    kinds = [outcome.kind for outcome in view.outcomes.values()]
    lost = kinds.count("unmeasured")
    return [
        ("succeeded", short(kinds.count("succeeded")), "good"),
        ("failed", short(kinds.count("failed")), "bad"),
        ("unmeasured", short(lost), "warn" if lost else "muted"),
    ]


def _invalid_actions(rate: float | None) -> Fact:
    if rate is None:
        return ("actions", NOT_MEASURED, "warn")
    return ("actions", f"{rounded(rate, '.1%')} invalid", "warn" if rate > MANY_INVALID else "")


def _operations(step: StepEnded) -> str:
    """Valid calls by operation, with the signs of the tree: "+41 ~3 -0"."""
    counts = {"insert": 0, "update": 0, "delete": 0, **step.operations}
    return " ".join(f"{OPERATIONS.get(name, name + ' ')}{short(count)}" for name, count in counts.items())


def _fact(fact: Fact, width: int) -> Line:
    """A label and its value in exactly `width` cells; what is cut ends in an ellipsis."""
    label, value, style = fact
    return line(f"muted:{fit(label, LABEL)}  ", f"{style}:{fit(value, max(1, width - LABEL - GAP))}")


def fact_columns(facts: list[Fact], width: int) -> list[Line]:
    """The facts in two columns; one that is too wide for a column has a row of its own."""
    half = (width - GAP) // 2
    rows: list[list[Fact]] = []
    for fact in facts:
        alone = LABEL + GAP + cell_len(fact[1]) > half
        if alone or not rows or len(rows[-1]) == 2 or LABEL + GAP + cell_len(rows[-1][0][1]) > half:
            rows.append([])
        rows[-1].append(fact)
    return [_fact(row[0], width) if len(row) == 1 else _pair(row, half) for row in rows]


def _pair(row: list[Fact], half: int) -> Line:
    left, right = (_fact(fact, half) for fact in row)
    return Line((*left.spans, (" " * GAP, ""), *right.spans))


def _beside(left: list[Line], right: list[Line], width: int) -> list[Line]:
    """Two blocks of lines side by side, the left one in `width` cells and a gap after it."""
    lines = []
    for row in range(max(len(left), len(right))):
        first = crop(left[row], width) if row < len(left) else line()
        gap = " " * (width - width_of(first) + GAP)
        lines.append(Line((*first.spans, (gap, ""), *(right[row].spans if row < len(right) else ()))))
    return lines
