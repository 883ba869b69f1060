"""System: what the run does to this machine, and what the machine does to the run. One section at a time.

Memory by process, model servers, alarms, preflight, plan, checkpoints, the engine's log, and the doctor's checks. Without a
run: the plan of each profile, and the doctor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container

from engine.core.events import Alarm
from engine.core.text import counted, size
from skillos_tui.client.messages import Answered, Reply
from skillos_tui.keymap import NEXT_PANE, PREVIOUS_PANE, Key, bindings
from skillos_tui.model.target import Target
from skillos_tui.model.view import Part, RunView
from skillos_tui.render.text import Line, clip, fit, line, safe
from skillos_tui.screens.base import FullScreen
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.listing import Item, ListPane
from skillos_tui.widgets.memory import Past, memory_lines, past_of
from skillos_tui.widgets.pane import Pane
from skillos_tui.widgets.tabs import StateBar

if TYPE_CHECKING:
    from engine.runs.directory import Run
    from skillos_tui.client.system import Section

SECTIONS = {
    "memory": "Memory by process",
    "servers": "Model servers and use",
    "alarms": "Alarms",
    "preflight": "Preflight",
    "plan": "Plan",
    "checkpoints": "Checkpoints",
    "log": "Engine's log",
    "doctor": "Doctor",
}
"""The sections by name, in their order."""
WITHOUT_RUN = ("plan", "doctor")
"""The sections that are there without a run."""
SHOWN_LIVE: tuple[str, ...] = ("memory", "servers", "alarms")
"""The sections that are made of the run's view; the others are asked for."""
READ_AGAIN: tuple[str, ...] = ("preflight", "checkpoints", "log")
"""The sections that are read whenever they are shown; plan and doctor take seconds, and are read again by r."""
ALL_ROWS = 1_000
"""The height that the lines of memory are made for: every process is listed."""


class SectionList(ListPane):
    """The sections, each with its state in a word or two."""

    def __init__(self, *, id: str) -> None:
        super().__init__("System", id=id)
        self.states: dict[str, str] = {}
        self.names: Sequence[str] = tuple(SECTIONS)

    def show(self, states: dict[str, str], names: Sequence[str]) -> None:
        """Show these sections."""
        if (states, names) != (self.states, self.names) or not self.rows:
            self.states, self.names = dict(states), names
            self.renew()

    def items(self, width: int) -> Sequence[Item]:
        states = self.states
        return [
            Item(line(f":{fit(SECTIONS[name], 22)} ", f"muted:{states.get(name, '')}"), name) for name in self.names
        ]


class SectionPane(Pane):
    """The content of one section."""

    def __init__(self, *, id: str) -> None:
        super().__init__("", id=id)
        self.name_shown = ""
        self._lines: Callable[[int], Sequence[Line]] = lambda width: [line("muted:…")]

    def show(self, name: str, lines: Callable[[int], Sequence[Line]], subtitle: str = "") -> None:
        """Show a section; `lines` makes its lines for a width."""
        self._lines = lines
        self.follow = name == "log"
        if name != self.name_shown:
            self.name_shown, self.top, self._at_end = name, 0, True
        self.retitle(SECTIONS.get(name, ""), subtitle)
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        return self._lines(width)

    def target(self) -> Target | None:
        """The alarms are of the metrics, and checkpoints of the held-out measurements."""
        leads = {"alarms": Target("rewards"), "checkpoints": Target("evaluation")}
        return leads.get(self.name_shown)

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "System", (
            ("available", "what processes may still take of the pool: MemAvailable, or the container's limit"),
            ("guard", "the engine pauses rollouts before less than this is available"),
            ("KV cache", "the share of the server's key-value cache in use; near 100 % requests wait"),
            ("prefix hits", "the share of prompt tokens that the server had in its cache already"),
        )


class SystemScreen(FullScreen):
    """The machine, the model servers and the engine of a run."""

    NAME = "system"
    CSS_PATH = "screen.tcss"
    KEYS_TITLE = "On the system screen"
    KEYS = (
        Key("n,right_square_bracket", "move(1)", "next section", "The next section", True),
        Key("p,left_square_bracket", "move(-1)", "previous section", "The section before", True),
        Key("r", "reload", "reload", "Read this section again", True),
        NEXT_PANE,
        PREVIOUS_PANE,
        Key("escape", "close", "close", "Close this screen", True),
    )
    BINDINGS = bindings(KEYS)
    PANES = ("sections", "content")

    def __init__(self) -> None:
        super().__init__()
        self.sections, self.content = SectionList(id="sections"), SectionPane(id="content")
        self._found: dict[str, Section] = {}
        self._trouble: dict[str, str] = {}
        self._asked: set[str] = set()

    def compose(self) -> ComposeResult:
        yield StateBar()
        with Container(id="panes"):
            with Container(id="left", classes="column"):
                yield self.sections
            with Container(id="right", classes="column"):
                yield self.content
        yield AnswerBar(self.KEYS)

    def on_mount(self) -> None:
        self.composed = True
        self.go_to("sections")
        self._show_all()

    def on_screen_resume(self) -> None:
        if self.composed:
            self._read_again()

    def renew(self, parts: set[Part]) -> None:
        if not self.composed or not self.is_current:
            return
        if parts & {"state", "memory", "rewards", "review", "notice"}:
            self._show_all()
        if self._section == "log" and parts & {"state", "transcript", "notice"}:
            self._ask("log")
        elif self._section == "checkpoints" and "rewards" in parts:
            self._read_again()

    @property
    def _section(self) -> str:
        """The section under the cursor."""
        value = self.sections.value
        return value if isinstance(value, str) else self._names[0]

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(SECTIONS) if self.workbench.path is not None else WITHOUT_RUN

    def _show_all(self) -> None:
        self.show_state()
        self.sections.show(self._states(), self._names)
        self._show()

    def _states(self) -> dict[str, str]:
        view, past = self.workbench.view, self._past
        memory, servers, alarms = view.memory, len(view.servers), len(view.alarms)
        available = memory.available if memory is not None and memory.total else None
        known = f"last {size(available)}" if past is not None else f"{size(available)} available"
        live = {
            "memory": known if available is not None else "not measured",
            "servers": f"{'last ' if past is not None else ''}{counted(servers, 'server')}"
            if servers
            else "in the engine",
            "alarms": counted(alarms, "alarm") if alarms else "none",
        }
        asked = {name: section.state for name, section in self._found.items()}
        return {**live, **asked, **dict.fromkeys(self._trouble, "error")}

    @property
    def _past(self) -> Past | None:
        """Whether the figures of memory and servers are not of now."""
        app = self.workbench
        return past_of(app.view, app.shown_state, app.silent)

    def _show(self) -> None:
        """Show the section under the cursor; ask for it the first time."""
        name, view, past = self._section, self.workbench.view, self._past
        if name == "memory":
            source = view.memory.source if view.memory is not None else ""
            self.content.show(name, lambda width: memory_lines(view, width, ALL_ROWS, past), clip(source, 60))
        elif name == "servers":
            self.content.show(name, lambda width: server_lines(view, past))
        elif name == "alarms":
            self.content.show(name, lambda width: alarm_lines(view))
        elif name in self._trouble:
            why = self._trouble[name]
            self.content.show(name, lambda width: [line(f"bad:{why}", indent=2)])
        elif name in self._found:
            section = self._found[name]
            self.content.show(name, lambda width: [_row(style, text) for style, text in section.rows], section.state)
        else:
            self.content.show(name, lambda width: [line("muted:Reading …")])
            if name not in self._asked:
                self._ask(name)

    def _ask(self, name: str) -> None:
        from skillos_tui.client import system

        client = self.workbench.client
        self._asked.add(name)
        if self.workbench.path is None:
            read: Callable[[], Section] = system.plans if name == "plan" else system.doctor_of
            client.ask(f"system {name}", read)
            return
        of_run: dict[str, Callable[[Run], Section]] = {
            "plan": system.plan_of,
            "preflight": system.preflight_of,
            "checkpoints": system.checkpoints_of,
            "log": system.log_of,
            "doctor": system.doctor_of,
        }
        client.ask_run(f"system {name}", of_run[name])

    def take(self, reply: Reply) -> None:
        if not isinstance(reply, Answered) or not reply.question.startswith("system ") or not self.composed:
            return
        from skillos_tui.client.system import Section

        name = reply.question.removeprefix("system ")
        if isinstance(reply.value, Section):
            self._found[name] = reply.value
            self._trouble.pop(name, None)
        else:
            self._trouble[name] = safe(reply.trouble)
        self.sections.show(self._states(), self._names)
        if name == self._section:
            self._show()

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        self._show()
        self._read_again()

    def _read_again(self) -> None:
        """Read the section under the cursor again, if it was read before and reading it takes little."""
        if self._section in READ_AGAIN and self._section in {*self._found, *self._trouble}:
            self._ask(self._section)

    def here(self) -> str:
        return self._section

    def arrive(self, at: str) -> None:
        if at in self._names:
            self.sections.choose(at)
            self._show()

    # Keys

    def action_move(self, by: int) -> None:
        self.sections.action_scroll_rows(by)

    def action_reload(self) -> None:
        """Read the section again; those of the run's view are up to date."""
        name = self._section
        if name in SHOWN_LIVE:
            self.answer("This section shows the run as it is now; there is nothing to read again.", "accent")
        else:
            self._ask(name)
            self.answer(f"Reading {SECTIONS[name].lower()} again …", "accent")
            self.set_timer(1.0, partial(self.answer, ""))

    def action_close(self) -> None:
        self.action_back()


def _row(style: str, text: str) -> Line:
    indent = len(text) - len(text.lstrip(" "))
    return Line(((safe(text), style),) if text else (), min(indent + 2, 12))


def server_lines(view: RunView, past: Past | None = None) -> list[Line]:
    """What each server reports of itself, or reported before the engine ended, what each role's model was used for, and
    which adapter answers."""
    from engine.runs.measured import Measured, lines

    used = view.used.models if view.used is not None else []
    rows = list(lines(Measured(None, None, list(view.servers.values()), view.published), used))
    if not view.servers:
        rows.insert(0, "No model server is used: the models answer inside the engine's process.")
    then = [line(f"muted:What the servers reported {past.how}.", indent=2)] if past else []
    return [*(then if view.servers else []), *(line(f":{row}", indent=2) for row in rows)]


def alarm_lines(view: RunView) -> list[Line]:
    """The alarms after the newest step, then those of earlier steps, newest first."""
    found: list[Line] = []
    if not view.checked:
        return [line("muted:No alarm was checked yet: they are checked after each step of a train run.")]
    if not view.alarms:
        found.append(line(f"good:✓ no alarm after step {max(view.checked)}"))
    for step in sorted(view.checked, reverse=True):
        alarms = view.checked[step]
        if alarms:
            found += [Line(()), line(f"strong:after step {step}")] if found else [line(f"strong:after step {step}")]
            found += [row for alarm in alarms for row in _alarm(alarm)]
    return found


def _alarm(alarm: Alarm) -> list[Line]:
    pauses = "warn:  pauses the run" if alarm.pauses else ""
    return [
        line(f"bad:✗ {alarm.name}", pauses),
        line(f":  {alarm.message.strip()}", indent=2),
        line(f"muted:  {alarm.advice.strip()}", indent=2),
    ]
