"""Checks of the software: Python, the build of PyTorch, vLLM, the libraries, keys. Nothing of it is imported."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from engine.core.errors import ConfigError
from engine.core.parts import kind_of
from engine.models.remote.keys import read_key
from engine.system.doctor.base import Check, Subject, ok, problem, unmeasured, warning
from engine.system.doctor.hardware import on_gpu
from engine.system.plan.fit import device_of

PYTHONS = ((3, 11), (3, 13))
VLLM = "0.32.0"
"""The version of vLLM that goes with our versions of PyTorch and transformers."""
LIBRARIES = ("transformers", "trl", "peft", "accelerate", "tokenizers", "textual", "openai")
CUDA_INDEX = "https://download.pytorch.org/whl/cu130"


def python(subject: Subject) -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        yield ok("Python", f"{version} in {sys.prefix}")
    else:
        yield warning("Python", f"{version}: 3.11 to 3.13 were tested", "python3.12 -m venv .venv")


def torch(subject: Subject) -> Iterator[Check]:
    """The build of PyTorch, by the file that it was built with."""
    version = subject.host.version("torch")
    if not version:
        yield problem("PyTorch", "it is not installed", "pip install -c constraints.txt .")
        return
    cuda = cuda_of_torch()
    build = {None: "its build is not known", "": "a CPU build"}.get(cuda, f"built for CUDA {cuda}")
    found = f"{version} for {subject.host.processor}, {build}"
    if on_gpu(subject) and cuda == "":
        advice = f"pip install --index-url {CUDA_INDEX} torch=={version.partition('+')[0]}"
        yield problem("PyTorch", f"{found}, and model.device={device_of(subject.config)}", advice)
    elif cuda is None:
        yield unmeasured("PyTorch", found)
    else:
        yield ok("PyTorch", found)


def cuda_of_torch() -> str | None:
    """The version of CUDA that the installed PyTorch was built for, "" for a CPU build; None where it cannot be read."""
    try:
        path = Path(str(metadata.distribution("torch").locate_file("torch/version.py")))
        found = re.search(r"^cuda[^=\n]*=\s*(?:None|'([\d.]+)'|\"([\d.]+)\")", path.read_text("utf-8"), re.MULTILINE)
    except (metadata.PackageNotFoundError, OSError, UnicodeDecodeError):
        return None
    return None if found is None else found[1] or found[2] or ""


def vllm(subject: Subject) -> Iterator[Check]:
    """The version of vLLM in the Python that starts each server."""
    for section in ("model", "executor_model", "judge_model"):
        settings = getattr(subject.config, section)
        if kind_of(settings) != "vllm":
            continue
        name = f"vLLM of [{section}]"
        if getattr(settings, "url", ""):
            yield ok(name, "the server runs already; its version is its own")
            continue
        interpreter = str(getattr(settings, "python", ""))
        version = _beside(Path(interpreter), "vllm") if interpreter else subject.host.version("vllm")
        install = f"python3 -m venv .vllm-venv && .vllm-venv/bin/pip install vllm=={VLLM}"
        if not version:
            found = f"{interpreter or 'this Python'} has no package vllm"
            yield problem(name, found, f"{install}, then --set {section}.python=.vllm-venv/bin/python")
        elif version.partition("+")[0] != VLLM:
            yield warning(name, f"{version} is installed, and {VLLM} was tested", install)
        else:
            yield ok(name, f"{version} in {interpreter or sys.executable}")


def libraries(subject: Subject) -> Iterator[Check]:
    found = {name: subject.host.version(name) for name in LIBRARIES}
    missing = [name for name, version in found.items() if not version]
    listed = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    if missing:
        yield problem("libraries", f"not installed: {', '.join(missing)}", "pip install -c constraints.txt .")
    else:
        yield ok("libraries", listed)


def keys(subject: Subject) -> Iterator[Check]:
    """Whether each key that the configuration names can be read. No key is shown."""
    for section in ("model", "executor_model", "judge_model"):
        name = str(getattr(getattr(subject.config, section), "key", ""))
        if not name:
            continue
        try:
            read_key(name, f"{section}.key")
        except ConfigError as error:
            yield problem(f"key of [{section}]", str(error), f"export {name}=…")
        else:
            yield ok(f"key of [{section}]", f"{name} is there")


def _beside(interpreter: Path, package: str) -> str:
    """The version of a package in the virtual environment of an interpreter, by the name of its metadata; "" without it."""
    folders = interpreter.absolute().parent.parent.glob(f"lib/python3*/site-packages/{package}*.dist-info")
    versions = [
        match[1] for path in folders if (match := re.fullmatch(rf"{package}(?:_\w+)?-(.+)\.dist-info", path.name))
    ]
    return versions[0] if versions else ""
