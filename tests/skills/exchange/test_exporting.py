"""Every exported skill is valid by skills-ref; the others are reported and not written."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
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
from tests.skills.processes import start, status_of

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
        ("---\nwords\nname: a\n", "closes the frontmatter"),
        ("---\nname: a\ndescription: d\ndescription: e\n---\nB", "stands twice"),
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


def test_two_skills_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    put(tmp_path, "source/a/mugs/SKILL.md", "---\nname: mugs\ndescription: d\n---\nOne.\n")
    put(tmp_path, "source/b/mugs/SKILL.md", "---\nname: mugs\ndescription: d\n---\nTwo.\n")
    report = export_skills(read_folder(tmp_path / "source"), tmp_path / "out")
    assert files(tmp_path / "out") == {"mugs/SKILL.md": b"---\nname: mugs\ndescription: d\n---\nOne.\n"}
    assert [left.place for left in report.skipped] == ["b/mugs/SKILL.md"]


def test_where_no_skill_can_be_exported_nothing_is_written(tmp_path: Path) -> None:
    put(tmp_path, "repo/nothing/SKILL.md", "---\nname: nothing\n---\nBody.\n")
    report = export_skills(read_repo(tmp_path / "repo"), tmp_path / "new/out")
    assert (report.exported, len(report.skipped)) == ((), 1)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("target", ["out", "out.zip"])
def test_a_racing_process_never_leads_an_export_outside(root: Path, tmp_path: Path, target: str) -> None:
    place, outside = tmp_path / "place", tmp_path / "outside"
    place.mkdir()
    outside.mkdir()

    def swap() -> None:
        while True:
            for draft in place.glob(".skillos-export-*"):
                for folder in [draft, *draft.glob("*/scripts"), *draft.glob("*")]:
                    with suppress(OSError):
                        folder.rename(tmp_path / f"taken-{time.monotonic_ns()}")
                        folder.symlink_to(outside)

    racer = start(swap)
    try:
        for number in range(60):
            with suppress(ExchangeError):
                export_skills(read_repo(root), place / f"{number}-{target}")
    finally:
        os.kill(racer, signal.SIGKILL)
        status_of(racer)
    assert list(outside.iterdir()) == []


STRACE = shutil.which("strace")


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
@pytest.mark.parametrize("target", ["out", "out.zip"])
@pytest.mark.parametrize("call", ["write", "fsync", "mkdirat", "linkat", "renameat", "rename", "unlinkat"])
def test_after_an_error_the_target_is_whole_or_absent_and_that_is_what_is_said(
    root: Path, tmp_path: Path, call: str, target: str
) -> None:
    work = (
        "import sys; from pathlib import Path; from engine.skills.exchange import *;"
        "bundle = read_repo(Path(sys.argv[1])); target = Path(sys.argv[2]); target.parent.mkdir()\n"
        "try: export_skills(bundle, target)\n"
        "except ExchangeError as error: print(error)\n"
        "else: print('done')"
    )
    place = tmp_path / "place"
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when=1"]
    command = [STRACE, "-o", "/dev/null", *inject, sys.executable, "-c", work, str(root), str(place / target)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])  # type: ignore[arg-type]
    written = (place / target).exists()
    assert said.stderr == ""
    assert written == ("done" in said.stdout or "is written, but" in said.stdout), said.stdout
    left = [path.name for path in place.iterdir() if path.name != target] if place.exists() else []
    assert all(name in said.stdout for name in left), f"{left} is left, and nobody said so: {said.stdout}"


@pytest.mark.parametrize(
    ("lines", "description"),
    [
        ("usage: For mugs.", "For mugs."),
        ('usage: For mugs.\ndescription: ""', "For mugs."),
        ("description: ~\nusage: For mugs.", "For mugs."),
        ("description:\n- mugs: hot\n- cups", "mugs: hot, cups"),
        ("description:\n  when:\n    - mugs\n    - cups", "when: mugs, cups"),
    ],
)
def test_a_description_in_another_form_keeps_all_of_its_words(lines: str, description: str) -> None:
    skill = Skill.parse(f"---\nname: a\n{lines}\n---\nBody.\n", name="a")
    assert skill.description == description
    done = normalize(skill, "a")
    assert done.text is not None, done.why
    again = Skill.parse(done.text, name="a")
    assert again.valid and again.description == description


def test_a_repair_says_whether_the_value_was_quoted() -> None:
    repairs = normalize(Skill.parse("---\nname: a\ndescription:mugs\n---\nBody.\n"), "a").repairs
    assert repairs == ("the value of 'description' was written as YAML",)
