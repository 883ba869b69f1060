"""An engine that is started before its run exists: it loads the models and makes the preflight, and then works on the run.

    with Preparing.begin(Request…) as engine:
        for report in engine.reports():              # `Loading` and `Made`, as they come
            ...
        run = Run.create(...)                        # or not: then the engine ends with the block
        engine.work_on(run, overridden)              # returns its pid once it holds the run's lock

The models are so loaded once, and the run's directory is made only after its preflight was reported. Until then the engine's
log is in a hidden folder beside the runs, on the disk of the run, so that `work_on` can move open files. A server that the
models start has its log there too; it knows the folder by a link in the folder for temporary files, which is pointed at the
run's logs then.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from engine.core.events import StateChanged
from engine.runs.channel import FLAG, Begin, Loading, Made, Ready, Request, report_of
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.process import Idle, StartLock
from engine.runs.supervisor import POLL_SECONDS, WORKER, Patience, endless, environment, holds, report_death

LOG = "engine.log"
GRACE_SECONDS = 15.0
"""How long an engine that gets no run may take to close its models."""
WAIT_SECONDS = 0.1
TAIL_BYTES, TAIL_LINES = 4096, 8


class GivenUp(RunError):
    """Whoever started an engine does not want its run any more."""


class Preparing:
    """An engine without a run. A context manager: an engine that got no run is ended with the block."""

    def __init__(self, child: subprocess.Popen[bytes], folder: Path, link: Path) -> None:
        self._child = child
        self._folder = folder
        self._link = link
        self._works = False

    @classmethod
    def begin(
        cls,
        kind: str,
        settings: str,
        near: Path,
        *,
        overridden: Collection[str] = (),
        worker: Sequence[str] | None = None,
    ) -> Self:
        """Start an engine for a run of `kind` with `settings` (TOML), whose directory will be in `near`. Raises
        `RunError`."""
        place = next(path for path in (near.absolute(), *near.absolute().parents) if path.is_dir())
        try:
            folder = Path(tempfile.mkdtemp(prefix=".starting-", dir=place))
        except OSError as error:
            raise RunError(f"cannot write to {place}: {error.strerror}; name another directory with --run") from error
        try:
            link = Path(tempfile.mkdtemp(prefix="skillos-")) / "logs"
            link.symlink_to(folder)
            with (folder / LOG).open("ab") as log:
                child = subprocess.Popen(
                    [*(worker or WORKER), FLAG],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=folder,
                    env=environment(),
                    start_new_session=True,
                )
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise RunError(f"the engine cannot be started: {error.strerror} ({error.filename})") from error
        engine = cls(child, folder, link)
        engine._send(Request(kind, settings, str(place), str(link), sorted(overridden)))
        return engine

    @property
    def pid(self) -> int:
        """The engine's process."""
        return self._child.pid

    def reports(self, patience: Patience = endless) -> Iterator[Loading | Made]:
        """What the engine reports, until it is ready. `patience` gets the seconds waited so far. Raises `GivenUp` where it
        returns False, and `RunError` where the engine ends before it is ready."""
        began = time.monotonic()
        for line in self._lines(lambda: patience(time.monotonic() - began)):
            try:
                report = report_of(line)
            except msgspec.DecodeError as error:
                raise RunError(f"the engine reported what is no report: {error}") from error
            if isinstance(report, Ready):
                return
            yield report
        self._child.wait()
        raise RunError(
            f"the engine ended before its run began (exit code {self._child.returncode})\n{self._tail()}".rstrip()
        )

    def work_on(self, run: Run, overridden: Collection[str] = (), *, patience: Patience = endless) -> int:
        """Give the engine its run; its pid, once it holds the run's lock. `patience` is as for `supervisor.start`, and the
        engine stays also where it raises. Raises `RunLocked`, `RunError`."""
        run.check_writable()
        with StartLock(run.path) as lock:
            with Idle(run.path):
                run.append(StateChanged("starting"))
            lock.record(self.pid)
            self._move_logs(run)
            self._works = True
            self._send(Begin(str(run.path), sorted(overridden)))
            began = time.monotonic()
            while not holds(run, self.pid):
                if self._child.poll() is not None:
                    report_death(run, self._child, 0)
                    break
                if not patience(time.monotonic() - began):
                    break
                time.sleep(POLL_SECONDS)
        threading.Thread(target=self._child.wait, name=f"reaper of {self.pid}", daemon=True).start()
        return self.pid

    def give_up(self) -> None:
        """End the engine without a run; a second call does nothing."""
        if self._works or self._child.returncode is not None:
            return
        self._close()
        with suppress(ProcessLookupError):
            self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_up()
        self._close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if not self._works:
            shutil.rmtree(self._link.parent, ignore_errors=True)

    def _lines(self, wait: Callable[[], bool]) -> Iterator[bytes]:
        """The lines that the engine writes, to their end; `wait` is asked again and again meanwhile."""
        assert self._child.stdout is not None
        pipe, rest = self._child.stdout.fileno(), b""
        while True:
            if not wait():
                raise GivenUp("the run was not started")
            if not select.select([pipe], [], [], WAIT_SECONDS)[0]:
                continue
            if not (read := os.read(pipe, 65_536)):
                return
            *whole, rest = (rest + read).split(b"\n")
            yield from whole

    def _send(self, message: Request | Begin) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(msgspec.json.encode(message) + b"\n")
            self._child.stdin.flush()
        except OSError as error:
            self._child.wait()
            raise RunError(
                f"the engine has ended (exit code {self._child.returncode})\n{self._tail()}".rstrip()
            ) from error

    def _move_logs(self, run: Run) -> None:
        """Move the logs, open ones too, to the run's, and let the engine's link lead there."""
        logs = run.log_file.parent
        logs.mkdir(exist_ok=True)
        for path in self._folder.iterdir():
            path.replace(logs / path.name)
        new = self._link.with_name("new")
        new.symlink_to(logs)
        new.replace(self._link)

    def _tail(self) -> str:
        """The end of what the engine printed."""
        try:
            with (self._folder / LOG).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
                text = file.read().decode("utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-TAIL_LINES:])

    def _close(self) -> None:
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
