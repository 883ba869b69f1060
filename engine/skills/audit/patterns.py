"""The rules that are data (`rules.toml`): phrases and commands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from engine.core.findings import Finding, Severity, bounded, quoted
from engine.skills.audit.reading import CONTINUED, Reading


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule of `rules.toml`. A match of any of `starts`, followed by `then`, is a finding."""

    id: str
    severity: Severity
    message: str
    reads: Literal["prose", "commands"]
    starts: list[str]
    then: str = ""

    def patterns(self) -> Iterator[re.Pattern[str]]:
        """One pattern for each start, so that `re` can search for its literal prefix."""
        blank = r"\s" if self.reads == "prose" else f"[ {CONTINUED}]"
        for start in self.starts:
            yield re.compile(
                (start + self.then).replace(" ?", "\0").replace(" ", f"{blank}+").replace("\0", f"{blank}*")
            )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rules: list[Rule]


@cache
def rules() -> tuple[tuple[Rule, tuple[re.Pattern[str], ...]], ...]:
    """The shipped rules with their compiled patterns."""
    text = (resources.files(__package__) / "rules.toml").read_text(encoding="utf-8")
    file = msgspec.convert(tomllib.loads(text), _File)
    return tuple((rule, tuple(rule.patterns())) for rule in file.rules)


def findings(reading: Reading) -> Iterator[Finding]:
    """The findings of the rules."""
    for rule, patterns in rules():
        form = reading.prose if rule.reads == "prose" else reading.commands
        yield from bounded(
            Finding(rule.id, rule.severity, reading.line(form, match.start()), f"{rule.message}: {quoted(match[0])}")
            for pattern in patterns
            for match in pattern.finditer(form)
            if not _inside_word(form, match.start())
        )


def _inside_word(form: str, start: int) -> bool:
    """Whether a match begins inside a word. False in scripts without spaces between words."""
    if start == 0 or not form[start].isascii() or not form[start].isalnum():
        return False
    return form[start - 1].isalnum() or form[start - 1] in "_-"
