"""Every exported skill is valid by skills-ref; the others are reported and not written."""

from __future__ import annotations

import json
import lzma
import os
import zipfile
from itertools import islice
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.skills import History, Skill
from engine.skills.exchange import ExchangeError, export_skills, read_archive, read_folder, read_git, read_repo
from engine.skills.exchange.normalize import normalize
from tests.skills.folders import files, put
from tests.skills.format.test_skill import headers, texts

skills_ref = pytest.importorskip("skills_ref", reason="skills-ref is not installed")
SAMPLE = Path(__file__).parents[3] / "../shared/data/skills/skills-sample.jsonl.xz"


def assert_valid(root: Path) -> None:
    for folder in root.iterdir():
        assert skills_ref.validate(folder) == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    put(folder, "mugs/SKILL.md", "---\nname: mugs\ndescription: d\n---\r\nBody  \r\n")
    put(folder, "mugs/scripts/look.sh", b"ls\xff")
    (folder / "mugs/scripts/look.sh").chmod(0o755)
    put(folder, "flat.md", "---\nname: flat\ndescription: d\n---\nBody.\n")
    put(folder, "small/skill.md", "---\nname: small\ndescription: d\n---\nBody.\n")
    put(folder, "versioned/SKILL.md", "---\nname: versioned\ndescription: d\nversion: 1.10\n---\nBody.\n")
    put(folder, "nothing/SKILL.md", "---\nname: nothing\n---\nBody.\n")
    History.open(folder)
    return folder


def test_an_export_is_a_folder_of_valid_skills_and_a_report_of_the_rest(root: Path, tmp_path: Path) -> None:
    report = export_skills(read_repo(root), tmp_path / "out")
    assert files(tmp_path / "out") == {
        "flat/SKILL.md": b"---\nname: flat\ndescription: d\n---\nBody.\n",
        "mugs/SKILL.md": b"---\nname: mugs\ndescription: d\n---\r\nBody  \r\n",
        "mugs/scripts/look.sh": b"ls\xff",
        "small/SKILL.md": b"---\nname: small\ndescription: d\n---\nBody.\n",
        "versioned/SKILL.md": b"---\nname: versioned\ndescription: d\nmetadata:\n  version: '1.10'\n---\nBody.\n",
    }
    assert os.access(tmp_path / "out/mugs/scripts/look.sh", os.X_OK)
    assert {done.name: done.repairs for done in report.exported if done.repairs} == {
        "versioned": ("moved into 'metadata': version",)
    }
    [skipped] = report.skipped
    assert skipped.place == "nothing/SKILL.md" and "no description" in skipped.why
    assert_valid(tmp_path / "out")


def test_a_zip_has_the_same_files_and_is_deterministic(root: Path, tmp_path: Path) -> None:
    export_skills(read_repo(root), tmp_path / "out")
    export_skills(read_repo(root), tmp_path / "out.zip")
    export_skills(read_git(root), tmp_path / "again.zip")
    assert (tmp_path / "out.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    assert files(tmp_path / "unpacked") == files(tmp_path / "out")
    assert [package.files for package in read_archive(tmp_path / "out.zip").packages] == [
        package.files for package in read_folder(tmp_path / "out").packages
    ]


@pytest.mark.parametrize("target", ["taken", "taken.zip", "full", "link", "link.zip", "file/below"])
def test_nothing_is_overwritten_and_a_failed_export_leaves_nothing(root: Path, tmp_path: Path, target: str) -> None:
    put(tmp_path, "taken", "mine")
    put(tmp_path, "taken.zip", "mine")
    put(tmp_path, "file", "mine")
    put(tmp_path, "full/mine.txt", "mine")
    for link in ("link", "link.zip"):
        (tmp_path / link).symlink_to("nowhere")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ExchangeError, match=r"it exists already; name a path that is free"):
        export_skills(read_repo(root), tmp_path / target)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert files(tmp_path / "full") == {"mine.txt": b"mine"}


def test_an_empty_target_and_missing_parents_are_allowed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for target in ("empty", "new/deep/out", "new/deep/out.zip"):
        export_skills(read_repo(root), tmp_path / target)
        assert (tmp_path / target).exists()


MENDED = {
    "a byte order mark": ("\ufeff---\nname: a\ndescription: d\n---\nB", "---\nname: a\ndescription: d\n---\nB"),
    "blanks before": ("\n \n---\nname: a\ndescription: d\n---\nB", "---\nname: a\ndescription: d\n---\nB"),
    "another name": ("---\ndescription: d\nname: b\n---\nB", "---\nname: a\ndescription: d\n---\nB"),
    "no name": ("---\ndescription: d\n---\nB", "---\nname: a\ndescription: d\n---\nB"),
    "usage": ("---\nname: a\nusage: d\n---\nB", "---\nname: a\ndescription: d\n---\nB"),
    "a list in brackets": (
        "---\nname: a\ndescription: d\nallowed-tools: [Read, Write]\n---\nB",
        "---\nname: a\ndescription: d\nallowed-tools:\n- Read\n- Write\n---\nB",
    ),
    "fields of others": (
        "---\nname: a\nversion: 1.10\ndescription: d\nmetadata:\n  x: y\ntags: [p, q]\n---\nB",
        "---\nname: a\ndescription: d\nmetadata:\n  x: y\n  version: '1.10'\n  tags: '[\"p\",\"q\"]'\n---\nB",
    ),
    "an unquoted colon": ("---\nname: a\ndescription: d: e\n---\nB", "---\nname: a\ndescription: 'd: e'\n---\nB"),
    "three hyphens": (
        "---\nname: a\ndescription: d --- e\n---\nB",
        '---\n"name": "a"\n"description": "d \\x2d-- e"\n---\nB',
    ),
}


@pytest.mark.parametrize(("before", "after"), MENDED.values(), ids=MENDED)
def test_an_invalid_skill_is_repaired_where_nothing_is_lost(tmp_path: Path, before: str, after: str) -> None:
    made = normalize(Skill.parse(before, name="a"), "a")
    assert made.text == after
    assert made.repairs and not made.why
    put(tmp_path, "a/SKILL.md", after)
    assert skills_ref.validate(tmp_path / "a") == []
    assert Skill.parse(after, name="a").description == Skill.parse(before, name="a").description


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no frontmatter", "no frontmatter"),
        ("---\nname: a\n---\nB", "no description"),
        (f"---\nname: a\ndescription: {'d' * 1025}\n---\nB", "1,025 characters"),
        ("---\nname: a\ndescription: d\ncompatibility:\n- c\n---\nB", "compatibility is a list"),
        ("---\nname: a\ndescription: d\nversion: 1\nmetadata: text\n---\nB", "'metadata' is not a mapping"),
        ("---\nname: a\ndescription: d\nversion: 1\nmetadata:\n  version: 2\n---\nB", "another one of that name"),
        ("---\nname: a\ndescription: d\n---\nB\0", "NUL"),
        ("---\nname: a\nname: b\ndescription: d\n---\nB", "stands twice"),
    ],
)
def test_a_skill_that_cannot_be_made_valid_is_skipped_with_the_reason(text: str, why: str) -> None:
    made = normalize(Skill.parse(text, name="a"), "a")
    assert made.text is None and why in made.why
    assert normalize(Skill.parse(text, name="a"), "No Name").text is None


def test_a_file_that_is_not_utf8_is_skipped(tmp_path: Path) -> None:
    put(tmp_path / "repo", "cafe/SKILL.md", b"---\nname: cafe\ndescription: d\n---\nCaf\xe9\n")
    report = export_skills(read_repo(tmp_path / "repo"), tmp_path / "out")
    assert report.exported == ()
    assert "not UTF-8" in report.skipped[0].why


@given(st.builds("---\nname: a\ndescription: d\n{}\n---\n{}".format, headers, texts))
def test_a_repaired_skill_keeps_its_body_and_its_fields(text: str) -> None:
    before = Skill.parse(text, name="a")
    made = normalize(before, "a")
    if made.text is not None:
        after = Skill.parse(made.text, name="a")
        assert after.valid
        assert (after.body, after.description) == (before.body, before.description)
        assert (made.text == text) == (not made.repairs)


def exported_sample(step: int, root: Path) -> int:
    """Export every `step`-th real file. Returns how many could be made valid."""
    if not SAMPLE.exists():
        pytest.skip(f"the sample of real skills is not at {SAMPLE}")
    count = 0
    with lzma.open(SAMPLE, "rt", encoding="utf-8") as lines:
        for record in map(json.loads, islice(lines, 0, None, step)):
            folder = PurePosixPath(record["path"]).parent.name
            made = normalize(Skill.parse(record["text"], name=folder), folder)
            if made.text is not None:
                count += 1
                put(root, f"{count}/{folder}/SKILL.md", made.text)
                assert skills_ref.validate(root / str(count) / folder) == [], record["path"]
    return count


def test_real_skills_are_valid_after_an_export(tmp_path: Path) -> None:
    assert exported_sample(40, tmp_path) > 80


@pytest.mark.slow
def test_all_real_skills_are_valid_after_an_export(tmp_path: Path) -> None:
    assert exported_sample(1, tmp_path) > 3_000
