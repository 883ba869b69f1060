"""The index of a large repository is stored in its folder: built once, and used only where it fits the skills."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from engine.core import seals
from engine.skills import History, Skill, SkillIndex, SkillRepo
from engine.skills.search import index as index_module
from engine.skills.search import saved
from engine.skills.search.index import SMALL
from engine.skills.search.words import count_words

QUERY = "where is mug 7 kept, or the box"


def write(root: Path, name: str, text: str) -> None:
    (root / name).mkdir(exist_ok=True)
    (root / name / "SKILL.md").write_text(text, encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository just large enough for its index to be stored."""
    for number in range(SMALL + 9):
        text = Skill.make(f"mug-{number}", "Use for a mug." if number % 3 else "", f"Mug {number} is in the safe.").text
        write(tmp_path, f"mug-{number}", text)
    return tmp_path


@pytest.fixture(autouse=True)
def data_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder, which holds the key."""
    home = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    return home


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The bodies and names that were indexed since the test began."""
    texts: list[str] = []
    monkeypatch.setattr(
        index_module, "count_words", lambda text, *known: texts.append(text) or count_words(text, *known)
    )
    return texts


def file(root: Path) -> Path:
    return root / ".skillos" / "search-index"


def expected(root: Path) -> list[tuple[str, float]]:
    return SkillIndex.of(SkillRepo.open(root)).search(QUERY, 9)


def test_the_index_is_built_once(root: Path, reads: list[str]) -> None:
    first = SkillIndex.open(SkillRepo.open(root)).search(QUERY, 9)
    reads.clear()
    assert SkillIndex.open(SkillRepo.open(root)).search(QUERY, 9) == first
    assert reads == [QUERY]
    assert first == expected(root)


def test_only_skills_that_changed_on_disk_are_read_again(root: Path, reads: list[str]) -> None:
    SkillIndex.open(SkillRepo.open(root))
    write(root, "mug-7", Skill.make("mug-7", "Use for a mug.", "Mug 7 is in the box.").text)
    write(root, "box", Skill.make("box", "", "Boxes are shut.").text)
    for name in ("mug-0", "mug-8"):
        (root / name / "SKILL.md").unlink()
        (root / name).rmdir()
    reads.clear()
    index = SkillIndex.open(SkillRepo.open(root))
    assert sorted(reads) == ["", "Boxes are shut.", "Mug 7 is in the box.", "Use for a mug.", "box", "mug-7"]
    assert index.search(QUERY, 9) == expected(root)
    reads.clear()
    again = SkillIndex.open(SkillRepo.open(root))
    assert reads == []
    assert again.search(QUERY, 9) == expected(root)


def test_a_loaded_index_is_updated_by_edits(root: Path) -> None:
    SkillIndex.open(SkillRepo.open(root))
    repo = SkillRepo.open(root)
    index = SkillIndex.open(repo)
    for name in list(repo)[::2]:
        index.delete(name)
        repo.delete(name)
    box = Skill.make("box", "Use for a mug.", "A box has 7 mugs.")
    repo.insert(box)
    index.insert("box", box)
    assert index.search(QUERY, 300) == SkillIndex.of(repo).search(QUERY, 300)


def test_the_index_of_a_small_repository_is_not_stored(tmp_path: Path) -> None:
    write(tmp_path, "mug", Skill.make("mug", "", "Mugs.").text)
    assert SkillIndex.open(SkillRepo.open(tmp_path)).search("mug", 1)
    assert not (tmp_path / ".skillos").exists()
    assert SkillIndex.open(SkillRepo.empty()).search("mug", 1) == []


def test_the_stored_index_is_no_skill_and_git_ignores_it(root: Path) -> None:
    history = History.open(root)
    before = list(SkillRepo.open(root))
    SkillIndex.open(SkillRepo.open(root))
    assert file(root).is_file()
    assert list(SkillRepo.open(root)) == before
    assert history.record() is None


def sealed(state: saved.State) -> bytes:
    """A file that this user wrote, with any content."""
    content = msgspec.msgpack.encode(state)
    return seals.seal(content, saved.PURPOSE) + content


def changed(**fields: object) -> Callable[[bytes], bytes]:
    """The file with other postings of the bodies."""

    def change(data: bytes) -> bytes:
        state = msgspec.msgpack.decode(data[32:], type=saved.State)
        *others, body = state.fields
        values = {name: value(getattr(body, name)) if callable(value) else value for name, value in fields.items()}
        return sealed(msgspec.structs.replace(state, fields=[*others, msgspec.structs.replace(body, **values)]))

    return change


def state_with(**values: object) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        state = msgspec.msgpack.decode(data[32:], type=saved.State)
        given = {name: value(getattr(state, name)) if callable(value) else value for name, value in values.items()}
        return sealed(msgspec.structs.replace(state, **given))

    return change


def of_ints(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "little", signed=True) for number in numbers)


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[:-1],
    "a bit flipped": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "something else": lambda data: b"\x80\x04pickle" * 99,
    "not a state": lambda data: sealed([1, 2, 3]),  # type: ignore[arg-type]
    "not text": lambda data: sealed({"names": [b"\xff"]}),  # type: ignore[arg-type]
    "another version": state_with(version="0"),
    "a name twice": state_with(names=lambda names: [names[1], *names[1:]]),
    "digests missing": state_with(digests=[]),
    "a field missing": state_with(fields=lambda fields: fields[:2]),
    "names missing": state_with(names=["mug-0"], digests=[b""]),
    "no such slot": changed(slots=lambda slots: slots[:-4] + of_ints(10**6)),
    "a negative slot": changed(slots=lambda slots: of_ints(-1) + slots[4:]),
    "a negative size": changed(sizes=lambda sizes: of_ints(-1) + sizes[4:]),
    "a slot twice": changed(slots=lambda slots: slots[4:8] + slots[4:]),
    "half a number": changed(counts=lambda counts: counts[:-1]),
    "counts missing": changed(counts=b""),
    "a count of nothing": changed(counts=lambda counts: of_ints(0) + counts[4:]),
    "a word twice": changed(words=lambda words: [words[1], *words[1:]]),
    "words missing": changed(words=lambda words: words[:-1]),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_an_invalid_stored_index_is_built_again(root: Path, change: Callable[[bytes], bytes]) -> None:
    SkillIndex.open(SkillRepo.open(root))
    good = file(root).read_bytes()
    file(root).write_bytes(change(good))
    assert SkillIndex.open(SkillRepo.open(root)).search(QUERY, 9) == expected(root)
    assert saved.read(root) == msgspec.msgpack.decode(good[32:], type=saved.State)


def test_an_index_that_came_with_the_repository_is_built_again(root: Path, data_home: Path) -> None:
    """Somebody else's index is well formed and has the digests of the skills, but counts one word a thousandfold."""
    SkillIndex.open(SkillRepo.open(root))
    poisoned = changed(counts=lambda counts: of_ints(1000) + counts[4:])(file(root).read_bytes())
    file(root).write_bytes(poisoned)
    assert SkillIndex.open(SkillRepo.open(root)).search(QUERY, 9) != expected(root)
    (data_home / "skillos-tui" / "seal.key").unlink()
    assert SkillIndex.open(SkillRepo.open(root)).search(QUERY, 9) == expected(root)
    assert SkillIndex.open(SkillRepo.open(root)).search(QUERY, 9) == expected(root)


def test_the_key_is_readable_by_its_user_only(root: Path, data_home: Path) -> None:
    SkillIndex.open(SkillRepo.open(root))
    assert seals.key_file() == data_home / "skillos-tui" / "seal.key"
    assert seals.key_file().stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 33])
def test_a_damaged_key_is_replaced(root: Path, damage: bytes) -> None:
    SkillIndex.open(SkillRepo.open(root))
    seals.key_file().write_bytes(damage)
    assert SkillIndex.open(SkillRepo.open(root)).search(QUERY, 9) == expected(root)
    assert saved.read(root) is not None


def a_file(root: Path) -> None:
    (root / ".skillos").write_text("mine")


def a_link_to_elsewhere(root: Path) -> None:
    (root / "elsewhere").mkdir()
    (root / ".skillos").symlink_to(root / "elsewhere")


def a_folder_for_the_file(root: Path) -> None:
    (root / ".skillos" / "search-index").mkdir(parents=True)


@pytest.mark.parametrize("obstacle", [a_file, a_link_to_elsewhere, a_folder_for_the_file])
def test_search_works_where_the_index_cannot_be_stored(root: Path, obstacle: Callable[[Path], None]) -> None:
    obstacle(root)
    for _ in range(2):
        assert SkillIndex.open(SkillRepo.open(root)).search(QUERY, 9) == expected(root)
    assert not any(path.is_file() for path in root.glob("elsewhere/*"))


@pytest.mark.parametrize("name", ["search-index", "search-index.tmp"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_links_and_pipes_in_place_of_the_stored_index_are_refused(root: Path, name: str, kind: str) -> None:
    outside = root / "outside"
    outside.write_text("untouched")
    (root / ".skillos").mkdir()
    if kind == "link":
        (root / ".skillos" / name).symlink_to(outside)
    else:
        os.mkfifo(root / ".skillos" / name)
    assert SkillIndex.open(SkillRepo.open(root)).search(QUERY, 9) == expected(root)
    assert outside.read_text() == "untouched"
    assert file(root).is_file() and not file(root).is_symlink()


def test_a_change_of_the_tokenizer_needs_a_new_format_number() -> None:
    """If the expected counts change, increase `saved.FORMAT`, or older stored indexes give wrong results."""
    text = "The cats' naïve re-use of HTTP_2, über 数据库; I/O isn't 3.14, heating generously."
    expected = "cat naiv re use http 2 uber 数据 据库 o isn t 3 14 heat generous"
    assert (saved.FORMAT, count_words(text)) == (3, dict.fromkeys(expected.split(), 1))
