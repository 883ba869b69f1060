"""The report for a bug: one zip file with text files, each redacted.

    write_bundle(Path("bug.zip"), subject, checks, run)

It has versions, what the doctor found, the plan, the configuration, and of a run its status, its last events without their
contents, and the last lines of its logs. Texts of skills, trajectories and prompts are left out.
"""

from __future__ import annotations

import os
import platform
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from engine.config import to_toml
from engine.core.errors import SkillosError
from engine.core.events import CurationMade, EditProposed
from engine.core.files import open_regular
from engine.core.text import json_text
from engine.runs.directory import Run
from engine.runs.status import status
from engine.skills import SkillRepo
from engine.system.doctor.base import Check, Subject
from engine.system.doctor.redaction import Redactor, names_of_here
from engine.system.doctor.text import lines
from engine.system.plan import lines as plan_lines
from engine.system.plan import machine_of, plan
from engine.system.plan.fit import device_of

LOG_LINES = 200
LOG_BYTES = 64 * 1024
LAST_EDITS = 1_000
"""Of how many of the newest decisions and edits the texts are taken out of the logs."""
PACKAGES = (
    *(
        "skillos-tui",
        "torch",
        "transformers",
        "trl",
        "peft",
        "accelerate",
        "tokenizers",
        "vllm",
        "openai",
        "any-llm-sdk",
    ),
    *("textual", "rich", "msgspec", "numpy", "pygit2", "psutil", "keyring", "nvidia-ml-py"),
)
KEPT = (
    "TERM",
    "LANG",
    "LC_ALL",
    "TMUX",
    "SSH_CONNECTION",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ALLOC_CONF",
    "HF_HUB_OFFLINE",
)
"""Variables of the environment that matter; the rest is left out. Of TMUX and SSH_CONNECTION no value is written."""


class BundleError(SkillosError):
    """The report cannot be written."""


def write_bundle(path: Path, subject: Subject, checks: Sequence[Check], run: Run | None) -> list[str]:
    """Write the report to `path`; the names of its files. Raises `BundleError`, also where `path` exists."""
    homes, users, hosts = names_of_here()
    skills = list(_skill_texts(run)) if run is not None else []
    redact = Redactor(subject.host.environment, homes=homes, users=users, hosts=hosts, skills=skills)
    texts = {name: redact(text) for name, text in _files(subject, checks, run)}
    try:
        with path.open("xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in texts.items():
                archive.writestr(name, text.rstrip() + "\n")
    except FileExistsError as error:
        raise BundleError(f"{path} exists already: give another name") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror}") from error
    return list(texts)


def _files(subject: Subject, checks: Sequence[Check], run: Run | None) -> Iterator[tuple[str, str]]:
    yield "versions.txt", "\n".join(_versions(subject))
    yield "doctor.txt", "\n".join(lines(checks))
    yield "doctor.json", json_text(list(checks), indent=True)
    machine = machine_of("this", device_of(subject.config))
    yield "plan.txt", "\n".join(plan_lines(plan(subject.config, machine, subject.job)))
    yield "config.toml", to_toml(subject.config)
    if run is not None:
        yield from _of_run(run)


def _of_run(run: Run) -> Iterator[tuple[str, str]]:
    try:
        now = status(run)
        yield "run/status.json", json_text(now, indent=True)
        yield "run/config.toml", to_toml(run.config)
        kinds = Counter(type(stored.event).__name__ for stored in run.stream())
        yield "run/events.txt", "\n".join(f"{count:>8,}  {kind}" for kind, count in kinds.most_common())
    except (SkillosError, OSError) as error:
        yield "run/unreadable.txt", str(error)
    for path in sorted(run.log_file.parent.glob("*.log")):
        yield f"run/logs/{path.name}", _tail(path)


def _versions(subject: Subject) -> Iterator[str]:
    yield f"Python {sys.version.split()[0]} ({platform.python_implementation()})"
    yield f"{platform.system()} {platform.release()} {subject.host.processor}"
    for name in PACKAGES:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"{name} (not installed)"
    for name in KEPT:
        if (value := subject.host.environment.get(name)) is not None:
            yield f"{name}={'(set)' if name in ('TMUX', 'SSH_CONNECTION') else value}"


def _skill_texts(run: Run) -> Iterator[str]:
    """The texts of the skills of the run's repository, and of what its curator wrote last."""
    with suppress(SkillosError, OSError):
        repo = SkillRepo.open(run.repo_path)
        for name in repo:
            yield repo[name].body
            yield repo[name].description
    with suppress(SkillosError, OSError):
        for stored in run.tail(LAST_EDITS, ["curation_made", "edit_proposed"]):
            match stored.event:
                case CurationMade() as made:
                    yield from (made.completion, *made.repo.values())
                case EditProposed(edit=edit):
                    yield from (edit.before or "", edit.after or "")


def _tail(path: Path) -> str:
    try:
        with open_regular(path) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - LOG_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError as error:
        return f"(it cannot be read: {error.strerror})"
    return "\n".join(text.splitlines()[-LOG_LINES:])
