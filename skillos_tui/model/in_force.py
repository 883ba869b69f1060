"""The settings of a run that are in force, as far as the screens show them.

now = InForce.of(started.settings or "")
now = now.changed(event)                 # a `SettingChanged`; raises `ConfigError` where it cannot be read
now.policy, now.effects
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from engine.core.events import SettingChanged
from engine.review.effects import effects, policy_of


@dataclass(frozen=True)
class InForce:
    """`settings` are TOML, "" in older logs. `policy` is who decides on edits, "" where it is not known, and `effects` are
    sentences about what a decision does beside its commit."""

    settings: str = ""
    policy: str = ""
    effects: str = ""

    @classmethod
    def of(cls, settings: str) -> Self:
        """What these settings mean."""
        return cls(settings, policy_of(settings), effects(settings))

    def changed(self, event: SettingChanged) -> Self:
        """After a change. Raises `ConfigError`."""
        from engine.config.changes import with_setting  # the configuration takes long to import, and few runs change

        return self.of(with_setting(self.settings, event.key, event.after))
