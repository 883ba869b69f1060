r"""Skills: files with frontmatter, repositories of them, the curator's edits, search and history.

    >>> from engine.skills import Insert, Skill, SkillIndex, SkillRepo, parse_operations
    >>> skill = Skill.make("find-mugs", "Use when a mug is wanted.", "Mugs are in the safe; open it first.\n")
    >>> Skill.parse(skill.write(), name="find-mugs").description
    'Use when a mug is wanted.'
    >>> repo = SkillRepo.empty()
    >>> edit = Insert("find-mugs", skill.write()).apply(repo)
    >>> parse_operations('<tool_call>{"name": "delete_skill", "arguments": {"skill_name": "find-mugs"}}</tool_call>')
    [Delete(skill_name='find-mugs')]
    >>> [name for name, score in SkillIndex.of(repo).search("put a hot mug in the box", k=3)]
    ['find-mugs']

Importing it loads none of its modules: PyYAML comes with the first skill, NumPy with the first index and libgit2 with the
first history.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.core.findings import Finding
    from engine.skills.format.skill import Skill
    from engine.skills.history.history import BlamedLine, Commit, Conflict, FileChange, History, HistoryError
    from engine.skills.operations.operation import (
        TOOLS,
        Delete,
        Edit,
        Insert,
        Malformed,
        Operation,
        Update,
        parse_operations,
    )
    from engine.skills.repo.repository import Refused, RepoError, SkillRepo
    from engine.skills.repo.watch import Changes, follow
    from engine.skills.search import SkillIndex, SkillUsage, find

__all__ = [
    "TOOLS",
    "BlamedLine",
    "Changes",
    "Commit",
    "Conflict",
    "Delete",
    "Edit",
    "FileChange",
    "Finding",
    "History",
    "HistoryError",
    "Insert",
    "Malformed",
    "Operation",
    "Refused",
    "RepoError",
    "Skill",
    "SkillIndex",
    "SkillRepo",
    "SkillUsage",
    "Update",
    "find",
    "follow",
    "parse_operations",
]

_NAMES = {
    "engine.core.findings": ("Finding",),
    "engine.skills.history.history": ("BlamedLine", "Commit", "Conflict", "FileChange", "History", "HistoryError"),
    "engine.skills.operations.operation": tuple(
        "TOOLS Delete Edit Insert Malformed Operation Update parse_operations".split()
    ),
    "engine.skills.repo.repository": ("Refused", "RepoError", "SkillRepo"),
    "engine.skills.search": ("SkillIndex", "SkillUsage", "find"),
    "engine.skills.format.skill": ("Skill",),
    "engine.skills.repo.watch": ("Changes", "follow"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """A name of the package. Its module is loaded when one of its names is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
