"""The configuration of a run: a profile, overridden by `--set section.key=value`, resolved once and kept with the run.

    config = load_profile("pocket", ["training.steps=3", "review.policy=auto"])
    Path(run / "config.toml").write_text(to_toml(config))

Every choice that the method leaves open is a named setting here with the choice written beside it. Nothing is read from
environment variables. Unknown keys and wrong types are errors that name the key.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec


class ConfigError(Exception):
    """A profile or a setting that cannot be used; the message says which, why, and what is allowed."""


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which world is played. `path` is where an external world's files lie (ALFWorld); the household needs none."""

    name: Literal["household", "alfworld"] = "household"
    path: str = ""
    split: str = ""
    max_turns: int = 30


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One base model for both roles. `weights` is `pocket` (shipped), a folder, or a hub name."""

    weights: str = "pocket"
    device: str = "cpu"
    dtype: Literal["float32", "bfloat16"] = "float32"
    threads: int = 1
    max_batch: int = 64
    context: int = 4096


class Executor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the frozen executor acts. `prompts` names a folder of `engine/agents/prompts`; `history` is in turns.

    `decoding`: `generate` lets it write a thought and an action; `choose` takes the admissible action that it finds
    likeliest (`engine.agents.executor`), for a model too small to write the actions of a world that it was not trained on.
    `skills` is retrieval's top-k. `deadline_seconds` bounds a whole episode; past it the outcome is unmeasured.
    """

    prompts: str = "standard"
    decoding: Literal["generate", "choose"] = "generate"
    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 20
    max_tokens: int = 1024
    max_prompt_tokens: int = 16384
    history: int = 3
    skills: int = 5
    deadline_seconds: float = 600.0


class Curator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the trained curator writes. The caps are per call (`method.md` §2): one call, one sequence."""

    prompts: str = "standard"
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 4096
    max_prompt_tokens: int = 16384
    max_vetoes: int = 5
    deadline_seconds: float = 600.0


class Rewards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The weights of the composite reward, and the choices that the paper leaves open.

    `empty_call_validity` is valid(c_i) when the curator calls nothing: 0.0, so that silence is never paid.
    """

    lambda_f: float = 1.0
    lambda_u: float = 0.1
    lambda_c: float = 0.05
    empty_call_validity: float = 0.0
    judge: Literal["rubric"] = "rubric"


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One GRPO step is `groups` × `rollouts` × `tasks` curator samples. `kl` 0 leaves the KL term out (as the text does)."""

    steps: int = 60
    groups: int = 4
    rollouts: int = 8
    tasks: int = 10
    learning_rate: float = 1e-5
    lora_rank: int = 32
    lora_alpha: int = 64
    clip: float = 0.2
    kl: float = 0.0
    max_grad_norm: float = 1.0
    micro_batch: int = 8
    seed: int = 1


class Review(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who decides on edits. `ask` waits for a person up to `wait_seconds` in a curate run; `auto` approves what applies.

    `max_pending` bounds the queue of a training run; what does not fit is reported, not hidden.
    """

    policy: Literal["ask", "auto"] = "ask"
    wait_seconds: float = 3600.0
    max_pending: int = 20


class Curate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A curate run: how many tasks stream over the lasting repository, and the seed that draws them."""

    tasks: int = 60
    seed: int = 1


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that a run needs to know, resolved."""

    profile: str
    environment: Environment = Environment()
    model: Model = Model()
    executor: Executor = Executor()
    curator: Curator = Curator()
    rewards: Rewards = Rewards()
    training: Training = Training()
    review: Review = Review()
    curate: Curate = Curate()


def profiles() -> list[str]:
    """The names of the shipped profiles."""
    folder = resources.files("engine") / "profiles"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def load_profile(name: str, settings: list[str] | None = None) -> Config:
    """The shipped profile `name` with `settings` ("section.key=value") applied. Raises `ConfigError`."""
    if name not in profiles():
        raise ConfigError(f"there is no profile {name!r}; the profiles are: {', '.join(profiles())}")
    text = (resources.files("engine") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
    return parse(text, settings, where=f"profile {name}")


def load_file(path: Path) -> Config:
    """The configuration kept in a run directory. Raises `ConfigError`."""
    try:
        return parse(path.read_text(encoding="utf-8"), where=str(path))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def parse(text: str, settings: list[str] | None = None, *, where: str = "configuration") -> Config:
    """A `Config` from TOML text and settings. Raises `ConfigError` that names the key and what was expected."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    for setting in settings or []:
        _apply(data, setting)
    try:
        return msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def _apply(data: dict[str, Any], setting: str) -> None:
    """Write one "section.key=value" into `data`; a value that is not TOML is taken as a string."""
    path, equals, raw = setting.partition("=")
    section, dot, key = path.strip().partition(".")
    if not equals or not dot or not key:
        raise ConfigError(f"--set {setting!r} is not of the form section.key=value, such as training.steps=3")
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        value = raw
    data.setdefault(section, {})[key] = value


def to_toml(config: Config) -> str:
    """The configuration as TOML, one table a section; `parse` reads it back to an equal value."""
    lines: list[str] = []
    for name, value in msgspec.to_builtins(config).items():
        if isinstance(value, dict):
            lines.append(f"\n[{name}]")
            lines += [f"{key} = {_toml_value(item)}" for key, item in value.items()]
        else:
            lines.append(f"{name} = {_toml_value(value)}")
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    """A scalar in TOML; JSON strings are TOML basic strings."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode() if isinstance(value, str) else repr(value)
