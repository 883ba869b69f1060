"""Make a skill's text valid Agent Skills, where no information is lost.

    result = normalize(skill, "find-mugs")
    result.text, result.repairs                  # the repairs as sentences; () for a text that was valid
    result.why                                   # why it cannot be made valid; then `text` is None

The body keeps its bytes. A line of the frontmatter that is not YAML is quoted, and its neighbours keep their bytes. Unknown
fields are moved into `metadata`. Nothing is added or shortened.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.core.errors import SkillosError
from engine.skills.format.frontmatter import mended, read_header, with_text
from engine.skills.format.names import name_problem
from engine.skills.format.rescue import FIELDS
from engine.skills.format.skill import Skill
from engine.skills.format.writing import write_header

REPAIRABLE = frozenset({"name-missing", "name-not-text", "name-invalid", "name-differs"})
"""Errors that are repaired by the name of the skill's folder."""


class Normalized(msgspec.Struct, frozen=True):
    """A valid `text` and its `repairs`; or None and the reason (`why`)."""

    text: str | None
    repairs: tuple[str, ...] = ()
    why: str = ""


class _Impossible(SkillosError):
    """The text cannot be made valid. The message says why."""


def normalize(skill: Skill, name: str) -> Normalized:
    """The text of `skill` as a valid Agent Skill called `name`. Never raises for what the text contains."""
    problem = name_problem(name)
    if problem:
        return Normalized(None, why=problem)
    unread = next((finding for finding in skill.findings if finding.rule == "not-utf8"), None)
    if unread is not None:
        return Normalized(None, why=f"line {unread.line}: {unread.message}, and bytes of it would be lost")
    repairs: list[str] = []
    text = _mended(_without_prelude(skill.text, repairs), repairs)
    parsed = Skill.parse(text, name=name)
    try:
        if not parsed.valid:
            text = _repaired(parsed, name, repairs)
    except _Impossible as reason:
        return Normalized(None, why=str(reason))
    parsed = Skill.parse(text, name=name)
    if not parsed.valid:
        wrong = next(finding for finding in sorted(parsed.findings, key=lambda found: found.severity != "error"))
        return Normalized(None, why=f"line {wrong.line}: {wrong.message}")
    return Normalized(text, tuple(repairs))


def _without_prelude(text: str, repairs: list[str]) -> str:
    """`text` from its first `---` on, if only blank text or a byte order mark precedes it."""
    bare = text.removeprefix("\ufeff")
    if bare != text:
        repairs.append("the byte order mark was removed")
    stripped = bare.lstrip()
    if stripped != bare and stripped.startswith("---"):
        repairs.append("the blank text before the frontmatter was removed")
        return stripped
    return bare


def _mended(text: str, repairs: list[str]) -> str:
    """`text` with the lines of its frontmatter that are not YAML as YAML, and with its description as one text."""
    text, mends = mended(text)
    repairs.extend(mends)
    skill = Skill.parse(text)
    if isinstance(skill.metadata.get("description"), list | dict) and skill.description:
        repairs.append("the description was a list or a mapping, and was written as text")
        return with_text(text, "description", skill.description)
    return text


def _repaired(skill: Skill, name: str, repairs: list[str]) -> str:
    """The text with a new frontmatter. Raises `_Impossible`."""
    wrong = next((finding for finding in skill.errors if finding.rule not in REPAIRABLE), None)
    if wrong is not None:
        raise _Impossible(f"line {wrong.line}: {wrong.message}")
    header = read_header(skill.text)
    fields = dict(header.metadata)
    if any(finding.rule == "usage-alias" for finding in skill.findings):
        fields.pop("description", None)
        fields = {"description" if key == "usage" else key: value for key, value in fields.items()}
        repairs.append("'usage' was renamed to 'description'")
    if fields.get("name") != name:
        fields = {"name": name, **{key: value for key, value in fields.items() if key != "name"}}
        repairs.append(f"the name was set to {name!r}, the name of its folder")
    fields = _moved(fields, repairs)
    block = _block(fields)
    if not repairs:
        repairs.append("the frontmatter was written as strict YAML")
    return f"{skill.text[: header.block_start]}{block}{skill.text[header.block_end :]}"


def _moved(fields: dict[str, Any], repairs: list[str]) -> dict[str, Any]:
    """`fields` with the unknown ones moved into `metadata`, as text. Raises `_Impossible`."""
    unknown = [key for key in fields if key not in FIELDS]
    if not unknown:
        return fields
    metadata = fields.get("metadata", {})
    if not isinstance(metadata, dict):
        raise _Impossible(f"the format has no field {unknown[0][:60]!r}, and 'metadata' is not a mapping to move it to")
    kept = dict(metadata)
    for key in unknown:
        value = fields[key] if isinstance(fields[key], str) else msgspec.json.encode(fields[key]).decode()
        if kept.setdefault(key, value) != value:
            raise _Impossible(f"the format has no field {key[:60]!r}, and 'metadata' has another one of that name")
    repairs.append(f"moved into 'metadata': {', '.join(key[:60] for key in unknown)}")
    return {**{key: value for key, value in fields.items() if key in FIELDS}, "metadata": kept}


def _block(fields: dict[str, Any]) -> str:
    """Block-style YAML of `fields` without `---`, which skills-ref reads as the end of the frontmatter."""
    block = write_header(fields)
    return block if "---" not in block else write_header(fields, style='"').replace("---", "\\x2d--")
