"""The memory pane shows what is known, why the rest is not, and nothing that a server wrote is obeyed."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len

from engine.core.events import (
    AdapterPublished,
    AnyEvent,
    GpuMemory,
    MemoryMeasured,
    ModelsUsed,
    ModelUse,
    ProcessMemory,
    RunStarted,
    ServerMeasured,
    StateChanged,
)
from skillos_tui.model.folding import MAX_SERVERS, fold
from skillos_tui.model.view import RunView
from skillos_tui.render.text import Line, wrap
from skillos_tui.widgets.memory import Past, is_low, memory_lines, past_of
from skillos_tui.widgets.rewards import RewardPane
from tests.workbench.recording import record_training, step_events, training_view
from tests.workbench.stage import on_screen, seconds, until, workbench

GIB = 2**30
SPARK = MemoryMeasured(
    source="/proc/meminfo; GPU by NVML",
    total=122 * GIB,
    available=40 * GIB,
    engine=4 * GIB,
    gpu=65 * GIB,
    processes=[
        ProcessMemory("engine", 100, 4 * GIB, 5 * GIB),
        ProcessMemory("vllm", 200, GIB),
        ProcessMemory("vllm", 201, 3 * GIB, 60 * GIB),
        ProcessMemory("other vllm", 999, 9 * GIB, 20 * GIB),
    ],
    swap_used=0,
    swap_total=4 * GIB,
    pressure=0.0,
    torch_allocated=3 * GIB,
    torch_reserved=5 * GIB,
    gpus=[GpuMemory("NVIDIA GB10", shared=True, reason="it uses the host's memory and has none of its own")],
    headroom=8 * GIB,
)
SERVER = ServerMeasured("http://127.0.0.1:8000/v1", 12, 3, 0.43, 0.78, 3204.4, 1203.2)
USED = ModelsUsed(
    [
        ModelUse("executor", 3160, 1_240_000, 40_000, 967_200, 2),
        ModelUse("curator", 608, 73_062, 43_002, None, 0, 0, 0.1234),
    ]
)


def view_of(*events: AnyEvent) -> RunView:
    view = training_view()
    for event in events:
        fold(view, event)
    return view


def shown(view: RunView, width: int = 120, height: int = 40) -> str:
    return "\n".join(text(line) for line in memory_lines(view, width, height))


def text(line: Line) -> str:
    return "".join(part for part, _ in line.spans)


def test_a_spark_with_a_server_shows_every_figure() -> None:
    assert shown(view_of(SPARK, SERVER, USED)).splitlines() == [
        "available 40.0 / 122.0 GiB  ━━━━━━━━━━━━━━━━━━━━━━━━, guard at 8.0 GiB",
        "server    12 running · 3 waiting · 1,203 tokens/s out · 3,204 in",
        "          KV cache 43% · prefix hits 78%  http://127.0.0.1:8000/v1",
        "engine    4.0 GiB",
        "          engine (pid 100)  4.0 GiB, GPU 5.0 GiB",
        "          vllm (pid 200)  1.0 GiB",
        "          vllm (pid 201)  3.0 GiB, GPU 60.0 GiB",
        "          other vllm (pid 999)  9.0 GiB, GPU 20.0 GiB",
        "GPU       65.0 GiB · NVIDIA GB10, shares the host's memory",
        "torch     3.0 GiB allocated, 5.0 GiB reserved",
        "tokens    executor 1.2M in, 40.0k out, 78% cached, 2 failed · curator 73.1k in, 43.0k out, cost 0.1234",
        "source    /proc/meminfo; GPU by NVML",
    ]


def test_a_low_pane_adds_the_processes_up_by_name() -> None:
    rows = shown(view_of(SPARK), height=8).splitlines()
    assert "engine    4.0 GiB · vllm 4.0 GiB + GPU 60.0 GiB · other vllm 9.0 GiB + GPU 20.0 GiB" in rows


def test_a_discrete_card_shows_what_it_has_of_its_own() -> None:
    card = GpuMemory("NVIDIA H100", 80 * GIB, 70 * GIB, False)
    view = view_of(MemoryMeasured("/proc/meminfo; GPU by NVML", GIB, GIB, GIB, 60 * GIB, gpus=[card]))
    assert "GPU       60.0 GiB · NVIDIA H100 70.0 GiB / 80.0 GiB in use" in shown(view)


def test_what_is_not_known_is_never_0_and_has_its_reason() -> None:
    lost = GpuMemory("NVIDIA H100", None, None, None, "the GPU is lost: NVML reports GPU is lost")
    reasons = {"gpu": "no process of the run is seen on a GPU", "pressure": "the kernel does not report it"}
    view = view_of(MemoryMeasured("/proc/meminfo", None, None, None, reasons=reasons, gpus=[lost]), ServerMeasured("a"))
    whole = shown(view)
    assert "available n/a / n/a" in whole and "engine    n/a" in whole
    assert "GPU       n/a: no process of the run is seen on a GPU · NVIDIA H100 n/a (the GPU is lost" in whole
    assert "server    a reports nothing of itself" in whole and "n/a       pressure: the kernel" in whole
    assert " 0 " not in whole and "0%" not in whole


def test_a_figure_of_0_that_is_known_is_0() -> None:
    view = view_of(
        MemoryMeasured("x", GIB, 0, GIB, gpus=[GpuMemory("A", GIB, 0, False)]), ServerMeasured("a", 0, 0, 0.0)
    )
    whole = shown(view)
    assert "available 0 MiB / 1.0 GiB" in whole and "A 0 MiB / 1.0 GiB in use" in whole
    assert "0 running · 0 waiting" in whole and "KV cache 0%" in whole


def test_a_model_that_was_never_called_has_no_line() -> None:
    whole = shown(view_of(SPARK, ModelsUsed([ModelUse("executor", 1, 20, 3), ModelUse("judge", 0, 0, 0)])))
    assert "executor 20 in, 3 out" in whole and "judge" not in whole


def test_swap_and_pressure_are_shown_when_there_are_any() -> None:
    assert "swap" not in shown(view_of(SPARK)) and "pressure" not in shown(view_of(SPARK))
    strained = MemoryMeasured("x", GIB, GIB, GIB, swap_used=GIB, swap_total=4 * GIB, pressure=0.123)
    assert "pressure  12% · swap 1.0 GiB / 4.0 GiB" in shown(view_of(strained))


def test_servers_are_named_when_there_are_several_and_do_not_grow_in_number() -> None:
    view = view_of(*(ServerMeasured(f"server-{number}", number) for number in range(50)))
    assert len(view.servers) == MAX_SERVERS
    assert "server    server-1\n          1 running" in shown(view)
    fold(view, RunStarted(run_kind="train", profile="pocket", steps=1, pid=1))
    assert view.servers == {}


HOSTILE = "\x1b]0;owned\x07\u202e" + "long " * 2000


@pytest.mark.parametrize("height", [3, 8, 40])
def test_nothing_that_a_server_or_a_process_is_called_steers_the_terminal_or_fills_the_screen(height: int) -> None:
    view = view_of(
        MemoryMeasured(
            HOSTILE,
            GIB,
            GIB,
            GIB,
            processes=[ProcessMemory(HOSTILE, 1, GIB)] * 12,
            gpus=[GpuMemory(HOSTILE, reason=HOSTILE)] * 30,
            reasons=dict.fromkeys(("gpu", "engine", HOSTILE), HOSTILE),
        ),
        ServerMeasured(HOSTILE, -5, 10**30, 1e300, -1.0, 1e300, -3.0),
        ModelsUsed([ModelUse(HOSTILE, 1, -1, 10**40, 10**40, 5, 0, 1e300)] * 50),
    )
    lines = memory_lines(view, 60, height)
    rows = [row for line in lines for row in wrap(line, 60)]
    whole = "\n".join("".join(part for part, _ in row) for row in rows)
    assert "\x1b" not in whole and "\x07" not in whole and "\u202e" not in whole
    assert all(sum(cell_len(part) for part, _ in row) <= 60 for row in rows) and len(rows) < 250


def test_the_reward_pane_says_whether_the_adapter_that_answers_is_proved() -> None:
    view = view_of(*step_events(1), AdapterPublished(7, "by log-probabilities"))
    pane = RewardPane("Reward")
    pane.view = view
    assert "curator     v7 proved" in "\n".join(text(line) for line in pane.build(100, 14))
    fold(view, AdapterPublished(7, "", 0.01, 0.01, 0.04, "below the noise"))
    whole = "\n".join(text(line) for line in pane.build(140, 14))
    assert "curator-v7 not distinguishable from v6 (below the noise)" in whole and "v7 not proved" in whole
    for width in range(40, 140):
        assert all(cell_len(text(line)) <= width for line in pane.build(width, 14))


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_the_newest_figures_of_a_long_run_are_shown_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    run = record_training(tmp_path / "run", steps=1, planned=12, state="running")
    run.append(SPARK, SERVER, USED, AdapterPublished(1, "by every tensor"))
    run.append(*(event for step in (2, 3) for event in step_events(step)))
    with run.lock():
        async with workbench(run.path, size=size) as pilot:
            await until(pilot, lambda: bool(pilot.app.view.servers) and pilot.app.view.history.newest == 3)  # type: ignore[attr-defined]
            if size == (60, 20):
                await pilot.press("shift+tab", "shift+tab")
            else:
                await until(pilot, "M unfolds")
                await pilot.press("M")
            await until(pilot, "12 running")
            assert "available 40.0 / 122.0 GiB" in on_screen(pilot)


async def test_the_same_figures_again_repaint_nothing(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, planned=12, state="running")
    with run.lock():
        run.append(SPARK, SERVER, USED)
        async with workbench(run.path) as pilot:
            await until(pilot, "available 40.0")
            pane = pilot.app.screen.query_one("#memory")
            painted: list[object] = []
            pane.refresh = lambda *regions, **more: painted.append(regions)  # type: ignore[method-assign,assignment]
            run.append(SPARK, SERVER, USED)
            await until(pilot, lambda: pilot.app.view.memory is not SPARK)  # type: ignore[attr-defined]
            await seconds(pilot, 1.0)
            assert painted == []


LOW = msgspec.structs.replace(SPARK, available=7 * GIB)
"""Less is left than the guard keeps free."""


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_memory_is_one_line_unless_it_is_low_or_a_person_unfolds_it(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    run = record_training(tmp_path / "run", steps=1, planned=12, state="running")
    run.append(SPARK, SERVER)
    with run.lock():
        async with workbench(run.path, size=size) as pilot:
            pane = pilot.app.screen.query_one("#memory")
            await until(pilot, "available 40.0")
            assert pane.size.height == 1 and "12 running" not in on_screen(pilot)
            await pilot.press("M")
            await until(pilot, "12 running")
            await pilot.press("M")
            await until(pilot, lambda: pane.size.height == 1)
            run.append(LOW)
            await until(pilot, "Memory is low")
            assert "12 running" in on_screen(pilot) and "M unfolds" not in on_screen(pilot)
            run.append(SPARK)
            await until(pilot, lambda: pane.size.height == 1)


@pytest.mark.parametrize(
    ("measured", "low"),
    [
        (SPARK, False),
        (LOW, True),
        (msgspec.structs.replace(SPARK, headroom=None, available=13 * GIB), False),
        (msgspec.structs.replace(SPARK, headroom=None, available=12 * GIB), True),
        (msgspec.structs.replace(SPARK, pressure=0.2), True),
        (msgspec.structs.replace(SPARK, available=None), False),
        (msgspec.structs.replace(SPARK, total=0, available=0), False),
    ],
)
def test_memory_is_low_by_the_guard_or_a_tenth_or_pressure_and_never_where_it_is_not_known(
    measured: MemoryMeasured, low: bool
) -> None:
    assert is_low(measured) is low


async def test_what_servers_reported_before_the_last_start_is_not_shown(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, planned=12, state="running")
    run.append(SERVER, RunStarted(run_kind="train", profile="pocket", steps=12, pid=1, resumed_from=1), SPARK)
    async with workbench(run.path) as pilot:
        await until(pilot, "available 40.0")
        assert "12 running" not in on_screen(pilot)


async def test_each_server_of_a_log_that_exists_is_shown(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    run.append(SPARK, SERVER, ServerMeasured("http://127.0.0.1:8001/v1", 4))
    async with workbench(run.path) as pilot:
        await until(pilot, "available 40.0")
        servers = pilot.app.view.servers  # type: ignore[attr-defined]
        assert [*servers] == [SERVER.server, "http://127.0.0.1:8001/v1"]


async def test_an_engine_that_ended_measures_nothing_so_its_last_figures_have_their_time(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    with run.lock():
        run.append(LOW, SERVER)
        (measured,) = run.tail(1, ["memory_measured"])
        day, clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(measured.at)).split()
        async with workbench(run.path, size=(160, 50)) as pilot:
            await until(pilot, "Memory is low")
            run.append(StateChanged("stopped"))
            await until(pilot, "Memory at its end")
            assert f"available 7.0 / 122.0 GiB at {day[5:]} {clock[:5]}" in on_screen(pilot)
            assert "Memory is low" not in on_screen(pilot) and "guard" not in on_screen(pilot)
            await pilot.press("8")
            await until(pilot, "last 7.0 GiB")
            assert "last 1 server" in on_screen(pilot) and f"Measured at its end, {day} {clock}." in on_screen(pilot)
            await pilot.press("1")
            run.append(StateChanged("starting"))
            await until(pilot, "The engine has not measured it yet.")
            assert "Memory at its end" not in on_screen(pilot)
            run.append(RunStarted(run_kind="train", profile="pocket", steps=12, pid=1, resumed_from=1), SPARK)
            await until(pilot, "available 40.0 / 122.0 GiB  ━")


async def test_an_engine_that_measured_nothing_before_it_ended_shows_nothing_of_the_one_before(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    run.append(SPARK, StateChanged("starting"), StateChanged("failed", "no space"))
    async with workbench(run.path) as pilot:
        await until(pilot, "Not measured before the engine ended.")


@pytest.mark.parametrize("at", [None, 1e300, float("nan"), -1e18])
@pytest.mark.parametrize("width", [20, 40, 60, 120])
def test_a_time_that_is_none_is_not_shown_and_what_is_measured_fits(at: float | None, width: int) -> None:
    view = view_of(SPARK)
    view.measured_at = at
    past = past_of(view, "interrupted", 0)
    assert past == Past("at its end")
    assert text(memory_lines(view, width, 1, past)[0]).startswith("available 40.0 / 122" if width > 20 else "available")
    assert past_of(view, "running", 0) is None and past_of(view, "paused", 30) is not None


def test_a_reason_is_shown_once_and_figures_have_the_names_that_people_use() -> None:
    none = "no NVIDIA device"
    reasons = {"gpu": none, "kv_cache": "no model server reports it", "devices": none}
    whole = shown(view_of(msgspec.structs.replace(SPARK, gpu=None, gpus=[], reasons=reasons)))
    assert whole.count(none) == 1 and "KV cache: no model server reports it" in whole and "kv_cache" not in whole
