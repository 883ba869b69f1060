"""What can be known of a configuration before a run of it is created: in milliseconds, without torch.

    config = absolute(load_profile("pocket", settings))
    check(config, "train")                    # raises ConfigError with one sentence

`engine.config` refuses what no run could use; this module refuses what a kind of run, or this machine, cannot use. Whoever
creates a run calls `check` first: what it finds would otherwise end the run after minutes.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from engine.config import Config, ConfigError, Curator
from engine.core.refusals import nearest
from engine.environments.registry import kind_of
from engine.models.files import check_adapter, check_model


def check(config: Config, kind: Literal["train", "curate"]) -> None:
    """Raises `ConfigError` for what a run of `kind` would only find out later."""
    if kind == "train":
        check_training_sampling(config.curator)
        if config.training.evaluate_every:
            kind_of(config.environment).check_held_out(config.environment)
    kind_of(config.environment).check(config.environment)
    _check_prompts(config)
    _check_room(config)
    if kind == "curate":
        _check_adapter(config.curate.adapter)
    check_model(config.model)


def absolute(config: Config) -> Config:
    """`config` with absolute paths: the engine works in another directory than the person who named them."""
    environment, model, curate = config.environment, config.model, config.curate
    if environment.path:
        environment = msgspec.structs.replace(environment, path=_absolute(environment.path))
    if model.weights not in ("pocket", "") and Path(_absolute(model.weights)).exists():
        model = msgspec.structs.replace(model, weights=_absolute(model.weights))
    if curate.adapter:
        curate = msgspec.structs.replace(curate, adapter=_absolute(curate.adapter))
    return msgspec.structs.replace(config, environment=environment, model=model, curate=curate)


def _absolute(path: str) -> str:
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError:  # a ~ without a home
        return path


def check_training_sampling(curator: Curator) -> None:
    """Raises `ConfigError` for a curator that draws from another distribution than the one that the update trains."""
    why = "" if curator.temperature else "curator.temperature=0 always draws the same answer, so no rollout differs"
    if curator.top_p < 1:
        why = f"curator.top_p={curator.top_p:g} leaves out tokens that the update's probabilities include"
    if curator.top_k:
        why = f"curator.top_k={curator.top_k} leaves out tokens that the update's probabilities include"
    if why:
        raise ConfigError(
            f"{why}: a train run needs curator.temperature over 0 (1.0 as published), curator.top_p=1 and curator.top_k=0; "
            "a curate run may use other values"
        )


def _check_prompts(config: Config) -> None:
    folder = resources.files("engine") / "agents" / "prompts"
    known = sorted(item.name for item in folder.iterdir() if item.is_dir())
    for role, name in {"executor": config.executor.prompts, "curator": config.curator.prompts}.items():
        if name not in known:
            raise ConfigError(
                f"{role}.prompts: there are no prompts called {name!r}{nearest(name, known)}; there are: {', '.join(known)}"
            )


def _check_room(config: Config) -> None:
    """An executor whose answer alone fills the context cannot be asked anything."""
    answer, context = config.executor.max_tokens, config.model.context
    if config.executor.decoding == "generate" and answer >= context:
        raise ConfigError(
            f"executor.max_tokens={answer} leaves no room for a prompt in model.context={context}: "
            "raise the one or lower the other"
        )


def _check_adapter(source: str) -> None:
    if not source:
        return
    path = Path(source).expanduser()
    if (path / "adapter_config.json").is_file():
        check_adapter(path)
    elif not any(path.glob("checkpoints/step-*/adapter_config.json")):
        raise ConfigError(f"curate.adapter = {source!r} is neither a checkpoint nor a train run that has one")
