"""The runs, as the screens need them. Works in threads and answers with messages (`skillos_tui.client.messages`).

    client = Client(app, runs_folder)
    client.find()                                  # RunsFound
    client.open(path)                              # RunOpened, then EventsRead as the engine works, or RunLost
    client.decide(edit, "approve")                 # DecisionTaken or DecisionRefused; the event arrives by EventsRead
    client.start(StartRun("train", "pocket"))      # PreflightBegun, …, RunCreated; or StartRefused
    client.read_source("~/skills.zip")             # SourceRead or ImportRefused; then import_skills

No call blocks the app's thread. What the disk or a run refuses becomes a message; other errors end the program.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import is_not
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.message import Message
from textual.worker import get_current_worker

from engine.core.edit import Action, Edit
from engine.core.errors import SkillosError
from engine.runs import supervisor
from engine.runs.channel import Loading, Made
from engine.runs.directory import Run
from engine.runs.listing import RunListing
from engine.runs.preparing import GivenUp, Preparing
from engine.skills.repo.layout import read_text, skill_path
from skillos_tui.client.acts import Acts, await_in
from skillos_tui.client.decide import decide, reconcile, user
from skillos_tui.client.folder import follow_folder
from skillos_tui.client.messages import (
    Answered,
    DecisionRefused,
    DecisionTaken,
    ImportRefused,
    Notified,
    PastRead,
    PreflightBegun,
    PreflightBlocked,
    PreflightReported,
    RunCreated,
    RunLost,
    RunOpened,
    RunsFound,
    SkillRead,
    SkillsImported,
    SourceRead,
    StartRefused,
    StartRun,
    TrajectoryRead,
)
from skillos_tui.client.records import job_of, news_since, trajectory
from skillos_tui.client.start import Flight, StartError, create_run, prepare
from skillos_tui.client.tail import Tail
from skillos_tui.client.turns import Turns
from skillos_tui.model.decisions import Decisions

if TYPE_CHECKING:
    from engine.review.opened import Lease
    from engine.skills.exchange import Choice
    from skillos_tui.attention import How
    from skillos_tui.client.importing import Source
    from skillos_tui.client.runs import Act
    from skillos_tui.client.skills import Shelf

REFUSED = (SkillosError, OSError)
"""The errors that are shown to the person; any other one is a bug."""


class Client:
    """The runs in `folder`, by default the user's, of which at most one is open."""

    def __init__(self, app: App[Any], folder: Path | None) -> None:
        self.app = app
        self.folder = folder or supervisor.runs_home()
        self._tail: Tail | None = None
        self._stop = threading.Event()
        self._listing = RunListing(self.folder)
        self._found: tuple[supervisor.RunSummary, ...] = ()
        self._turns = Turns(self._work)
        self._acts = Acts(app)
        self._ended = threading.Event()
        self._holder = ThreadPoolExecutor(1, "hold open")
        self._decisions: dict[Path, Decisions] = {}
        self._flight: Flight | None = None
        self._shelf: Shelf | None = None
        self._lease: tuple[Run, Lease] | None = None
        self._lease_trouble = ""

    # Finding and opening

    def find(self) -> None:
        """Look for runs; always answered by `RunsFound`."""
        self._turns.add("find", partial(self._attempt, self._find))

    def _find(self) -> None:
        try:
            found = self._listing.look()
            if len(found) != len(self._found) or any(map(is_not, found, self._found)):
                self._found = tuple(found)  # the same tuple while nothing changes, which the list does not repaint
        except REFUSED as error:
            self._post(RunsFound((), self.folder, str(error)))
        else:
            self._post(RunsFound(self._found, self.folder))

    def open(self, path: Path, since: int = 0) -> None:
        """Open a run and follow it: `RunOpened` and then its events, or `RunLost`. `since` is the last event that the
        person saw, for the news in `PastRead`."""
        self.close()
        self._work("tail", partial(self._follow, path, since), exclusive=True)

    def close(self) -> None:
        """Stop following the open run."""
        self.hold_open("")
        self.app.workers.cancel_group(self.app, "tail")
        self._tail = None
        self._stop.set()

    def end(self) -> None:
        """Stop everything that reads or waits; the program ends. What was commanded or decided is still done."""
        self._ended.set()
        self._turns.end()
        self.close()

    def _follow(self, path: Path, since: int) -> None:
        """The thread that follows a run until it is cancelled."""
        worker = get_current_worker()
        stop = self._stop = threading.Event()
        try:
            with Run.open(path) as run:
                if worker.is_cancelled:
                    return
                job = job_of(run.kind)
                tail = self._tail = Tail(run, job, self._post)
                self._post(RunOpened(run.path, run.kind, job, run.read_only, tuple(run.damaged())))
                if run.db.copied:
                    self._post(Notified("warning", f"A private copy of the run is read, since {run.read_only}."))
                last = tail.read_past()
                unit = job.unit if job else "step"
                self._post(PastRead(run.path, news_since(run, since, unit) if 0 < since < last else ""))
                self._attempt(partial(reconcile, run))
                tail.follow(last, worker, stop)
        except FileNotFoundError:
            self._post(RunLost(path, f"{path} is gone: it was removed; the screen shows its last known state"))
        except REFUSED as error:
            self._post(RunLost(path, str(error)))

    def follow_skills(self) -> None:
        """Watch the repository of the open run: `RepoRead` at each change, until another run is opened."""
        if self._tail is not None:
            await_in(self.app, "tail", self._tail.follow_skills)

    # Reading more of the open run

    def read_followed(self) -> None:
        """Send the newest episodes again, for a view that follows another rollout."""
        self._with_run("read", Tail.read_followed)

    def read_skill(self, name: str) -> None:
        """The text of a skill of the repository: `SkillRead`."""

        def read(tail: Tail) -> None:
            repo = tail.run.repo_path
            text, findings = read_text(repo, skill_path(repo, name))
            notes = "\n".join(f"({finding.message})" for finding in findings)
            self._post(SkillRead(tail.run.path, name, text or notes))

        self._with_run("skill", read, newest=True)

    def read_trajectory(self, edit: str) -> None:
        """The episode in which an edit was proposed: `TrajectoryRead`."""

        def read(tail: Tail) -> None:
            self._post(TrajectoryRead(tail.run.path, edit, trajectory(tail.run, edit)))

        self._with_run("trajectory", read, newest=True)

    def ask_run(self, question: str, read: Callable[[Run], object]) -> None:
        """Ask the open run, in a thread: `Answered` with what `read` returns. Questions of one name are answered one after
        another, and a newer one replaces one that waits."""

        def work(tail: Tail) -> None:
            self._answer(question, partial(read, tail.run), tail.run.path)

        self._with_run(f"ask {question}", work, newest=True)

    def ask(self, question: str, read: Callable[[], object]) -> None:
        """The same with what concerns no open run."""
        self._turns.add(f"ask {question}", partial(self._attempt, partial(self._answer, question, read, None)))

    def do(self, question: str, act: Callable[[], object]) -> None:
        """Do what concerns no open run, in a thread, after what was asked for before: `Answered` with what `act` returns."""
        self._queue(partial(self._answer, question, act, None))

    def do_run(self, question: str, act: Callable[[Run], object]) -> None:
        """The same with the open run."""
        self._command(lambda tail: self._answer(question, partial(act, tail.run), tail.run.path))

    def _answer(self, question: str, read: Callable[[], object], path: Path | None) -> None:
        try:
            self._post(Answered(question, read(), path=path))
        except REFUSED as error:
            gone = path is not None and not path.exists()
            self._post(Answered(question, trouble=f"{path} is gone: it was removed" if gone else str(error), path=path))

    def shelf(self, root: Path) -> Shelf:
        """The skills of a folder; the last folder's search index is kept."""
        from skillos_tui.client.skills import Shelf

        if self._shelf is None or self._shelf.root != root:
            self._shelf = Shelf(root)
        return self._shelf

    def ring(self, how: How | None, text: str) -> None:
        """Call the person: bell and notification at once, their command in a thread that the end of the program does not
        wait for; `Notified` if it fails."""
        from skillos_tui import attention

        how = how or attention.How()
        if (driver := self.app._driver) is not None:
            driver.write(attention.sequences(how, text, tmux=bool(os.environ.get("TMUX"))))
        if how.command:
            command = partial(attention.run_command, how.command, text)
            threading.Thread(target=self._attempt, args=(command,), name="ring", daemon=True).start()

    def act(self, path: Path, what: Act) -> None:
        """Pause, resume or stop a run that need not be open: `Answered("runs done")`."""
        from skillos_tui.client import runs

        act = partial(runs.act, path, what, user(), self._while_open)
        self._acts.beside(partial(self._answer, "runs done", act, None))

    def follow_folder(self, root: Path) -> None:
        """Watch a folder of skills that no open run works on: `Answered("folder")` when the watch begins, since the folder
        may have changed after it was read, and after each change, until another one is watched or a run is opened."""

        async def changed() -> None:
            self._post(Answered("folder"))

        async def follow() -> None:
            await follow_folder(root, changed)

        await_in(self.app, "folder", follow, exclusive=True)

    # Runs

    def start(self, request: StartRun) -> None:
        """Prepare a run, and make it: `PreflightBegun`, `PreflightReported` for each check, then `RunCreated`. Or
        `PreflightBlocked`, until `override` or `give_up`; or `StartRefused`. `Notified` if the engine fails to start."""
        if self._flight is not None:
            self._post(StartRefused("A run is being started already.", ""))
            return
        self._flight = Flight()
        self._work("start", partial(self._start, request, self._flight))

    def override(self) -> None:
        """Start the run although checks fail."""
        if self._flight is not None:
            self._flight.override()

    def give_up(self) -> None:
        """Make no run of the one that is being prepared."""
        if self._flight is not None:
            self._flight.give_up()

    def _start(self, request: StartRun, flight: Flight) -> None:
        try:
            with prepare(request, self.folder) as engine:
                self._post(PreflightBegun())
                overridden = self._checked(engine, flight)
                path = create_run(request, self.folder)
                self._post(RunCreated(path))
                with Run.open(path) as run:
                    engine.work_on(run, overridden, patience=self._while_open)
        except StartError as error:
            self._post(StartRefused(str(error), error.field))
        except REFUSED as error:
            self._post(StartRefused(str(error), ""))
        finally:
            self._flight = None

    def _checked(self, engine: Preparing, flight: Flight) -> list[str]:
        """Pass on the preflight; the names of the checks that the person overrode. Raises `GivenUp`."""
        wait, failed = self._while_open, []
        for report in engine.reports(lambda seconds: flight.wanted and wait(seconds)):
            match report:
                case Loading(what):
                    self._post(PreflightReported(what))
                case Made(check):
                    self._post(PreflightReported("", check))
                    failed += [check] if check.status == "fail" else []
        if failed:
            self._post(PreflightBlocked(tuple(failed)))
            if not flight.decided(lambda: wait(0)):
                raise GivenUp("the run was not started")
        return [check.name for check in failed]

    def pause(self) -> None:
        """Ask the engine to pause."""
        self._command(lambda tail: supervisor.pause(tail.run, user()))

    def resume(self) -> None:
        """Resume the run; a dead engine is started again."""
        from engine.system.preflight import check

        self._command(lambda tail: supervisor.resume(tail.run, user(), check=check, patience=self._while_open))

    def stop(self) -> None:
        """Ask the engine to abandon the present step and end. This does not wait for a resume, which may wait for an engine
        that is loading, since it may have to end that engine."""
        if (tail := self._open_tail()) is not None:
            self._acts.beside(partial(self._attempt, partial(supervisor.stop, tail.run, user())))

    def stop_after(self) -> None:
        """Ask the engine to end when the present step has ended."""
        from engine.runs.commands import StopAfter

        self._command(lambda tail: supervisor.ask(tail.run, StopAfter(), user()))

    def change(self, key: str, value: str) -> None:
        """Change a setting of the run: `Notified` says what is in force then, or why not."""
        from engine.runs import changing

        self._command(
            lambda tail: self._post(
                Notified("information", changing.sentence(changing.change(tail.run, key, value, user()), value))
            )
        )

    def keep_checkpoint(self) -> None:
        """Keep the newest checkpoint for good: `Notified`."""
        from engine.runs import kept

        def keep(tail: Tail) -> None:
            step = kept.keep_newest(tail.run, user())
            self._post(Notified("information", f"The checkpoint of step {step} is kept, whatever retention removes."))

        self._command(keep)

    # Decisions

    def hold_open(self, edit: str) -> None:
        """Hold this edit of the open run open, so that no queue and no policy takes it; "" for none. Those on which a
        decision has been sent that is not written yet are held open too.

        To be repeated while it is shown (`engine.review.opened.RENEW_SECONDS`). It does not wait for decisions, of which
        hundreds may be sent at a time. A lease that cannot be taken is reported once.
        """
        tail = self._tail
        if tail is not None and not tail.run.read_only:
            edits = [*filter(None, [edit]), *self.decisions(tail.run.path).under_way]
            self._holder.submit(self._hold_open, tail.run, edits)

    def _hold_open(self, run: Run, edits: Sequence[str]) -> None:
        from engine.review.opened import Lease

        if self._lease is None or self._lease[0] is not run:
            self._lease = run, Lease(run, user())
        lease, failed = self._lease[1], ""
        try:
            lease.open(*edits) if edits else lease.close()
        except REFUSED as error:
            failed = f"The edit that is shown is not held open, so it may be decided by others: {error}"
        if failed and failed != self._lease_trouble:
            self._post(Notified("warning", failed))
        self._lease_trouble = failed

    def decisions(self, path: Path) -> Decisions:
        """The decisions on the edits of a run that were taken here since the program started."""
        return self._decisions.setdefault(path, Decisions())

    def decide(self, edit: Edit, action: Action, reason: str = "", text: str = "") -> bool:
        """Decide on an edit as it is shown now: `DecisionTaken`, or `DecisionRefused`, also when it has changed by then.
        `text` is what it is amended with.

        Decisions keep their order, and those that were sent are completed even if the program ends. Returns false, and sends
        nothing, when no run is open.
        """
        tail = self._tail
        if tail is None:
            return False
        self.decisions(tail.run.path).begin(edit, action)
        self._acts.in_order("decide", partial(self._decide, tail.run, edit, action, reason, text))
        return True

    def undo_whole(self, edit: Edit) -> None:
        """Undo a decision so that the edit waits again: a reverted one is queued again too. Answered as `decide` is."""
        tail = self._tail
        if tail is not None:
            self.decisions(tail.run.path).begin(edit, "undo")
            self._acts.in_order("decide", partial(self._undo_whole, tail.run, edit))

    def _undo_whole(self, run: Run, edit: Edit) -> None:
        after = self._decide(run, edit, "undo", "", "")
        if after is not None and after.state == "undone":
            self._decide(run, after, "requeue", "", "")

    def _decide(self, run: Run, edit: Edit, action: Action, reason: str, text: str) -> Edit | None:
        """Take a decision; the edit after it, None where it was refused."""
        try:
            after = decide(run, edit.id, action, reason, edit, text)
        except REFUSED as error:
            self._post(DecisionRefused(run.path, edit.id, action, str(error)))
            return None
        self._post(DecisionTaken(run.path, action, edit, after))
        return after

    # Import

    def read_source(self, place: str) -> None:
        """Read the skills of a source: `SourceRead`, or `ImportRefused`."""
        from skillos_tui.client import importing

        self._with_repo(lambda repo: SourceRead(importing.read(place, repo)))

    def import_skills(self, source: Source, choices: Mapping[str, Choice]) -> None:
        """Import skills as they were chosen, by place: `SkillsImported`, or `ImportRefused` and nothing was written."""
        from skillos_tui.client import importing

        self._with_repo(lambda repo: SkillsImported(importing.sentence(importing.bring(source, repo, choices, user()))))

    def _with_repo(self, action: Callable[[Path], Message]) -> None:
        """Answer with what `action` makes of the run's repository; a refusal is an `ImportRefused`."""

        def work(tail: Tail) -> None:
            try:
                self._post(action(tail.run.repo_path))
            except REFUSED as error:
                self._post(ImportRefused(str(error)))

        if (tail := self._open_tail()) is not None:
            self._acts.beside(partial(work, tail))

    # Threads and messages

    def _with_run(self, name: str, action: Callable[[Tail], object], *, newest: bool = False) -> None:
        """Run `action` on the open run; with `newest`, after one of the same name that runs, and instead of one that
        waits."""
        if (tail := self._open_tail()) is None:
            return
        if newest:
            self._turns.add(f"{name} of {tail.run.path}", partial(self._attempt, partial(action, tail)))
        else:
            self._work(name, partial(action, tail))

    def _command(self, action: Callable[[Tail], object]) -> None:
        """Run `action` on the open run after the commands before it, so that commands keep their order."""
        if (tail := self._open_tail()) is not None:
            self._queue(partial(action, tail))

    def _queue(self, action: Callable[[], object]) -> None:
        """Run `action` after the commands before it."""
        self._acts.in_order("command", partial(self._attempt, action))

    def _while_open(self, seconds: float) -> bool:
        """Whether to wait longer for an engine: until the workbench is left."""
        return not self._ended.is_set()

    def _open_tail(self) -> Tail | None:
        """The open run; reports that there is none."""
        if self._tail is None:
            self._post(Notified("warning", "No run is open yet."))
        return self._tail

    def _work(self, group: str, action: Callable[[], object], *, exclusive: bool = False) -> None:
        """Run `action` in a thread of the group."""
        self.app.run_worker(partial(self._attempt, action), name=group, group=group, thread=True, exclusive=exclusive)

    def _attempt(self, action: Callable[[], object]) -> None:
        """Run `action`; a refusal becomes a message."""
        try:
            action()
        except REFUSED as error:
            self._post(Notified("error", str(error)))

    def _post(self, message: Message) -> None:
        self.app.post_message(message)
