"""An engine that is slow to begin: the workbench waits for it, can end it, and can be left meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from engine.runs import supervisor
from engine.runs.directory import Run
from engine.runs.status import loading, status
from tests.runs.engines import kill_engine, wait_until, worker
from tests.runs.samples import CONFIG
from tests.runs.stand_in import go_file
from tests.workbench.stage import until, workbench


@pytest.fixture
def waited() -> list[int]:
    """The engines that the workbench has ceased to wait for."""
    return []


@pytest.fixture
def run(tmp_path: Path, waited: list[int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run that was stopped, whose engines are slow stand-ins."""
    slowly = partial(supervisor.start, worker=worker("slow"))
    monkeypatch.setattr(
        supervisor, "resume", lambda run, by, check, patience: waited.append(slowly(run.path, patience=patience))
    )
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
        slowly(run.path, patience=lambda seconds: False)
        supervisor.stop(run, "test")
        yield run
        kill_engine(run)


async def test_the_workbench_is_left_while_an_engine_loads_and_the_engine_continues(
    run: Run, waited: list[int]
) -> None:
    async with workbench(run.path, folder=run.path.parent) as pilot:
        await until(pilot, "stopped")
        pilot.app.client.resume()
        await until(pilot, lambda: loading(run) is not None)
        await until(pilot, "starting")
        assert waited == []
    wait_until(lambda: waited)
    assert status(run).state == "starting"
    go_file(run.path).write_text("idle")
    wait_until(lambda: status(run).state == "running")


async def test_an_engine_that_loads_is_stopped_in_the_workbench_and_resumed(run: Run) -> None:
    async with workbench(run.path, folder=run.path.parent) as pilot:
        await until(pilot, "stopped")
        for _ in range(2):
            pilot.app.client.resume()
            await until(pilot, lambda: loading(run) is not None)
            await until(pilot, "starting")
            pilot.app.client.stop()
            await until(pilot, lambda: status(run).state == "stopped")
            await until(pilot, "stopped")
