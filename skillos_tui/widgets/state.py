"""The line of run state at the top of every screen of a run, fitted to its width.

    bar.show(partial(state_line, view, "running", "20261125-101010-train-pocket", 0))

It is made of pieces. Each piece has several forms, the longest first; if the line does not fit, pieces take shorter forms in
the order of `SHORTENED`. The run's name is always there, at the end, so that two terminals are not taken for one another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.core.text import interrupted_while
from skillos_tui.model.view import RunView
from skillos_tui.render.text import Line, clip, crop, line, short_name, shortest_name, width_of

if TYPE_CHECKING:
    from engine.core.events import Progress
    from engine.runs.status import ShownState

STATES: dict[ShownState, str] = {
    "starting": "accent:◌ starting",
    "running": "good:● running",
    "paused": "warn:‖ paused",
    "stopping": "warn:◌ stopping",
    "stopped": "muted:■ stopped",
    "finished": "good:✓ finished",
    "failed": "bad:✗ failed",
    "interrupted": "bad:✗ interrupted",
}
AT_WORK: tuple[ShownState, ...] = ("starting", "running")
"""States in which the last `Progress` of the engine is its present work."""
SHORTENED = tuple(
    "run work note bar phase note work run phase policy step state policy "
    "state state state state state step step phase phase step".split()
)
BARS = ("axis:  │  ", "axis: · ")
"""What separates two pieces."""
NAMED = 40
"""In a line of fewer cells the run's name is left out."""
METER = 8
"""Cells of the bar of a progress."""

Piece = list[Line]
"""The forms of one part of the line; an empty form leaves it out."""


def state_line(
    view: RunView, shown: ShownState, name: str, silent: int, width: int, *, read_only: bool = False
) -> Line:
    """The engine's state, its progress and the time left; at most `width` cells.

    `silent` is how many seconds a living engine has been silent, `read_only` whether the run can only be read.
    """
    progress, pace = view.progress if shown in AT_WORK else None, _pace(view)
    pieces: dict[str, Piece] = {
        "read_only": [line("warn:read-only" if read_only else "")],
        "state": _state(view, shown, progress, silent),
        "policy": _policy(view.settings.policy),
        "note": [line(f"warn:{note}" if note else "") for note in _notes(view.note)],
        "phase": _phase(progress, silent) if progress else [line()],
        "step": _step(view, progress, pace if shown in AT_WORK and not silent else None),
        "work": _work(view, pace),
        "run": [line(f"muted:{each}") for each in (name, short_name(name), shortest_name(name))],
    }
    form = dict.fromkeys((*pieces, "bar"), 0)
    item = _joined(pieces, form)
    for name in SHORTENED:
        if width_of(item) <= width:
            break
        form[name] = min(form[name] + 1, len(BARS if name == "bar" else pieces[name]) - 1)
        item = _joined(pieces, form)
    if width_of(item) <= width:
        return item
    run = _joined({"run": pieces["run"]}, form) if width >= NAMED else line()
    bar = BARS[form["bar"]] if run.spans else ""
    rest = crop(_joined({**pieces, "run": [line()] * 3}, form), width - width_of(run) - width_of(line(bar)))
    return Line((*rest.spans, *line(bar).spans, *run.spans))


def _notes(note: str) -> list[str]:
    """The note of the profile; then its part before a colon, at last at most 16 cells of it."""
    head = note.partition(":")[0].strip()
    return [clip(note, 90), clip(head, 40), clip(head, 16)]


def _joined(pieces: dict[str, Piece], form: dict[str, int]) -> Line:
    """The pieces in their present forms, with a bar between them."""
    bar = line(BARS[form["bar"]]).spans
    shown = [forms[form[name]].spans for name, forms in pieces.items() if forms[form[name]].spans]
    return Line(tuple(span for at, spans in enumerate(shown) for span in (*(bar if at else ()), *spans)))


def _state(view: RunView, shown: ShownState, progress: Progress | None, silent: int) -> Piece:
    """The state, its reason unless a phase is shown, and whether the engine is silent."""
    no_sign, brief = (
        (f"bad: (no sign of the engine for {silent} s)", f"bad: (engine silent {silent} s)") if silent else ("", "")
    )
    if progress and progress.phase == "loading":
        return [line(f"accent:◌ loading {clip(progress.what, most)}".rstrip(), no_sign) for most in (60, 24)]
    reason = "" if progress else view.reason.strip()
    if shown == "interrupted":
        reason = interrupted_while(view.state, reason)
    forms = [
        line(STATES[shown], f"warn: ({clip(reason, most)})" if reason else "", no_sign) for most in (200, 90, 45, 20)
    ]
    sign = STATES[shown].partition(" ")[0]
    return [*forms, line(STATES[shown], no_sign), line(STATES[shown], brief), line(sign, brief)]


def _policy(policy: str) -> Piece:
    """Who decides on edits, if it is not a person."""
    if policy in ("", "ask"):
        return [line()] * 3
    name = clip(policy.replace("_", " "), 16)
    what, _, after = name.partition(" ")
    sign = {"approve": "✓", "veto": "✗"}.get(what, what)
    return [line(f"warn:review: {name}"), line(f"warn:{name}"), line(f"warn:{f'{sign} {after}'.strip()}")]


def _phase(progress: Progress, silent: int) -> Piece:
    """The engine's present work: a count, a bar, and the time left at the pace so far, unless the engine is silent."""
    loading = progress.phase == "loading"  # the state names what is loaded
    name = "" if loading else progress.phase
    what = "" if loading or not progress.what else f" {clip(progress.what, 40)}"
    count = f" {progress.done:,}/{progress.total:,}" if progress.total > 0 else ""
    unit = f" {clip(progress.unit, 16)}" if count and progress.unit else ""
    left = "" if silent else time_left(progress)
    return [
        line(
            f"accent:{f'{name}{what}{count}{unit}'.strip()}",
            f"chart: {meter(progress)}" if count else "",
            f"muted: about {left} left" if left else "",
        ),
        line(
            f"accent:{f'{name}{count}'.strip()}",
            f"chart: {meter(progress, METER // 2)}" if count else "",
            f"muted: {left} left" if left else "",
        ),
        line(f"accent:{f'{name}{count}'.strip()}", f"muted: {left} left" if left else ""),
        line(f"accent:{f'{name}{count}'.strip()}", f"muted: {left}" if left else ""),
        line(f"accent:{f'{name}{count}'.strip()}"),
    ]


def meter(progress: Progress, cells: int = METER) -> str:
    """A bar of `cells` cells; full only when all is done."""
    full = max(0, min(cells, progress.done * cells // progress.total)) if progress.total > 0 else 0
    return "▮" * full + "▯" * (cells - full)


def time_left(progress: Progress) -> str:
    """The time until all is done at the pace so far; "" while nothing is done, or the total is not known."""
    left = progress.total - progress.done
    return duration(progress.seconds / progress.done * left) if progress.done > 0 and left > 0 else ""


def _step(view: RunView, progress: Progress | None, pace: float | None) -> Piece:
    """The present step, how many are planned, and the time left. Empty before the first step if a phase is shown. `pace` is
    in seconds a step, None where no time is shown."""
    if progress and not view.step:
        return [line()]
    whole = line(f"muted:{view.unit} ", f"strong:{view.step}", f"muted: of {view.planned}" if view.planned else "")
    short = line(f"strong:{view.step}", f"muted:/{view.planned}" if view.planned else "")
    none = [line()] if progress else []
    steps = view.planned - view.history.newest
    if not pace or steps <= 0:
        return [whole, short, short, short, *none]
    left = duration(pace * steps)
    return [
        Line((*whole.spans, (f", about {left} left", "muted"))),
        *(Line((*short.spans, (f", {time}", "muted"))) for time in (f"{left} left", left)),
        short,
        *none,
    ]


def _pace(view: RunView) -> float | None:
    """Seconds a step over the last five of a train run; None before one has ended."""
    steps = view.history.steps
    last = [steps[step] for step in sorted(steps)[-5:]]
    return sum(step.seconds for step in last) / len(last) if last and view.trains else None


def _work(view: RunView, pace: float | None) -> Piece:
    """The kind of the run, its profile, and seconds a step."""
    what = [f":{view.kind}", f"muted: {view.profile}"]
    if not view.kind:
        return [line()]
    return [line(*what, f"muted:, {pace:.1f} s a {view.unit}" if pace is not None else ""), line(*what), line()]


def duration(seconds: float) -> str:
    """An estimated time, rounded: "8 s", "40 s", "12 min", "3.4 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds)) if seconds < 20 else round(seconds / 10) * 10} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
