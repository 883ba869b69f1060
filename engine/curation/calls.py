"""A curator's calls, applied to a repository.

calls, edits = apply_calls(parse_operations(text), repo, retriever.follow)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.core.events import Call
from engine.skills import Edit, Malformed, Operation, Refused, SkillRepo


def apply_calls(
    operations: Sequence[Operation | Malformed],
    repo: SkillRepo,
    follow: Callable[[Edit, SkillRepo], None] | None = None,
) -> tuple[list[Call], list[Edit]]:
    """Apply each call in order, and call `follow` after each edit.

    A call that is malformed or refused changes nothing, and its `why` gives the reason.
    """
    calls: list[Call] = []
    edits: list[Edit] = []
    for operation in operations:
        if isinstance(operation, Malformed):
            calls.append(Call(operation.function or "unreadable", operation.skill_name, "malformed", operation.why))
            continue
        try:
            edit = operation.apply(repo)
        except Refused as refusal:
            calls.append(Call(operation.kind, operation.skill_name, "refused", refusal.why))
            continue
        if follow is not None:
            follow(edit, repo)
        calls.append(Call(operation.kind, operation.skill_name, "valid"))
        edits.append(edit)
    return calls, edits


def calls_of(edits: Sequence[Edit]) -> list[Call]:
    """The valid calls that `edits` stand for, one each: for a strategy that edits without the calls of a model."""
    return [Call(edit.operation, edit.skill, "valid") for edit in edits]


def changed(edits: Sequence[Edit]) -> dict[str, str | None]:
    """The text that each skill of a decision had before it, by name; None where there was none."""
    before: dict[str, str | None] = {}
    for edit in edits:
        before.setdefault(edit.skill, edit.before)
        if edit.new_name:
            before.setdefault(edit.new_name, None)
    return before
