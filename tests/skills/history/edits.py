"""Edits of a repository on disk, committed through its history."""

from __future__ import annotations

from pathlib import Path

from engine.skills import Edit, History, Operation, SkillRepo


def edit(root: Path, operation: Operation) -> Edit:
    return operation.apply(SkillRepo.open(root))


def commit(root: Path, operation: Operation, **trailers: str) -> str:
    return History.open(root).commit(edit(root, operation), message=f"{operation.kind}", trailers=trailers)


def messages(root: Path) -> list[str]:
    return [found.message for found in History.open(root).log()]
