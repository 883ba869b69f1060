"""The configuration of a run: a profile, overridden by a file and by `--set section.key=value`, resolved once and kept.

    config = load_profile("pocket", ["training.steps=3", "review.policy=auto"])
    config = load_config(Path("mine.toml"), ["training.seed=2"])        # a file that names its profile
    Path(run / "config.toml").write_text(to_toml(config))

Each room declares its sections in its `settings.py`. A section in `OPEN` is of the part that its `kind` names in a registry:
a layer that changes the kind starts from the settings of that kind, and the layers below it no longer apply to the section.
Nothing is read from environment variables. Unknown keys, wrong types and values out of range are errors that name the layer,
the key, what is allowed, and the nearest name. What a kind of run cannot use is found by `engine.system.preflight.check`.

A gate of `review.gates`, and a kind of run, that has settings has a section of its own name: `config.settings_of(kind)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import platformdirs
import tomli_w

from engine.agents.judges import registry as judges
from engine.agents.judges.settings import JudgeSettings, SuccessJudgeSettings
from engine.agents.settings import CuratorSettings, ExecutorSettings
from engine.config.layers import TEXTS, Layer, read, set_layer, toml
from engine.config.migration import CALLED, migrate
from engine.config.open_section import OpenSection
from engine.core.errors import ConfigError
from engine.core.fields import path_kind
from engine.core.parts import PartKind, Settings, kind_of
from engine.core.paths import SECRET, BadPath, user_path
from engine.core.refusals import nearest, no_section, no_setting, shown, why_refused
from engine.core.registry import Registry, UnknownPart
from engine.core.text import has_credentials
from engine.curation import registry as strategies
from engine.curation.settings import BatchSettings, CurateSettings, StrategySettings
from engine.environments import registry as environments
from engine.environments.settings import EnvironmentSettings
from engine.jobs.registry import JOBS
from engine.models import registry as models
from engine.models.settings import ModelSettings
from engine.review.gates.registry import GATES, none_measures
from engine.review.settings import AuditSettings, ReviewSettings
from engine.rollouts.groups import registry as groupings
from engine.rollouts.groups.settings import GroupingSettings
from engine.rollouts.settings import RewardSettings
from engine.system.settings import LimitsSettings
from engine.training.alarms.settings import AlarmsSettings
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
    "load_logged",
    "load_profile",
    "parse",
    "profiles",
    "to_tables",
    "to_toml",
    "user_profiles",
]


OPEN: Mapping[str, OpenSection] = MappingProxyType(
    {
        "environment": OpenSection(environments.ENVIRONMENTS, environments.DEFAULT, EnvironmentSettings),
        "model": OpenSection(models.BACKENDS, models.DEFAULT, ModelSettings),
        "executor_model": OpenSection(models.OTHERS, models.SAME, ModelSettings, like="model"),
        "judge_model": OpenSection(models.OTHERS, models.SAME, ModelSettings, like="model"),
        "judge": OpenSection(judges.JUDGES, judges.DEFAULT, JudgeSettings),
        "success_judge": OpenSection(judges.SUCCESS_JUDGES, judges.NO_SUCCESS_JUDGE, SuccessJudgeSettings),
        "strategy": OpenSection(strategies.STRATEGIES, strategies.DEFAULT, StrategySettings),
        "batch": OpenSection(strategies.BATCH_STRATEGIES, strategies.NO_BATCH, BatchSettings),
        "grouping": OpenSection(groupings.GROUPINGS, groupings.DEFAULT, GroupingSettings),
    }
)


def _default(section: str) -> Callable[[], Any]:
    return lambda: OPEN[section].part(OPEN[section].default).settings()


class Config(msgspec.Struct, frozen=True):
    """Everything that a run needs to know, resolved. `more` has the sections of the chosen gates and of kinds of run.

    `note` is what screens show of a run with this configuration, "" for nothing. Its part before the first colon is shown
    where space is short.
    """

    profile: str
    environment: EnvironmentSettings = msgspec.field(default_factory=_default("environment"))
    model: ModelSettings = msgspec.field(default_factory=_default("model"))
    executor_model: ModelSettings = msgspec.field(default_factory=_default("executor_model"))
    judge_model: ModelSettings = msgspec.field(default_factory=_default("judge_model"))
    executor: ExecutorSettings = ExecutorSettings()
    curator: CuratorSettings = CuratorSettings()
    strategy: StrategySettings = msgspec.field(default_factory=_default("strategy"))
    batch: BatchSettings = msgspec.field(default_factory=_default("batch"))
    judge: JudgeSettings = msgspec.field(default_factory=_default("judge"))
    success_judge: SuccessJudgeSettings = msgspec.field(default_factory=_default("success_judge"))
    rewards: RewardSettings = RewardSettings()
    grouping: GroupingSettings = msgspec.field(default_factory=_default("grouping"))
    training: TrainingSettings = TrainingSettings()
    alarms: AlarmsSettings = AlarmsSettings()
    review: ReviewSettings = ReviewSettings()
    audit: AuditSettings = AuditSettings()
    curate: CurateSettings = CurateSettings()
    limits: LimitsSettings = LimitsSettings()
    more: Mapping[str, Settings] = msgspec.field(default_factory=dict)
    note: str = ""

    def sections(self) -> dict[str, Settings]:
        """Every section by its name."""
        return {**{name: getattr(self, name) for name in SECTIONS}, **self.more}

    def model_of(self, role: str) -> ModelSettings:
        """The settings of the model of a role: "executor", "curator" or "judge"."""
        settings: ModelSettings = getattr(self, self.model_section(role))
        return settings

    def model_section(self, role: str) -> str:
        """The section that `model_of` takes: "judge_model", or "model" where the role has no model of its own."""
        own = getattr(self, f"{role}_model", None)
        return "model" if own is None or kind_of(own) == models.SAME else f"{role}_model"

    def settings_of(self, part: PartKind) -> Any:
        """The settings of a gate or of a kind of run: the section of its name, or else its defaults."""
        found = self.sections().get(part.name)
        return found if type(found) is part.settings else part.settings()

    def absolute(self) -> Config:
        """The same configuration with absolute paths."""
        fixed = {name: getattr(self, name).absolute() for name in SECTIONS}
        more = {name: settings.absolute() for name, settings in self.more.items()}
        return msgspec.structs.replace(self, **fixed, more=more)


SECTIONS: Mapping[str, type[Settings]] = MappingProxyType(
    {field.name: field.type for field in msgspec.structs.fields(Config) if field.name not in (*TEXTS, "more")}
)
"""The type of every section that any run has; of an open one the base of its parts' settings."""


def has_section(part: PartKind) -> bool:
    """Whether a gate or a kind of run has settings, for which the configuration has a section beside `SECTIONS`."""
    return bool(msgspec.structs.fields(part.settings)) and part.settings is not SECTIONS.get(part.name)


Tables = list[tuple[str, dict[str, Any]]]
"""What the layers say of one section, each with where it says so."""


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
    """The names of the shipped profiles by the alphabet, after the one that needs nothing, which is the first choice."""
    folder = resources.files("engine") / "profiles"
    names = [item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")]
    return sorted(names, key=lambda name: (name != FIRST, name))


MAX_NOTE = 200
"""Characters of a note."""
FIRST = "pocket"

Implied = Callable[[str], Iterable[str]]
"""Settings for the profile of a name, which apply under what a user sets."""


def load_profile(
    name: str,
    settings: Iterable[str] = (),
    *,
    folder: Path | None = None,
    implied: Implied = lambda name: (),
    job: str = "",
) -> Config:
    """The profile `name`, shipped or from the user's `folder`, with `settings` ("section.key=value") applied.

    `job` is a kind of run whose section is added, with its defaults where nothing sets it. Raises `ConfigError`.
    """
    return _resolve(name, [*_profile_layers(name, folder), _layer_of(implied(name)), _layer_of(settings)], job)


def load_config(
    path: Path,
    settings: Iterable[str] = (),
    *,
    profile: str | None = None,
    folder: Path | None = None,
    implied: Implied = lambda name: (),
    job: str = "",
) -> Config:
    """The TOML file at `path`, layered on `profile` or else on the one that it names, with `settings` applied.

    `job` is as for `load_profile`. Raises `ConfigError`.
    """
    layer = read(path)
    name = profile if profile is not None else layer.data.get("profile")
    if not isinstance(name, str):
        raise ConfigError(f'{path} names no profile: write profile = "pocket" at its top, or give --profile')
    return _resolve(name, [*_profile_layers(name, folder), _layer_of(implied(name)), layer, _layer_of(settings)], job)


def default_config() -> Config:
    """What the settings are where nothing sets them. It has no profile."""
    return Config("")


def load_file(path: Path) -> Config:
    """The configuration kept in a run directory, also of an older run. Raises `ConfigError`."""
    layer = read(path)
    return _resolve_named([Layer(layer.where, migrate(layer.data))])


def load_logged(text: str, where: str) -> Config:
    """The configuration that a start logged, also of an older run; `where` names it in errors. Raises `ConfigError`."""
    return _resolve_named([Layer(where, migrate(toml(text, where)))])


def parse(text: str, settings: Iterable[str] = (), *, where: str = "configuration") -> Config:
    """A `Config` from TOML text and settings. Raises `ConfigError` that names the key and what was expected."""
    return _resolve_named([Layer(where, toml(text, where)), _layer_of(settings)])


def to_toml(config: Config) -> str:
    """The configuration as TOML, one table a section; `parse` reads it back to an equal value."""
    return tomli_w.dumps(to_tables(config))


def to_tables(config: Config) -> dict[str, Any]:
    """The configuration as plain data: "profile", "note" where it has one, and a table for each section."""
    tables: dict[str, Any] = msgspec.to_builtins(config)
    more: dict[str, Any] = tables.pop("more")
    if not tables["note"]:
        del tables["note"]
    return tables | more


# Layers


def _profile_layers(name: str, folder: Path | None) -> list[Layer]:
    """The layers of a profile. One of the user's own may name a shipped profile, on which it is then layered."""
    known = profiles(folder)
    if name not in known:
        raise ConfigError(f"there is no profile {name!r}{nearest(name, known)}; the profiles are: {', '.join(known)}")
    if folder is None or name in _shipped():
        text = (resources.files("engine") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
        return [Layer(f"profile {name}", toml(text, f"profile {name}"))]
    own = read(folder / f"{name}.toml")
    base = own.data.get("profile", name)
    if base == name:
        return [own]
    if base not in _shipped():
        raise ConfigError(f"{own.where}: profile = {shown(base)} is no shipped profile ({', '.join(_shipped())})")
    return [*_profile_layers(base, None), own]


def _layer_of(settings: Iterable[str]) -> Layer:
    return set_layer(settings, _defaults)


# Resolving


def _resolve_named(layers: Sequence[Layer]) -> Config:
    """`layers`, of which the first names the profile."""
    name = layers[0].data.get("profile")
    if not isinstance(name, str):
        raise ConfigError(f"{layers[0].where}: profile is missing or not a text; it is the name of the profile")
    if not name.isprintable() or _holds_credentials(name):
        raise ConfigError(f"{layers[0].where}: profile = {shown(name)} is not the name of a profile")
    return _resolve(name, layers)


def _resolve(profile: str, layers: Sequence[Layer], job: str = "") -> Config:
    """The configuration of the `layers`, a later one over an earlier one. Raises `ConfigError`."""
    tables = _tables(layers)
    types = {section: _type_of(section, tables.get(section, ())) for section in SECTIONS}
    fixed = _converted(types, tables, types)
    where = ", ".join(layer.where for layer in layers if layer.data)
    more = _more_types(fixed["review"].gates, job, tables, where)
    _check_policy(fixed["review"])
    return Config(profile, **fixed, more=_converted(more, tables, {**types, **more}), note=_note(layers))


def _check_policy(review: ReviewSettings) -> None:
    """Raises `ConfigError` for the policy `gate` where no gate measures anything, so that it would approve nothing."""
    if review.policy == "gate" and none_measures(review.gates):
        raise ConfigError(
            f"review.policy = gate approves what a gate has measured, and none of review.gates = {', '.join(review.gates)} "
            "measures anything: add a gate that gives a score, or choose another policy, such as auto or approve_after"
        )


def _note(layers: Sequence[Layer]) -> str:
    """The note of the last layer that has one. Raises `ConfigError` for what screens cannot show."""
    found = [(layer.where, layer.data["note"]) for layer in layers if "note" in layer.data]
    if not found:
        return ""
    where, note = found[-1]
    if not isinstance(note, str) or not note.isprintable() or len(note) > MAX_NOTE or _holds_credentials(note):
        raise ConfigError(f"{where}: note = {shown(note)} is not one line of text of at most {MAX_NOTE} characters")
    return note


def _converted(
    wanted: Mapping[str, type[Settings]], tables: Mapping[str, Tables], types: Mapping[str, type[Settings]]
) -> dict[str, Any]:
    """The settings of each section that is wanted. `types` has the sections that a message may name."""
    known = {section: _keys(section, kind) for section, kind in types.items()}
    sections: dict[str, Any] = {}
    for section, kind in wanted.items():
        values: dict[str, Any] = {}
        for where, table in tables.get(section, ()):
            for key, value in table.items():
                _check_value(where, section, key, value, known)
                values[key] = _expanded(where, section, key, value, known)
        sections[section] = msgspec.convert(values, kind)
    return sections


def _tables(layers: Sequence[Layer]) -> dict[str, Tables]:
    """What each layer says of each section, with where it says so; only from the last change of the section's kind on."""
    tables: dict[str, Tables] = {}
    kinds = {section: each.default for section, each in OPEN.items()}
    for layer in layers:
        for section, table in layer.data.items():
            if section in TEXTS:
                continue
            if not isinstance(table, dict):
                if section not in SECTIONS:
                    raise ConfigError(f"{layer.where}: {no_section(section, _defaults())}")
                raise ConfigError(
                    f"{layer.where}: {section} is a section of settings, such as [{section}], and not a value"
                )
            if section in OPEN and table.get("kind", kinds[section]) != kinds[section]:
                kinds[section] = table["kind"]
                tables[section] = []
            tables.setdefault(section, []).append((layer.where, table))
    return tables


def _more_types(gates: Sequence[str], job: str, tables: Mapping[str, Tables], where: str) -> dict[str, type[Settings]]:
    """The types of the sections beside `SECTIONS`: of the chosen gates, of `job`, and of the kinds of run in `tables`."""
    types: dict[str, type[Settings]] = {}
    for name in gates:
        types |= _section_of(GATES, name, f"{where}: review.gates")
    if job and job not in types:
        types |= _section_of(JOBS, job, where)
    for name, (first, *_) in tables.items():
        if name in SECTIONS or name in types:
            continue
        if name in JOBS.added():
            types |= _section_of(JOBS, name, first[0]) or {name: JOBS.load(name).settings}
        elif name in GATES:
            raise ConfigError(f"{first[0]}: there is no section {name} unless review.gates names the gate {name}")
        else:
            raise ConfigError(f"{first[0]}: {no_section(name, _defaults())}")
    return types


def _section_of(parts: Registry[Any], name: str, where: str) -> dict[str, type[Settings]]:
    """The section of a gate or a kind of run, by its name; none where it has no settings or shares one of `SECTIONS`."""
    try:
        part: PartKind = parts.load(name)
    except UnknownPart as error:
        raise ConfigError(f"{where}: {error}") from error
    if not has_section(part):
        return {}
    if name in SECTIONS or name in (*TEXTS, "more"):
        raise ConfigError(
            f"{where}: the {parts.sort} {name!r} cannot have settings, for {name} is a name of the configuration's own; its "
            "package must rename it"
        )
    if part.settings.__struct_config__.tag is not None:
        raise ConfigError(f"{where}: the {parts.sort} {name!r} cannot be used: its settings must have no tag")
    return {name: part.settings}


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


def _expanded(where: str, section: str, key: str, value: Any, known: Mapping[str, Mapping[str, Any]]) -> Any:
    """A path with its home folder in place of `~`, any other value as it is. Raises `ConfigError`."""
    if not path_kind(known[section][key]) or not isinstance(value, str) or not value.startswith(("~", "./~")):
        return value
    try:
        return str(user_path(value))
    except BadPath as error:
        raise ConfigError(f"{where}: {section}.{key} = {shown(value)} cannot be used; {error}") from error


def _check_value(where: str, section: str, key: str, value: Any, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises `ConfigError` for a key that is no setting, or a value that the setting does not take."""
    name = f"{section}.{key}"
    if key not in known[section]:
        if name in CALLED:
            raise ConfigError(f"{where}: there is no setting {name}; it is called {CALLED[name]}")
        raise ConfigError(f"{where}: {_of_another_kind(section, key) or no_setting(section, key, known)}")
    if _holds_credentials(value):
        raise ConfigError(f"{where}: {name} {SECRET}")
    if (wrong := why_refused(value, known[section][key])) is not None:
        raise ConfigError(f"{where}: {name} = {shown(value)} cannot be used; {wrong}")


def _holds_credentials(value: Any) -> bool:
    """Whether a text, or one in a list or table, has a password or token in it."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return any(map(_holds_credentials, value))
    return isinstance(value, str) and has_credentials(value)


def _of_another_kind(section: str, key: str) -> str:
    """Which kinds of an open section have the setting `key`, or ""."""
    if section not in OPEN:
        return ""
    parts, _ = OPEN[section].usable()
    found = [part.name for part in parts if key in _keys(section, part.settings)]
    if not found:
        return ""
    return f"there is no setting {section}.{key} unless {' or '.join(f'{section}.kind={kind}' for kind in found)}"
