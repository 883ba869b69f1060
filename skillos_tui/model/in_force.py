"""The settings of a run that are in force, as far as the screens show them.

now = InForce.of(started.settings or "")
now = now.changed(event)                 # a `SettingChanged`; raises `ConfigError` where it cannot be read
now.policy, now.policy_seconds
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from engine.review.effects import policy_of, policy_seconds_of

if TYPE_CHECKING:
    from engine.core.events import SettingChanged


class InForce(msgspec.Struct, frozen=True):
    """`settings` are TOML, "" in older logs. `policy` is who decides on edits, "" where it is not known, and
    `policy_seconds` the time of the policies that have one, None where it is not known."""

    settings: str = ""
    policy: str = ""
    policy_seconds: float | None = None

    @classmethod
    def of(cls, settings: str) -> Self:
        """What these settings mean."""
        return cls(settings, policy_of(settings), policy_seconds_of(settings))

    def changed(self, event: SettingChanged) -> Self:
        """After a change. Raises `ConfigError`."""
        from engine.config.changes import with_setting  # the configuration takes long to import, and few runs change

        return self.of(with_setting(self.settings, event.key, event.after))
