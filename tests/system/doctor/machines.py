"""Machines for the doctor, constructed: files and answers of commands are as published; those of the H100 were measured."""

from __future__ import annotations

import json

from engine.config import load_profile
from engine.jobs.registry import JOBS
from engine.system.doctor import Host, Subject, examine
from engine.system.doctor.base import Unanswered

GIB = 2**20  # in kB, as /proc/meminfo counts
VERSIONS = {
    "torch": "2.13.0",
    "vllm": "0.32.0",
    "transformers": "5.19.0",
    "trl": "1.16.0",
    "peft": "0.21.2",
    "accelerate": "1.15.0",
    "tokenizers": "0.23.3",
    "textual": "8.2.8",
    "openai": "3.57.0",
}
GB10 = {
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.95.05  Release Build\n",
    "proc/driver/nvidia/gpus/000f:01:00.0/information": "Model: \t\t NVIDIA GB10\n",
    "proc/meminfo": f"MemTotal: {119 * GIB} kB\nMemFree: {9 * GIB} kB\nCached: {60 * GIB} kB\n",
    "dev/nvidia0": "",
}
H100 = {  # as it was on a virtual machine with one, whose control group has a limit above MemTotal
    "proc/driver/nvidia/version": (
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (nixbld@)  \n"
        "GCC version:  gcc version 15.3.0 (GCC) \n"
    ),
    "proc/driver/nvidia/gpus/0000:00:06.0/information": "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 41\n",
    "proc/meminfo": "MemTotal:       131981020 kB\nMemAvailable:   131420280 kB\nCached:          2592560 kB\n",
    "proc/self/cgroup": "0::/process_api/7116010fee9b\n",
    "sys/fs/cgroup/process_api/memory.max": f"{128 * 2**30}\n",
    "sys/fs/cgroup/process_api/memory.current": "1000\n",
    "dev/nvidia0": "",
}
CONTAINER = {
    "proc/meminfo": f"MemTotal: {64 * GIB} kB\n",
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/memory.max": f"{4 * 2**30}\n",
    "sys/fs/cgroup/memory.current": "1000\n",
}


def host(folder, files=(), *, processor="aarch64", environment=(), commands=(), pages=(), versions=VERSIONS):
    """A machine with these files, whose commands print `commands[first word]`; what is not there does not answer."""
    for name, text in dict(files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(command):
        found = dict(commands).get(command[0])
        if found is None:
            raise Unanswered(f"{command[0]} is not installed")
        return found

    def fetch(url):
        found = dict(pages).get(url)
        if found is None:
            raise Unanswered("Connection refused")
        return found if isinstance(found, bytes) else json.dumps(found).encode()

    return Host(folder, dict(environment), processor, run, fetch, lambda name: dict(versions).get(name, ""))


def subject(folder, *settings, profile="pocket", job="train", **machine):
    return Subject(load_profile(profile, list(settings)), JOBS.load(job), host(folder, **machine), folder / "runs")


def found(folder, *settings, checks=None, **more):
    """The checks by their names."""
    given = subject(folder, *settings, **more)
    return {check.name: check for check in (examine(given) if checks is None else examine(given, checks))}
