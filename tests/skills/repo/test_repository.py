"""Repositories: folders of real files, also invalid ones, and independent forks in memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.skills import Refused, RepoError, Skill, SkillIndex, SkillRepo
from engine.skills.format.skill import MAX_BYTES

SAMPLES = Path(__file__).parents[3] / "sample_repos"


def text(name: str, body: str = "Body.\n") -> str:
    return Skill.make(name, f"Use for {name}.", body).text


def put(root: Path, path: str, content: str | bytes) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def codes(skill: Skill) -> list[str]:
    return [finding.rule for finding in skill.findings]


def test_folders_and_flat_files_are_skills_and_the_rest_is_not(tmp_path: Path) -> None:
    put(tmp_path, "heat/SKILL.md", text("heat"))
    put(tmp_path, "heat/scripts/run.sh", "echo")
    put(tmp_path, "cool.md", text("cool"))
    put(tmp_path, "README.md", "# For people")
    put(tmp_path, "notes.txt", "no")
    put(tmp_path, "empty/notes.md", "no")
    put(tmp_path, ".git/SKILL.md", text("git"))
    repo = SkillRepo.open(tmp_path)
    assert list(repo) == ["cool", "heat"]
    assert len(repo) == 2
    assert "heat" in repo and "README" not in repo
    assert repo["heat"].description == "Use for heat."
    assert repo.texts() == {"cool": text("cool"), "heat": text("heat")}


def test_a_folder_takes_precedence_over_a_flat_file_of_the_same_name(tmp_path: Path) -> None:
    put(tmp_path, "heat/SKILL.md", text("heat", "folder"))
    put(tmp_path, "heat.md", text("heat", "flat"))
    assert SkillRepo.open(tmp_path)["heat"].body == "folder"


def test_invalid_files_are_included_with_findings(tmp_path: Path) -> None:
    put(tmp_path, "good/SKILL.md", text("good"))
    put(tmp_path, "latin/SKILL.md", text("latin").encode() + b"caf\xe9\n")
    put(tmp_path, "large/SKILL.md", b"x" * (MAX_BYTES + 1))
    put(tmp_path, "yaml/SKILL.md", "---\nname: [\n---\n")
    put(tmp_path, "nul/SKILL.md", text("nul", "\0"))
    (tmp_path / "folder" / "SKILL.md").mkdir(parents=True)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "SKILL.md")
    repo = SkillRepo.open(tmp_path)
    assert repo["good"].findings == ()
    assert codes(repo["latin"]) == ["not-utf8"]
    assert repo["latin"].body.endswith("caf\ufffd\n")
    assert codes(repo["large"]) == ["too-large"]
    assert "folder" not in repo and "pipe" not in repo
    assert {left.place: left.why for left in repo.left_out} == {
        "folder/SKILL.md": "it is an empty folder",
        "pipe/SKILL.md": "it is not a regular file",
    }
    assert "bad-yaml" in codes(repo["yaml"])
    assert codes(repo["nul"]) == ["nul"]


def test_links_out_of_the_repository_are_not_followed(tmp_path: Path) -> None:
    put(tmp_path, "secret.txt", "secret")
    put(tmp_path, "repo/real/SKILL.md", text("real"))
    (tmp_path / "repo/stolen").mkdir()
    (tmp_path / "repo/stolen/SKILL.md").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "repo/loop").mkdir()
    (tmp_path / "repo/loop/SKILL.md").symlink_to("SKILL.md")
    (tmp_path / "repo/alias").symlink_to("real")
    repo = SkillRepo.open(tmp_path / "repo")
    assert list(repo) == ["alias", "real"]
    assert {left.place: left.why for left in repo.left_out} == {
        "loop/SKILL.md": "it is a cycle of links",
        "stolen/SKILL.md": "it is a link that leads out of the folder",
    }
    assert repo["alias"].text == text("real")


def test_a_path_that_is_not_a_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    put(tmp_path, "file", "")
    for path in (tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(RepoError, match=str(path)):
            SkillRepo.open(path)


def test_opening_changes_nothing_on_disk(tmp_path: Path) -> None:
    content = "\ufeff---\r\nname: a\r\ndescription: d\r\n---\r\nbody  \r\n"
    put(tmp_path, "a/SKILL.md", content)
    assert SkillRepo.open(tmp_path)["a"].write() == content
    assert (tmp_path / "a/SKILL.md").read_bytes() == content.encode()


def test_a_fork_is_independent_of_its_origin() -> None:
    repo = SkillRepo.of({"a": text("a"), "b": text("b")})
    fork = repo.fork()
    fork.delete("a")
    fork.insert(Skill.parse(text("c"), name="c"))
    fork.update("b", Skill.parse(text("b", "New.\n"), name="b"))
    assert list(fork) == ["b", "c"]
    assert repo.texts() == {"a": text("a"), "b": text("b")}
    assert fork["b"].body == "New.\n"


def test_the_repository_refuses_invalid_changes() -> None:
    repo = SkillRepo.of({"a": text("a"), "b": text("b")})
    with pytest.raises(Refused, match="already a skill 'a'"):
        repo.insert(repo["a"])
    with pytest.raises(Refused, match="no skill 'c'"):
        repo.delete("c")
    with pytest.raises(Refused, match="'b' is taken"):
        repo.update("a", repo["b"])
    assert list(repo) == ["a", "b"]
    assert len(SkillRepo.empty()) == 0


def test_the_household_sample_is_valid_and_found_by_household_tasks() -> None:
    repo = SkillRepo.open(SAMPLES / "household")
    assert len(repo) >= 6
    assert {name: repo[name].findings for name in repo} == dict.fromkeys(repo, ())
    index = SkillIndex.of(repo)
    for wanted, query in {
        "heat-things": "Get a hot mug. Some places are shut.",
        "cool-things": "Get a cold mug. Some places are shut.",
        "clean-things": "Get a clean mug. Some places are shut.",
        "open-shut-places": "Get a mug. Some places are shut.",
    }.items():
        assert wanted in [name for name, _ in index.search(query, 2)]
