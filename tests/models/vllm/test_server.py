"""The life of a server that the engine starts: real processes, real HTTP."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import msgspec
import psutil
import pytest

from engine.core.errors import ConfigError
from engine.core.events import Notice
from engine.core.holds import Holds
from engine.models.base import Opening
from engine.models.vllm.faults import reason_of
from engine.models.vllm.process import Record, end_orphan, members_of
from engine.models.vllm.server import OwnServer
from engine.models.vllm.settings import VllmModelSettings
from tests.models.vllm.program import REPOSITORY, python_of


class Started:
    """A server of the stand-in program, and what the run sees of it."""

    def __init__(self, folder, how="serve", text="", **given):
        self.folder, self.events, self.reasons = folder, [], []
        self.holds = Holds()
        self.holds.on_change = lambda: self.reasons.append(self.holds.reason)
        settings = VllmModelSettings(python=python_of(folder, how, text), context=4096, **given)
        opening = Opening(lora_rank=8, emit=self.events.append, holds=self.holds, folder=folder)
        self.server = OwnServer(settings, opening, "/weights", folder=folder, name="vllm", grace=1.0)

    @property
    def log(self):
        return (self.folder / "vllm.log").read_text()

    @property
    def group(self):
        return members_of(Record(self.server._process.pid, 0.0))

    def notices(self):
        return [event.message for event in self.events if isinstance(event, Notice)]


async def until(true, seconds=20.0):
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


async def suspend(pid):
    """Suspend a process, and wait until it is."""
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)


async def test_a_server_is_started_answers_and_leaves_nothing_behind(tmp_path):
    started = Started(tmp_path, "child")
    await started.server.start()
    assert [card.id for card in await started.server.api.models()] == ["base"]
    group = started.group
    assert len(group) >= 2 and (tmp_path / "vllm.json").exists()
    started_at = time.monotonic()
    await started.server.stop()
    assert not [one for one in group if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert not (tmp_path / "vllm.json").exists() and time.monotonic() - started_at < 10


@pytest.mark.parametrize(
    "said, message",
    [
        (
            "ValueError: User-specified max_model_len (9999) is greater than the derived max_model_len (max_position=4096)",
            r"lower model\.context=4096 to the model.s own context",
        ),
        (
            "ValueError: To serve at least one request with the model max seq len (40960), 5.62 GiB KV cache is needed",
            r"raise model\.kv_cache_gib=8 or lower model\.context=4096",
        ),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", r"lower model\.kv_cache_gib=8"),
        ("OSError: [Errno 98] Address already in use", r"set model\.port=0"),
        ("api_server.py: error: unrecognized arguments: --nonsense", r"correct model\.arguments"),
        (
            "RuntimeError: something that nobody knows",
            r"it exited with 1; its log, .*vllm\.log, says: RuntimeError: something",
        ),
    ],
)
async def test_a_server_that_does_not_start_says_what_to_change(tmp_path, said, message):
    started = Started(tmp_path, "says", said)
    with pytest.raises(ConfigError, match=message) as raised:
        await started.server.start()
    assert "Traceback" not in str(raised.value) and said.split(":")[-1][:30] in str(raised.value)
    await started.server.stop()


async def test_a_server_that_takes_too_long_is_ended_and_the_message_says_so(tmp_path):
    started = Started(tmp_path, "hang", start_seconds=1.0)
    with pytest.raises(ConfigError, match=r"did not answer in model\.start_seconds=1"):
        await started.server.start()
    assert not (tmp_path / "vllm.json").exists()
    await started.server.stop()


async def test_a_start_that_is_cancelled_ends_the_process(tmp_path):
    started = Started(tmp_path, "hang")
    starting = asyncio.create_task(started.server.start())
    await until((tmp_path / "vllm.json").exists)
    record = msgspec.json.decode((tmp_path / "vllm.json").read_bytes(), type=Record)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not members_of(record)
    await started.server.stop()


async def test_a_port_that_is_taken_is_named_with_its_holder(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        started = Started(tmp_path, port=port)
        with pytest.raises(ConfigError, match=rf"model\.port={port} cannot be used .*set model\.port=0"):
            await started.server.start()
        await started.server.stop()


async def test_a_crash_pauses_the_run_restores_the_adapters_and_goes_on(tmp_path):
    started = Started(tmp_path)
    server, restored = started.server, []

    async def restore():
        restored.append((await server.api.healthy(), server._up.is_set(), started.holds.reason))

    server.restored = restore
    await server.start()
    try:
        mark, pid = server.mark, server._process.pid
        os.killpg(pid, signal.SIGKILL)
        assert await server.lost(mark)  # a request that failed then is made again …
        assert "started again" in started.holds.reason
        await asyncio.wait_for(server.up(), 30)  # … when this returns
        assert await server.api.healthy() and server._process.pid != pid and started.holds.reason == ""
        assert restored == [(True, False, started.reasons[0])]
        assert "killed (SIGKILL), as the system does when memory runs out" in started.notices()[0]
    finally:
        await server.stop()


async def test_a_server_that_ends_too_often_stays_down_until_a_person_resumes(tmp_path):
    started = Started(tmp_path, restarts=1)
    server = started.server
    await server.start()
    try:
        os.killpg(server._process.pid, signal.SIGKILL)
        await until(lambda: not server._up.is_set())
        await asyncio.wait_for(server.up(), 30)
        os.killpg(server._process.pid, signal.SIGKILL)
        await until(lambda: "resume the run to start it again" in started.holds.reason)
        started.holds.resume()
        await asyncio.wait_for(server.up(), 30)
        assert started.holds.reason == ""
    finally:
        await server.stop()


@pytest.mark.parametrize("launcher_too", [False, True])
async def test_shared_memory_of_a_server_that_was_killed_is_removed(tmp_path, launcher_too):
    started = Started(tmp_path, "shares")
    await started.server.start()
    process = started.server._process
    shared = Path("/dev/shm") / re.search(r"shares (\S+)", started.log)[1]
    noted = tmp_path / "vllm.shm"
    await until(noted.exists)
    assert shared.exists() and shared.name in noted.read_text()
    other = SharedMemory(create=True, size=64)
    in_use = Path("/dev/shm", other.name)
    noted.write_text(f"{noted.read_text()}\n{other.name}\n../../etc/passwd\nmodel.safetensors")
    started.server._watching.cancel()
    if launcher_too:  # the server first: the end of its launcher would end it in order, without anything left
        await suspend(process._starter.pid)
    os.killpg(process.pid, signal.SIGKILL)
    if launcher_too:
        process._starter.kill()
    await until(lambda: process.code is not None)
    if launcher_too:
        assert shared.exists()
        await end_orphan(tmp_path / "vllm.json", grace=1.0)
    assert not shared.exists() and not noted.exists()
    assert in_use.exists()  # noqa: ASYNC240  by this process
    other.close()
    other.unlink()
    await started.server.stop()


ENGINE = """
import asyncio, sys
from pathlib import Path
from tests.models.vllm.test_server import Started

async def main():
    started = Started(Path(sys.argv[1]), "child")
    await started.server.start()
    print(started.server._process.pid, started.server._process._starter.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def engine(tmp_path):
    """An engine process with a server: its process, the group of the server, and the launcher."""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    started = subprocess.Popen([sys.executable, "-c", ENGINE, tmp_path], stdout=subprocess.PIPE, env=env, text=True)
    group, launcher = map(int, started.stdout.readline().split())
    yield started, Record(group, 0.0), launcher
    started.kill()
    started.wait()


async def test_when_the_engine_is_killed_no_process_is_left(engine):
    started, group, launcher = engine
    assert len(members_of(group)) >= 2
    started.send_signal(signal.SIGKILL)
    started.wait()
    await until(lambda: not members_of(group) and not psutil.pid_exists(launcher))


async def test_an_orphan_of_a_launcher_that_was_killed_too_is_ended_before_the_next_start(engine, tmp_path):
    started, group, launcher = engine
    await suspend(launcher)
    started.send_signal(signal.SIGKILL)
    os.kill(launcher, signal.SIGKILL)
    await until(lambda: not psutil.pid_exists(launcher) or psutil.Process(launcher).status() == psutil.STATUS_ZOMBIE)
    child = int(next(line for line in (tmp_path / "vllm.log").read_text().splitlines() if "child" in line).split()[1])
    assert psutil.pid_exists(child)
    said = await end_orphan(tmp_path / "vllm.json", grace=1.0)
    assert "a vLLM server of an earlier start of this run still ran" in said and "GiB are available again" in said
    assert not members_of(group) and not (tmp_path / "vllm.json").exists()


def sleeping():
    return subprocess.Popen(["sleep", "60"], start_new_session=True)


async def test_a_process_that_only_has_the_number_of_an_old_server_is_left_alone(tmp_path):
    other = sleeping()
    try:
        record = tmp_path / "vllm.json"
        record.write_bytes(msgspec.json.encode(Record(other.pid, psutil.Process(other.pid).create_time() - 100)))
        assert await end_orphan(record) == "" and other.poll() is None
        record.write_text("not json")
        assert await end_orphan(record) == ""
        assert await end_orphan(Path(tmp_path / "nothing")) == ""
    finally:
        other.kill()
        other.wait()


async def test_the_server_inherits_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTED_API_KEY", "planted-secret-value")
    started = Started(tmp_path, "environment")
    await started.server.start()
    await started.server.stop()
    assert "planted-secret-value" not in started.log and "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True" in started.log


def test_arguments_that_the_server_reports_at_its_start_are_no_reason_for_its_end():
    started = "(APIServer pid=7) INFO 11-26 06:13:30 [api_utils.py:286] non-default args: {'max_lora_rank': 8}\n"
    ended = (
        "(APIServer pid=7) ERROR 11-26 06:14:39 [async_llm.py:906] EngineDeadError: EngineCore encountered an issue.\n"
    )
    found = reason_of(started + ended, 0, VllmModelSettings(), Path("/run/vllm.log"))
    assert found == "it exited with 0; its log, /run/vllm.log, says: EngineDeadError: EngineCore encountered an issue."
