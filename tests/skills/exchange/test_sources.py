"""Skills from folders, zips and git: every skill with its files, and no unsafe path, zip bomb or ambiguous name."""

from __future__ import annotations

import os
import stat
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.skills import Delete, History, Insert, Skill, SkillRepo, Update
from engine.skills.exchange import Bundle, ExchangeError, read_archive, read_folder, read_git, read_repo, read_source
from engine.skills.exchange import bundle as bundles
from tests.skills.folders import git, put
from tests.skills.processes import without_rights

MUGS = Skill.make("mugs", "Use when a mug is wanted.", "Mugs are in the safe.\n").text


def text(name: str) -> str:
    return MUGS.replace("mugs", name, 1)


def names(bundle: Bundle) -> list[str]:
    return [package.name for package in bundle.packages]


def why(bundle: Bundle) -> dict[str, str]:
    return {skipped.place: skipped.why for skipped in bundle.skipped}


def zipped(path: Path, *entries: tuple[str | zipfile.ZipInfo, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


# Finding


def test_skills_are_found_at_any_depth_with_all_their_files(tmp_path: Path) -> None:
    put(tmp_path, "plugins/home/skills/mugs/SKILL.md", MUGS)
    put(tmp_path, "plugins/home/skills/mugs/scripts/look.sh", "ls")
    (tmp_path / "plugins/home/skills/mugs/scripts/look.sh").chmod(0o755)
    put(tmp_path, ".claude/skills/cups/skill.md", text("cups"))
    put(tmp_path, "mugs-of-tea/SKILL.md", text("mugs-of-tea"))
    put(tmp_path, "mugs-of-tea/inner/SKILL.md", text("inner"))
    put(tmp_path, "mugs-of-tea/inner/note.txt", "the inner skill's")
    put(tmp_path, "flat.md", text("flat"))
    put(tmp_path, "src/main.py", "pass")
    put(tmp_path, "node_modules/x/SKILL.md", text("x"))
    put(tmp_path, ".git/SKILL.md", text("y"))
    found = read_folder(tmp_path)
    assert found.origin == tmp_path.name
    assert {package.name: sorted(package.files) for package in found.packages} == {
        "cups": ["skill.md"],
        "flat": ["flat.md"],
        "inner": ["SKILL.md", "note.txt"],
        "mugs": ["SKILL.md", "scripts/look.sh"],
        "mugs-of-tea": ["SKILL.md"],
    }
    assert why(found) == {"node_modules": "folders of this name are not searched"}
    mugs = next(package for package in found.packages if package.name == "mugs")
    assert (mugs.place, mugs.path) == ("plugins/home/skills/mugs/SKILL.md", "SKILL.md")
    assert mugs.files["scripts/look.sh"].executable and not mugs.files["SKILL.md"].executable
    assert mugs.skill == Skill.parse(MUGS, name="mugs")


def test_a_skill_repository_has_skills_at_any_depth_and_one_of_each_name(tmp_path: Path) -> None:
    put(tmp_path, "mugs/SKILL.md", MUGS)
    put(tmp_path, "mugs/inner/SKILL.md", text("inner"))
    put(tmp_path, "a/deep/mugs/SKILL.md", MUGS)
    put(tmp_path, "deep/down/SKILL.md", text("down"))
    put(tmp_path, ".skillos/search-index", "index")
    found = read_repo(tmp_path)
    assert {package.place: sorted(package.files) for package in found.packages} == {
        "deep/down/SKILL.md": ["SKILL.md"],
        "mugs/SKILL.md": ["SKILL.md"],
        "mugs/inner/SKILL.md": ["SKILL.md"],
    }
    assert list(why(found)) == ["a/deep/mugs/SKILL.md"]


def test_a_single_skill_is_a_source(tmp_path: Path) -> None:
    put(tmp_path, "any folder/SKILL.md", MUGS)
    put(tmp_path, "any folder/scripts/look.sh", "ls")
    [package] = read_folder(tmp_path / "any folder").packages
    assert (package.name, sorted(package.files)) == ("mugs", ["SKILL.md", "scripts/look.sh"])
    nameless = "---\ndescription: d\n---\nBody.\n"
    [package] = read_archive(zipped(tmp_path / "kettles.zip", ("SKILL.md", nameless))).packages
    assert package.name == "kettles"


def test_a_name_comes_from_the_folder_or_else_from_the_file(tmp_path: Path) -> None:
    put(tmp_path, "mugs/SKILL.md", text("cups"))
    put(tmp_path, "My Plates/SKILL.md", text("plates"))
    put(tmp_path, "No Name/SKILL.md", "---\nname: No Name\ndescription: d\n---\nBody.\n")
    found = read_folder(tmp_path)
    assert names(found) == ["mugs", "plates"]
    assert [finding.rule for finding in found.packages[0].skill.findings] == ["name-differs"]
    assert list(why(found)) == ["No Name/SKILL.md"]


def test_two_skills_of_one_name_are_both_there_and_a_repository_has_the_nearest(tmp_path: Path) -> None:
    put(tmp_path, "a/mugs/SKILL.md", MUGS)
    put(tmp_path, "a/b/mugs/SKILL.md", text("mugs") + "Other.\n")
    found = read_folder(tmp_path)
    assert [package.place for package in found.packages] == ["a/mugs/SKILL.md", "a/b/mugs/SKILL.md"]
    assert why(found) == {}
    found = read_repo(tmp_path)
    assert [package.place for package in found.packages] == ["a/mugs/SKILL.md"]
    assert why(found) == {"a/b/mugs/SKILL.md": "a/mugs/SKILL.md has the same name, 'mugs'"}


def test_documents_are_not_skills_but_invalid_skills_are(tmp_path: Path) -> None:
    put(tmp_path, "README.md", "# For people")
    put(tmp_path, "notes.md", "# Notes")
    put(tmp_path, "broken/SKILL.md", "no frontmatter")
    put(tmp_path, "latin/SKILL.md", text("latin").encode() + b"caf\xe9\n")
    found = read_folder(tmp_path)
    assert names(found) == ["broken", "latin"]
    assert [[finding.rule for finding in package.skill.findings] for package in found.packages] == [
        ["no-frontmatter"],
        ["not-utf8"],
    ]
    assert found.packages[1].files["SKILL.md"].data.endswith(b"caf\xe9\n")
    assert "document" in why(found)["notes.md"] and "README.md" not in why(found)


def test_links_pipes_and_large_files_are_skipped_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path, "secret.txt", "secret")
    root = tmp_path / "source"
    put(root, "mugs/SKILL.md", MUGS)
    put(root, "mugs/large.bin", b"x" * (bundles.MAX_FILE + 1))
    (root / "mugs/link").symlink_to(tmp_path / "secret.txt")
    (root / "mugs/folder").symlink_to(tmp_path)
    os.mkfifo(root / "mugs/pipe")
    put(root, "big/SKILL.md", b"x" * 2_000_000)
    (root / "linked").mkdir()
    (root / "linked/SKILL.md").symlink_to(tmp_path / "secret.txt")
    found = read_folder(root)
    assert {package.name: list(package.files) for package in found.packages} == {"mugs": ["SKILL.md"]}
    assert set(why(found)) == {
        "mugs/large.bin",
        "mugs/link",
        "mugs/folder",
        "mugs/pipe",
        "big/SKILL.md",
        "linked/SKILL.md",
    }
    assert "2,000,000 bytes" in why(found)["big/SKILL.md"] and "link" in why(found)["linked/SKILL.md"]


def test_files_that_differ_only_by_case_are_skipped(tmp_path: Path) -> None:
    put(tmp_path, "mugs/SKILL.md", MUGS)
    put(tmp_path, "mugs/run.sh", "one")
    put(tmp_path, "mugs/Run.sh", "two")
    assert names(read_folder(tmp_path)) == []
    assert "same name on many file systems" in why(read_folder(tmp_path))["mugs/SKILL.md"]


@pytest.mark.parametrize("source", ["absent", "file.txt", "empty.zip", "broken.zip", "cut.zip"])
def test_an_invalid_source_is_an_error_that_names_it(tmp_path: Path, source: str) -> None:
    put(tmp_path, "file.txt", "text")
    put(tmp_path, "empty.zip", "")
    put(tmp_path, "broken.zip", b"PK\x03\x04" + b"\0" * 100)
    whole = zipped(tmp_path / "whole.zip", ("mugs/SKILL.md", MUGS)).read_bytes()
    put(tmp_path, "cut.zip", whole[:-10])
    with pytest.raises(ExchangeError, match=source):
        read_source(tmp_path / source)


# Zips


def test_a_zip_is_read_like_a_folder(tmp_path: Path) -> None:
    script = zipfile.ZipInfo("repo-main/skills/mugs/look.sh")
    script.external_attr = 0o100755 << 16
    path = zipped(tmp_path / "a.zip", ("repo-main/skills/mugs/SKILL.md", MUGS), (script, "ls"), ("repo-main/x/", ""))
    [package] = read_source(path).packages
    assert package.skill == Skill.parse(MUGS, name="mugs")
    assert package.files["look.sh"].executable


@pytest.mark.parametrize(
    "name",
    [
        "../mugs/SKILL.md",
        "mugs/../../SKILL.md",
        "/mugs/SKILL.md",
        "//host/mugs/SKILL.md",
        "C:/mugs/SKILL.md",
        "C:mugs/SKILL.md",
        "..\\mugs\\SKILL.md",
        "mugs/.GIT/SKILL.md",
        "mugs/.g\u200cit/SKILL.md",
        "mugs/git~1/SKILL.md",
        "mugs/a\nb/SKILL.md",
        "mugs/a\x1b[2J/SKILL.md",
        "mugs/.skillos-SKILL.md.tmp",
        "/".join(["a"] * 40) + "/SKILL.md",
        "a" * 2_000 + "/SKILL.md",
        "mugs/" + "\u00e9" * 200 + "/SKILL.md",
    ],
)
def test_an_unsafe_path_is_skipped(tmp_path: Path, name: str) -> None:
    found = read_archive(zipped(tmp_path / "a.zip", (name, MUGS), ("cups/SKILL.md", text("cups"))))
    assert names(found) == ["cups"]
    assert len(found.skipped) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "a.zip"]


def test_a_name_with_a_nul_byte_is_skipped(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", ("mugs/SKILL.mdX/../../evil", MUGS))
    path.write_bytes(path.read_bytes().replace(b"SKILL.mdX", b"SKILL.md\0"))
    found = read_archive(path)
    assert (names(found), len(found.skipped)) == ([], 1)


def test_links_in_a_zip_are_skipped(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("mugs/SKILL.md")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    found = read_archive(zipped(tmp_path / "a.zip", (link, "/etc/passwd")))
    assert names(found) == [] and "link" in why(found)["mugs/SKILL.md"]


def test_a_path_that_is_twice_in_a_zip_is_skipped(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zipped(tmp_path / "a.zip", *[("mugs/SKILL.md", text(name)) for name in ("mugs", "evil", "third")])
    found = read_archive(path)
    assert names(found) == [] and "twice" in why(found)["mugs/SKILL.md"]


def test_zip_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = b"\0" * 30_000_000
    found = read_archive(
        zipped(tmp_path / "a.zip", ("mugs/SKILL.md", MUGS), ("mugs/zeros", zeros), ("cups/SKILL.md", zeros))
    )
    assert names(found) == ["mugs"]
    assert set(why(found)) == {"mugs/zeros", "cups/SKILL.md"}
    monkeypatch.setattr(bundles, "MAX_TOTAL", 100_000)
    many = zipped(tmp_path / "b.zip", ("mugs/SKILL.md", MUGS), *[(f"mugs/{n}", b"\0" * 20_000) for n in range(10)])
    with pytest.raises(ExchangeError, match="more than 100,000 bytes"):
        read_archive(many)
    monkeypatch.setattr(bundles, "MAX_ENTRIES", 5)
    with pytest.raises(ExchangeError, match="more than 5 files"):
        read_folder_of(tmp_path / "many", 6)


def read_folder_of(root: Path, count: int) -> Bundle:
    for number in range(count):
        put(root, f"{number}.txt", "x")
    return read_folder(root)


def lie_about_the_size(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + struct.pack("<I", 10) + data[at + 4 :]


def damage_the_content(data: bytes) -> bytes:
    at = data.index(b"SKILL.md") + 12
    return data[:at] + b"\xff\xff\xff" + data[at + 3 :]


def encrypt(data: bytes) -> bytes:
    flags = [data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8]
    for at in flags:
        data = data[:at] + b"\x01" + data[at + 1 :]
    return data


def unknown_method(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02") + 10
    return data[:at] + struct.pack("<H", 99) + data[at + 2 :]


@pytest.mark.parametrize("harm", [lie_about_the_size, damage_the_content, encrypt, unknown_method])
def test_a_damaged_file_is_skipped_and_the_rest_is_read(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    path = zipped(tmp_path / "a.zip", ("mugs/SKILL.md", MUGS), ("cups/SKILL.md", text("cups")))
    path.write_bytes(harm(path.read_bytes()))
    found = read_archive(path)
    assert (names(found), list(why(found))) == (["cups"], ["mugs/SKILL.md"])


def _in_the_end_record(end: bytes) -> bytes:
    return end[:12] + struct.pack("<I", 2**31) + end[16:]


def _behind_a_false_signature(end: bytes) -> bytes:
    """The two fields that zipfile ignores contain the signature of the record."""
    return end[:4] + end[:4] + _in_the_end_record(end)[8:]


def _in_a_zip64_record(end: bytes) -> bytes:
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 2**31, 0)
    return record + struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1) + end


@pytest.mark.parametrize("harm", [_in_the_end_record, _behind_a_false_signature, _in_a_zip64_record])
def test_a_huge_central_directory_is_refused(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    path = zipped(tmp_path / "a.zip", ("mugs/SKILL.md", MUGS))
    data = path.read_bytes()
    path.write_bytes(data[:-22] + harm(data[-22:]))
    with pytest.raises(ExchangeError, match="lists too many files"):
        read_archive(path)


# Git


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A skill repository with edits of two runs."""
    root = tmp_path / "repo"
    put(root, "mugs/SKILL.md", MUGS)
    put(root, "mugs/scripts/look.sh", "ls\n")
    (root / "mugs/scripts/look.sh").chmod(0o755)
    edits = [
        (Insert("cups", text("cups")), "r1", 1),
        (Update("mugs", None, MUGS + "More.\n"), "r1", 2),
        (Delete("cups"), "r2", 1),
    ]
    for operation, run, step in edits:
        edit = operation.apply(SkillRepo.open(root))
        History.open(root).commit(edit, message="edit", trailers={"Run": run, "Step": str(step)})
    return root


def test_another_run_s_repository_is_read_at_a_step(history: Path) -> None:
    put(history, "uncommitted/SKILL.md", text("uncommitted"))
    first = read_git(history, step=1, run="r1")
    assert names(first) == ["cups", "mugs"]
    mugs = first.packages[1]
    assert mugs.skill.text == MUGS and mugs.files["scripts/look.sh"].executable
    assert read_git(history, run="r1").packages[1].skill.text == MUGS + "More.\n"
    assert names(read_git(history)) == names(read_git(history, step=1)) == ["mugs"]
    assert read_git(history).origin == f"repo@{History.open(history).head[:12]}"
    assert names(read_source(history, step=0, run="r1")) == ["mugs"]


def test_a_working_tree_is_read_as_it_is_or_at_a_ref_and_a_bare_repository_at_its_head(history: Path) -> None:
    git(history, "tag", "v1", "HEAD~1")
    git(history.parent, "clone", "-q", "--bare", str(history), "bare.git")
    assert names(read_source(history)) == ["mugs"]
    assert names(read_source(history, ref="v1")) == ["cups", "mugs"]
    assert names(read_source(history.parent / "bare.git")) == ["mugs"]
    assert names(read_source(history.parent / "bare.git", ref="v1")) == ["cups", "mugs"]


def test_a_folder_inside_a_larger_repository_is_read_alone(tmp_path: Path) -> None:
    put(tmp_path, "project/skills/mugs/SKILL.md", MUGS)
    put(tmp_path, "project/other/cups/SKILL.md", text("cups"))
    (tmp_path / "project/skills/mugs/link").symlink_to("/etc/passwd")
    git(tmp_path / "project", "init", "-q")
    git(tmp_path / "project", "add", ".")
    git(tmp_path / "project", "commit", "-q", "-m", "all")
    found = read_git(tmp_path / "project/skills", ref="HEAD")
    assert (names(found), list(why(found))) == (["mugs"], ["mugs/link"])
    assert names(read_git(tmp_path / "project")) == ["cups", "mugs"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ref": "nonsense"}, "no commit 'nonsense'"),
        ({"ref": "HEAD:mugs"}, "no commit"),
        ({"ref": "--all"}, "no commit"),
        ({"step": 1, "run": "r9"}, "no commit of the run 'r9'; the runs are r2, r1"),
        ({"step": 1, "ref": "HEAD"}, "not both"),
    ],
)
def test_an_unknown_ref_is_an_error(history: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ExchangeError, match=message):
        read_git(history, **options)  # type: ignore[arg-type]


def test_an_absent_or_empty_repository_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    with pytest.raises(ExchangeError, match="no commit yet"):
        read_git(tmp_path / "empty")
    with pytest.raises(ExchangeError, match="absent"):
        read_git(tmp_path / "absent")


def test_an_unreadable_folder_is_reported() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        put(root, "mugs/SKILL.md", Skill.make("mugs", "Use for mugs.", "Mugs.\n").text)
        put(root, "cups/SKILL.md", Skill.make("cups", "Use for cups.", "Cups.\n").text)
        (root / "cups").chmod(0)

        def read() -> None:
            bundle = read_repo(root)
            assert [package.name for package in bundle.packages] == ["mugs"]
            assert [(left.place, "Permission denied" in left.why) for left in bundle.skipped] == [("cups", True)]

        assert without_rights(read) == 0
        (root / "cups").chmod(0o755)
