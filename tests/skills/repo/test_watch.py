"""A watch reports manual edits by the skill's name, as they happen, and nothing else."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import watchfiles

import engine.skills.repo.watch
from engine.skills import History, Insert, Skill, SkillIndex, SkillRepo, Update
from engine.skills.repo.watch import Changes, follow, watch

SECONDS = 10.0


def text(name: str, body: str = "Body.\n") -> str:
    return Skill.make(name, f"Use for {name}.", body).text


def put(root: Path, name: str, body: str = "Body.\n") -> None:
    """Write a skill's file atomically."""
    (root / name).mkdir(parents=True, exist_ok=True)
    beside = root.parent / "beside.md"
    beside.write_text(text(name, body))
    beside.replace(root / name / "SKILL.md")


class Reported:
    """The changes that a watch has reported so far."""

    def __init__(self) -> None:
        self.changes: list[Changes] = []
        self.queue: asyncio.Queue[Changes] = asyncio.Queue()

    async def next(self) -> Changes:
        return await asyncio.wait_for(self.queue.get(), SECONDS)

    async def until(self, name: str, kind: str) -> list[Changes]:
        """The changes up to and including the one of `name`."""
        found: list[Changes] = []
        while not found or name not in getattr(found[-1], kind):
            found.append(await self.next())
        return found

    async def sentinel(self, root: Path) -> list[Changes]:
        """The changes before that of a skill which is added now."""
        put(root, "sentinel")
        found = await self.until("sentinel", "added")
        found[-1] = Changes(tuple(name for name in found[-1].added if name != "sentinel"), *_rest(found[-1]))
        return [change for change in found if change.skills]


def _rest(change: Changes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return change.changed, change.removed


@asynccontextmanager
async def watching(
    root: Path, repo: SkillRepo | None = None, index: SkillIndex | None = None
) -> AsyncIterator[Reported]:
    """A watch on the folder as it is now; with `repo`, `follow`."""
    reported = Reported()
    known = SkillRepo.open(root) if root.exists() else SkillRepo.empty()  # noqa: ASYNC240

    async def listen() -> None:
        source = watch(root, known) if repo is None else follow(repo, index)
        async with aclosing(source) as changes:
            async for change in changes:
                reported.queue.put_nowait(change)

    task = asyncio.create_task(listen())
    try:
        yield reported
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "skills"
    put(folder, "mugs")
    (folder / "cups.md").write_text(text("cups"))
    return folder


async def test_every_kind_of_edit_is_reported_by_the_skill_s_name(root: Path) -> None:
    async with watching(root) as reported:
        put(root, "plates")
        assert (await reported.next()) == Changes(added=("plates",))
        put(root, "mugs", "New.\n")
        assert (await reported.next()) == Changes(changed=("mugs",))
        shutil.rmtree(root / "plates")
        assert (await reported.next()) == Changes(removed=("plates",))
        (root / "mugs").rename(root / "glasses")
        found = await reported.until("mugs", "removed")
        assert found[0].added == ("glasses",)
        put(root, "glasses", "Edited after it was renamed.\n")
        assert (await reported.next()) == Changes(changed=("glasses",))
        (root / "cups.md").rename(root / "beakers.md")
        assert "beakers" in (await reported.next()).added
        await reported.until("cups", "removed")
        (root / "beakers.md").write_text(text("beakers", "New.\n"))
        await reported.until("beakers", "changed")


async def test_skills_at_any_depth_are_watched(root: Path) -> None:
    async with watching(root) as reported:
        put(root / "team" / "kitchen", "plates")
        assert (await reported.next()) == Changes(added=("plates",))
        put(root / "team" / "kitchen", "plates", "New.\n")
        assert (await reported.next()) == Changes(changed=("plates",))
        (root / "team/kitchen/plates/SKILL.md").rename(root / "team/kitchen/plates/Skill.md")
        (root / "team/kitchen/plates/Skill.md").write_text(text("plates", "Newer.\n"))
        await reported.until("plates", "changed")
        (root / "team").rename(root.parent / "away")
        await reported.until("plates", "removed")
        (root.parent / "away").rename(root / "team")
        await reported.until("plates", "added")
        put(root, "plates", "Nearer to the top.\n")
        await reported.until("plates", "changed")


async def test_a_flat_file_is_a_skill_while_it_begins_with_frontmatter(root: Path) -> None:
    async with watching(root) as reported:
        (root / "notes.md").write_text("# Notes\n")
        assert await reported.sentinel(root) == []
        (root / "notes.md").write_text(text("notes"))
        assert (await reported.next()) == Changes(added=("notes",))
        (root / "notes.md").write_text("# Notes\n")
        assert (await reported.next()) == Changes(removed=("notes",))


async def test_an_unchanged_text_is_no_change(root: Path) -> None:
    async with watching(root) as reported:
        os.utime(root / "mugs/SKILL.md")
        put(root, "mugs")
        (root / "mugs/scripts").mkdir()
        (root / "mugs/scripts/look.sh").write_text("ls")
        (root / "notes.txt").write_text("no skill")
        (root / "empty").mkdir()
        (root / ".git").mkdir()
        (root / ".git/SKILL.md").write_text(text("git"))
        (root / "README.md").write_text("for people")
        assert await reported.sentinel(root) == []


async def test_a_file_that_an_editor_replaces_is_changed_and_not_removed(root: Path) -> None:
    file = root / "mugs/SKILL.md"
    async with watching(root) as reported:
        for number in range(3):
            beside = file.with_suffix(".tmp")
            beside.write_text(text("mugs", f"{number}\n"))
            beside.replace(file)
            assert (await reported.next()) == Changes(changed=("mugs",))
        file.rename(file.with_suffix(".bak"))
        file.write_text(text("mugs", "anew\n"))
        assert (await reported.next()) == Changes(changed=("mugs",))


async def test_a_new_folder_whose_file_comes_later_is_found(root: Path) -> None:
    async with watching(root) as reported:
        for number in range(10):
            (root / f"new-{number}").mkdir()
            await asyncio.sleep(0.003 * number)
            put(root, f"new-{number}")
            assert (await reported.next()) == Changes(added=(f"new-{number}",))
        shutil.copytree(root / "mugs", root.parent / "beside")
        (root.parent / "beside").rename(root / "moved-in")
        assert (await reported.next()) == Changes(added=("moved-in",))


async def test_a_flood_of_events_is_few_changes_that_miss_nothing(root: Path) -> None:
    async with watching(root) as reported:
        writer = asyncio.to_thread(lambda: [put(root, f"s{number}") for number in range(1500)])
        await writer
        found = await reported.sentinel(root)
        names = [name for change in found for name in change.added]
        assert sorted(names) == sorted(f"s{number}" for number in range(1500))
        assert len(found) < 150


async def test_the_folder_can_be_absent_removed_created_again_and_replaced(tmp_path: Path) -> None:
    root = tmp_path / "skills"
    async with watching(root) as reported:
        put(root, "mugs")
        assert (await reported.next()) == Changes(added=("mugs",))
        shutil.rmtree(root)
        assert (await reported.next()) == Changes(removed=("mugs",))
        put(root, "cups")
        assert (await reported.next()) == Changes(added=("cups",))
        put(root, "plates")
        assert (await reported.next()) == Changes(added=("plates",))
        put(tmp_path / "other", "cups", "Another.\n")
        root.rename(tmp_path / "old")
        (tmp_path / "other").rename(root)
        found = await reported.until("plates", "removed")
        assert {name for change in found for name in change.changed} == {"cups"}


async def test_a_skill_that_is_moved_away_and_back_is_reported_both_times(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.skills.repo.watch, "FLOOD", 1)  # so that the whole folder is read each time
    async with watching(root) as reported:
        for _ in range(3):
            (root / "mugs").rename(root.parent / "away")
            assert (await reported.next()) == Changes(removed=("mugs",))
            (root.parent / "away").rename(root / "mugs")
            assert (await reported.next()) == Changes(added=("mugs",))


async def test_names_that_are_not_utf8_are_watched(root: Path) -> None:
    odd = root / os.fsdecode(b"caf\xe9")
    async with watching(root) as reported:
        odd.mkdir()
        (odd / "SKILL.md").write_text("one")
        await reported.until("caf\ufffd", "added")
        (odd / "SKILL.md").write_text("two")
        await reported.until("caf\ufffd", "changed")


async def test_a_folder_whose_own_name_is_not_utf8_is_polled(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    put(root, "mugs")
    async with watching(root) as reported:
        put(root, "plates")
        assert (await reported.next()) == Changes(added=("plates",))


async def test_a_watch_of_unknown_skills_says_when_it_begins_and_misses_nothing_from_then_on(root: Path) -> None:
    async with aclosing(watch(root)) as changes:
        assert await asyncio.wait_for(anext(changes), SECONDS) == Changes()
        put(root, "mugs", "New.\n")
        assert await asyncio.wait_for(anext(changes), SECONDS) == Changes(changed=("mugs",))


async def test_the_first_change_is_the_difference_from_the_known_skills(root: Path) -> None:
    known = {"mugs": Skill.parse(text("mugs", "Old.\n")), "gone": Skill.parse(""), "cups": Skill.parse(text("cups"))}
    put(root, "new")
    async with aclosing(watch(root, known)) as changes:
        first = await asyncio.wait_for(anext(changes), SECONDS)
        assert (first.added, first.changed) == (("new",), ("mugs",))
        if not first.removed:
            assert (await asyncio.wait_for(anext(changes), SECONDS)).removed == ("gone",)


async def test_follow_updates_a_repository_and_its_index(root: Path) -> None:
    repo = SkillRepo.open(root)
    index = SkillIndex.of(repo)
    async with watching(root, repo, index) as reported:
        put(root, "kettles", "Boil water.\n")
        assert (await reported.next()).added == ("kettles",)
        assert [name for name, _ in index.search("boil water", 1)] == ["kettles"]
        put(root, "kettles", "Pour tea.\n")
        assert (await reported.next()).changed == ("kettles",)
        assert repo["kettles"].body == "Pour tea.\n"
        assert [name for name, _ in index.search("pour tea", 1)] == ["kettles"]
        assert index.search("boil water", 1) == []
        shutil.rmtree(root / "kettles")
        assert (await reported.next()).removed == ("kettles",)
        assert "kettles" not in repo and index.search("pour tea", 1) == []


async def test_the_owner_s_own_edits_are_not_reported(root: Path) -> None:
    repo = SkillRepo.open(root)
    index = SkillIndex.of(repo)
    history = History.open(root)
    async with watching(root, repo, index) as reported:
        insert = Insert("plates", text("plates")).apply(repo)
        index.insert("plates", repo["plates"])
        history.commit(insert, message="mine", trailers={})
        update = Update("mugs", None, text("mugs", "Mine.\n")).apply(repo)
        index.update("mugs", repo["mugs"])
        history.commit(update, message="mine", trailers={})
        assert await reported.sentinel(root) == []


async def test_without_watches_the_folder_is_polled(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_watches(*paths: Path, **settings: object) -> Iterator[set[tuple[watchfiles.Change, str]]]:
        raise OSError(28, "No space left on device")
        yield set()

    monkeypatch.setattr(watchfiles, "watch", no_watches)
    async with watching(root) as reported:
        put(root, "plates")
        assert (await reported.next()) == Changes(added=("plates",))
        put(root, "plates", "New.\n")
        assert (await reported.next()) == Changes(changed=("plates",))
        shutil.rmtree(root)
        assert (await reported.next()).removed == ("cups", "mugs", "plates")


async def test_the_targets_of_links_are_not_watched(root: Path) -> None:
    (root / "everything").symlink_to("/")
    (root / "mugs/loop").symlink_to(root)
    async with watching(root) as reported:
        put(root, "plates")
        assert (await reported.next()) == Changes(added=("plates",))
        put(root, "mugs", "New.\n")
        assert (await reported.next()) == Changes(changed=("mugs",))


async def test_a_closed_or_cancelled_watch_leaves_no_thread(root: Path) -> None:
    before = threading.active_count()
    async with watching(root) as reported:
        assert await reported.sentinel(root) == []
    task = asyncio.create_task(anext(watch(root, SkillRepo.open(root))))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(200):
        if threading.active_count() == before:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"threads are left: {threading.enumerate()}")


async def test_a_repository_in_memory_cannot_be_followed() -> None:
    with pytest.raises(ValueError, match="in memory"):
        await anext(follow(SkillRepo.empty()))
