"""Applying the curator's calls: an edit is applied completely or not at all, and describes what it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.skills import Delete, Edit, Insert, Operation, Refused, Skill, SkillRepo, Update
from engine.skills.operations.operation import MAX_CONTENT_BYTES


def text(name: str, body: str = "Body.\n") -> str:
    return Skill.make(name, f"Use for {name}.", body).text


@pytest.fixture
def repo() -> SkillRepo:
    return SkillRepo.of({"a": text("a"), "b": text("b"), "broken": "no frontmatter"})


def test_insert_adds_a_file(repo: SkillRepo) -> None:
    operation = Insert("c", text("c"))
    assert operation.apply(repo) == Edit("insert", "c", None, text("c"))
    assert repo["c"].description == "Use for c."


def test_update_replaces_the_whole_file(repo: SkillRepo) -> None:
    operation = Update("a", new_content=text("a", "New.\n"))
    assert operation.apply(repo) == Edit("update", "a", text("a"), text("a", "New.\n"))
    assert repo["a"].body == "New.\n"


def test_a_rename_changes_the_name_in_the_file(repo: SkillRepo) -> None:
    edit = Update("a", new_name="c").apply(repo)
    assert (edit.skill, edit.new_name, edit.before, edit.after) == (
        "a",
        "c",
        text("a"),
        text("a").replace(": a", ": c"),
    )
    assert list(repo) == ["b", "broken", "c"]
    assert repo["c"].findings == ()


def test_a_rename_with_content_takes_the_resulting_name(repo: SkillRepo) -> None:
    assert Update("a", "c", text("c", "New.\n")).apply(repo).after == text("c", "New.\n")
    assert repo["c"].body == "New.\n"


def test_delete_removes_the_file(repo: SkillRepo) -> None:
    assert Delete("a").apply(repo) == Edit("delete", "a", text("a"), None)
    assert "a" not in repo


def test_an_invalid_skill_can_be_updated_and_deleted(repo: SkillRepo) -> None:
    assert Update("broken", new_content=text("broken")).apply(repo.fork()).before == "no frontmatter"
    assert Delete("broken").apply(repo.fork()).before == "no frontmatter"


def test_a_file_that_is_not_utf8_is_replaced_or_deleted_but_not_rewritten(tmp_path: Path) -> None:
    (tmp_path / "cafe").mkdir()
    (tmp_path / "cafe" / "SKILL.md").write_bytes(text("cafe", "Caf").encode() + b"\xe9\n")
    repo = SkillRepo.open(tmp_path)
    with pytest.raises(Refused, match="not UTF-8"):
        Update("cafe", "bar").apply(repo)
    assert list(repo) == ["cafe"]
    assert Update("cafe", "bar", text("bar")).apply(repo.fork()).after == text("bar")
    assert Delete("cafe").apply(repo.fork()).after is None


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (Insert("a", text("a")), "already a skill 'a'"),
        (Insert("../c", text("c")), "is a path"),
        (Insert("c/d", text("c")), "is a path"),
        (Insert(".git", text("c")), "is a path"),
        (Insert("C", text("C")), "not lower-case"),
        (Insert("", text("c")), "the name is empty"),
        (Insert("c" * 65, text("c")), "65 characters"),
        (Insert("c", text("d")), "line 2: the file says 'd', its place says 'c'"),
        (Insert("c", "Body without frontmatter"), "no frontmatter"),
        (Insert("c", "---\nname: c\n---\nBody"), "no description"),
        (Insert("c", "---\ndescription: d\n---\nBody"), "no name"),
        (Insert("c", "---\nname: c\ndescription: d\nBody"), "closes the frontmatter"),
        (Insert("c", "---\nname: c\ndescription: d: e\n---\nBody"), "line 3: 'description' is not YAML"),
        (Insert("c", text("c", "x" * MAX_CONTENT_BYTES)), "larger than 65,536 bytes"),
        (Insert("c", text("c", "ü" * (MAX_CONTENT_BYTES // 2))), "larger than 65,536 bytes"),
        (Insert("c", text("c") + "\ud800"), "surrogate"),
        (Insert("c", text("c") + "\0"), "NUL"),
        (Update("c", new_content=text("c")), "no skill 'c'"),
        (Update("a", new_name="b"), "'b' is taken"),
        (Update("a", new_name="B"), "not lower-case"),
        (Update("a", new_name="../b"), "is a path"),
        (Update("a", new_content=text("c")), "the file says 'c', its place says 'a'"),
        (Update("a", "c", text("a")), "the file says 'a', its place says 'c'"),
        (Update("a", "b", text("b")), "'b' is taken"),
        (Update("a"), "changes nothing"),
        (Update("a", "a"), "changes nothing"),
        (Update("a", None, text("a")), "changes nothing"),
        (Update("broken", "mended"), "no frontmatter"),
        (Delete("c"), "no skill 'c'"),
    ],
)
def test_a_refused_operation_says_why_and_changes_nothing(repo: SkillRepo, operation: Operation, reason: str) -> None:
    before = repo.texts()
    with pytest.raises(Refused) as refused:
        operation.apply(repo)
    assert reason in refused.value.why
    assert repo.texts() == before
