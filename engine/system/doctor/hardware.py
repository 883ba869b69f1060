"""Checks of the machine itself: processor, driver, memory, disk, file descriptors, clock."""

from __future__ import annotations

import re
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import engine
from engine.core.errors import SkillosError
from engine.system.doctor.base import Check, Subject, Unanswered, ok, problem, unmeasured, warning
from engine.system.memory import kernel
from engine.system.memory.pool import limited_groups
from engine.system.plan.fit import device_of, doubts, refusal
from engine.system.plan.machines import gpu_names, machine_of
from engine.system.plan.planning import plan
from engine.system.plan.text import gigabytes, one_line

PROCESSORS = ("x86_64", "amd64", "aarch64", "arm64")
GPU_FOLDER = "proc/driver/nvidia/gpus"
DESCRIPTORS = 4096
"""The soft limit under which a run with many connections and files may fail."""
CACHED = 0.25
"""The share of memory in the page cache from which on a start on a unified machine may fail."""
OLDEST = 1_750_000_000.0
"""A clock before this time (June 2025) is wrong."""


def on_gpu(subject: Subject) -> bool:
    """Whether a model of the configuration runs on a GPU here."""
    return not device_of(subject.config).startswith("cpu")


def unified(subject: Subject) -> bool:
    """Whether the GPU of the machine shares the host's memory."""
    return any("GB10" in name for name in gpu_names(subject.host.root / GPU_FOLDER))


def processor(subject: Subject) -> Iterator[Check]:
    machine = subject.host.processor
    if machine.lower() in PROCESSORS:
        yield ok("processor", f"{machine}: there are wheels of every dependency for it")
    else:
        yield warning("processor", f"{machine}: nothing was tested on it", "use a machine with x86_64 or aarch64")


def driver(subject: Subject) -> Iterator[Check]:
    """NVIDIA's driver, and the GPUs that it shows."""
    text = subject.host.read("/proc/driver/nvidia/version")
    version = re.search(r"Kernel Module\s+(?:for \S+\s+)?([\d.]+)", text)
    names = gpu_names(subject.host.root / GPU_FOLDER)
    if text:
        yield ok("driver", f"NVIDIA {version[1] if version else '(version not read)'}: {', '.join(names) or 'no GPU'}")
    elif on_gpu(subject):
        found = f"model.device={device_of(subject.config)}, and this machine shows no driver of NVIDIA"
        yield problem("driver", found, "install NVIDIA's driver; in a container: docker run --gpus all …")
    else:
        yield ok("driver", "no GPU is used by this profile")
    if on_gpu(subject) and text and not subject.host.files("/dev", "nvidia[0-9]*"):
        found = "the driver is loaded, and /dev has no GPU"
        yield problem(
            "GPU device", found, "in a container: docker run --gpus all …; else: sudo nvidia-modprobe -u -c=0"
        )


def memory(subject: Subject) -> Iterator[Check]:
    """Whether the run fits; the control group's limit and the page cache."""
    made = plan(subject.config, machine_of("this", device_of(subject.config)), subject.job)
    if why := refusal(subject.config, subject.job):
        yield problem("memory", why)
    elif found := doubts(subject.config, subject.job):
        yield from (warning("memory", doubt, "skillos-engine plan") for doubt in found)
    elif made.fits is None:
        gaps = [part.unmeasured for part in made.memory if part.bytes is None]
        yield unmeasured("memory", gaps[0] if gaps else made.machine.source)
    else:
        yield ok("memory", one_line(made).removeprefix("plan: "))
    yield from _group(subject)
    yield from _page_cache(subject)


def _group(subject: Subject) -> Iterator[Check]:
    total = kernel.meminfo(subject.host.read("/proc/meminfo")).get("MemTotal", 0)
    lower = [group for group in limited_groups(subject.host) if not total or group.limit < total]
    group = min(lower, key=lambda group: group.limit, default=None)
    if group is None:
        yield ok("control group", "no limit of memory below the machine's is set")
        return
    whose = group.path or "this container"
    found = f"{whose} may use {gigabytes(group.limit)}: the kernel stops or ends processes that take more"
    advice = "docker run --memory=… or systemd's MemoryMax and MemoryHigh set the limit; the plan counts with it"
    yield warning("control group", found, advice)


def _page_cache(subject: Subject) -> Iterator[Check]:
    """On a unified machine the allocator of CUDA sees memory in the page cache as used."""
    if not unified(subject):
        return
    values = dict(re.findall(r"^(\w+):\s+(\d+) kB", subject.host.read("/proc/meminfo"), re.MULTILINE))
    if not {"Cached", "MemTotal"} <= values.keys():
        yield unmeasured("page cache", "/proc/meminfo does not report it")
        return
    cached, total = int(values["Cached"]) * 1024, int(values["MemTotal"]) * 1024
    found = f"{gigabytes(cached)} of {gigabytes(total)} are page cache, which the GPU counts as used"
    if cached > CACHED * total:
        yield warning("page cache", found, "before the start: sync; echo 3 | sudo tee /proc/sys/vm/drop_caches")
    else:
        yield ok("page cache", found)


def disk(subject: Subject) -> Iterator[Check]:
    made = plan(subject.config, machine_of("this", device_of(subject.config)), subject.job)
    folder = next(path for path in (subject.folder, *subject.folder.parents) if path.exists())
    room = shutil.disk_usage(folder).free
    found = f"{gigabytes(room)} are free in {subject.folder}, a whole run writes about {gigabytes(made.disk_used)}"
    if room < made.disk_used:
        advice = f"free {gigabytes(made.disk_used - room)}, lower training.steps, or give --run DIR on another disk"
        yield (problem if room < made.disk_used / 2 else warning)("disk", found, advice)
    else:
        yield ok("disk", found)


def descriptors(subject: Subject) -> Iterator[Check]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= DESCRIPTORS:
        yield ok("file descriptors", f"a process may open {'any number of' if soft < 0 else f'{soft:,}'} files")
    else:
        can = DESCRIPTORS if hard < 0 else min(DESCRIPTORS, hard)
        yield warning(
            "file descriptors", f"a process may open {soft:,} files, a large run needs more", f"ulimit -n {can}"
        )


def clock(subject: Subject) -> Iterator[Check]:
    """Whether the clock is right: heartbeats, trailers of commits and deadlines are read from it."""
    now, newest = time.time(), Path(engine.__file__).stat().st_mtime
    if now < max(OLDEST, newest - 60):
        shown = time.strftime("%Y-%m-%d %H:%M", time.gmtime(now))
        found = f"it says {shown} UTC, which is before this program was made"
        yield problem("clock", found, "sudo timedatectl set-ntp true")
        return
    try:
        synchronised = subject.host.run(("timedatectl", "show", "--property=NTPSynchronized", "--value"))
    except (Unanswered, SkillosError) as error:
        yield unmeasured("clock", f"whether it is synchronised is not known: {error}")
        return
    if synchronised == "yes":
        yield ok("clock", "it is synchronised")
    else:
        yield warning("clock", "it is not synchronised: it may jump during a run", "sudo timedatectl set-ntp true")
