"""The only place that talks to runs. Works in named threads and answers with the small messages of `messages`.

    client = Client(app, runs_folder)
    client.open(path)                  # RunOpened, then EventsRead as the engine works, until another is opened
    client.decide(edit, "approve")     # DecisionTaken or DecisionRefused; the EditDecided event comes by itself

Nothing here waits in the app's own thread, and what goes wrong with a run becomes a message, not an end of the program.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from itertools import chain
from operator import is_not
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

from textual.app import App
from textual.message import Message
from textual.worker import Worker, get_current_worker

from engine.config import ConfigError, load_profile, to_toml
from engine.preflight import check
from engine.runs import supervisor
from engine.runs.commands import Pause
from engine.runs.errors import RunError
from engine.runs.events import EditProposed, RunKind, StepStarted
from engine.runs.listing import RunListing
from engine.runs.status import shown_state
from engine.runs.store import EditRecord, Run, Shown, Stored
from engine.skills.files import read_text, skill_files, skill_path
from skillos_tui.client.messages import (
    DecisionRefused,
    DecisionTaken,
    EngineSeen,
    EventsRead,
    PastRead,
    RepoRead,
    RunCreated,
    RunLost,
    RunOpened,
    RunRow,
    RunsFound,
    SkillRead,
    StartRefused,
    Told,
    TrajectoryRead,
)
from skillos_tui.model.decisions import Action, Decisions, shown
from skillos_tui.model.episodes import EPISODE_KINDS, Episode, EpisodeEvent, Followed
from skillos_tui.model.news import news
from skillos_tui.model.view import FOLDED_AGAIN, FOLDED_RECENT, FOLDED_WHOLE, Edit

BATCH_SECONDS = 0.3
"""Events are taken no more often than this, so that the screen is painted in batches."""
LOOK_SECONDS = 1.0
"""How often the engine and the repository are looked at when nothing is written."""
CHUNK = 500
MAX_RECENT = 20_000
"""How far back in the log the newest episodes are looked for, in events."""
RECENT_STEPS: dict[RunKind, int] = {"train": 2, "curate": 6}
"""Steps whose episodes are read when a run is opened: where the newest has none yet, those of the one before are shown."""
WATCH_MS = 50
"""How often edits by hand are looked for; see `engine.skills.watch` for what that costs."""
GONE, NOT_TOLD, BROKEN = 0, -1, -2
SILENT_SECONDS = 30


class Client:
    """The runs, as the workbench needs them."""

    def __init__(self, app: App[Any], folder: Path | None, profile: str = "pocket") -> None:
        self.app = app
        self.folder = folder or supervisor.runs_home()
        self.profile = profile
        self.run: Run | None = None
        self._listing = RunListing(self.folder)
        self._found: list[supervisor.RunSummary] = []
        self._rows: tuple[RunRow, ...] = ()
        self._finding = threading.Lock()
        self._stop = threading.Event()
        self._posting = threading.Lock()
        self._seen = 0
        self._turns = {"act": asyncio.Lock()}
        self._decider = ThreadPoolExecutor(1, "decide")
        self._decisions: dict[Path, Decisions] = {}

    # Finding and opening

    def find(self) -> None:
        """Look for runs: `RunsFound`, always."""
        self._work("find", self._find, exclusive=True)

    def _find(self) -> None:
        try:
            with self._finding:
                summaries = self._listing.look()
                if len(summaries) != len(self._found) or any(map(is_not, summaries, self._found)):
                    self._found, self._rows = summaries, tuple(_row(summary) for summary in summaries)
        except (RunError, OSError) as error:
            self._tell(RunsFound((), self.folder, str(error)))
        else:
            self._tell(RunsFound(self._rows, self.folder))

    def open(self, path: Path, since: int = 0) -> None:
        """Open a run and follow it: `RunOpened` and what comes after it, or `RunLost`. `since` is the last event that the
        person saw, for the news in `PastRead`."""
        self.close()
        self._work("tail", partial(self._tail, path, since), exclusive=True)

    def close(self) -> None:
        """Follow no run any more."""
        self.app.workers.cancel_group(self.app, "tail")
        self.run = None
        self._stop.set()

    def _tail(self, path: Path, since: int) -> None:
        """The thread that follows a run until it is cancelled."""
        worker = get_current_worker()
        stop = self._stop = threading.Event()
        try:
            with Run.open(path) as run:
                if worker.is_cancelled:
                    return
                self.run = run
                self._tell(RunOpened(run.path, run.id))
                seen = self._read_past(run)
                self._tell(PastRead(run.path, news(run, since) if 0 < since < seen else ""))
                self._follow(run, seen, worker, stop)
        except FileNotFoundError:
            self._tell(RunLost(path, f"{path} is gone: it was removed; what is shown is the last that is known of it"))
        except (RunError, OSError) as error:
            self._tell(RunLost(path, str(error)))

    def _read_past(self, run: Run) -> int:
        """Tell what was there already, in the log's order; answers the id of the last event told."""
        last = run.last_id()
        whole = [*FOLDED_WHOLE, *(["episode_ended"] if run.kind == "curate" else [])]
        after = _recent(run, last)
        memory = [stored for stored in run.tail(1, ["memory_measured"], last) if stored.id <= after]
        with self._posting:
            self._tell_events(run, chain(_pages(run, 0, after, whole), memory), live=False)
            self._tell_events(run, _pages(run, after, last, [*FOLDED_WHOLE, *FOLDED_RECENT]), live=False)
            self._seen = last
        return last

    def _follow(self, run: Run, seen: int, worker: Worker[None], stop: threading.Event) -> None:
        version, engine, repo, looked = -1, None, NOT_TOLD, 0.0
        for _ in _writes(run, stop):
            if worker.is_cancelled:
                return
            now = run.data_version()
            written, version = now != version, now
            if written:
                with self._posting:
                    seen = self._tell_events(run, _pages(run, seen, None, None), live=True) or seen
                    self._seen = seen if self.run is run else self._seen
            if written or time.monotonic() - looked >= LOOK_SECONDS:
                looked = time.monotonic()
                engine = self._tell_engine(run, engine)
                repo = self._tell_repo(run, repo)
            stop.wait(BATCH_SECONDS)

    def _tell_events(self, run: Run, events: Iterator[Stored], *, live: bool) -> int:
        """Tell the events in pieces; answers the last id, 0 when there were none."""
        last, piece = 0, []
        for stored in events:
            last = stored.id
            piece.append(stored.event)
            if len(piece) == CHUNK:
                self._tell(EventsRead(run.path, tuple(piece), live, last))
                piece = []
        if piece:
            self._tell(EventsRead(run.path, tuple(piece), live, last))
        return last

    def _tell_engine(self, run: Run, before: EngineSeen | None) -> EngineSeen:
        """Tell how the engine is, if that changed. Raises `FileNotFoundError` when the run was removed."""
        run.db.path.stat()
        age = run.heartbeat_age() if run.engine_alive() else None
        silent = int((age or 0) // SILENT_SECONDS * SILENT_SECONDS)
        seen = EngineSeen(run.path, shown_state(run), age is not None, silent)
        if before is None or (before.state, before.alive, before.silent) != (seen.state, seen.alive, seen.silent):
            self._tell(seen)
        return seen

    def _tell_repo(self, run: Run, before: int) -> int:
        """Tell the repository's skills if its folder has changed since; answers when that was, or `GONE` or `BROKEN`."""
        try:
            changed = run.repo_path.stat().st_mtime_ns
            if changed != before:
                self._tell(RepoRead(run.path, tuple(sorted(skill_files(run.repo_path)))))
        except FileNotFoundError:
            if before != GONE and run.path.is_dir():  # else the whole run was removed: `RunLost` says so
                self._tell(RepoRead(run.path, ()))
            return GONE
        except OSError as error:
            if before != BROKEN:
                self._tell(Told("error", f"cannot list the skills of {run.repo_path}: {error.strerror}"))
            return BROKEN
        return changed

    def follow_skills(self) -> None:
        """Tell the repository's skills whenever one was changed, by whomever: `RepoRead`, until another run is opened."""
        if self.run is not None:
            self.app.run_worker(self._follow_skills(self.run), name="skills", group="tail")

    async def _follow_skills(self, run: Run) -> None:
        watching = await asyncio.to_thread(_watching)
        async with aclosing(watching.watch(run.repo_path, step=WATCH_MS)) as changes:
            async for _ in changes:
                await asyncio.to_thread(self._tell_repo, run, NOT_TOLD)

    # Reading more of the open run

    def read_followed(self) -> None:
        """Tell the newest episodes again, for a view that follows another rollout now."""

        def read(run: Run) -> None:
            with self._posting:  # no newer event is posted before the end, so that the view folds them in order
                last = self._seen
                self._tell_events(run, _pages(run, _recent(run, last), last, FOLDED_AGAIN), live=False)

        self._with_run("read", read)

    def read_skill(self, name: str) -> None:
        """The text of a skill of the repository: `SkillRead`."""

        def read(run: Run) -> None:
            text, findings = read_text(run.repo_path, skill_path(run.repo_path, name))
            notes = "\n".join(f"({finding.message})" for finding in findings)
            self._tell(SkillRead(run.path, name, text or notes))

        self._with_run("skill", read, newest=True)

    def read_trajectory(self, edit: str) -> None:
        """What led to an edit: `TrajectoryRead`."""

        def read(run: Run) -> None:
            self._tell(TrajectoryRead(run.path, edit, _trajectory(run, edit)))

        self._with_run("trajectory", read, newest=True)

    # Acting

    def start(self, kind: Literal["train", "curate"]) -> None:
        """Make a run of the profile and start its engine: `RunCreated` at once, or `StartRefused`; `Told` if the engine
        does not begin."""
        self._work("start", partial(self._start, kind))

    def _start(self, kind: Literal["train", "curate"]) -> None:
        try:
            config = load_profile(self.profile)
            check(config, kind)
            path = supervisor.new_run_path(self.folder, kind, config.profile)
            Run.create(path, kind=kind, config_text=to_toml(config)).close()
        except (RunError, ConfigError, OSError) as error:
            self._tell(StartRefused(str(error)))
            return
        self._tell(RunCreated(path))
        supervisor.start(path, patience=_while_open())

    def pause(self) -> None:
        """Ask the engine to pause."""
        self._with_run("act", lambda run: run.send(Pause(), user()))

    def resume(self) -> None:
        """Let the run go on; a dead engine is started again."""
        self._with_run("act", lambda run: supervisor.resume(run, user(), patience=_while_open()))

    def stop(self) -> None:
        """Ask the engine to give up the present step and end. A resume may wait for an engine that loads. This does not wait
        for that resume, since it may end that engine."""
        self._with_run("stop", lambda run: supervisor.stop(run, user()))

    def decisions(self, path: Path) -> Decisions:
        """What was decided here about the edits of a run since the program started."""
        return self._decisions.setdefault(path, Decisions())

    def decide(self, edit: Edit, action: Action, reason: str = "") -> bool:
        """Decide on an edit as it is shown now: `DecisionTaken`, or `DecisionRefused` also when it is another one by then.

        Decisions keep their order, and those that were sent are taken even if the program is left. False, and nothing
        is sent, when no run is open.
        """
        run = self.run
        if run is None:
            return False
        self.decisions(run.path).begin(edit, action)
        taking = self._decider.submit(self._decide, run, edit.proposed.edit, action, reason, shown(edit))
        self.app.run_worker(_end_of(taking), name="decide", group="decide")
        return True

    def _decide(self, run: Run, edit: str, action: Action, reason: str, seen: Shown) -> None:
        try:
            record = _decided(run, edit, action, reason, seen)
        except (RunError, ConfigError, OSError) as error:
            self._tell(DecisionRefused(run.path, edit, action, str(error)))
        else:
            self._tell(DecisionTaken(run.path, edit, action, record, seen[1]))

    # Threads and messages

    def _with_run(self, name: str, action: Callable[[Run], object], *, newest: bool = False) -> None:
        """Do it with the open run. With `newest`, one of the same name that has not begun is given up for it."""
        run = self.run
        if run is None:
            self._tell(Told("warning", "No run is open yet."))
        elif name in self._turns:
            self.app.run_worker(self._in_turn(name, partial(action, run)), name=name, group=name)
        else:
            self._work(name, partial(action, run), exclusive=newest)

    async def _in_turn(self, name: str, action: Callable[[], object]) -> None:
        """Run `action` in a thread once those before it in the same line are done: commands keep their order."""
        async with self._turns[name]:
            await asyncio.to_thread(self._attempt, action)

    def _work(self, group: str, action: Callable[[], object], *, exclusive: bool = False) -> None:
        """Run `action` in a thread of the group."""
        self.app.run_worker(partial(self._attempt, action), name=group, group=group, thread=True, exclusive=exclusive)

    def _attempt(self, action: Callable[[], object]) -> None:
        """Do it; what a run or the disk refuses is told."""
        try:
            action()
        except (RunError, ConfigError, OSError) as error:
            self._tell(Told("error", str(error)))

    def _tell(self, message: Message) -> None:
        self.app.post_message(message)


def _while_open() -> supervisor.Patience:
    """Waits for an engine until the workbench is left, which does not wait for this thread in vain then."""
    worker = get_current_worker()
    return lambda seconds: not worker.is_cancelled


def _reviews() -> ModuleType:
    """`engine.runs.reviews`, which brings git along: loaded with the first decision, not with the first paint."""
    from engine.runs import reviews

    return reviews


def _decided(run: Run, edit: str, action: Action, reason: str, seen: Shown) -> EditRecord:
    """The edit after a decision on it. Raises `RunError` when it was not taken, and what the disk raises."""
    reviews = _reviews()
    match action:
        case "approve":
            record = reviews.approve(run, edit, user(), shown=seen)
        case "veto":
            record = reviews.veto(run, edit, user(), reason, shown=seen)
        case "undo":
            record = reviews.undo(run, edit, user(), shown=seen)
        case "ask again":
            record = reviews.ask_again(run, edit, user())
    return cast("EditRecord", record)


async def _end_of(taking: Future[None]) -> None:
    """Wait for work in another thread, so that a fault in it is the program's; leaving the program does not cancel it."""
    await asyncio.shield(asyncio.wrap_future(taking))


def _watching() -> ModuleType:
    """`engine.skills.watch`, which brings watchfiles along."""
    from engine.skills import watch

    return watch


def user() -> str:
    """Who decides: the name of the user of this terminal, or the number where there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _pages(run: Run, after: int, until: int | None, kinds: list[str] | tuple[str, ...] | None) -> Iterator[Stored]:
    """Events in pages, so that a long log never lies in memory as a whole."""
    while page := run.events(after, CHUNK, kinds, until):
        yield from page
        after = page[-1].id
        if len(page) < CHUNK:
            return


def _writes(run: Run, stop: threading.Event) -> Iterator[None]:
    """One None at once, then one whenever the run's database is written, and at the latest after `LOOK_SECONDS`."""
    from watchfiles import watch

    names = {run.db.path.name, f"{run.db.path.name}-wal"}
    yield None
    for _ in watch(
        run.path,
        watch_filter=lambda _, name: Path(name).name in names,
        stop_event=stop,
        debounce=100,
        step=100,
        rust_timeout=int(LOOK_SECONDS * 1000),
        yield_on_timeout=True,
        recursive=False,
        raise_interrupt=False,
    ):
        yield None


def _recent(run: Run, last: int) -> int:
    """The id after which the newest episodes up to event `last` lie, at most `MAX_RECENT` events back."""
    episode = run.tail(1, ["episode_started"], last)
    began = run.tail(RECENT_STEPS[run.kind], ["step_started"], episode[0].id) if episode else []
    return max(began[0].id if began else 0, last - MAX_RECENT)


def _trajectory(run: Run, edit: str) -> Episode | None:
    """The episode and the curation at the place where an edit was proposed, from the events of that step."""
    proposed: EditProposed | None = None
    last = 0
    for stored in run.tail(-1, ["edit_proposed"]):
        if isinstance(stored.event, EditProposed) and stored.event.edit == edit:
            proposed, last = stored.event, stored.id
    if proposed is None:
        return None
    at = proposed.at
    starts = run.tail(-1, ["step_started"], last)
    began = [s.id for s in starts if isinstance(s.event, StepStarted) and s.event.step == at.step]
    followed = Followed(run.kind, at.group, at.rollout)
    for stored in _pages(run, began[-1] if began else 0, last, EPISODE_KINDS):
        if isinstance(stored.event, EpisodeEvent) and stored.event.at == at:
            followed.fold(stored.event)
    return followed.episodes[-1] if followed.episodes else None


def _row(summary: supervisor.RunSummary) -> RunRow:
    status = summary.status
    path = Path(summary.path)
    if status is None:
        return RunRow(path, path.name, summary.created, trouble=summary.problem.removeprefix(f"{path} "))
    success = [step.r_task for step in status.rewards if step.r_task is not None]
    return RunRow(
        path=path,
        id=status.run,
        started=summary.created,
        kind=status.kind,
        profile=status.profile,
        state=status.state,
        step=status.step,
        steps=status.steps,
        success=success[-1] if success else None,
        pending=status.pending_reviews,
    )
