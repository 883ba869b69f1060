"""What a skill is: one rule for the listing of a folder, an archive and a commit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.skills import Delete, History, SkillRepo, Update
from engine.skills.exchange import read_archive, read_folder, read_git, read_repo
from engine.skills.repo.layout import layout_of, skill_file, skill_path
from engine.skills.repo.rule import (
    FoundSkills,
    Listed,
    find_skills,
    follow_links,
    link_in,
    name_of,
    one_for_each_name,
    own_files,
)
from tests.skills.exchange.test_sources import zipped
from tests.skills.folders import git, put
from tests.skills.repo.test_repository import text

HEAD = b"---\nname: x\n"


def found(*paths: str | Listed, documents: tuple[str, ...] = ()) -> FoundSkills:
    listing = [path if isinstance(path, Listed) else Listed(path) for path in paths]
    return find_skills(follow_links(listing), lambda path: "a document" if path in documents else "")


def names(skills: FoundSkills) -> list[str]:
    return [name_of(place, "top") for place in skills.places]


def why(skills: FoundSkills) -> dict[str, str]:
    return {left.place: left.why for left in skills.left_out}


def test_a_skill_is_a_folder_with_a_skill_file_at_any_depth_or_a_flat_file_at_the_top() -> None:
    skills = found(
        "a/SKILL.md", "b/c/d/skill.md", ".claude/skills/e/SKILL.md", "f.md", "b/g.md", "h/notes.md", "SKILL.md"
    )
    assert sorted(names(skills)) == ["a", "d", "e", "f", "top"]
    assert skills.left_out == ()


@pytest.mark.parametrize("name", ["Skill.md", "SKILL.MD", "skill.MD", "sKiLl.Md"])
def test_other_spellings_of_the_skill_file_make_a_skill_too(name: str) -> None:
    assert names(found(f"a/{name}")) == ["a"]


def test_of_two_spellings_in_one_folder_one_counts_and_the_other_is_named() -> None:
    skills = found("a/Skill.md", "a/skill.md", "a/SKILL.md")
    assert [place.path for place in skills.places] == ["a/SKILL.md"]
    assert why(skills) == dict.fromkeys(
        ["a/skill.md", "a/Skill.md"], "a/SKILL.md is the skill's file, and this is another one"
    )


def test_documents_are_named_but_for_those_that_every_project_has() -> None:
    skills = found("TODO.md", "README.md", "a.md", "Mugs.MD", documents=("TODO.md", "README.md"))
    assert names(skills) == ["a"]
    assert why(skills) == {"TODO.md": "a document", "Mugs.MD": "a skill is called name.md"}
    assert why(found("CLAUDE.md")) == {"CLAUDE.md": "it has the name of a document for people"}


@pytest.mark.parametrize("name", ["SKILLS.md", "skill.txt", "Skill.markdown", "SKILL", "SKILL.md.txt"])
def test_a_file_that_looks_like_a_skill_file_is_named(name: str) -> None:
    assert why(found(f"a/{name}")) == {f"a/{name}": "a skill's file is called SKILL.md"}
    assert why(found(f"a/{name}", "a/SKILL.md")) == {}


def test_folders_of_packages_and_hidden_skill_folders_are_no_skills() -> None:
    skills = found("x/.hidden/SKILL.md", Listed("node_modules", "folder", why="not searched"))
    assert names(skills) == []
    assert set(why(skills)) == {"x/.hidden/SKILL.md", "node_modules"}


def test_of_one_name_the_skill_nearest_to_the_top_counts_in_a_repository() -> None:
    layout = one_for_each_name(found("x/y/a/SKILL.md", "x/a/SKILL.md", "b.md", "b/SKILL.md"), "top")
    assert layout.files == {"a": "x/a/SKILL.md", "b": "b/SKILL.md"}
    assert [left.place for left in layout.left_out] == ["b.md", "x/y/a/SKILL.md"]


def test_a_link_is_followed_once_and_cycles_are_cut() -> None:
    listing = [
        Listed("real/SKILL.md"),
        Listed("alias", "link", "real"),
        Listed("flat.md", "link", "real/SKILL.md"),
        Listed("real/loop", "link", ""),
        Listed("real/deep/again", "link", "real"),
        Listed("nowhere", "link", "gone"),
    ]
    skills = found(*listing)
    assert names(skills) == ["real", "alias", "flat"]
    assert why(skills) == {
        "real/loop": "it is a link to a folder above it, a cycle",
        "real/deep/again": "it is a link to a folder above it, a cycle",
        "nowhere": "it is a link to gone, where no file is read",
        "alias/loop": "it is a link below a link, and only one is followed on a path",
        "alias/deep/again": "it is a link below a link, and only one is followed on a path",
    }


def test_many_links_to_many_files_stay_bounded() -> None:
    files = [Listed(f"real/{number}.txt") for number in range(2_000)]
    links = [Listed(f"link-{number}", "link", "real") for number in range(2_000)]
    assert len(follow_links([*files, *links]).real) <= 500_000


@pytest.mark.parametrize(
    ("text", "target"),
    [("../real", "real"), ("./x", "a/x"), ("../a/../real/x", "real/x"), ("b", "real"), ("b/y", "real/y")],
)
def test_the_link_of_an_archive_is_resolved_in_the_archive(text: str, target: str) -> None:
    assert link_in("a/link", text, {"a/b": "../real"}) == Listed("a/link", "link", target)


@pytest.mark.parametrize("text", ["/etc/passwd", "../../x", "../../../etc", "loop", "out/x"])
def test_a_link_that_leads_out_of_an_archive_or_in_a_circle_is_left_out(text: str) -> None:
    assert link_in("a/link", text, {"a/loop": "loop", "a/out": "/etc"}).why


def tree(root: Path) -> None:
    put(root, "alpha/SKILL.md", text("alpha"))
    put(root, "alpha/scripts/run.sh", "ls")
    put(root, "alpha/inner/SKILL.md", text("inner"))
    put(root, "team/x/beta/Skill.md", text("beta"))
    put(root, "team/y/beta/SKILL.md", text("beta"))
    put(root, ".claude/skills/gamma/SKILL.md", text("gamma"))
    put(root, "delta.md", text("delta"))
    put(root, "TODO.md", "- do")
    put(root, "README.md", "# R")
    put(root, "node_modules/p/SKILL.md", text("p"))
    put(root, "odd/SKILLS.md", "x")
    (root / "alias").symlink_to("alpha")
    (root / "away").symlink_to("/etc")


def test_a_folder_a_zip_and_a_commit_have_the_same_skills_and_the_same_left_out(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    tree(root)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "all")
    (root / "alias").unlink()
    (root / "away").unlink()
    entries = [
        (file.relative_to(root).as_posix(), file.read_bytes()) for file in sorted(root.rglob("*")) if file.is_file()
    ]
    archive = read_archive(
        zipped(tmp_path / "a.zip", *[entry for entry in entries if not entry[0].startswith(".git/")])
    )
    git(root, "checkout", "-q", ".")
    folder, commit = read_folder(root), read_git(root)
    linked = {"alias", "alias/inner"}
    places = {package.place for package in folder.packages}
    assert places == {package.place for package in commit.packages}
    assert {place for place in places if not place.startswith("alias/")} == {
        package.place for package in archive.packages
    }
    assert {left.place for left in folder.skipped} == {left.place for left in commit.skipped}
    assert {left.place for left in folder.skipped} - {"away"} >= {left.place for left in archive.skipped} - linked


def test_a_repository_and_an_import_of_it_know_the_same_skills(tmp_path: Path) -> None:
    tree(tmp_path)
    repo = SkillRepo.open(tmp_path)
    assert list(repo) == ["alias", "alpha", "beta", "delta", "gamma", "inner"]
    assert [package.name for package in read_repo(tmp_path).packages] == list(repo)
    assert {left.place for left in repo.left_out} == {
        "TODO.md",
        "alias/inner/SKILL.md",
        "away",
        "node_modules",
        "odd/SKILLS.md",
        "team/y/beta/SKILL.md",
    }
    assert {left.place for left in read_repo(tmp_path).skipped} == {left.place for left in repo.left_out}
    assert [finding.rule for finding in repo["beta"].findings] == ["file-name"]


def test_the_place_of_one_skill_is_the_one_in_the_whole_layout(tmp_path: Path) -> None:
    tree(tmp_path)
    files = layout_of(tmp_path).files
    assert {name: skill_file(tmp_path, name) for name in files} == files
    assert [skill_file(tmp_path, name) for name in ("TODO", "README", "away", "p", "", "..", "team")] == [None] * 7
    assert skill_path(tmp_path, "new") == "new/SKILL.md"


def test_one_usual_skill_is_found_without_a_look_at_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path)

    def no_search(path: str) -> None:
        raise AssertionError(f"{path} was listed")

    monkeypatch.setattr(os, "scandir", no_search)
    assert skill_file(tmp_path, "alpha") == "alpha/SKILL.md"
    assert skill_file(tmp_path, "delta") == "delta.md"


def test_a_deep_skill_is_edited_where_it_is_and_deleted_without_the_skills_in_its_folder(tmp_path: Path) -> None:
    put(tmp_path, "team/beta/SKILL.md", text("beta"))
    put(tmp_path, "team/beta/run.sh", "ls")
    put(tmp_path, "team/beta/inner/SKILL.md", text("inner"))
    repo = SkillRepo.open(tmp_path)
    history = History.open(tmp_path)
    history.commit(Update("beta", None, text("beta", "New.\n")).apply(repo), message="", trailers={})
    assert (tmp_path / "team/beta/SKILL.md").read_text() == text("beta", "New.\n")
    history.commit(Delete("beta").apply(repo), message="", trailers={})
    assert list(SkillRepo.open(tmp_path)) == ["inner"]
    assert not (tmp_path / "team/beta/run.sh").exists()


def test_the_files_of_a_skill_are_not_those_of_a_skill_in_its_folder() -> None:
    files = dict.fromkeys(["a/SKILL.md", "a/x.sh", "a/b/SKILL.md", "a/b/y.sh", "a/c/z.sh"])
    assert list(own_files(files, "a/SKILL.md")) == ["a/SKILL.md", "a/x.sh", "a/c/z.sh"]


def test_what_cannot_be_a_skill_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "/".join(["d"] * 40)).mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    put(tmp_path, os.fsdecode(b"caf\xe9/SKILL.txt"), "x")
    left = {left.place: left.why for left in layout_of(tmp_path).left_out}
    assert left.pop("empty") == "it is an empty folder"
    assert left.pop("pipe.md") == "it is not a regular file"
    assert left.pop("caf\ufffd/SKILL.txt") == "a skill's file is called SKILL.md"
    assert list(left.values()) == ["it is more than 32 folders deep"]
