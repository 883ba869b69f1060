"""`config`: list every setting with its type, default and meaning, or print the configuration that a run would have.

skillos-engine config training
skillos-engine config model.weights --profile pocket
skillos-engine config --profile pocket --set training.seed=2 --toml
"""

from __future__ import annotations

import argparse
from textwrap import TextWrapper
from typing import Any

import msgspec

from engine.cli.common import (
    CommandError,
    Commands,
    UsageError,
    add_command,
    add_config_options,
    lines,
    load,
    print_json,
)
from engine.config import Config, default_config, to_toml
from engine.config.help import Section, Setting, described, problems
from engine.core.output import note, say
from engine.core.refusals import nearest

TEXT = TextWrapper(100, break_on_hyphens=False)
NOT_CHOSEN = {True: "{} is another", False: "{} does not name it"}
NOTES = TextWrapper(100, break_on_hyphens=False, initial_indent="    ", subsequent_indent="    ")


def add_commands(commands: Commands) -> None:
    config = add_command(commands, "config", "list every setting, or print a configuration", _config, json=True)
    config.add_argument("key", nargs="?", metavar="KEY", help="a section (training), or a setting (training.steps)")
    add_config_options(config)
    config.add_argument("--toml", action="store_true", help="print the whole configuration as a file for --config")


def _config(options: argparse.Namespace) -> int:
    if options.toml and options.key:
        raise UsageError("--toml prints the whole configuration; leave out KEY")
    named = options.profile is not None or options.config is not None
    config = load(options, options.set) if options.toml or options.set or named else default_config()
    if options.toml:
        say(to_toml(config), end="")
        return 0
    for problem in problems():
        note(f"warning: {lines(problem)}")
    sections = _named(config, options.key)
    if options.json:
        print_json(sections)
        return 0
    say("\n\n".join("\n".join(_lines(section, config)) for section in sections))
    return 0


def _named(config: Config, key: str | None) -> list[Section]:
    """The sections with what `key` names. Raises `CommandError` where it names nothing."""
    sections = described(config)
    if key is None:
        return sections
    if found := [section for section in sections if key in (section.name, section.kind and f"{section.name}.kind")]:
        return found
    every = described(config, repeated=True)
    found = [
        msgspec.structs.replace(section, settings=settings)
        for section in every
        if (settings := [setting for setting in section.settings if setting.key == key])
    ]
    if not found:
        known = {setting.key for section in every for setting in section.settings}
        names = [*(section.name for section in sections), *sorted(known)]
        raise CommandError(f"there is no section or setting {key!r}{nearest(key, names)}; config without KEY lists all")
    return found


def _lines(section: Section, config: Config) -> list[str]:
    kind = f" kind = {_value(section.kind)}" if section.kind else ""
    other = "" if section.chosen else f"  (not chosen: {NOT_CHOSEN[bool(section.kind)].format(section.chooser)})"
    text = [f"[{section.name}]{kind}{other}", *TEXT.wrap(section.doc)]
    for setting in section.settings:
        text += ["", *_setting_lines(setting, section.chosen and config.profile != "")]
    return text


def _setting_lines(setting: Setting, resolved: bool) -> list[str]:
    value = setting.value if resolved else setting.default
    default = f"  (default {_value(setting.default)})" if value != setting.default else ""
    return [
        f"{setting.key} = {_value(value)}{default}",
        *NOTES.wrap(setting.allowed),
        *NOTES.wrap(setting.doc),
    ]


def _value(value: Any) -> str:
    """A value as TOML writes it."""
    return msgspec.json.encode(value).decode() if not isinstance(value, float) else repr(value)
