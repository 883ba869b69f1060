"""The layout of real folders: which files are skills, which belong to a skill, and which cannot be read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.skills import Delete, History, Insert, Skill, SkillRepo, Update
from engine.skills.repo.layout import other_files, skill_files, skill_path
from tests.skills.processes import without_rights


def text(name: str, body: str = "Body.\n") -> str:
    return Skill.make(name, f"Use for {name}.", body).text


def put(root: Path, path: str, content: str | bytes) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def codes(root: Path, name: str) -> list[str]:
    return [finding.rule for finding in SkillRepo.open(root)[name].findings]


def test_the_other_files_of_a_skill_are_listed_and_kept(tmp_path: Path) -> None:
    put(tmp_path, "mugs/SKILL.md", text("mugs"))
    put(tmp_path, "mugs/scripts/look.sh", "ls")
    put(tmp_path, "mugs/references/deep/more.md", "more")
    put(tmp_path, "mugs/.git/config", "not ours")
    (tmp_path / "mugs" / "away").symlink_to("/etc")
    (tmp_path / "mugs" / os.fsdecode(b"caf\xe9")).write_text("odd")
    put(tmp_path, "cups.md", text("cups"))
    repo = SkillRepo.open(tmp_path)
    assert repo.files("mugs") == ("away", "caf\ufffd", "references/deep/more.md", "scripts/look.sh")
    assert repo.files("cups") == SkillRepo.empty().files("mugs") == ()
    assert repo.fork().files("mugs") == repo.files("mugs")


def test_a_lower_case_skill_md_keeps_its_name(tmp_path: Path) -> None:
    put(tmp_path, "mugs/skill.md", text("mugs"))
    put(tmp_path, "both/skill.md", "notes")
    put(tmp_path, "both/SKILL.md", text("both"))
    assert skill_files(tmp_path) == {"mugs": "mugs/skill.md", "both": "both/SKILL.md"}
    assert other_files(tmp_path, "both/SKILL.md") == ("skill.md",)
    update = Update("mugs", None, text("mugs", "New.\n")).apply(SkillRepo.open(tmp_path))
    History.open(tmp_path).commit(update, message="", trailers={})
    assert [file.name for file in (tmp_path / "mugs").iterdir()] == ["skill.md"]
    assert (tmp_path / "mugs/skill.md").read_text() == text("mugs", "New.\n")


def test_a_flat_skill_is_written_back_flat(tmp_path: Path) -> None:
    put(tmp_path, "mugs.md", text("mugs"))
    history = History.open(tmp_path)
    history.commit(
        Update("mugs", None, text("mugs", "New.\n")).apply(SkillRepo.open(tmp_path)), message="", trailers={}
    )
    assert skill_files(tmp_path) == {"mugs": "mugs.md"}
    history.commit(Update("mugs", "cups").apply(SkillRepo.open(tmp_path)), message="", trailers={})
    assert (tmp_path / "cups.md").read_text() == text("mugs", "New.\n").replace("name: mugs", "name: cups")
    history.commit(Delete("cups").apply(SkillRepo.open(tmp_path)), message="", trailers={})
    history.commit(Insert("cups", text("cups")).apply(SkillRepo.open(tmp_path)), message="", trailers={})
    assert skill_files(tmp_path) == {"cups": "cups/SKILL.md"}


def test_an_untouched_skill_never_changes_on_disk(tmp_path: Path) -> None:
    odd = {
        "a": "\ufeff---\r\ndescription: d\r\nname:   'a'\r\nversion: 1.10\r\n---\r\n\r\nBody  \r\n\r\n",
        "b": "---\nname: b\ndescription: >\n  folded\n  text\n---",
        "c": "no frontmatter\0\n",
    }
    for name, content in odd.items():
        put(tmp_path, f"{name}/SKILL.md", content)
    stamps = {name: (tmp_path / name / "SKILL.md").stat() for name in odd}
    history = History.open(tmp_path)
    history.commit(Insert("d", text("d")).apply(SkillRepo.open(tmp_path)), message="", trailers={})
    history.revert(history.head, trailers={})
    for name, content in odd.items():
        file = tmp_path / name / "SKILL.md"
        assert file.read_bytes() == content.encode()
        assert (file.stat().st_mtime_ns, file.stat().st_ino) == (stamps[name].st_mtime_ns, stamps[name].st_ino)


def test_keys_keep_their_order_and_the_body_its_bytes_when_a_skill_is_renamed(tmp_path: Path) -> None:
    before = "---\nlicense: MIT\nmetadata:\n  z: 1.10\n  a: on\nname: a\ndescription: d\n---\r\nBody \r\n\n"
    put(tmp_path, "a/SKILL.md", before)
    edit = Update("a", "b").apply(SkillRepo.open(tmp_path))
    History.open(tmp_path).commit(edit, message="", trailers={})
    assert (tmp_path / "b/SKILL.md").read_bytes().decode() == before.replace("name: a", "name: b")


def test_names_that_differ_only_by_case_or_accents_are_findings(tmp_path: Path) -> None:
    for name in ("mugs", "Mugs", "MUGS", "cups", "caf\u00e9", "cafe\u0301"):
        put(tmp_path, f"{name}/SKILL.md", text(name))
    assert "case-clash" in codes(tmp_path, "mugs")
    assert {"case-clash", "name-invalid"} <= set(codes(tmp_path, "Mugs"))
    assert "case-clash" in codes(tmp_path, "caf\u00e9")
    assert codes(tmp_path, "cups") == []
    [finding] = [finding for finding in SkillRepo.open(tmp_path)["mugs"].findings if finding.rule == "case-clash"]
    assert "'mugs'" not in finding.message


def test_ten_megabytes_and_nul_bytes_open(tmp_path: Path) -> None:
    put(tmp_path, "large/SKILL.md", text("large", "x" * 10_000_000))
    put(tmp_path, "nul/SKILL.md", text("nul", "a\0b"))
    put(tmp_path, "zeros/SKILL.md", b"\0" * 1000)
    assert codes(tmp_path, "large") == ["too-large"]
    assert "10,000," in SkillRepo.open(tmp_path)["large"].findings[0].message
    assert codes(tmp_path, "nul") == ["nul"]
    assert codes(tmp_path, "zeros") == ["no-frontmatter", "nul"]


def test_links_out_of_the_repository_and_dangling_links_are_left_out_by_name(tmp_path: Path) -> None:
    put(tmp_path, "out/SKILL.md", text("out"))
    put(tmp_path, "out/secret.txt", "secret")
    root = tmp_path / "repo"
    root.mkdir()
    (root / "away").symlink_to(tmp_path / "out")
    (root / "loop").symlink_to("loop")
    (root / "loop.md").symlink_to("loop.md")
    (root / "gone.md").symlink_to("nowhere")
    (root / "folder.md").symlink_to(tmp_path)
    repo = SkillRepo.open(root)
    assert list(repo) == []
    assert [left.place for left in repo.left_out] == ["away", "folder.md", "gone.md", "loop", "loop.md"]
    assert repo.left_out[2].why == "it is a link to nothing"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder of a user without rights; pytest's own folders can be read by their owner only."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "skills"
        for skill in ("file", "folder", "open"):
            put(folder, f"{skill}/SKILL.md", text(skill))
        (folder / "file/SKILL.md").chmod(0)
        (folder / "folder").chmod(0)
        yield folder
        (folder / "folder").chmod(0o755)


def test_files_without_read_permission_are_findings(shared: Path) -> None:
    def look() -> None:
        repo = SkillRepo.open(shared)
        assert list(repo) == ["file", "open"]
        assert repo["open"].findings == ()
        [finding] = repo["file"].findings
        assert (finding.rule, "Permission denied" in finding.message) == ("unreadable", True)
        [left] = repo.left_out
        assert (left.place, left.why) == ("folder", "the folder cannot be listed: Permission denied")

    assert without_rights(look) == 0


def test_the_path_of_a_new_skill_is_a_folder_and_of_an_existing_one_its_own(tmp_path: Path) -> None:
    put(tmp_path, "flat.md", text("flat"))
    put(tmp_path, "mugs/skill.md", text("mugs"))
    assert skill_path(tmp_path, "flat") == "flat.md"
    assert skill_path(tmp_path, "mugs") == "mugs/skill.md"
    assert skill_path(tmp_path, "new") == "new/SKILL.md"
