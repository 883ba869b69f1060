"""The files of the kernel are parsed strictly: what does not parse is unknown, whatever the text is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.system.memory import kernel
from engine.system.memory.pool import measure_pool
from tests.system.memory.constructed import GIB, Files, host, psi

CGROUP_2 = "/sys/fs/cgroup"
CGROUP_1 = "/sys/fs/cgroup/memory"


def test_the_pool_is_mem_total_and_its_headroom_mem_available():
    pool = measure_pool(Files(host(24 * GIB, 20 * GIB, free=GIB, swap=(GIB, 4 * GIB), pressure=0.12)))
    assert (pool.total, pool.available, pool.source) == (24 * GIB, 20 * GIB, "/proc/meminfo")
    assert (pool.swap_used, pool.swap_total, pool.pressure) == (GIB, 4 * GIB, 0.12)
    assert pool.reasons == {}


@pytest.mark.parametrize(
    ("files", "used"),
    [
        (
            {
                "/proc/self/cgroup": "0::/\n",
                f"{CGROUP_2}/memory.max": f"{8 * GIB}\n",
                f"{CGROUP_2}/memory.current": f"{7 * GIB}\n",
                f"{CGROUP_2}/memory.stat": f"anon {3 * GIB}\ninactive_file {3 * GIB}\nactive_file {GIB // 2}\nshmem 0\n",
                f"{CGROUP_2}/memory.pressure": psi(0.5),
            },
            7 * GIB - 3 * GIB - GIB // 2,
        ),
        (
            {
                "/proc/self/cgroup": "5:memory:/docker/abc\n1:cpu:/docker/abc\n",  # the host's path, not seen inside
                f"{CGROUP_1}/memory.limit_in_bytes": f"{8 * GIB}\n",
                f"{CGROUP_1}/memory.usage_in_bytes": f"{7 * GIB}\n",
                f"{CGROUP_1}/memory.stat": f"total_inactive_file {3 * GIB}\ntotal_active_file 0\n",
            },
            4 * GIB,
        ),
    ],
    ids=["version 2", "version 1"],
)
def test_a_container_s_limit_is_the_pool_and_the_page_cache_is_available(files, used):
    pool = measure_pool(Files({**host(128 * GIB, 100 * GIB), **files}))
    assert (pool.total, pool.available) == (8 * GIB, 8 * GIB - used)
    assert pool.source == "control group, limit 8.0 GiB"
    assert pool.host == 128 * GIB
    assert pool.pressure == (0.5 if "/sys/fs/cgroup/memory.pressure" in files else 0)


def test_of_nested_groups_the_one_with_the_least_left_is_the_pool():
    def group(path, limit, used):
        return {f"{CGROUP_2}{path}/memory.max": limit, f"{CGROUP_2}{path}/memory.current": str(used)}

    files = {
        "/proc/self/cgroup": "0::/user.slice/app.scope\n",
        **group("/user.slice/app.scope", "max", 2 * GIB),
        **group("/user.slice", str(16 * GIB), 15 * GIB),
    }
    pool = measure_pool(Files({**host(64 * GIB, 40 * GIB), **files}))
    assert (pool.total, pool.available) == (16 * GIB, GIB)


@pytest.mark.parametrize("most", ["max", str(9 * GIB)])
def test_the_bound_above_which_a_group_is_slowed_down_is_its_limit(most):
    files = {"/proc/self/cgroup": "0::/", f"{CGROUP_2}/memory.max": most, f"{CGROUP_2}/memory.current": str(3 * GIB)}
    pool = measure_pool(Files({**host(64 * GIB, 40 * GIB), **files, f"{CGROUP_2}/memory.high": str(4 * GIB)}))
    assert (pool.total, pool.available) == (4 * GIB, GIB)


def test_a_limit_over_the_host_s_memory_and_none_at_all_change_nothing():
    unlimited = {
        "/proc/self/cgroup": "4:memory:/\n",
        f"{CGROUP_1}/memory.limit_in_bytes": "9223372036854771712",
        f"{CGROUP_1}/memory.usage_in_bytes": "1",
    }
    large = {"/proc/self/cgroup": "0::/\n", f"{CGROUP_2}/memory.max": str(10**14), f"{CGROUP_2}/memory.current": "1"}
    for files in (unlimited, large):
        assert measure_pool(Files({**host(8 * GIB, 4 * GIB), **files})).available == 4 * GIB


def test_the_host_can_have_less_left_than_the_container_may_take():
    files = {"/proc/self/cgroup": "0::/\n", f"{CGROUP_2}/memory.max": str(8 * GIB), f"{CGROUP_2}/memory.current": "0"}
    assert measure_pool(Files({**host(16 * GIB, 2 * GIB), **files})).available == 2 * GIB


def test_what_is_not_reported_has_a_reason_and_is_not_0():
    pool = measure_pool(Files({}))
    assert (pool.total, pool.available, pool.pressure, pool.swap_used) == (None, None, None, None)
    assert set(pool.reasons) == {"total", "available", "pressure", "swap"}
    old = measure_pool(Files({"/proc/meminfo": "MemTotal: 100 kB\n"}))
    assert old.total == 100 * 1024 and old.available is None and "available" in old.reasons


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MemTotal: -5 kB",
        "MemTotal: 1e9 kB",
        "MemTotal: ١٢ kB\0",
        "MemTotal:" + "9" * 10_000,
        "MemTotal 5 kB",
        "\ud800",
    ],
)
def test_a_hostile_meminfo_gives_nothing(text):
    assert kernel.meminfo(text).get("MemTotal") is None


@pytest.mark.parametrize(
    "text", ["", "some", "some avg10=nan", "some avg10=-1.0", "some avg10=100.01 ", "full avg10=1.00"]
)
def test_a_hostile_pressure_is_unknown(text):
    assert kernel.pressure(text) is None


def test_the_name_of_a_process_may_contain_anything():
    name = "a) R 1 (b\nc"
    stat = kernel.stat_of(f"12 ({name}) S 3 {'0 ' * 17}77 0")
    assert stat == kernel.ProcessStat(name, 3, 77)


@given(st.text(max_size=300))
def test_no_text_raises(text):
    assert kernel.stat_of(text) is None or text.startswith(tuple("0123456789"))
    kernel.meminfo(text), kernel.counts(text), kernel.pressure(text), kernel.number(text)
    kernel.resident_pages(text), kernel.command_of(text)
    every = dict.fromkeys(("/proc/meminfo", "/proc/self/cgroup", "/proc/pressure/memory"), text)
    pool = measure_pool(Files({**every, "/sys/fs/cgroup/memory.max": text, "/sys/fs/cgroup/memory.current": text}))
    assert pool.available is None or pool.available >= 0
