"""Our verdict on a skill equals that of skills-ref, the checker of the format, with the exceptions listed here."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

import pytest

from engine.skills import Skill

skills_ref = pytest.importorskip("skills_ref", reason="skills-ref is not installed")
SAMPLE = Path(__file__).parents[3] / "../shared/data/skills/skills-sample.jsonl.xz"


def reference(root: Path, folder: str, text: str | bytes) -> bool | None:
    """The verdict of skills-ref on a skill on disk; None if it raises an exception."""
    path = root / folder / "SKILL.md"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    try:
        return not skills_ref.validate(path.parent)
    except UnicodeDecodeError:
        return None


AGREED = {
    "as it should be": ("name: a\ndescription: d", True),
    "every optional field": (
        "name: a\ndescription: d\nlicense: MIT\ncompatibility: c\nmetadata:\n  k: v\nallowed-tools: Read",
        True,
    ),
    "a name that YAML reads as a number": ("name: 1\ndescription: d", False),
    "a folder of another name": ("name: b\ndescription: d", False),
    "no name": ("description: d", False),
    "no description": ("name: a", False),
    "a description too long": (f"name: a\ndescription: {'d' * 1025}", False),
    "a description at its limit": (f"name: a\ndescription: {'d' * 1024}", True),
    "a list as description": ("name: a\ndescription:\n  - d", False),
    "compatibility too long": (f"name: a\ndescription: d\ncompatibility: {'c' * 501}", False),
    "a list as compatibility": ("name: a\ndescription: d\ncompatibility:\n  - c", False),
    "a field that the format lacks": ("name: a\ndescription: d\nversion: 1.10", False),
    "usage for description": ("name: a\nusage: d", False),
    "a list in brackets": ("name: a\ndescription: d\nallowed-tools: [Read]", False),
    "a tag": ("name: a\ndescription: !!str d", False),
    "an anchor": ("name: a\ndescription: &d d", False),
    "an alias": ("name: a\ndescription: d\nlicense: *d", False),
    "a tab within plain text": ("name: a\ndescription: d\te", False),
    "a key twice": ("name: a\ndescription: d\ndescription: e", False),
    "a key twice within a field": ("name: a\ndescription: d\nmetadata:\n  k: v\n  k: w", False),
    "a list": ("- name\n- description", False),
    "text": ("just words", False),
    "no YAML": ("name: a\ndescription: d: e", False),
    "a number, a boolean and a date as values": (
        "name: a\ndescription: 12\nlicense: true\ncompatibility: 2024-01-02",
        True,
    ),
}


@pytest.mark.parametrize(("header", "valid"), AGREED.values(), ids=AGREED)
def test_the_verdicts_agree(tmp_path: Path, header: str, valid: bool) -> None:
    for end in ("\n", "\r\n"):
        text = f"---\n{header}\n---\nBody.\n".replace("\n", end)
        assert reference(tmp_path, "a", text) == Skill.parse(text, name="a").valid == valid


@pytest.mark.parametrize("name", ["1", "1e3", "true", "no", "2024-01-02", "0x1f"])
def test_names_that_yaml_reads_as_other_types_are_names(tmp_path: Path, name: str) -> None:
    text = f"---\nname: {name}\ndescription: d\n---\nBody.\n"
    skill = Skill.parse(text, name=name)
    assert skill.name == skill.metadata["name"] == name
    assert reference(tmp_path, name, text) == skill.valid is True


DEEP = "".join(f"{' ' * level}k:\n" for level in range(1, 20))
DISAGREED = {
    "YAML's null is no name and no description, and not the word": ("a", "name: a\ndescription: null", True),
    "a name shows all its characters": ("a\u3164", "name: a\u3164\ndescription: d", True),
    "a name has no blanks around it": ("a", 'name: " a "\ndescription: d', True),
    "three hyphens inside a value do not end the frontmatter": ("a", "name: a\ndescription: d --- e", True),
    "only a line of three hyphens ends the frontmatter": ("a", "name: a\ndescription: d\n#---", True),
    "a line break of Unicode is not allowed by YAML's C library": ("a", "name: a\ndescription: d\u2028e", True),
    "a tab after the colon is a blank": ("a", "name:\ta\ndescription: d", False),
    "the frontmatter is capped": ("a", f"name: a\ndescription: d\nmetadata:\n  k: {'v' * 16_384}", True),
    "nesting is capped": ("a", f"name: a\ndescription: d\nmetadata:\n{DEEP}", True),
}


@pytest.mark.parametrize(("folder", "header", "theirs"), DISAGREED.values(), ids=DISAGREED)
def test_the_verdicts_differ_where_the_reference_misreads_or_is_unsafe(
    tmp_path: Path, folder: str, header: str, theirs: bool
) -> None:
    text = f"---\n{header}\n---\nBody.\n"
    assert reference(tmp_path, folder, text) == theirs
    assert Skill.parse(text, name=folder).valid != theirs


def test_the_verdicts_differ_on_bodies_which_the_reference_ignores(tmp_path: Path) -> None:
    good = "---\nname: a\ndescription: d\n---\n"
    assert reference(tmp_path, "a", good + "a\0b") is True
    assert not Skill.parse(good + "a\0b", name="a").valid
    assert reference(tmp_path, "a", good + "x" * 2_000_000) is True
    assert not Skill.parse(good + "x" * 2_000_000, name="a").valid
    assert reference(tmp_path, "a", good.encode() + b"\xe9") is None


def real_files() -> Iterator[tuple[str, str]]:
    """Folder and text of the skills of the sample."""
    if not SAMPLE.exists():
        pytest.skip(f"the sample of real skills is not at {SAMPLE}")
    with lzma.open(SAMPLE, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            yield PurePosixPath(record["path"]).parent.name, record["text"]


def disagreements(files: Iterable[tuple[str, str]], root: Path) -> list[str]:
    """The folders of the skills on which the verdicts differ."""
    return [
        folder for folder, text in files if reference(root, folder, text) is not Skill.parse(text, name=folder).valid
    ]


def test_the_verdicts_agree_on_a_subset_of_real_files(tmp_path: Path) -> None:
    assert disagreements(islice(real_files(), 0, None, 40), tmp_path) == []


@pytest.mark.slow
def test_the_verdicts_agree_on_all_real_files(tmp_path: Path) -> None:
    assert disagreements(real_files(), tmp_path) == []
