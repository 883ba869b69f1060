"""Pins: which skills no automation may change, kept beside the skills and never in a commit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.skills import History, SkillRepo
from engine.skills.repo.pins import FILE, FOLDER, PinsError, pin, pins, unpin

SKILL = "---\nname: {0}\ndescription: Use when {0} is wanted.\n---\nDo it.\n"


def folder(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).mkdir(parents=True)
        (path / name / "SKILL.md").write_text(SKILL.format(name))
    return path


def test_a_pin_says_who_pinned_and_is_removed_again(tmp_path: Path) -> None:
    root = folder(tmp_path, "mugs", "cups")
    pin(root, "mugs", "ann")
    pin(root, "mugs", "bob")
    assert {name: each.by for name, each in pins(root).items()} == {"mugs": "ann"}
    unpin(root, "mugs")
    assert pins(root) == {}


def test_a_folder_without_pins_gets_no_file(tmp_path: Path) -> None:
    assert pins(folder(tmp_path, "mugs")) == {} and pins(tmp_path / "absent") == {}
    assert not (tmp_path / FOLDER).exists()


def test_no_commit_and_no_list_of_skills_has_the_pins(tmp_path: Path) -> None:
    root = folder(tmp_path, "mugs")
    History.open(root)
    pin(root, "mugs", "ann")
    assert History.open(root).record() is None
    assert list(SkillRepo.open(root)) == ["mugs"] and SkillRepo.open(root).left_out == ()


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"mugs": 3}', b"\xff\xfe", b"[" * 100_000])
def test_pins_that_cannot_be_read_are_an_error_and_not_no_pins(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / FILE).write_bytes(data)
    with pytest.raises(PinsError, match="remove it to pin no skill"):
        pins(tmp_path)
    with pytest.raises(PinsError):
        pin(tmp_path, "mugs", "ann")
    assert (tmp_path / FOLDER / FILE).read_bytes() == data


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text('{"mugs": {}}')
    root = folder(tmp_path / "repo", "mugs")
    (root / FOLDER).mkdir()
    (root / FOLDER / FILE).symlink_to(outside)
    with pytest.raises(PinsError):
        pins(root)
    (root / FOLDER / FILE).unlink()
    (root / FOLDER).rmdir()
    (root / FOLDER).symlink_to(tmp_path)
    with pytest.raises(PinsError):
        pin(root, "mugs", "ann")
    assert outside.read_text() == '{"mugs": {}}' and not (tmp_path / FILE).exists()


def test_two_programs_that_pin_lose_no_pin(tmp_path: Path) -> None:
    script = "import sys\nfrom pathlib import Path\nfrom engine.skills.repo.pins import pin\n"
    script += "for n in range(15): pin(Path(sys.argv[1]), f'{sys.argv[2]}{n}', 'ann')"
    both = [subprocess.Popen([sys.executable, "-c", script, tmp_path, letter]) for letter in "ab"]
    assert [each.wait(60) for each in both] == [0, 0]
    assert set(pins(tmp_path)) == {f"{letter}{n}" for letter in "ab" for n in range(15)}
