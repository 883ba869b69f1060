"""The configuration of a run: a profile, overridden by a file and by `--set section.key=value`, resolved once and kept.

    config = load_profile("pocket", ["training.steps=3", "review.policy=auto"])
    config = load_config(Path("mine.toml"), ["training.seed=2"])        # a file that names its profile
    Path(run / "config.toml").write_text(to_toml(config))

Each room declares its sections in its `settings.py`. A section in `OPEN` is of the part that its `kind` names in a registry:
a layer that changes the kind starts from the settings of that kind, and the layers below it no longer apply to the section.
Nothing is read from environment variables. Unknown keys, wrong types and values out of range are errors that name the layer,
the key, what is allowed, and the nearest name. What a kind of run cannot use is found by `engine.system.preflight.check`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import platformdirs
import tomli_w

from engine.agents.judges import registry as judges
from engine.agents.judges.settings import JudgeSettings
from engine.agents.settings import CuratorSettings, ExecutorSettings
from engine.config_migration import RENAMED, migrate
from engine.core.errors import ConfigError
from engine.core.parts import PartKind, Settings
from engine.core.refusals import elsewhere, nearest, no_section, no_setting, shown, why_refused
from engine.core.registry import Registry, UnknownPart
from engine.curation import registry as strategies
from engine.curation.settings import BatchSettings, CurateSettings, StrategySettings
from engine.environments import registry as environments
from engine.environments.settings import EnvironmentSettings
from engine.models import registry as models
from engine.models.settings import ModelSettings
from engine.review.gates.registry import GATES
from engine.review.settings import AuditSettings, ReviewSettings
from engine.rollouts.groups import registry as groupings
from engine.rollouts.groups.settings import GroupingSettings
from engine.rollouts.settings import RewardSettings
from engine.training.settings import TrainingSettings

__all__ = [
    "OPEN",
    "SECTIONS",
    "Config",
    "ConfigError",
    "Implied",
    "default_config",
    "load_config",
    "load_file",
    "load_profile",
    "parse",
    "profiles",
    "to_toml",
    "user_profiles",
]

MAX_SAMPLES = 1_000_000


class OpenSection(msgspec.Struct, frozen=True):
    """A section whose settings are those of the part that its `kind` names, by default `default`."""

    parts: Registry[Any]
    default: str

    def part(self, kind: str) -> PartKind:
        """The part called `kind`. Raises `UnknownPart`."""
        part: PartKind = self.parts.load(kind)
        return part


OPEN: Mapping[str, OpenSection] = MappingProxyType(
    {
        "environment": OpenSection(environments.ENVIRONMENTS, environments.DEFAULT),
        "model": OpenSection(models.BACKENDS, models.DEFAULT),
        "judge": OpenSection(judges.JUDGES, judges.DEFAULT),
        "strategy": OpenSection(strategies.STRATEGIES, strategies.DEFAULT),
        "batch": OpenSection(strategies.BATCH_STRATEGIES, strategies.NO_BATCH),
        "grouping": OpenSection(groupings.GROUPINGS, groupings.DEFAULT),
    }
)


def _default(section: str) -> Callable[[], Any]:
    return lambda: OPEN[section].part(OPEN[section].default).settings()


class Config(msgspec.Struct, frozen=True):
    """Everything that a run needs to know, resolved."""

    profile: str
    environment: EnvironmentSettings = msgspec.field(default_factory=_default("environment"))
    model: ModelSettings = msgspec.field(default_factory=_default("model"))
    executor: ExecutorSettings = ExecutorSettings()
    curator: CuratorSettings = CuratorSettings()
    strategy: StrategySettings = msgspec.field(default_factory=_default("strategy"))
    batch: BatchSettings = msgspec.field(default_factory=_default("batch"))
    judge: JudgeSettings = msgspec.field(default_factory=_default("judge"))
    rewards: RewardSettings = RewardSettings()
    grouping: GroupingSettings = msgspec.field(default_factory=_default("grouping"))
    training: TrainingSettings = TrainingSettings()
    review: ReviewSettings = ReviewSettings()
    audit: AuditSettings = AuditSettings()
    curate: CurateSettings = CurateSettings()

    def sections(self) -> dict[str, Settings]:
        """Every section by its name."""
        return {name: getattr(self, name) for name in SECTIONS}


SECTIONS: Mapping[str, type[Settings]] = MappingProxyType(
    {field.name: field.type for field in msgspec.structs.fields(Config) if field.name != "profile"}
)
"""The type of every section; of an open one the base of its parts' settings."""


class Layer(msgspec.Struct, frozen=True):
    """Some settings, as they were written, and where: "profile pocket", a file's path, "--set"."""

    where: str
    data: Mapping[str, Any]


def profiles(folder: Path | None = None) -> list[str]:
    """The names of the shipped profiles, then those of the user's `folder`. Raises `ConfigError` where both have a name."""
    shipped = _shipped()
    own = sorted(path.stem for path in folder.glob("*.toml")) if folder is not None else []
    for name in own:
        if name in shipped:
            raise ConfigError(f"{folder}/{name}.toml has the name of a shipped profile; rename it")
    return [*shipped, *own]


def user_profiles() -> Path:
    """The folder of this user's own profiles, which need not exist."""
    return platformdirs.user_config_path("skillos-tui", appauthor=False) / "profiles"


def _shipped() -> list[str]:
    folder = resources.files("engine") / "profiles"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


Implied = Callable[[str], Iterable[str]]
"""Settings for the profile of a name, which apply under what a user sets."""


def load_profile(
    name: str, settings: Iterable[str] = (), *, folder: Path | None = None, implied: Implied = lambda name: ()
) -> Config:
    """The profile `name`, shipped or from the user's `folder`, with `settings` ("section.key=value") applied.

    Raises `ConfigError`.
    """
    return _resolve(name, [*_profile_layers(name, folder), _layer_of(implied(name)), _layer_of(settings)])


def load_config(
    path: Path,
    settings: Iterable[str] = (),
    *,
    profile: str | None = None,
    folder: Path | None = None,
    implied: Implied = lambda name: (),
) -> Config:
    """The TOML file at `path`, layered on `profile` or else on the one that it names, with `settings` applied.

    Raises `ConfigError`.
    """
    layer = _read(path)
    name = profile if profile is not None else layer.data.get("profile")
    if not isinstance(name, str):
        raise ConfigError(f'{path} names no profile: write profile = "pocket" at its top, or give --profile')
    return _resolve(name, [*_profile_layers(name, folder), _layer_of(implied(name)), layer, _layer_of(settings)])


def default_config() -> Config:
    """What the settings are where nothing sets them. It has no profile."""
    return Config("")


def load_file(path: Path) -> Config:
    """The configuration kept in a run directory, also of an older run. Raises `ConfigError`."""
    layer = _read(path)
    return _resolve_named([Layer(layer.where, migrate(layer.data))])


def parse(text: str, settings: Iterable[str] = (), *, where: str = "configuration") -> Config:
    """A `Config` from TOML text and settings. Raises `ConfigError` that names the key and what was expected."""
    return _resolve_named([Layer(where, _toml(text, where)), _layer_of(settings)])


def to_toml(config: Config) -> str:
    """The configuration as TOML, one table a section; `parse` reads it back to an equal value."""
    return tomli_w.dumps(msgspec.to_builtins(config))


# Layers


def _profile_layers(name: str, folder: Path | None) -> list[Layer]:
    """The layers of a profile. One of the user's own may name a shipped profile, on which it is then layered."""
    known = profiles(folder)
    if name not in known:
        raise ConfigError(f"there is no profile {name!r}{nearest(name, known)}; the profiles are: {', '.join(known)}")
    if folder is None or name in _shipped():
        text = (resources.files("engine") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
        return [Layer(f"profile {name}", _toml(text, f"profile {name}"))]
    own = _read(folder / f"{name}.toml")
    base = own.data.get("profile", name)
    if base == name:
        return [own]
    if base not in _shipped():
        raise ConfigError(f"{own.where}: profile = {shown(base)} is no shipped profile ({', '.join(_shipped())})")
    return [*_profile_layers(base, None), own]


def _read(path: Path) -> Layer:
    try:
        return Layer(str(path), _toml(path.read_text(encoding="utf-8"), str(path)))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def _toml(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{where} cannot be read: its values nest too deep") from error


def _layer_of(settings: Iterable[str]) -> Layer:
    """The layer of `--set section.key=value`, …; a value that is not TOML is taken as a string."""
    data: dict[str, dict[str, Any]] = {}
    for setting in settings:
        path, equals, raw = setting.partition("=")
        section, dot, key = (part.strip() for part in path.strip().partition("."))
        if not equals or not dot or not key:
            hint = "" if dot else elsewhere(section, _defaults())
            raise ConfigError(f"--set {setting!r} is not of the form section.key=value, such as training.steps=3{hint}")
        if section == "profile":
            raise ConfigError(f"--set {setting!r}: {section} is no section of the configuration")
        try:
            value = tomllib.loads(f"value = {raw}")["value"]
        except tomllib.TOMLDecodeError:
            value = raw
        except RecursionError as error:
            raise ConfigError(f"--set {path.strip()}: the value nests too deep to be read") from error
        data.setdefault(section, {})[key] = value
    return Layer("--set", data)


# Resolving


def _resolve_named(layers: Sequence[Layer]) -> Config:
    """`layers`, of which the first names the profile."""
    name = layers[0].data.get("profile")
    if not isinstance(name, str):
        raise ConfigError(f"{layers[0].where}: profile is missing or not a text; it is the name of the profile")
    return _resolve(name, layers)


def _resolve(profile: str, layers: Sequence[Layer]) -> Config:
    """The configuration of the `layers`, a later one over an earlier one. Raises `ConfigError`."""
    sections: dict[str, Any] = {}
    tables = _tables(layers)
    types = {section: _type_of(section, tables[section]) for section in SECTIONS}
    known = {section: _keys(section, kind) for section, kind in types.items()}
    for section, kind in types.items():
        values: dict[str, Any] = {}
        for where, table in tables[section]:
            for key, value in table.items():
                _check_value(where, section, key, value, known)
            values |= table
        sections[section] = msgspec.convert(values, kind)
    config = Config(profile, **sections)
    where = ", ".join(layer.where for layer in layers if layer.data)
    _check_micro_batch(config.training, where)
    _check_gates(config.review, where)
    return config


def _tables(layers: Sequence[Layer]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """What each layer says of each section, with where it says so; only from the last change of the section's kind on."""
    tables: dict[str, list[tuple[str, dict[str, Any]]]] = {section: [] for section in SECTIONS}
    kinds = {section: each.default for section, each in OPEN.items()}
    for layer in layers:
        for section, table in layer.data.items():
            if section == "profile":
                continue
            if section not in SECTIONS:
                raise ConfigError(f"{layer.where}: {no_section(section, _defaults())}")
            if not isinstance(table, dict):
                raise ConfigError(
                    f"{layer.where}: {section} is a section of settings, such as [{section}], and not a value"
                )
            if section in OPEN and table.get("kind", kinds[section]) != kinds[section]:
                kinds[section] = table["kind"]
                tables[section] = []
            tables[section].append((layer.where, table))
    return tables


def _type_of(section: str, tables: Sequence[tuple[str, Mapping[str, Any]]]) -> type[Settings]:
    """The type of a section's settings: of an open one that of the kind that its first table names, or the default."""
    if section not in OPEN:
        return SECTIONS[section]
    where, kind = next(
        ((where, table["kind"]) for where, table in tables if "kind" in table), ("", OPEN[section].default)
    )
    try:
        if not isinstance(kind, str):
            raise UnknownPart("expected a name")
        return OPEN[section].part(kind).settings
    except UnknownPart as error:
        raise ConfigError(f"{where}: {section}.kind = {shown(kind)} cannot be used; {error}") from error


def _keys(section: str, kind: type[Settings]) -> dict[str, Any]:
    """The type of every key of a section."""
    keys = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return {"kind": str, **keys} if section in OPEN else keys


def _defaults() -> dict[str, dict[str, Any]]:
    """The keys of every section, of an open one those of its default kind."""
    return {section: _keys(section, _type_of(section, ())) for section in SECTIONS}


def _check_value(where: str, section: str, key: str, value: Any, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises `ConfigError` for a key that is no setting, or a value that the setting does not take."""
    name = f"{section}.{key}"
    if key not in known[section]:
        if name in RENAMED:
            raise ConfigError(f"{where}: there is no setting {name}; it is called {RENAMED[name]}")
        raise ConfigError(f"{where}: {_of_another_kind(section, key) or no_setting(section, key, known)}")
    if (wrong := why_refused(value, known[section][key])) is not None:
        raise ConfigError(f"{where}: {name} = {shown(value)} cannot be used; {wrong}")


def _of_another_kind(section: str, key: str) -> str:
    """Which kinds of an open section have the setting `key`, or ""."""
    if section not in OPEN:
        return ""
    found = [kind for kind in OPEN[section].parts.names() if key in _keys(section, OPEN[section].part(kind).settings)]
    if not found:
        return ""
    return f"there is no setting {section}.{key} unless {' or '.join(f'{section}.kind={kind}' for kind in found)}"


def _check_gates(review: ReviewSettings, where: str) -> None:
    for name in review.gates:
        try:
            GATES.load(name)
        except UnknownPart as error:
            raise ConfigError(f"{where}: review.gates: {error}") from error


def _check_micro_batch(training: TrainingSettings, where: str) -> None:
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
