"""Links that another process swaps in while the history is written lead no byte out of the folder, or into it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from engine.skills import Delete, History, HistoryError, Update
from engine.skills.history.checkout import Checkout
from engine.skills.history.history import _git_directory
from engine.skills.history.place import place_of
from engine.skills.history.repository import own_repository
from engine.skills.history.store import Store
from tests.skills.folders import MUGS, NEW_MUGS, put
from tests.skills.history.edits import edit
from tests.skills.history.racing import WRITES, exchange, read_from_outside, snapshot, tried

needs_renameat2 = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "renameat2"), reason="renameat2 is absent")
TRIES = 2


@needs_renameat2
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("place", ["mugs", ".git/objects"])
def test_a_racing_process_leads_no_byte_out_of_the_folder_or_into_it(tmp_path: Path, write: str, place: str) -> None:
    for number in range(TRIES):
        (tmp_path / str(number)).mkdir()
        assert tried(tmp_path / str(number), write, place)[1] == ""


@needs_renameat2
@pytest.mark.parametrize("place", ["mugs", "mugs/scripts", ".git", ".git/objects", ".git/refs", ".git/logs"])
@pytest.mark.parametrize("step", ["blob", "tree", "commit", "mark", "_stage", "point_to", "_place", "refresh_index"])
def test_a_link_swapped_in_before_any_step_of_a_commit_leads_no_byte_out(
    root: Path, monkeypatch: pytest.MonkeyPatch, place: str, step: str
) -> None:
    """As the racing process, but at the moment that a step begins."""
    history, outside = History.open(root), root.parent / "outside"
    rename = edit(root, Update("mugs", "glasses", NEW_MUGS.replace("mugs", "glasses")))
    shutil.copytree(root / place, outside)
    before = snapshot(outside)
    link = root / ".skillos-link"
    link.symlink_to(outside)
    owner: type[Store] | type[Checkout] = Store if hasattr(Store, step) else Checkout
    original = getattr(owner, step)

    def swapped(self: object, *arguments: object) -> object:
        if not (root / place).is_symlink():
            exchange(root / place, link)
        return original(self, *arguments)

    monkeypatch.setattr(owner, step, swapped)
    with suppress(HistoryError):
        history.commit(rename, message="edit", trailers={})
    assert snapshot(outside) == before


@pytest.mark.parametrize("link", ["plates", "plates/scripts"])
def test_a_new_file_is_not_written_through_a_link(root: Path, link: str) -> None:
    history, outside = History.open(root), root.parent / "outside"
    outside.mkdir()
    (root / link).parent.mkdir(exist_ok=True)
    (root / link).symlink_to(outside)
    contents = {"plates/scripts/SKILL.md": (b"x", False), "plates/SKILL.md": (MUGS.encode(), False)}
    with pytest.raises(HistoryError, match=r"is a link|exists already"):
        history.put({"plates": contents}, message="put", trailers={})
    assert list(outside.iterdir()) == []
    assert len(history.log()) == 1


def test_a_commit_is_not_restored_through_a_folder_that_became_a_link(root: Path) -> None:
    history = History.open(root)
    first = history.head
    history.commit(edit(root, Update("mugs", "plates")), message="edit", trailers={})
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "mugs").symlink_to(outside)
    before = history.head
    with pytest.raises(HistoryError, match="mugs is a link"):
        history.revert(before, trailers={})
    assert list(outside.iterdir()) == []
    with pytest.raises(HistoryError, match="mugs is a link"):
        history.restore(first, trailers={})
    assert list(outside.iterdir()) == []
    (root / "mugs").unlink()
    assert history.restore(first, trailers={})
    assert (root / "mugs/SKILL.md").read_text() == MUGS


def test_no_byte_is_read_into_a_commit_through_a_link(root: Path) -> None:
    history, outside = History.open(root), root.parent / "outside"
    put(outside, "SKILL.md", "what only the folder outside holds")
    delete = edit(root, Delete("mugs"))
    (root / "mugs").rename(root / "aside")
    (root / "mugs").symlink_to(outside)
    with pytest.raises(HistoryError):
        history.commit(delete, message="edit", trailers={})
    history.record()
    assert not read_from_outside(root)


def test_the_lock_and_the_marker_are_not_made_through_a_link(root: Path) -> None:
    history, outside = History.open(root), root.parent / "outside"
    outside.mkdir()
    for name in ("skillos.lock", "skillos-pending"):
        (root / ".git" / name).unlink(missing_ok=True)
        (root / ".git" / name).symlink_to(outside / name)
        with pytest.raises(HistoryError, match="is a link"):
            history.commit(edit(root, Delete("cups")), message="edit", trailers={})
        (root / ".git" / name).unlink()
    assert list(outside.iterdir()) == []


def test_the_lock_can_be_taken_by_its_owner_only(root: Path) -> None:
    history = History.open(root)
    assert (root / ".git/skillos.lock").stat().st_mode & 0o777 == 0o600
    descriptor = os.open(root, os.O_RDONLY)  # the folder itself is no lock: a reader could hold it for ever
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert history.commit(edit(root, Delete("cups")), message="edit", trailers={})
    finally:
        os.close(descriptor)


def test_a_folder_and_its_git_directory_are_closed_after_every_write(root: Path) -> None:
    history = History.open(root)
    place = place_of(root)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        history.record()
        with _git_directory(place) as git, Checkout.open(place, own_repository(place), git) as checkout:
            assert "cups.md" in list(checkout.walk())
    assert len(list(Path("/proc/self/fd").iterdir())) == before
