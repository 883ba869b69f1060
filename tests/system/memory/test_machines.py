"""Constructed machines: a GB10, an H100, a container, one without a GPU. See `constructed` for the facts."""

import pytest

from engine.core.events import ServerMeasured
from engine.system.memory.sampler import Sampler
from tests.system.memory.constructed import (
    ENGINE,
    GB10_TOTAL,
    GIB,
    H100_MEASURED,
    H100_TOTAL,
    NO_PERMISSION,
    NOT_SUPPORTED,
    Clock,
    Files,
    Gpu,
    Nvml,
    Torch,
    host,
    process,
    sources,
)

VLLM, WORKER, ORPHAN = 200, 201, 300
SERVER = ["python", "-m", "vllm.entrypoints.openai.api_server", "--model", "m"]


def tree():
    """An engine that started a vLLM server with one worker, and a git; a stranger beside them."""
    return {
        **process(1, "init", parent=0, resident=GIB // 64),
        **process(ENGINE, "python", resident=2 * GIB, command=["python", "-m", "engine.worker", "/runs/a"]),
        **process(101, "git", parent=ENGINE, resident=GIB // 2),
        **process(VLLM, "python", parent=ENGINE, resident=GIB, command=SERVER),
        **process(WORKER, "VLLM::EngineCor", parent=VLLM, resident=3 * GIB),
        **process(999, "firefox", resident=4 * GIB),
    }


async def measured(machine):
    sampler = Sampler(machine)
    return await sampler.measure(sampler.pool())


def sizes(event):
    """What the processes of each name have, of several the largest."""
    return {one.name: (one.resident, one.gpu) for one in reversed(event.processes)}


@pytest.mark.parametrize("memory", [NOT_SUPPORTED, (GB10_TOTAL, 90 * GIB)], ids=["Not Supported", "total = MemTotal"])
async def test_a_gb10_has_one_pool_for_host_and_gpu(memory):
    nvml = Nvml([Gpu("NVIDIA GB10", memory, {WORKER: 60 * GIB, ENGINE: 5 * GIB})])
    event = await measured(sources(Files({**host(GB10_TOTAL, 40 * GIB), **tree()}), nvml, Torch(3 * GIB, 4 * GIB)))
    assert (event.total, event.available, event.gpu) == (GB10_TOTAL, 40 * GIB, 65 * GIB)
    assert event.source == "/proc/meminfo; GPU by NVML"
    (gpu,) = event.gpus
    assert (gpu.name, gpu.shared, gpu.total, gpu.used) == ("NVIDIA GB10", True, None, None)
    assert "host's memory" in gpu.reason
    assert sizes(event)["vllm"] == (3 * GIB, 60 * GIB)
    assert (event.torch_allocated, event.torch_reserved) == (3 * GIB, 4 * GIB)
    assert "gpu" not in event.reasons


async def test_an_unknown_gpu_that_does_not_report_its_memory_has_none_and_says_so():
    event = await measured(
        sources(Files({**host(64 * GIB, GIB), **tree()}), Nvml([Gpu("NVIDIA N2", NOT_SUPPORTED, {})]))
    )
    (gpu,) = event.gpus
    assert (gpu.total, gpu.used, gpu.shared) == (None, None, None) and "Not Supported" in gpu.reason


async def test_an_h100_has_a_memory_of_its_own():
    nvml = Nvml([Gpu(b"NVIDIA H100 80GB HBM3", (H100_TOTAL, 70 * GIB), {WORKER: 60 * GIB, 999: 8 * GIB, 4242: GIB})])
    event = await measured(sources(Files({**host(80 * GIB, 60 * GIB), **tree()}), nvml))
    (gpu,) = event.gpus
    assert (gpu.name, gpu.total, gpu.used, gpu.shared) == ("NVIDIA H100 80GB HBM3", H100_TOTAL, 70 * GIB, False)
    assert (event.total, event.gpu) == (80 * GIB, 60 * GIB)
    assert sizes(event)["other firefox"] == (4 * GIB, 8 * GIB)
    assert sizes(event)["other (not visible here)"] == (None, GIB)


async def test_an_h100_answers_as_one_did():
    one = H100_MEASURED
    nvml = Nvml([Gpu("NVIDIA H100 80GB HBM3", (H100_TOTAL, one["used"]), {ENGINE: one["process"]})])
    files = Files({**host(131_981_020 * 1024, 120 * GIB), **tree()})
    event = await measured(sources(files, nvml, Torch(one["allocated"], one["reserved"])))
    (gpu,) = event.gpus
    assert (gpu.total, gpu.used, gpu.shared, gpu.reason) == (85_520_809_984, one["used"], False, "")
    assert (event.gpu, event.torch_allocated, event.torch_reserved) == (
        one["process"],
        one["allocated"],
        one["reserved"],
    )
    assert event.source == "/proc/meminfo; GPU by NVML" and "gpu_processes" not in event.reasons


@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("NVIDIA GB10", "vllm (pid 201) 63.0 GiB, engine (pid 100) 7.0 GiB, firefox (pid 999) 4.0 GiB"),
        ("NVIDIA H100", "firefox (pid 999) 4.0 GiB, vllm (pid 201) 3.0 GiB, engine (pid 100) 2.0 GiB"),
    ],
)
async def test_what_a_process_has_on_a_gpu_that_shares_the_memory_counts_for_the_largest(name, largest):
    nvml = Nvml([Gpu(name, (H100_TOTAL, 70 * GIB), {WORKER: 60 * GIB, ENGINE: 5 * GIB})])
    sampler = Sampler(sources(Files({**host(GB10_TOTAL, 40 * GIB), **tree()}), nvml))
    assert sampler.largest() == "no process can be seen"
    await sampler.measure(sampler.pool())
    assert sampler.largest() == largest


async def test_the_largest_processes_are_those_that_use_the_pool():
    limited = {
        "/proc/self/cgroup": "0::/runs/a\n",
        "/sys/fs/cgroup/runs/memory.max": str(8 * GIB),
        "/sys/fs/cgroup/runs/memory.current": str(4 * GIB),
    }
    groups = {ENGINE: "/runs/a", VLLM: "/runs", WORKER: "/runs/b/c", 999: "/runs-of-others", 1: "/", 101: ""}
    places = {f"/proc/{pid}/cgroup": f"0::{path}\n" for pid, path in groups.items()}
    sampler = Sampler(sources(Files({**host(64 * GIB, 40 * GIB), **tree(), **limited, **places})))
    await sampler.measure(sampler.pool())
    assert sampler.largest(9) == "vllm (pid 201) 3.0 GiB, engine (pid 100) 2.0 GiB, vllm (pid 200) 1.0 GiB"


async def test_two_gpus_are_added_up():
    gpus = [
        Gpu("NVIDIA H100", (H100_TOTAL, GIB), {WORKER: 2 * GIB}),
        Gpu("NVIDIA H100", (H100_TOTAL, GIB), {WORKER: GIB}),
    ]
    event = await measured(sources(Files({**host(64 * GIB, GIB), **tree()}), Nvml(gpus)))
    assert event.gpu == 3 * GIB and len(event.gpus) == 2


@pytest.mark.parametrize("running", [{}, {ENGINE: None}, NO_PERMISSION], ids=["empty", "without sizes", "forbidden"])
async def test_in_a_container_torch_s_own_figure_is_taken_and_labelled(running):
    files = {
        **host(128 * GIB, 100 * GIB),
        **tree(),
        "/proc/self/cgroup": "0::/\n",
        "/sys/fs/cgroup/memory.max": str(32 * GIB),
        "/sys/fs/cgroup/memory.current": str(10 * GIB),
    }
    event = await measured(
        sources(Files(files), Nvml([Gpu("NVIDIA GB10", NOT_SUPPORTED, running)]), Torch(GIB, 4 * GIB))
    )
    assert (event.total, event.available, event.gpu) == (32 * GIB, 22 * GIB, 4 * GIB)
    assert event.source == "control group, limit 32.0 GiB; GPU by torch (reserved)"
    assert event.reasons["gpu_processes"]


async def test_in_a_container_without_torch_the_gpu_s_figure_is_unknown_with_a_reason():
    event = await measured(sources(Files({**host(GIB, GIB), **tree()}), Nvml([Gpu("NVIDIA GB10", NOT_SUPPORTED, {})])))
    assert event.gpu is None and event.reasons["gpu"] and event.reasons["torch"] == "torch is not loaded"


async def test_without_a_gpu_the_host_s_memory_is_shown_and_that_there_is_none():
    event = await measured(sources(Files({**host(24 * GIB, 20 * GIB), **tree()})))
    assert event.source == "/proc/meminfo; no NVIDIA device"
    assert (event.gpu, event.gpus, event.reasons["gpu"]) == (None, [], "no NVIDIA device")
    assert event.engine == 2 * GIB + GIB // 2, "its helpers count, its servers do not"


async def test_what_the_engine_is_not_the_parent_of_is_another_s():
    orphan = process(ORPHAN, "VLLM::EngineCor", parent=1, resident=9 * GIB)
    event = await measured(sources(Files({**host(GIB, GIB), **tree(), **orphan})))
    assert sizes(event)["other vllm"] == (9 * GIB, None)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["/venv/bin/python", "-I", "-m", "vllm.entrypoints.openai.api_server"], "other vllm"),
        (["/venv/bin/python3.12", "/venv/bin/vllm", "serve", "m"], "other vllm"),
        (["/usr/bin/ollama", "serve"], "other ollama"),
        (["llama-server", "-m", "model.gguf"], "other llama-server"),
        (["python", "-m", "llama_cpp.server"], "other llama_cpp"),
        (["vim", "vllm.py"], None),
        (["python", "-m", "pytest", "tests/vllm"], None),
        (["python", "-m"], None),
        ([""], None),
    ],
)
async def test_model_servers_are_known_by_their_program(command, name):
    stranger = process(ORPHAN, "python", command=command)
    event = await measured(sources(Files({**host(GIB, GIB), **tree(), **stranger})))
    assert [one.name for one in event.processes if one.pid == ORPHAN] == ([name] if name else [])


async def test_a_workbench_counts_when_it_has_the_run_open(tmp_path):
    run = tmp_path / "a"
    looking = process(500, "python", command=["/usr/bin/python", "/usr/bin/skillos-tui", str(run)])
    elsewhere = process(501, "skillos-tui")
    links = {"/proc/500/fd/7": f"{run}/run.db", "/proc/501/fd/7": f"{tmp_path}/b/run.db"}
    files = Files({**host(GIB, GIB), **tree(), **looking, **elsewhere}, links)
    event = await measured(sources(files, run=run))
    assert [one.pid for one in event.processes if one.name == "workbench"] == [500]
    assert event.engine == 2 * GIB + GIB // 2


async def test_the_machine_is_listed_rarely_and_the_run_s_processes_are_read_each_time():
    files, clock = Files({**host(GIB, GIB), **tree()}), Clock()
    sampler = Sampler(sources(files, clock=clock))
    await sampler.measure(sampler.pool())
    files.read_paths.clear()
    files.texts.update(process(ENGINE, "python", resident=5 * GIB))
    event = await sampler.measure(sampler.pool())
    assert sizes(event)["engine"] == (5 * GIB, None)
    assert not any(path.startswith("/proc/999/") for path in files.read_paths)
    del files.texts["/proc/101/statm"]
    assert "git" not in sizes(await sampler.measure(sampler.pool())), "it has ended"


async def test_a_machine_whose_processes_cannot_be_listed_says_so():
    event = await measured(sources(Files(host(GIB, GIB))))
    assert event.engine is None


async def test_the_fullest_cache_that_a_server_reported_lately_is_shown():
    clock = Clock()
    sampler = Sampler(sources(Files({**host(GIB, GIB), **tree()}), clock=clock))
    assert (await sampler.measure(sampler.pool())).kv_cache is None
    for name, share in (("a", 0.2), ("b", 0.7), ("c", None)):
        sampler.hear(ServerMeasured(name, kv_cache=share))
    assert (await sampler.measure(sampler.pool())).kv_cache == 0.7
    clock.now += 61
    event = await sampler.measure(sampler.pool())
    assert event.kv_cache is None and "last 60 s" in event.reasons["kv_cache"]
