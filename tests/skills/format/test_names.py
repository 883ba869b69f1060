"""Names are valid as skills-ref has them, in any script; what a reader cannot tell apart is a finding."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.skills import Insert, Refused, Skill, SkillRepo
from engine.skills.format.names import name_findings, name_problem, new_name_problem, normalized, same_on_some_disks
from tests.skills.folders import put

letters = st.characters(categories=["Ll", "Lo", "Nd", "Lu", "Mn", "Nl", "No", "Lm"]) | st.sampled_from("-aé·ﬁ２ß/._ ")


@given(st.text(letters, min_size=1, max_size=70).filter(lambda name: name == name.strip()))
def test_the_verdict_on_a_name_is_that_of_skills_ref(name: str) -> None:
    validator = pytest.importorskip("skills_ref.validator", reason="skills-ref is not installed")
    theirs = not validator._validate_name(name, None)
    shown = "invisible" not in (name_problem(name) or "")
    assert (name_problem(name) is None) == theirs or not shown


@pytest.mark.parametrize(
    "name", ["数据-分析", "café", "cafe\u0301", "заметки", "σκηνή-2", "ﬁnd", "naïve-ß", "हिन्दी".replace("ि", "")]
)
def test_names_of_any_script_are_read_as_skills_ref_reads_them(name: str, tmp_path: Path) -> None:
    skills_ref = pytest.importorskip("skills_ref", reason="skills-ref is not installed")
    text = f"---\nname: {name}\ndescription: d\n---\nB\n"
    put(tmp_path, f"{name}/SKILL.md", text)
    assert (skills_ref.validate(tmp_path / name) == []) == SkillRepo.open(tmp_path)[name].valid


def test_a_folder_and_a_name_in_two_forms_of_one_letter_agree() -> None:
    skill = Skill.parse("---\nname: cafe\u0301\ndescription: d\n---\nB\n", name="café")
    assert skill.findings == ()
    assert Skill.parse("---\nname: ﬁnd\ndescription: d\n---\nB\n", name="find").valid


@pytest.mark.parametrize(
    "character", ["\u200b", "\u200d", "\u202e", "\u2066", "\ufeff", "\u00ad", "\u3164", "\u115f", "\x07"]
)
def test_an_invisible_character_in_a_name_is_an_error_that_names_it(character: str) -> None:
    problem = name_problem(f"a{character}b")
    assert problem is not None and f"U+{ord(character):04X}" in problem and character not in problem


@pytest.mark.parametrize("name", ["pаypal", "gооgle", "αpi", "тест-a", "ոote"])
def test_letters_of_scripts_that_look_alike_in_one_name_are_a_finding(name: str) -> None:
    [finding] = name_findings(name, 2)
    assert (finding.rule, finding.severity, finding.line) == ("name-confusable", "warning", 2)
    odd = next(letter for letter in name if not letter.isascii())
    assert unicodedata.name(odd) in finding.message
    skill = Skill.parse(f"---\nname: {name}\ndescription: d\n---\nB\n", name=name)
    assert [finding.rule for finding in skill.findings] == ["name-confusable"]


@pytest.mark.parametrize("name", ["数据-a", "カタカナ-漢字-ひらがな-a", "한국어-api", "café", "заметки-2", "σκηνή"])
def test_scripts_that_are_written_together_are_no_finding(name: str) -> None:
    assert name_findings(name, 1) == []


def test_two_names_that_are_one_on_some_disks_are_a_finding_in_both(tmp_path: Path) -> None:
    for name in ("café", "cafe\u0301", "ﬁnd", "find", "straße", "strasse", "other"):
        put(tmp_path, f"{name}/SKILL.md", f"---\nname: {name}\ndescription: d\n---\nB\n")
    repo = SkillRepo.open(tmp_path)
    clashing = {name for name in repo if "case-clash" in [finding.rule for finding in repo[name].findings]}
    assert clashing == set(repo) - {"other"}


def test_a_new_name_is_written_in_its_normal_form() -> None:
    assert new_name_problem("café") is None
    assert new_name_problem("cafe\u0301") == "'cafe\u0301' has letters in another form than NFKC; write it as 'café'"
    with pytest.raises(Refused, match="another form than NFKC"):
        Insert("ﬁnd", "---\nname: ﬁnd\ndescription: d\n---\nB\n").apply(SkillRepo.empty())


@given(st.text(max_size=20))
def test_names_are_compared_in_one_form_whatever_they_are(name: str) -> None:
    assert normalized(normalized(name)) == normalized(name)
    assert same_on_some_disks(name) == same_on_some_disks(normalized(name))
