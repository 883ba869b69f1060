"""An import is one commit or nothing, reports what it imported and skipped, and loses no existing text."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.skills import Conflict, History, HistoryError, Skill, SkillRepo
from engine.skills.exchange import (
    Bundle,
    Clash,
    ImportReport,
    import_skills,
    plan_import,
    read_folder,
    read_git,
)
from tests.skills.folders import MUGS, files, git, put
from tests.skills.processes import killed_at


def text(name: str, body: str = "Body.\n") -> str:
    return Skill.make(name, f"Use for {name}.", body).text


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "collection"
    put(folder, "skills/mugs/SKILL.md", text("mugs").replace("\n", "\r\n"))
    put(folder, "skills/mugs/scripts/look.sh", b"ls\r\n\xff")
    (folder / "skills/mugs/scripts/look.sh").chmod(0o755)
    put(folder, "skills/broken/SKILL.md", "no frontmatter\n")
    put(folder, "skills/No Name/SKILL.md", "none")
    put(folder, "flat.md", text("flat"))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    put(folder, "mugs/SKILL.md", MUGS)
    put(folder, "mugs/mine.txt", "mine")
    History.open(folder)
    return folder


def bring(root: Path, bundle: Bundle, clash: Clash = "refuse") -> ImportReport:
    return import_skills(root, plan_import(bundle, root, clash=clash), trailers={"Reviewer": "ada"})


def test_skills_are_imported_byte_for_byte_as_one_commit(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "new"
    report = bring(root, read_folder(source))
    assert files(root) == {
        "broken/SKILL.md": b"no frontmatter\n",
        "flat.md": text("flat").encode(),
        "mugs/SKILL.md": text("mugs").replace("\n", "\r\n").encode(),
        "mugs/scripts/look.sh": b"ls\r\n\xff",
    }
    assert (root / "mugs/scripts/look.sh").stat().st_mode & 0o100
    newest, begin = History.open(root).log()
    assert (newest.id, begin.subject) == (report.commit, "Begin the history with what is here")
    assert newest.subject == "Import 3 from collection: broken, flat, mugs"
    assert newest.trailers == {"Reviewer": "ada", "Operation": "import", "Origin": "collection"}
    assert git(root, "status", "--short") == ""


def test_the_report_lists_imported_and_skipped_skills_with_reasons(source: Path, tmp_path: Path) -> None:
    report = bring(tmp_path / "new", read_folder(source))
    assert [(done.name, done.action, done.files) for done in report.imported] == [
        ("broken", "added", 1),
        ("flat", "added", 1),
        ("mugs", "added", 2),
    ]
    assert [finding.rule for finding in report.imported[0].findings] == ["no-frontmatter"]
    assert [skipped.place for skipped in report.skipped] == ["skills/No Name/SKILL.md"]
    assert msgspec.json.decode(msgspec.json.encode(report), type=ImportReport) == report


def test_a_taken_name_leaves_that_skill_out_and_the_others_come_in(source: Path, root: Path) -> None:
    report = bring(root, read_folder(source))
    assert [(left.name, left.reason, left.why) for left in report.left] == [
        ("mugs", "taken", "the repository has another skill of this name")
    ]
    assert [done.name for done in report.imported] == ["broken", "flat"]
    assert SkillRepo.open(root)["mugs"].text == MUGS


def test_a_taken_name_can_get_a_number(source: Path, root: Path) -> None:
    put(root, "mugs-2/SKILL.md", text("mugs-2"))
    put(source, "mugs-3/SKILL.md", text("mugs-3"))
    report = bring(root, read_folder(source), "rename")
    [renamed] = [done for done in report.imported if done.action == "renamed"]
    assert (renamed.name, renamed.origin) == ("mugs-4", "mugs")
    repo = SkillRepo.open(root)
    assert repo["mugs-4"].text == text("mugs-4").replace("for mugs-4", "for mugs").replace("\n", "\r\n")
    assert repo["mugs"].text == MUGS
    assert repo.files("mugs-4") == ("scripts/look.sh",)


def test_replaced_skills_stay_in_the_history(source: Path, root: Path) -> None:
    put(root, "mugs/SKILL.md", "by hand")
    put(root, "flat/SKILL.md", text("flat", "Was a folder.\n"))
    before = files(root)
    report = bring(root, read_folder(source), "replace")
    assert {done.name: done.action for done in report.imported} == {
        "broken": "added",
        "flat": "replaced",
        "mugs": "replaced",
    }
    assert "mugs/mine.txt" not in files(root) and "flat/SKILL.md" not in files(root)
    history = History.open(root)
    assert history.log()[1].subject == "Record what was changed by hand"
    assert report.commit is not None
    history.revert(report.commit, trailers={})
    assert files(root) == before


def test_an_identical_skill_is_no_clash(source: Path, root: Path) -> None:
    bring(root, read_folder(source), "replace")
    report = bring(root, read_folder(source))
    assert report.commit is None
    assert {done.action for done in report.imported} == {"same"}
    put(source, "skills/mugs/scripts/more.sh", "ls")
    assert [left.reason for left in bring(root, read_folder(source)).left] == ["taken"]


def test_names_that_differ_by_case_alone_clash_and_are_not_replaced(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "repo"
    put(root, "Mugs/SKILL.md", MUGS)
    put(root, "FLAT", "no skill at all")
    plan = plan_import(read_folder(source), root, clash="replace")
    assert [(left.name, left.reason) for left in plan.left] == [("flat", "taken"), ("mugs", "taken")]
    assert "'Mugs', which is the same name on many file systems" in plan.left[1].why
    assert {done.name for done in bring(root, read_folder(source), "rename").imported} == {"broken", "flat-2", "mugs-2"}


def test_a_long_name_still_fits_with_its_number(tmp_path: Path) -> None:
    name = "a" * 62 + "-b"
    put(tmp_path, f"source/{name}/SKILL.md", text(name))
    put(tmp_path, f"repo/{name}/SKILL.md", MUGS)
    [done] = bring(tmp_path / "repo", read_folder(tmp_path / "source"), "rename").imported
    assert done.name == "a" * 62 + "-2"


def test_a_skill_that_cannot_be_renamed_is_skipped(root: Path, tmp_path: Path) -> None:
    put(tmp_path, "source/mugs/SKILL.md", b"---\nname: mugs\ndescription: caf\xe9\n---\n")
    report = bring(root, read_folder(tmp_path / "source"), "rename")
    assert (report.commit, report.imported) == (None, ())
    assert "not UTF-8" in report.left[0].why


def test_a_name_taken_since_the_plan_was_made_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "new"
    plan = plan_import(read_folder(source), root)
    put(root, "flat/SKILL.md", "somebody else's")
    with pytest.raises(Conflict, match="flat exists already"):
        import_skills(root, plan, trailers={})
    assert files(root) == {"flat/SKILL.md": b"somebody else's"}


def test_another_run_s_repository_is_imported_at_a_step(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    put(other, "cups/SKILL.md", text("cups"))
    begin = History.open(other).head
    put(other, "plates/SKILL.md", text("plates"))
    History.open(other).record("later\n\nRun: r1\nStep: 2")
    report = bring(root, read_git(other, step=1, run="r1"))
    assert [done.name for done in report.imported] == ["cups"]
    assert History.open(root).log()[0].trailers["Origin"] == f"other@{begin[:12]}"


def test_a_kill_anywhere_leaves_a_whole_import_or_none(source: Path, tmp_path: Path) -> None:
    number, whole = 1, None
    while True:
        root = tmp_path / f"r{number}"
        put(root, "mugs/SKILL.md", MUGS)
        History.open(root)
        plan = plan_import(read_folder(source), root, clash="replace")
        killed = killed_at(number, lambda root=root, plan=plan: import_skills(root, plan, trailers={}))  # type: ignore[misc]
        history = History.open(root)
        if history.log()[0].trailers.get("Operation") == "import":
            whole = whole or files(root)
            assert files(root) == whole and "mugs/scripts/look.sh" in whole
        else:
            assert files(root) == {"mugs/SKILL.md": MUGS.encode()}
        assert git(root, "status", "--short") == ""
        if not killed:
            break
        number += 3
    assert number > 10


def test_no_path_can_be_put_outside_the_repository(root: Path) -> None:
    for path in ("../evil", "/tmp/evil-by-put", "mugs/../../evil", ".git/config", "x/.git/hooks/post-commit"):
        with pytest.raises(HistoryError):
            History.open(root).put({"evil": {path: (b"evil", True)}}, message="evil", trailers={})
    assert not (root.parent / "evil").exists() and not Path("/tmp/evil-by-put").exists()
