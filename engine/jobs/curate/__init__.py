"""A curate run: tasks stream over one lasting repository."""

from __future__ import annotations

from pathlib import Path

from engine.config import Config, ConfigError
from engine.jobs.base import JobKind


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
    check=check,
    loads="PyTorch and transformers",
)
