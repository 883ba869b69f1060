"""How each event of a run changes what the screens show of it.

    changed = fold(view, event)       # the parts of the screen that this event changes

Events arrive in the log's order; those of `folded.FOLDED_AGAIN` may arrive a second time, from the last step on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from engine.core.edit import Edit, NotAllowed
from engine.core.errors import ConfigError
from engine.core.events import (
    AdapterPublished,
    AlarmsChecked,
    AnyEvent,
    CompletionMade,
    CurationMade,
    CurationSkipped,
    EditDecided,
    EditProposed,
    EpisodeEnded,
    EpisodeStarted,
    HeldOutMeasured,
    MeasurementStarted,
    MemoryMeasured,
    ModelsUsed,
    Notice,
    Progress,
    ProposalsWithheld,
    RunStarted,
    ServerMeasured,
    SettingChanged,
    StateChanged,
    StepEnded,
    StepStarted,
    TurnTaken,
    UnitEnded,
    Unreadable,
    UpdateMade,
    kind_of,
)
from skillos_tui.model.episodes import Followed, Measurement
from skillos_tui.model.following import EpisodeEvent, follow
from skillos_tui.model.history import NoSuchStep
from skillos_tui.model.in_force import InForce
from skillos_tui.model.view import Change, Part, RunView

MAX_NOTICES = 50
MAX_SERVERS = 8
MAX_SUPERSEDED = 20
"""How many superseded edits are kept: a training run has thousands, and the log has all of them."""


def fold(view: RunView, event: AnyEvent | Unreadable) -> set[Part]:
    """Apply one event; returns the parts of the screen that it changes. One that cannot be applied becomes a notice."""
    rule = _RULES.get(type(event))
    try:
        return rule(view, event) if rule else set()
    except (NotAllowed, NoSuchStep) as error:
        return _unreadable(view, Unreadable(kind_of(event), str(error)))


def _run_started(view: RunView, event: RunStarted) -> set[Part]:
    view.profile, view.planned, view.note = event.profile, event.steps, event.note
    view.reason, view.step, view.ending = "", event.resumed_from, False
    view.settings = InForce.of(event.settings or "")
    view.history.cut(event.resumed_from)
    for table in (view.checked, view.outcomes):
        for step in [step for step in table if step > event.resumed_from]:
            del table[step]
    view.training.restart()
    view.servers = {}
    if view.state != "starting":  # else what was measured since is of this engine
        view.memory, view.measured_at = None, None
    if view.measurement:
        view.measurement.followed.restart()
    view.state = "running"
    _end_phase(view, "measuring", "rollouts", "update")
    return {"state", "rewards", "transcript", "skills", "notice", "memory"}


def _setting_changed(view: RunView, event: SettingChanged) -> set[Part]:
    if event.total is not None:
        view.planned = event.total
    try:
        view.settings = view.settings.changed(event)
    except ConfigError as error:
        return _unreadable(view, Unreadable(kind_of(event), str(error)))
    return {"state", "rewards", "review"}


def _state_changed(view: RunView, event: StateChanged) -> set[Part]:
    view.state, view.reason, view.ending = event.state, event.reason, event.ending
    if event.state != "running":
        view.progress = None
    if event.state == "starting":
        view.memory, view.measured_at, view.servers = None, None, {}  # of the engine before
        return {"state", "memory"}
    return {"state"}


def _progress(view: RunView, event: Progress) -> set[Part]:
    view.progress = event
    return {"state"}


def _end_phase(view: RunView, *phases: str) -> None:
    """Forget the progress of these phases: they have ended, or another one has started."""
    if view.progress is not None and view.progress.phase in phases:
        view.progress = None


def _step_started(view: RunView, event: StepStarted) -> set[Part]:
    view.step = event.step
    if event.groups:
        view.groups = len(event.groups)
    if view.measurement:
        view.measurement.over = True
    view.training.restart()
    _end_phase(view, "loading", "measuring", "update")
    return {"state", "transcript"}


def _measurement_started(view: RunView, event: MeasurementStarted) -> set[Part]:
    before = view.measurement
    again = before is not None and before.step == event.step and not before.over
    group = before.followed.group if before and before.followed.group < len(event.groups) else 0
    followed = before.followed if before and again else Followed(group=group)
    followed.restart()
    view.measurement = Measurement(event.step, max(1, len(event.groups)), again, followed=followed)
    _end_phase(view, "loading", "rollouts", "update")
    return {"state", "transcript"}


def _episode(view: RunView, event: EpisodeEvent) -> set[Part]:
    if event.at.held_out:
        return _measured(view, event)
    changed: set[Part] = set()
    if isinstance(event, CurationMade) and event.judge_text:
        view.judged = event
        changed.add("rewards")
    if isinstance(event, EpisodeStarted):
        view.trained, view.rollouts = True, max(view.rollouts, event.at.rollout + 1)
    if isinstance(event, EpisodeEnded) and not view.trains:
        view.outcomes[event.at.step] = event.outcome
        changed.add("rewards")
    if not follow(view.training, event):
        return changed
    if isinstance(event, EpisodeStarted) and view.forks and len(view.training.episodes) == 1:
        view.fork = {}
    if isinstance(event, CurationMade):
        _note_fork(view, event)
    return changed | ({"transcript", "skills"} if isinstance(event, CurationMade) else {"transcript"})


def _measured(view: RunView, event: EpisodeEvent) -> set[Part]:
    """Apply an event of a held-out episode: it is shown, and enters no count."""
    if view.measurement is None:
        view.measurement = Measurement(event.at.step)
    measurement = view.measurement
    if measurement.step != event.at.step:
        return set()
    measurement.begun, measurement.groups = True, max(measurement.groups, event.at.group + 1)
    return {"transcript"} if follow(measurement.followed, event) else set()


def _note_fork(view: RunView, event: CurationMade) -> None:
    before = view.fork if event.at.position > 1 or not view.forks else {}
    names = [name for name in {**before, **event.repo} if before.get(name) != event.repo.get(name)]
    if names and (before or view.forks):
        name = names[-1]
        view.change = Change(name, before.get(name), event.repo.get(name), view.place(event.at))
    view.fork = event.repo


def _step_ended(view: RunView, event: StepEnded) -> set[Part]:
    view.history.end(event)
    view.progress = None
    return {"rewards", "state"}


def _unit_ended(view: RunView, event: UnitEnded) -> set[Part]:
    view.step, view.progress = event.step, None
    return {"state"}


def _update_made(view: RunView, event: UpdateMade) -> set[Part]:
    view.history.update(event)
    return {"rewards"}


def _alarms_checked(view: RunView, event: AlarmsChecked) -> set[Part]:
    view.checked[event.step] = event.alarms or ()
    return {"notice"}


def _held_out(view: RunView, event: HeldOutMeasured) -> set[Part]:
    view.held_out[event.step] = event
    changed: set[Part] = {"rewards"}
    if view.progress is not None:
        view.progress = None
        changed.add("state")
    if view.measurement and view.measurement.step == event.step:
        view.measurement.over = True
        changed.add("transcript")
    return changed


def _edit_proposed(view: RunView, event: EditProposed) -> set[Part]:
    name = event.edit.id
    before = _read(view, name)
    known = before is not None or event.action == "admit"  # the view does not hold every superseded edit
    _show(view, event.applied(before) if known else event.edit)
    return {"review", "skills", "state"}


def _edit_decided(view: RunView, event: EditDecided) -> set[Part]:
    before = _read(view, event.edit)
    if before is None:
        return set()
    _show(view, event.applied(before))
    if event.decision.action == "supersede":
        view.superseded += 1
        names = [name for name, other in view.edits.items() if other.state == "superseded"]
        for name in names[:-MAX_SUPERSEDED]:
            del view.edits[name]
    return {"review", "skills", "state"}


def _read(view: RunView, name: str) -> Edit | None:
    """An edit as the events before the present one have it."""
    return view.unread[name][0] if name in view.unread else view.edits.get(name)


def _show(view: RunView, edit: Edit) -> None:
    """Show an edit after an event, unless further decisions on it were taken here."""
    _, count = view.unread.pop(edit.id, (edit, 1))
    if count > 1:
        view.unread[edit.id] = edit, count - 1
    else:
        view.edits[edit.id] = edit


def _withheld(view: RunView, event: ProposalsWithheld) -> set[Part]:
    view.withheld[event.reason] = view.withheld.pop(event.reason, 0) + event.count
    return {"review", "state"}


def _memory(view: RunView, event: MemoryMeasured) -> set[Part]:
    view.memory = event
    return {"memory"}


def _server(view: RunView, event: ServerMeasured) -> set[Part]:
    if event.server not in view.servers and len(view.servers) >= MAX_SERVERS:
        return set()
    view.servers[event.server] = event
    return {"memory"}


def _used(view: RunView, event: ModelsUsed) -> set[Part]:
    view.used = event
    return {"memory"}


def _published(view: RunView, event: AdapterPublished) -> set[Part]:
    view.published = event
    return {"rewards"}


def _notice(view: RunView, event: Notice) -> set[Part]:
    view.notices = [*view.notices[1 - MAX_NOTICES :], event]
    return {"notice"}


def _unreadable(view: RunView, event: Unreadable) -> set[Part]:
    """Show that something in the log cannot be read; the same is shown once."""
    why = f"an event of the log cannot be read ({event.kind}: {event.why}); `skillos-engine verify` names each"
    return damaged(view, why)


def damaged(view: RunView, why: str) -> set[Part]:
    """Show that something of the run cannot be read; the same is shown once."""
    said = Notice("warning", why)
    if said in view.damage:
        return set()
    view.damage = [*view.damage[1 - MAX_NOTICES :], said]
    return _notice(view, said)


def notice(view: RunView, level: Literal["warning", "error"], message: str) -> set[Part]:
    """Show a remark of this program on the run, as if it were a notice of the log."""
    return _notice(view, Notice(level, message))


def put_damage_last(view: RunView) -> set[Part]:
    """Make the damage the newest notices, so that no older warning of the log hides it."""
    view.notices = [said for said in view.notices if said not in view.damage] + view.damage
    return {"notice"} if view.damage else set()


_RULES: dict[type, Callable[[RunView, Any], set[Part]]] = {
    RunStarted: _run_started,
    StateChanged: _state_changed,
    SettingChanged: _setting_changed,
    StepStarted: _step_started,
    Progress: _progress,
    MeasurementStarted: _measurement_started,
    EpisodeStarted: _episode,
    TurnTaken: _episode,
    EpisodeEnded: _episode,
    CompletionMade: _episode,
    CurationMade: _episode,
    CurationSkipped: _episode,
    StepEnded: _step_ended,
    UnitEnded: _unit_ended,
    UpdateMade: _update_made,
    HeldOutMeasured: _held_out,
    AlarmsChecked: _alarms_checked,
    EditProposed: _edit_proposed,
    EditDecided: _edit_decided,
    ProposalsWithheld: _withheld,
    MemoryMeasured: _memory,
    ServerMeasured: _server,
    ModelsUsed: _used,
    AdapterPublished: _published,
    Notice: _notice,
    Unreadable: _unreadable,
}
