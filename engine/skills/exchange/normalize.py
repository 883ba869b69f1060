"""A skill's text made valid to the letter of the format, where that can be done without losing what it says.

    made = conform(skill, "find-mugs")
    made.text, made.mended                       # what was changed, in words; () for a text that was valid as it was
    made.why                                     # why it cannot be made valid; then there is no text

The body keeps its bytes. What the format has no field for moves into `metadata`; nothing is invented or shortened.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.core.errors import SkillosError
from engine.skills.format.frontmatter import read_header, write_header
from engine.skills.format.skill import FIELDS, Skill, name_problem

MENDABLE = frozenset({"name-missing", "name-not-text", "name-invalid", "name-differs"})
"""Errors that its place mends, which says how a skill is called."""


class Conformed(msgspec.Struct, frozen=True):
    """A valid `text` and what was mended in it; or None, and why."""

    text: str | None
    mended: tuple[str, ...] = ()
    why: str = ""


class _Not(SkillosError):
    """It cannot be made valid, and why."""


def conform(skill: Skill, name: str) -> Conformed:
    """The text of `skill` as a valid Agent Skill called `name`. Never raises for what the text contains."""
    problem = name_problem(name)
    if problem:
        return Conformed(None, why=problem)
    unread = next((finding for finding in skill.findings if finding.rule == "not-utf8"), None)
    if unread is not None:
        return Conformed(None, why=f"line {unread.line}: {unread.message}, and bytes of it would be lost")
    mended: list[str] = []
    text = _without_prelude(skill.text, mended)
    parsed = Skill.parse(text, name=name)
    try:
        if not parsed.valid:
            text = _mended(parsed, name, mended)
    except _Not as reason:
        return Conformed(None, why=str(reason))
    parsed = Skill.parse(text, name=name)
    if not parsed.valid:
        wrong = next(finding for finding in sorted(parsed.findings, key=lambda found: found.severity != "error"))
        return Conformed(None, why=f"line {wrong.line}: {wrong.message}")
    return Conformed(text, tuple(mended))


def _without_prelude(text: str, mended: list[str]) -> str:
    """`text` from its first `---` on, if only blanks or a byte order mark stand before it."""
    bare = text.removeprefix("\ufeff")
    if bare != text:
        mended.append("the byte order mark was removed")
    stripped = bare.lstrip()
    if stripped != bare and stripped.startswith("---"):
        mended.append("the blank text before the frontmatter was removed")
        return stripped
    return bare


def _mended(skill: Skill, name: str, mended: list[str]) -> str:
    """The text with a frontmatter written anew. Raises `_Not`."""
    wrong = next((finding for finding in skill.errors if finding.rule not in MENDABLE), None)
    if wrong is not None:
        raise _Not(f"line {wrong.line}: {wrong.message}")
    header = read_header(skill.text)
    fields = dict(header.metadata)
    if "usage" in fields and "description" not in fields:
        fields = {"description" if key == "usage" else key: value for key, value in fields.items()}
        mended.append("'usage' became 'description'")
    if fields.get("name") != name:
        fields = {"name": name, **{key: value for key, value in fields.items() if key != "name"}}
        mended.append(f"the name became {name!r}, as its place says")
    fields = _moved(fields, mended)
    block = _block(fields)
    if not mended:
        mended.append("the frontmatter was written as strict YAML")
    return f"{skill.text[: header.block_start]}{block}{skill.text[header.block_end :]}"


def _moved(fields: dict[str, Any], mended: list[str]) -> dict[str, Any]:
    """`fields` with those that the format lacks in `metadata`, as text. Raises `_Not`."""
    unknown = [key for key in fields if key not in FIELDS]
    if not unknown:
        return fields
    metadata = fields.get("metadata", {})
    if not isinstance(metadata, dict):
        raise _Not(f"the format has no field {unknown[0][:60]!r}, and 'metadata' is not a mapping that could take it")
    kept = dict(metadata)
    for key in unknown:
        value = fields[key] if isinstance(fields[key], str) else msgspec.json.encode(fields[key]).decode()
        if kept.setdefault(key, value) != value:
            raise _Not(f"the format has no field {key[:60]!r}, and 'metadata' holds another one of that name")
    mended.append(f"moved into 'metadata': {', '.join(key[:60] for key in unknown)}")
    return {**{key: value for key, value in fields.items() if key in FIELDS}, "metadata": kept}


def _block(fields: dict[str, Any]) -> str:
    """Block-style YAML of `fields`, without `---` in it, which skills-ref would take for the end of the frontmatter."""
    block = write_header(fields)
    return block if "---" not in block else write_header(fields, style='"').replace("---", "\\x2d--")
