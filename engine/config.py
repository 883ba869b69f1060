"""The configuration of a run: a profile, overridden by `--set section.key=value`, resolved once and kept with the run.

    config = load_profile("pocket", ["training.steps=3", "review.policy=auto"])
    Path(run / "config.toml").write_text(to_toml(config))

Every choice that the method leaves open is a named setting here with the choice written beside it. Nothing is read from
environment variables. Unknown keys, wrong types and values out of range are errors that name the key, what is allowed, and
the nearest name there is. What a kind of run cannot use is found by `engine.system.preflight.check`.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from engine.core.errors import SkillosError
from engine.core.refusals import elsewhere, nearest, no_section, no_setting, shown, why_refused

Positive = Annotated[int, msgspec.Meta(ge=1)]
Many = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
AtLeastTwo = Annotated[int, msgspec.Meta(ge=2)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(gt=0, le=1)]

MAX_SAMPLES = 1_000_000


class ConfigError(SkillosError):
    """A profile or a setting that cannot be used; the message says which, why, and what is allowed."""


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which world is played. `path`, `split`, `evaluate_split` and `max_turns` are ALFWorld's: where its games lie, which of
    them are played ("": all), which are kept for a training's held-out groups, and the step cap. The household needs no
    files, and each of its tasks has a cap of its own."""

    name: Literal["household", "alfworld"] = "household"
    path: str = ""
    split: str = ""
    evaluate_split: str = ""
    max_turns: Positive = 30


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One base model for both roles. `weights` is `pocket` (shipped), a folder, or a hub name; `device` is torch's name of
    one: cpu, cuda, cuda:1, mps. `context` is in tokens, of a prompt and its answer together."""

    weights: str = "pocket"
    device: str = "cpu"
    dtype: Literal["float32", "bfloat16"] = "float32"
    threads: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    max_batch: Positive = 64
    context: Positive = 20480


class Executor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the frozen executor acts. `prompts` names a folder of `engine/agents/prompts`; `history` is in turns.

    `decoding`: `generate` lets it write a thought and an action; `choose` takes the admissible action that it finds
    likeliest (`engine.agents.executor`), for a model too small to write the actions of a world that it was not trained on.
    `skills` is retrieval's top-k; `reliability_weight` is how much a skill's rank also depends on how the tasks went that
    it was shown for (`engine.skills.search.reliability`; 0: not at all). `deadline_seconds` bounds a whole episode; past it
    the outcome is unmeasured.
    """

    prompts: str = "standard"
    decoding: Literal["generate", "loglikelihood"] = "generate"
    temperature: NonNegative = 0.6
    top_p: Fraction = 0.95
    top_k: Count = 20
    max_tokens: Positive = 1024
    max_prompt_tokens: Positive = 16384
    history: Count = 3
    skills: Count = 5
    reliability_weight: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    deadline_seconds: Seconds = 600.0


class Curator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the trained curator writes. The caps are per call (`method.md` §2): one call, one sequence.

    The update takes the curator's log-probabilities at `temperature`, over the whole distribution: a train run needs a
    temperature over 0, `top_p` 1 and `top_k` 0.

    Of the vetoed edits the newest `max_vetoes` are quoted to it, as many as fit into `max_veto_tokens`.
    """

    prompts: str = "standard"
    temperature: NonNegative = 1.0
    top_p: Fraction = 1.0
    top_k: Count = 0
    max_tokens: Positive = 4096
    max_prompt_tokens: Positive = 16384
    max_vetoes: Count = 5
    max_veto_tokens: Count = 1024
    deadline_seconds: Seconds = 600.0


class Rewards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The weights of the composite reward, and the choices that the paper leaves open.

    `empty_call_validity` is valid(c_i) when the curator calls nothing: 0.0, so that silence is never paid.
    """

    lambda_f: NonNegative = 1.0
    lambda_u: NonNegative = 0.1
    lambda_c: NonNegative = 0.05
    empty_call_validity: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    judge: Literal["rubric"] = "rubric"


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One GRPO step is `groups` × `rollouts` × `tasks` curator samples, and `micro_batch`, how many go through the model at
    once, divides them; it changes memory and speed, not the result.

    The update is AdamW without weight decay at a constant `learning_rate`. A gradient longer than `max_grad_norm` is cut to
    that length (0: never). `kl` is the coefficient of the KL term; 0 leaves it out (as the text does). `kl_estimator` is its
    value at a token, with x = ln p_base − ln p: `k3` is eˣ − x − 1; `k3_corrected` is that times the importance ratio, so
    that its gradient is that of the KL divergence itself (arXiv 2512.02556).

    A step that teaches nothing is skipped: nothing was measured, or the rewards inside each group are equal. With a KL term
    equal rewards are no reason, since that term has a gradient of its own.

    A group of one rollout has no advantage and one of a single task no r_task, so both are at least 2. `clip` is the
    surrogate's ε; with the one update a batch that a step makes, the importance ratio is 1 and it never binds.

    A group's tasks are of one family (`method.md` §2, which leaves open how it is drawn and how they are ordered).
    `families`: `natural` draws families in proportion to their tasks, as an evaluation over all games weighs them;
    `uniform` draws all alike, for a rare one's sake. The household, with a house a group, knows no difference. `order`:
    `drawn` leaves the tasks as chance has them; `easy_to_hard` sorts them by the actions that a knowing player needs.

    Before the first step and after every `evaluate_every` steps the curator plays `evaluate_groups` held-out groups (0:
    never), in houses with seeds of their own or of the games of `environment.evaluate_split`. They are the same each time,
    `natural` and as `drawn` whatever the training groups are, so that runs can be compared.
    """

    steps: Many = 60
    groups: Positive = 4
    rollouts: AtLeastTwo = 8
    tasks: AtLeastTwo = 10
    families: Literal["natural", "uniform"] = "natural"
    order: Literal["drawn", "easy_to_hard"] = "drawn"
    learning_rate: NonNegative = 1e-5
    lora_rank: Positive = 32
    lora_alpha: Positive = 64
    clip: NonNegative = 0.2
    kl: NonNegative = 0.0
    kl_estimator: Literal["k3", "k3_corrected"] = "k3_corrected"
    max_grad_norm: NonNegative = 1.0
    micro_batch: Positive = 8
    seed: Seed = 1
    evaluate_every: Annotated[int, msgspec.Meta(ge=0)] = 0
    evaluate_groups: Positive = 32


class Review(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who decides on edits. `ask` waits for a person up to `wait_seconds` in a curate run; `auto` approves what applies.

    `max_pending` bounds the queue of a training run: a newer edit takes the place of the oldest undecided one, which is
    logged.
    """

    policy: Literal["ask", "auto"] = "ask"
    wait_seconds: Seconds = 3600.0
    max_pending: Count = 20


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the audit of an edit (`engine.skills.audit`) leads to, by the severity of a finding.

    `block`: the edit is refused, with the finding as the reason, and never waits for a person; `warn`: the finding is kept
    and shown beside the edit; `pass`: it is not. `similarity` is the Jaccard coefficient of word triples from which on two
    skills are near-identical.
    """

    danger: Literal["block", "warn", "pass"] = "block"
    warning: Literal["block", "warn", "pass"] = "warn"
    info: Literal["block", "warn", "pass"] = "pass"
    similarity: Fraction = 0.8


class Curate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A curate run: how many tasks stream over the lasting repository, and the seed that draws them.

    `adapter` makes the curator: a checkpoint, or a train run's directory for its newest one; "" is the untrained curator.
    """

    tasks: Many = 60
    seed: int = 1
    adapter: str = ""


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
    audit: Audit = Audit()
    curate: Curate = Curate()


def profiles() -> list[str]:
    """The names of the shipped profiles."""
    folder = resources.files("engine") / "profiles"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def load_profile(name: str, settings: list[str] | None = None) -> Config:
    """The shipped profile `name` with `settings` ("section.key=value") applied. Raises `ConfigError`."""
    if name not in profiles():
        raise ConfigError(
            f"there is no profile {name!r}{nearest(name, profiles())}; the profiles are: {', '.join(profiles())}"
        )
    text = (resources.files("engine") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
    return parse(text, settings, where=f"profile {name}")


def load_file(path: Path) -> Config:
    """The configuration kept in a run directory. Raises `ConfigError`."""
    try:
        return parse(path.read_text(encoding="utf-8"), where=str(path))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def parse(text: str, settings: list[str] | None = None, *, where: str = "configuration") -> Config:
    """A `Config` from TOML text and settings. Raises `ConfigError` that names the key and what was expected."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{where} cannot be read: its values nest too deep") from error
    for setting in settings or []:
        _apply(data, setting)
    _check_values(data, where)
    config = msgspec.convert(data, Config)
    _check_micro_batch(config.training, where)
    return config


def _sections() -> dict[str, dict[str, Any]]:
    """The type of every setting, by section and key."""
    fields = {field.name: field.type for field in msgspec.structs.fields(Config)}
    return {
        name: {field.name: field.type for field in msgspec.structs.fields(kind)}
        for name, kind in fields.items()
        if name != "profile"
    }


def _check_values(data: dict[str, Any], where: str) -> None:
    """Raises `ConfigError` for the first thing in `data` that is no setting, or not what the setting takes."""
    known = _sections()
    if not isinstance(data.get("profile"), str):
        raise ConfigError(f"{where}: profile is missing, or no text: it is the name of the profile")
    for section, values in data.items():
        if section == "profile":
            continue
        if section not in known:
            raise ConfigError(f"{where}: {no_section(section, known)}")
        if not isinstance(values, dict):
            raise ConfigError(f"{where}: {section} is a section of settings, such as [{section}], and not a value")
        for key, value in values.items():
            if key not in known[section]:
                raise ConfigError(f"{where}: {no_setting(section, key, known)}")
            if (wrong := why_refused(value, known[section][key])) is not None:
                raise ConfigError(f"{where}: {section}.{key} = {shown(value)} cannot be used; {wrong}")


def _check_micro_batch(training: Training, where: str) -> None:
    samples = training.groups * training.rollouts * training.tasks
    if samples > MAX_SAMPLES:
        raise ConfigError(
            f"{where}: a step would have {samples} samples (groups × rollouts × tasks); {MAX_SAMPLES} is the most"
        )
    if samples % training.micro_batch:
        divisors = [size for size in range(1, samples + 1) if not samples % size]
        below = max(size for size in divisors if size < training.micro_batch)
        above = min((size for size in divisors if size > training.micro_batch), default=below)
        near = f"{below} and {above} do" if above > below else f"{below} does"
        raise ConfigError(
            f"{where}: training.micro_batch is {training.micro_batch}; it must divide the {samples} samples of a step "
            f"({training.groups} groups × {training.rollouts} rollouts × {training.tasks} tasks), as {near}"
        )


def _apply(data: dict[str, Any], setting: str) -> None:
    """Write one "section.key=value" into `data`; a value that is not TOML is taken as a string."""
    path, equals, raw = setting.partition("=")
    section, dot, key = (part.strip() for part in path.strip().partition("."))
    if not equals or not dot or not key:
        raise ConfigError(
            f"--set {setting!r} is not of the form section.key=value, such as training.steps=3"
            f"{elsewhere(section, _sections()) if not dot else ''}"
        )
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        value = raw
    except RecursionError as error:
        raise ConfigError(f"--set {path.strip()}: the value nests too deep to be read") from error
    table = data.setdefault(section, {})
    if not isinstance(table, dict):
        raise ConfigError(f"--set {setting!r}: {section} is no section of the configuration")
    table[key] = value


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
