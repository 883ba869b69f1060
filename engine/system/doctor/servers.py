"""Checks of model servers: ports, what a server that runs answers, and servers that nobody owns any more."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import psutil

from engine.core.parts import kind_of
from engine.models.settings import ModelSettings
from engine.system.doctor.base import Check, Subject, Unanswered, ok, problem, unmeasured, warning
from engine.system.plan.text import gigabytes

SECTIONS = ("model", "executor_model", "judge_model")
LORA = "/v1/load_lora_adapter"
SERVERS = ("enginecore", "vllm::", "vllm.entrypoints", "vllm serve")
"""What the names or command lines of vLLM's processes contain, in small letters."""


def ports(subject: Subject) -> Iterator[Check]:
    """Whether the port of each server that would be started is free, or who has it."""
    for section, settings in _sections(subject):
        port = int(getattr(settings, "port", 0))
        if getattr(settings, "url", "") or kind_of(settings) != "vllm":
            continue
        if not port:
            yield ok(f"port of [{section}]", "a free one is chosen at the start")
        elif _free(port):
            yield ok(f"port of [{section}]", f"{port} is free")
        else:
            found = f"{port} is taken{_holder(port)}"
            yield problem(f"port of [{section}]", found, f"--set {section}.port=0, or end that process")


def answers(subject: Subject) -> Iterator[Check]:
    """What a server that is named by its address says of itself. No key is sent."""
    for section, settings in _sections(subject):
        url = str(getattr(settings, "url", ""))
        if not url:
            continue
        parts = urlsplit(url)
        base, name = f"{parts.scheme}://{parts.netloc}", f"server of [{section}]"
        try:
            listed = json.loads(subject.host.fetch(f"{base}/openapi.json"))
            paths = listed.get("paths", {}) if isinstance(listed, dict) else {}
        except Unanswered as error:
            if str(error).startswith("it answers"):
                yield unmeasured(name, f"{base} answers, and does not show its interface ({error})")
            else:
                yield problem(name, f"{base} does not answer ({error})", "start the server, or correct the address")
            continue
        except ValueError:
            yield unmeasured(name, f"what {base}/openapi.json answers is not JSON")
            continue
        yield ok(name, f"{base} answers; that it is healthy is no proof that it computes")
        if kind_of(settings) == "vllm" and subject.job.trains:
            if LORA in paths:
                yield ok(f"adapters of [{section}]", f"{LORA} is there: adapters are changed while it runs")
            else:
                advice = "start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora"
                yield problem(
                    f"adapters of [{section}]", f"the server has no {LORA}, so no adapter can be loaded", advice
                )


def orphans(subject: Subject) -> Iterator[Check]:
    """Processes of vLLM whose parent has ended: they keep their memory, on a unified machine that of everybody."""
    found, own = [], 0
    for process in psutil.process_iter(["pid", "ppid", "name", "cmdline", "memory_info"]):
        with suppress(psutil.Error, TypeError):
            words = " ".join([process.info["name"] or "", *(process.info["cmdline"] or [])]).lower()
            if not any(part in words for part in SERVERS):
                continue
            if _owned(process):
                own += 1
            else:
                found.append((process.pid, process.info["memory_info"].rss))
    if found:
        listed = ", ".join(f"process {pid} with {gigabytes(size)}" for pid, size in found)
        numbers = " ".join(str(pid) for pid, _ in found)
        advice = f"if no server of yours: kill {numbers}; then see that MemAvailable has grown"
        yield warning("orphaned servers", f"vLLM without an engine: {listed}", advice)
    else:
        yield ok("orphaned servers", f"none{f'; {own} processes of vLLM have an owner' if own else ''}")


def _owned(process: psutil.Process) -> bool:
    """Whether an ancestor is an engine, the launcher of one, or a shell; without one the process belongs to init alone."""
    for ancestor in process.parents():
        if ancestor.pid == 1 or ancestor.name() in ("systemd", "init", "tini", "dumb-init"):
            return False
        with suppress(psutil.Error):
            words = " ".join(ancestor.cmdline()).lower()
            if not any(part in words for part in SERVERS):
                return True
    return False


def _sections(subject: Subject) -> list[tuple[str, ModelSettings]]:
    return [(section, getattr(subject.config, section)) for section in SECTIONS]


def _free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    """Which process listens on the port, as far as it can be seen."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                if connection.pid is None:
                    return " by a process of another user"
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""
