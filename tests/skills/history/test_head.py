"""The newest commit is seen to change, whoever changes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.skills import History
from engine.skills.history.head import head_mark
from tests.skills.folders import MUGS, git, put


def test_every_way_to_another_commit_changes_the_mark_and_nothing_else_does(root: Path) -> None:
    absent = head_mark(root)
    History.open(root).record()
    marks = [absent, head_mark(root)]
    for command in (
        ("commit", "-q", "--allow-empty", "-m", "one"),
        ("checkout", "-q", "-b", "other"),
        ("reset", "-q", "--soft", "HEAD~1"),
        ("pack-refs", "--all"),
        ("checkout", "-q", "--detach"),
        ("commit", "-q", "--allow-empty", "-m", "two"),
        ("checkout", "-q", "main"),
    ):
        git(root, *command)
        marks.append(head_mark(root))
    assert len(set(marks)) == len(marks)
    put(root, "mugs/SKILL.md", MUGS + "More.\n")
    git(root, "status")
    assert head_mark(root) == marks[-1]


HEADS = (b"", b"ref: refs/../../../etc/passwd\n", b"ref: /etc/passwd\n", b"\xff" * 9_000, b"ref: refs/a\0b\n")


@pytest.mark.parametrize("head", HEADS)
def test_a_broken_head_is_a_mark_too(root: Path, head: bytes) -> None:
    put(root, ".git/HEAD", head)
    assert head_mark(root) == head_mark(root) != head_mark(root / "absent")


def test_what_is_no_file_is_not_waited_for(root: Path) -> None:
    (root / ".git").mkdir()
    os.mkfifo(root / ".git" / "HEAD")
    (root / ".skillos").mkdir()
    (root / ".skillos" / "history").write_text("a file")
    assert head_mark(root) == head_mark(root / "absent")
