"""Skill names: the rule of skills-ref, and what a reader of a name cannot see.

    name_problem("find-mugs")                    # None; else why it cannot name a skill
    name_findings("find-mugs", line=2)           # findings about characters that look like others, or like none

A name has 1 to 64 letters and digits of any script, in lower case, and single hyphens between them; all of this after NFKC
normalization, which writes a letter in one way (skills-ref, `validator.py`).
"""

from __future__ import annotations

import unicodedata

from engine.core.findings import Finding

MAX_NAME = 64

_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})
"""Scripts with letters that look like those of another one. A name needs no more than one of them (UTS 39)."""


def normalized(name: str) -> str:
    """The name as skills-ref compares it (NFKC)."""
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def same_on_some_disks(name: str) -> str:
    """Equal for two names that are one name on disks that ignore case or the form of a letter."""
    return (
        name.lower()
        if name.isascii()
        else unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    )


def name_problem(name: str) -> str | None:
    """Why `name` cannot name a skill, or None."""
    if not name:
        return "the name is empty"
    wanted = normalized(name)
    if len(wanted) > MAX_NAME:
        return f"the name has {len(wanted)} characters, {MAX_NAME} are allowed"
    if "/" in wanted or "\\" in wanted or wanted.startswith("."):
        return f"{name!r} is a path; a skill's name stays inside the repository"
    unseen = _unseen(name)
    if unseen:
        return f"the name has an invisible character, {unseen}"
    letters = all(character.isalnum() or character == "-" for character in wanted)
    if not letters or wanted != wanted.lower() or wanted.strip("-") != wanted or "--" in wanted:
        return f"{name!r} is not lower-case letters, digits and single hyphens"
    return None


def new_name_problem(name: str) -> str | None:
    """Why a skill must not be given `name`, or None: a new name is written in its normal form too."""
    problem = name_problem(name)
    if problem is None and normalized(name) != name:
        return f"{name!r} has letters in another form than NFKC; write it as {normalized(name)!r}"
    return problem


def name_findings(name: str, line: int) -> list[Finding]:
    """Findings about a valid name that can be taken for another one."""
    if name.isascii():
        return []
    letters = dict.fromkeys(character for character in normalized(name) if character.isalpha())
    scripts = sorted(_ALIKE.intersection(map(_script, letters)))
    if len(scripts) < 2:
        return []
    mixed = " and ".join(script.title() for script in scripts)
    odd = ", ".join(
        f"{letter!r} is {unicodedata.name(letter)}" for letter in letters if _script(letter) in _ALIKE - {"LATIN"}
    )
    message = f"the name mixes {mixed} letters, which look alike: {odd}"
    return [Finding("name-confusable", "warning", line, message)]


def _unseen(name: str) -> str:
    """The first character of a name that is not shown (a format control, such as a bidirectional mark), described; or ""."""
    for character in name:
        if unicodedata.category(character) in ("Cf", "Cc", "Zl", "Zp", "Cs", "Cn", "Co") or _is_filler(character):
            return f"U+{ord(character):04X} {unicodedata.name(character, 'a control')}"
    return ""


def _is_filler(character: str) -> bool:
    """Whether a letter, by its category, is drawn as a blank."""
    return character in "\u115f\u1160\u3164\uffa0\u17b4\u17b5"


def _script(character: str) -> str:
    """The first word of the character's name, which is its script for letters: LATIN, CYRILLIC, CJK."""
    return unicodedata.name(character, "").partition(" ")[0]
