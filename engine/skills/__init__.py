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

It imports nothing heavy; NumPy comes with the first index and libgit2 with the first history.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine.skills.header import Finding
from engine.skills.operations import (
    TOOLS,
    Delete,
    Edit,
    Insert,
    Malformed,
    Operation,
    Update,
    parse_operations,
)
from engine.skills.repo import Refused, RepoError, SkillRepo
from engine.skills.review import NotAllowed, check, transition
from engine.skills.skill import Skill

if TYPE_CHECKING:
    from engine.skills.history import BlamedLine, Commit, Conflict, FileChange, History, HistoryError
    from engine.skills.search import SkillIndex, Trials, find
    from engine.skills.watch import Changes, follow

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
    "NotAllowed",
    "Operation",
    "Refused",
    "RepoError",
    "Skill",
    "SkillIndex",
    "SkillRepo",
    "Trials",
    "Update",
    "check",
    "find",
    "follow",
    "parse_operations",
    "transition",
]

_LATER = {
    **dict.fromkeys(
        ("BlamedLine", "Commit", "Conflict", "FileChange", "History", "HistoryError"), "engine.skills.history"
    ),
    **dict.fromkeys(("SkillIndex", "Trials", "find"), "engine.skills.search"),
    **dict.fromkeys(("Changes", "follow"), "engine.skills.watch"),
}


def __getattr__(name: str) -> Any:
    """The names that bring a larger library with them, loaded when one of them is first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
