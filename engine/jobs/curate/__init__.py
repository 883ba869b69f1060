"""A curate run: tasks stream over one lasting repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.errors import ConfigError
from engine.core.options import Option
from engine.jobs.base import JobKind, Shortcut

if TYPE_CHECKING:
    from engine.config import Config


def check(config: Config) -> None:
    """Raises `ConfigError` where `curate.adapter` names neither a checkpoint nor a train run that has one."""
    from engine.models.files import check_adapter

    source = config.curate.adapter
    if not source:
        return
    path = Path(source).expanduser()
    if (path / "adapter_config.json").is_file():
        check_adapter(path)
    elif not any(path.glob("checkpoints/step-*/adapter_config.json")):
        raise ConfigError(f"curate.adapter = {source!r} is neither a checkpoint nor a train run that has one")


KIND = JobKind(
    name="curate",
    unit="task",
    total=lambda config: config.curate.tasks,
    trains=False,
    forks=False,
    work="engine.jobs.curate.run:CurateJob",
    about="curate a lasting repository, task after task",
    options=(
        Option("--tasks", "curate.tasks", "how many tasks"),
        Option("--review", "review.policy", "who decides on edits"),
        Option("--curator", "curate.adapter", "a train run or checkpoint whose adapter curates", path=True),
    ),
    check=check,
    loads="PyTorch and transformers",
    shortcut=Shortcut("c", "Live curation", "tasks stream by; you decide on each edit", "pocket"),
)
