"""Parsing and writing skill files: nothing raises, nothing is lost, every problem is a finding with its line."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.skills import Skill, SkillRepo
from engine.skills.format import scan
from engine.skills.format.names import name_problem
from engine.skills.format.skill import MAX_BYTES

GOOD = "---\nname: find-mugs\ndescription: Use when a mug is wanted.\n---\nMugs are in the safe.\n"
SAMPLE = Path(__file__).parents[3] / "../shared/data/skills/skills-sample.jsonl.xz"

words = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789"), min_size=1, max_size=8)
names = st.lists(words, min_size=1, max_size=4).map("-".join)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
headers = st.text(st.sampled_from("-:#[]{}&*!|>'\"%@` \n\tabn0?,~=<"), max_size=60)


def codes(text: str, name: str | None = None) -> list[str]:
    return [finding.rule for finding in Skill.parse(text, name=name).findings]


def test_a_valid_file_has_a_name_a_description_and_a_body() -> None:
    skill = Skill.parse(GOOD, name="find-mugs")
    assert (skill.name, skill.description) == ("find-mugs", "Use when a mug is wanted.")
    assert skill.body == "Mugs are in the safe.\n"
    assert skill.findings == ()


def test_the_repository_s_name_takes_precedence_and_another_name_in_the_file_is_a_finding() -> None:
    skill = Skill.parse(GOOD, name="find-cups")
    assert skill.name == "find-cups"
    assert [(finding.rule, finding.line) for finding in skill.findings] == [("name-differs", 2)]
    assert Skill.parse(GOOD).name == "find-mugs"
    assert Skill.parse("no frontmatter").name == ""


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "no-frontmatter", 1),
        ("# Just Markdown\n", "no-frontmatter", 1),
        ("----\nname: a\n----\n", "no-frontmatter", 1),
        ("---\nname: a\ndescription: d\n", "unclosed-frontmatter", 1),
        ("---\n---\nbody", "name-missing", 1),
        ("\n\n---\nname: a\ndescription: d\n---\nbody", "blank-first-line", 1),
        ("\ufeff---\nname: a\ndescription: d\n---\nbody", "bom", 1),
        ("---\r\nname: a\r\ndescription: d\r\n---\r\nbody", "crlf", 1),
        ("---\nname: a\ndescription: one: two\n---\nbody", "bad-yaml", 3),
        ("---\nname: a\n\tdescription: d\n---\nbody", "bad-yaml", 3),
        ("---\nname: a\n? [x]\n: y\n---\nbody", "bad-yaml", 3),
        ("---\n- name\n- description\n---\nbody", "not-a-mapping", 2),
        ("---\njust words\n---\nbody", "not-a-mapping", 2),
        ("---\nname: a\ndescription: *bold\n---\nbody", "yaml-alias", 3),
        ("---\na: &a [1]\nb: [*a, *a]\n---\nbody", "yaml-alias", 3),
        ("---\nname: a\nname: b\ndescription: d\n---\nbody", "duplicate-key", 3),
        ("---\ndescription: d\n---\nbody", "name-missing", 1),
        ("---\nname:\ndescription: d\n---\nbody", "name-missing", 2),
        ("---\nname: ~\ndescription: d\n---\nbody", "name-missing", 2),
        ("---\nname: [a, b]\ndescription: d\n---\nbody", "name-not-text", 2),
        ("---\nname: 2024\ndescription: d\n---\nbody", "name-ambiguous", 2),
        ("---\nname: true\ndescription: d\n---\nbody", "name-ambiguous", 2),
        ("---\nname: 2024-01-02\ndescription: d\n---\nbody", "name-ambiguous", 2),
        ("---\nname: Find Mugs\ndescription: d\n---\nbody", "name-invalid", 2),
        ("---\nname: ../etc\ndescription: d\n---\nbody", "name-invalid", 2),
        ("---\nname: a\n---\nbody", "description-missing", 1),
        ("---\nname: a\ndescription: null\n---\nbody", "description-missing", 3),
        ("---\nname: a\ndescription: {when: now}\n---\nbody", "description-not-text", 3),
        (f"---\nname: a\ndescription: {'d' * 1025}\n---\nbody", "description-too-long", 3),
        ("---\nname: a\nusage: d\n---\nbody", "usage-alias", 3),
        ("---\nname: a\ndescription: d\ncontent: c\n---\nbody", "unknown-field", 4),
        (f"---\nname: a\ndescription: d\ncompatibility: {'c' * 501}\n---\nbody", "compatibility-too-long", 4),
        ("---\nname: a\ndescription: d\n---\n", "empty-body", 5),
        ("---\nname: a\ndescription: d\n---\nbo\0dy", "nul", 5),
        ("---\nname: a\ndescription: d\n---\nhalf \ud800", "not-unicode", 5),
        (f"---\nname: a\ndescription: d\n---\n{'x' * MAX_BYTES}", "too-large", 1),
        (f"---\nname: a\n{'k: v' * 6000}\n---\n", "frontmatter-too-large", 2),
        ("---\n" + "[" * 60_000 + "\n---\n", "frontmatter-too-large", 2),
        ("---\nname: " + "[" * 8_000 + "\n---\n", "yaml-too-deep", 2),
        ("---\n" + "- " * 8_000 + "\n---\n", "not-a-mapping", 2),
    ],
)
def test_each_problem_is_a_finding_with_its_line(text: str, code: str, line: int) -> None:
    found = [(finding.rule, finding.line) for finding in Skill.parse(text).findings]
    assert (code, line) in found
    assert Skill.parse(text).write() == text


@pytest.fixture(params=["CBaseLoader", "BaseLoader"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both loaders of PyYAML. Their own depth limits differ between releases."""
    monkeypatch.setattr(scan, "LOADER", getattr(yaml, request.param))


DEEP = {
    "brackets": ("name: ", "["),
    "brackets after a list": ("name: [[a, b, c], ", "["),
    "brackets, a line each": ("name: ", "[\n"),
    "braces": ("name: ", "{a: "),
    "lists": ("name:\n  ", "- "),
    "keys": ("name:\n  ", "? "),
}


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("levels", [16, 999, 1_000, 1_001, 3_000])
@pytest.mark.parametrize(("before", "opening"), DEEP.values(), ids=DEEP)
def test_more_than_16_levels_are_a_finding_with_every_loader(before: str, opening: str, levels: int) -> None:
    """The mapping at the root is the first level."""
    text = f"---\n{before}{opening * levels}\n---\nbody"
    (found,) = [finding for finding in Skill.parse(text).findings if finding.rule != "fence-inside"]
    assert (found.rule, found.message) == ("yaml-too-deep", "the frontmatter nests deeper than 16 levels")
    assert Skill.parse(text).write() == text


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    "block",
    [
        "name: a\ndescription: d\nmetadata: " + "[" * 15 + "]" * 15,
        "name: a\ndescription: d\nmetadata: " + "{a: " * 15 + "}" * 15,
        "name: a\ndescription: d\nmetadata:\n  " + "- " * 15 + "x",
        "name: a\ndescription: see " + "[" * 1_020,
        "name: a\ndescription: |\n  " + "[" * 1_020,
        "name: a\ndescription: '" + "[" * 1_020 + "'",
        "name: a\ndescription: d # " + "[" * 1_020,
    ],
)
def test_fewer_levels_and_brackets_in_strings_are_parsed(block: str) -> None:
    assert Skill.parse(f"---\n{block}\n---\nbody").errors == ()


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("block", "code"),
    [
        ("[" * 1_000, "not-a-mapping"),
        ("name: [*a, " + "[" * 1_000, "yaml-alias"),
        ("name: one: " + "[" * 1_000, "bad-yaml"),
        ("'name' @" + "[" * 1_000, "bad-yaml"),
        ("name: 'one\n" + "[" * 1_000, "bad-yaml"),
    ],
)
def test_an_error_before_the_deep_part_is_the_one_reported(block: str, code: str) -> None:
    (found,) = [each for each in Skill.parse(f"---\n{block}\n---\nbody").errors if each.rule != "description-missing"]
    assert found.rule == code


def test_only_errors_make_a_skill_invalid() -> None:
    assert Skill.parse("\ufeff" + GOOD).errors == ()
    assert [finding.rule for finding in Skill.parse("---\nname: a\n---\nbody").errors] == ["description-missing"]


def test_scalars_keep_the_spelling_of_the_file() -> None:
    text = "---\nname: a\ndescription: d\nmetadata:\n  version: 1.10\n  on: 2024-13-45\n  n: 0b_\n---\nbody\n"
    assert Skill.parse(text).metadata["metadata"] == {"version": "1.10", "on": "2024-13-45", "n": "0b_"}


def test_usage_is_read_as_the_description_where_there_is_none() -> None:
    assert Skill.parse("---\nname: a\nusage: When a mug is wanted.\n---\nB").description == "When a mug is wanted."
    assert Skill.parse("---\nname: a\nusage: u\ndescription: d\n---\nB").description == "d"


def test_a_key_called_content_is_a_field_like_any_other() -> None:
    skill = Skill.parse("---\nname: a\ndescription: d\ncontent: c\n---\nBody.\n")
    assert (skill.metadata["content"], skill.body) == ("c", "Body.\n")
    assert skill.renamed("b").metadata == {"name": "b", "description": "d", "content": "c"}


def test_descriptions_may_span_lines() -> None:
    text = "---\nname: a\ndescription: >-\n  Use when\n  a mug is wanted.\n---\nbody\n"
    assert Skill.parse(text).description == "Use when a mug is wanted."


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a", True),
        ("find-mugs-2", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("Mug", False),
        ("a--b", False),
        ("-a", False),
        ("a-", False),
        ("a_b", False),
        ("a/b", False),
        ("..", False),
        ("a\n", False),
        ("mügs", True),
        ("数据-分析", True),
        ("MÜGS", False),
        ("a\u200bb", False),
        ("a\u202eb", False),
        ("a／b", False),
        ("\u3164", False),
    ],
)
def test_names_are_lower_case_letters_digits_and_single_hyphens(name: str, good: bool) -> None:
    assert (name_problem(name) is None) == good


@given(st.one_of(texts, st.builds("---\n{}\n---\n{}".format, headers, texts)))
def test_no_text_makes_parsing_raise_and_every_text_is_written_back(text: str) -> None:
    skill = Skill.parse(text, name="a")
    assert skill.write() == text
    assert text.endswith(skill.body)
    assert all(1 <= finding.line <= text.count("\n") + 1 for finding in skill.findings)


@given(names, texts.filter(str.strip), texts)
def test_a_made_skill_is_parsed_back(name: str, description: str, body: str) -> None:
    skill = Skill.make(name, description, body)
    assert (skill.name, skill.body) == (name, body)
    assert skill.metadata == {"name": name, "description": description}
    assert Skill.parse(skill.write(), name=name) == skill


@given(
    st.builds("---\n{}{}\n---\n{}".format, st.sampled_from(["name: a\n", "", "name: >\n  a\n"]), headers, texts), names
)
def test_renaming_changes_the_name_and_nothing_else(text: str, name: str) -> None:
    before, after = Skill.parse(text), Skill.parse(text).renamed(name)
    assert after.body == before.body
    if before.metadata:
        assert after.metadata == {**before.metadata, "name": name}
    else:
        assert after.text == before.text


def test_renaming_keeps_every_other_byte_of_a_usual_file() -> None:
    text = "---\n# kept\nlicense: MIT\nname:  'find-mugs'  # old\ndescription: d\n---\r\nBody.  \r\n\r\n"
    assert Skill.parse(text).renamed("find-cups").text == text.replace("'find-mugs'", "find-cups")
    assert "name:  '2024'" in Skill.parse(text).renamed("2024").text


def real_files() -> Iterator[tuple[str, str]]:
    if not SAMPLE.exists():
        pytest.skip(f"the sample of real skills is not at {SAMPLE}")
    with lzma.open(SAMPLE, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            yield record["path"], record["text"]


def check_real(files: Iterator[tuple[str, str]]) -> int:
    readable = count = 0
    for path, text in files:
        skill = Skill.parse(text, name=Path(path).parent.name)
        assert skill.write() == text
        assert text.endswith(skill.body)
        renamed = skill.renamed("another-name")
        assert renamed.body == skill.body
        assert {**renamed.metadata, "name": ""} == {**skill.metadata, "name": ""} or not skill.metadata
        readable += bool(skill.description)
        count += 1
    assert readable > 0.9 * count
    return count


def test_real_files_are_read() -> None:
    every_sixth = (file for number, file in enumerate(real_files()) if number % 6 == 0)
    assert check_real(every_sixth) > 800


@pytest.mark.slow
def test_all_real_files_are_read() -> None:
    assert check_real(real_files()) == 5159


def test_all_real_files_open_as_one_repository(tmp_path: Path) -> None:
    texts = {f"{number}-{Path(path).parent.name}": text for number, (path, text) in enumerate(real_files())}
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "SKILL.md").write_bytes(text.encode())
    repo = SkillRepo.open(tmp_path)
    assert len(repo) == 5159 and repo.texts() == texts
    assert all(finding.message and finding.line >= 1 for skill in repo.values() for finding in skill.findings)
