"""Live: the present state of a run. Whether it learns; skills and the newest edit, the executor's transcript, the reward,
memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Container

from engine.core.text import counted
from skillos_tui.keymap import NEXT_PANE, PREVIOUS_PANE, Key, bindings
from skillos_tui.model.view import Change, Part, RunView
from skillos_tui.render.text import clip, line, safe
from skillos_tui.screens.base import FullScreen
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.bars import AlarmBar, NoticeBar, notice_line
from skillos_tui.widgets.diff import DiffPane, summary
from skillos_tui.widgets.learning import LearningBar
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.memory import MemoryPane, past_of
from skillos_tui.widgets.rewards import RewardPane
from skillos_tui.widgets.tabs import StateBar
from skillos_tui.widgets.transcript import TranscriptPane
from skillos_tui.widgets.tree import SkillTree

if TYPE_CHECKING:
    from engine.core.events import Notice
    from engine.runs.directory import Run
    from engine.runs.held_out import HeldOutChange
    from skillos_tui.client.messages import Reply
    from skillos_tui.screens.changing.screen import Wanted
    from skillos_tui.screens.stopping.screen import How

ACTIVE = ("starting", "running", "paused", "stopping")


class LiveScreen(FullScreen):
    """The panes of one run. Each is built again only when an event changes what it shows."""

    NAME = "live"
    CSS_PATH = "screen.tcss"
    KEYS_TITLE = "On the live screen"
    KEYS = (
        Key("r", "app.show_screen('review')", "review", "Decide on the edits that wait", True),
        NEXT_PANE,
        Key("p", "pause", "pause/resume", "Pause the run, or resume it; starts a new engine if there is none", True),
        Key("s", "stop", "stop", "Stop the run now or after this step; asks first, and it can be resumed later", True),
        Key(
            "c", "change", "change", "Change the number of steps or the review policy; keep the newest checkpoint", True
        ),
        PREVIOUS_PANE,
        Key("right_square_bracket", "follow(1)", "next rollout", "Follow the next rollout", True),
        Key("left_square_bracket", "follow(-1)", "previous rollout", "Follow the previous rollout"),
        Key("i", "import_skills", "import", "Import skills into the repository, one by one"),
        Key("m", "metrics", "metrics", "Show every metric and its course; again: the reward", True),
        Key(
            "M",
            "fold_memory",
            "memory",
            "Unfold the memory, or fold it to one line; it unfolds by itself where it is low",
        ),
        Key("w", "fold_alarms", "fold alarms", "Fold the alarms to one row, or unfold them"),
        Key("x", "clear_notice", "dismiss", "Remove the notice line"),
        Key("escape,h", "home", "runs", "Back to the list of runs; the engine continues", True),
    )
    BINDINGS = bindings(KEYS)
    PANES = ("learning", "transcript", "skills", "diff", "rewards", "memory")

    def __init__(self) -> None:
        super().__init__()
        self._pausing = False
        self._dismissed = 0
        self._held = ""
        self._compared: object = None
        """The measurements whose comparison was asked for."""
        self._source = ""
        """The source that was entered last in the dialog that imports skills."""

    def compose(self) -> ComposeResult:
        yield StateBar()
        yield NoticeBar(id="notice")
        yield AlarmBar(id="alarms")
        yield LearningBar(id="learning")
        with Container(id="panes"):
            with Container(id="left", classes="column"):
                yield SkillTree("Skills", id="skills")
                yield DiffPane("Newest edit", context=3, id="diff")
                yield MemoryPane("Memory", id="memory")
            with Container(id="right", classes="column"):
                yield TranscriptPane("Executor", id="transcript")
                yield RewardPane("Reward", id="rewards")
        yield AnswerBar(self.KEYS)

    def on_mount(self) -> None:
        self.composed = True
        self.go_to("transcript")
        self.renew({"state", "skills", "transcript", "rewards", "memory", "notice"})

    def renew(self, parts: set[Part]) -> None:
        if not self.composed or not self.is_current:
            return
        app = self.workbench
        if "state" in parts or "review" in parts:
            self._pausing = self._pausing and app.shown_state in ("running", "starting")
            self.show_state()
        if "notice" in parts or self._held != self._held_now():
            self._show_notice()
        if "skills" in parts or "review" in parts:
            self.query_one(SkillTree).show(app.view, app.names, app.left_out)
            self._show_change()
        if "transcript" in parts:
            self._show_transcript()
        if "rewards" in parts:
            self.query_one(RewardPane).show(app.view)
        if parts & {"rewards", "state"}:
            self._show_learning()
        if parts & {"memory", "state"}:
            self.query_one(MemoryPane).show(app.view, past_of(app.view, app.shown_state, app.silent))

    def _mark(self, pane: str) -> None:
        """The row on top takes the focus, and leaves the pane that is shown alone where space is short."""
        if pane != "learning":
            super()._mark(pane)
        self.query_one(LearningBar).set_class(pane == "learning", "-current")

    def _show_learning(self) -> None:
        """Show the held-out measurements, and ask for their comparison if there are others than before."""
        view = self.workbench.view
        self.query_one(LearningBar).show_run(view)
        measured = [id(view.held_out[step]) for step in sorted(view.held_out)]
        if len(measured) > 1 and self._compared != measured:
            self._compared = measured
            self.workbench.client.ask_run("learning", _newest_change)

    def _show_notice(self) -> None:
        """Show why the run waits, else what happened since the last visit, else the newest warning or error that was not
        dismissed."""
        self._held = self._held_now()
        serious = self._serious()
        bar = self.query_one("#notice", NoticeBar)
        news = self.workbench.news
        left = serious[-1:] if len(serious) > self._dismissed else []
        bar.set_class(not self._held and not news and not left, "-empty")
        if self._held:
            bar.show(line(f"warn:‖ {clip(self._held, 500)}", indent=2), AlarmBar.WHERE)
        elif news:
            bar.show(
                line(
                    f"accent:i {news}",
                    f"muted:   {self.workbench.key_of('live.clear_notice')} dismisses this",
                    indent=2,
                )
            )
        elif left:
            bar.show(notice_line(left[0]))
        self.query_one(AlarmBar).show_alarms(self.workbench.view.alarms, quoted=self._held)

    def _held_now(self) -> str:
        """Why the run waits, "" where it does not, or a person paused it; and that it stops after this step."""
        view, state = self.workbench.view, self.workbench.shown_state
        return view.reason.strip() if state == "paused" or (view.ending and state in ACTIVE) else ""

    def _serious(self) -> list[Notice]:
        notices = [notice for notice in self.workbench.view.notices if notice.level != "info"]
        if not notices:
            return []
        from engine.runs.text import is_alarm  # loads all events

        return [notice for notice in notices if not is_alarm(notice)]

    def action_clear_notice(self) -> None:
        """Dismiss the news or the warning that is shown."""
        if self.workbench.news:
            self.workbench.news = ""
        else:
            self._dismissed = len(self._serious())
        self._show_notice()

    def action_fold_alarms(self) -> None:
        bar = self.query_one(AlarmBar)
        if bar.alarms:
            bar.fold()
        else:
            self.app.notify("There is no alarm to fold.", markup=False)

    def action_metrics(self) -> None:
        """Let the pane of the reward show every metric, or the reward again."""
        self.query_one(RewardPane).switch()
        self.go_to("rewards")

    def action_fold_memory(self) -> None:
        """Unfold the memory, or fold it to one line."""
        pane = self.query_one(MemoryPane)
        pane.fold()
        if pane.low and not pane.unfolded:
            self.app.notify("The memory stays unfolded while little of it is left.", markup=False)

    def _show_transcript(self) -> None:
        view = self.workbench.view
        pane = self.query_one(TranscriptPane)
        pane.retitle(*transcript_titles(view))
        pane.show(view.shown.episodes, view)

    def _show_change(self) -> None:
        tree = self.query_one(SkillTree)
        if tree.wanted is not None:
            self.workbench.client.read_skill(tree.wanted)
        else:
            self._show(tree.change(), "Edit" if tree.moved else "Newest edit")

    def _show(self, change: Change | None, title: str) -> None:
        pane = self.query_one(DiffPane)
        if change is None:
            pane.retitle(title)
        else:
            pane.retitle(f"{title} · {change.skill}", f"{summary(change)} · {change.where}")
        pane.behind = self.query_one(SkillTree).behind_change()
        pane.show(change)

    def take(self, reply: Reply) -> None:
        from skillos_tui.client.messages import Answered, SkillRead  # not for the first paint

        if not self.composed:
            return
        if isinstance(reply, Answered) and reply.question == "learning":
            self.query_one(LearningBar).show_change(cast("HeldOutChange | None", reply.value), reply.trouble)
        tree = self.query_one(SkillTree)
        if isinstance(reply, SkillRead) and reply.name == tree.wanted:
            change = tree.repository_change(reply.name, reply.text)
            self._show(change, "Skill" if change.before == change.after else "Edit")

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        self._show_change()

    def on_click(self, event: events.Click) -> None:
        """Dismiss the notice that was clicked; fold or unfold the alarms that were clicked."""
        clicked, _ = self.get_widget_at(*event.screen_offset)
        if isinstance(clicked, NoticeBar):
            self.action_clear_notice()
        elif isinstance(clicked, AlarmBar):
            clicked.fold()

    # Keys

    def _can_act(self) -> bool:
        """Whether there is a run that can be paused and stopped; if not, the person is notified."""
        refusal = self.workbench.refusal
        if refusal:
            self.notify(safe(refusal), severity="warning", markup=False)
        return not refusal

    def action_follow(self, by: int) -> None:
        view = self.workbench.view
        if self.workbench.lost:
            self.notify(safe(self.workbench.refusal), severity="warning", markup=False)
            return
        if view.neighbour(1) != view.neighbour(0):
            view.follow(*view.neighbour(by))
            self.workbench.client.read_followed()
            self.renew({"transcript", "skills"})

    def action_pause(self) -> None:
        """Pause a running run, resume a paused one, start a new engine for one that has none."""
        app = self.workbench
        state = app.shown_state
        if not self._can_act():
            return
        if state in ("running", "starting") and not self._pausing and not app.view.ending:
            self._pausing = True
            app.client.pause()
            resumes = f"{app.key_of('live.pause')} resumes the run"
            self.notify(f"Asked the engine to pause; it finishes its present work first. {resumes}.", markup=False)
        elif state == "stopping":
            self.notify("The run is stopping; it can be resumed when it has stopped.", severity="warning")
        elif state == "finished":
            self.notify("The run has finished; there is nothing to resume.", severity="warning")
        else:
            self._pausing = False
            app.client.resume()
            self.notify("Asked the engine to continue." if state in ACTIVE else "Starting the engine again.")

    async def action_stop(self) -> None:
        from skillos_tui.screens.stopping.screen import StopScreen

        if not self._can_act():
            return
        if self.workbench.shown_state not in ACTIVE:
            self.notify("The run is not active; there is nothing to stop.", severity="warning")
            return
        await self.app.push_screen(StopScreen(self.workbench.view.unit), self._stop)

    def _stop(self, how: How | None) -> None:
        if how is None or not self._can_act():
            return
        if self.workbench.shown_state not in ACTIVE:
            self.notify("The run has already ended; there was nothing to stop.", severity="warning")
        elif how == "after":
            self.workbench.client.stop_after()
            unit, key = self.workbench.view.unit, self.workbench.key_of("live.pause")
            self.notify(f"Asked the engine to stop when this {unit} has ended. {key} takes it back.", markup=False)
        else:
            self.workbench.client.stop()
            self.notify("Asked the engine to stop.")

    async def action_change(self) -> None:
        from skillos_tui.screens.changing.screen import ChangeScreen

        if not self._can_act():
            return
        if not self.workbench.caught_up:
            self.notify("The run is still being read; wait a moment.", severity="warning")
            return
        await self.app.push_screen(ChangeScreen(self.workbench.view), self._change)

    async def _change(self, wanted: Wanted | None) -> None:
        """Send what was wanted; the answer is a notification."""
        if wanted is None or not self._can_act():
            return
        if wanted.what == "review.policy":
            from skillos_tui.screens.policy.screen import PolicyScreen

            await self.app.push_screen(PolicyScreen(self.workbench.view.settings), self._set_policy)
            return
        if wanted.what == "checkpoint":
            self.workbench.client.keep_checkpoint()
        else:
            self.workbench.client.change(wanted.what, wanted.value)

    def _set_policy(self, name: str | None) -> None:
        if name is not None and self._can_act():
            self.workbench.client.change("review.policy", name)

    async def action_import_skills(self) -> None:
        from skillos_tui.screens.importing.screen import ImportScreen

        if self._can_act():
            await self.app.push_screen(ImportScreen(self._source), self._keep_source)

    def _keep_source(self, source: str | None) -> None:
        self._source = source or ""

    async def action_home(self) -> None:
        await self.workbench.go_home()


def _newest_change(run: Run) -> HeldOutChange | None:
    """The newest held-out measurement beside the first. Raises `RunError`, `ConfigError`."""
    from engine.runs.held_out import newest_change  # not for the first paint

    return newest_change(run)


def transcript_titles(view: RunView) -> tuple[str, str]:
    """The rollout that the transcript shows, and how many there are."""
    episodes = view.shown.episodes
    if view.measurement is not None and view.shown is view.measurement.followed:
        what = "measuring" if view.measuring and view.state in ACTIVE else "measured"
        title = f"{what} after step {view.measurement.step} · group {view.measurement.followed.group}"
        return title, counted(view.measurement.groups, "held-out group")
    if not view.forks:
        return "Executor", ""
    step = episodes[-1].started.at.step if episodes else view.step
    title = f"Executor · {view.unit} {step} · group {view.group} · rollout {view.rollout}"
    groups = counted(view.groups, "group")
    return title, f"{groups} of {view.rollouts}" if view.rollouts > 1 else ""
