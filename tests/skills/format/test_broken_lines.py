"""A broken line of a frontmatter costs that line: its text is recovered, the others are read, a finding says the mend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.skills import Skill, SkillIndex, SkillRepo
from engine.skills.exchange.normalize import normalize
from engine.skills.format.frontmatter import begins_with_frontmatter, mended, read_header, with_text
from tests.skills.format.test_skill import headers, texts

RECOVERED = {
    "an unquoted colon": ("Use this when: x", "Use this when: x"),
    "two unquoted colons": ("Use: this: x", "Use: this: x"),
    "a colon at the end": ("Use when:", "Use when:"),
    "a leading at sign": ("@me does", "@me does"),
    "a leading backtick": ("`x` does", "`x` does"),
    "a leading percent sign": ("%x does", "%x does"),
    "a leading asterisk": ("*bold* text", "*bold* text"),
    "a leading asterisk alone": ("*", "*"),
    "a leading ampersand": ("&x does", "&x does"),
    "an ampersand alone": ("& does", "& does"),
    "a leading exclamation mark": ("!important does", "!important does"),
    "a leading brace": ("{x} does", "{x} does"),
    "a leading bracket": ("[x] does", "[x] does"),
    "an unclosed bracket": ("[x does", "[x does"),
    "a leading number sign": ("#1 tool", "#1 tool"),
    "an unclosed quote": ('"Use when', "Use when"),
    "a quote that ends early": ('"Foo" and bar', '"Foo" and bar'),
    "an apostrophe in single quotes": ("'it's x'", "'it's x'"),
    "a dash": ("- use when", "- use when"),
    "a question mark": ("? use when", "? use when"),
    "a block sign before the text": ("> Use when x", "> Use when x"),
    "odd indents of a block": (">\n    one\n  two\n three", "one two three"),
    "a block without indents": ("|\none two\nthree four", "one two\nthree four"),
    "tabs as indents": ("|\n\tone\n\ttwo", "one\ntwo"),
    "a line that goes on without an indent": ("Use when\nand also that", "Use when and also that"),
    "a NUL character": ("a\0b", "a\0b"),
    "CJK after a colon": ("用于: 说明: x", "用于: 说明: x"),
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("value", "description"), RECOVERED.values(), ids=RECOVERED)
def test_the_text_of_a_broken_line_is_recovered_and_the_other_lines_are_read(
    value: str, description: str, end: str
) -> None:
    text = f"---\nname: a\ndescription: {value}\nallowed-tools: Read\nlicense: MIT\n---\nBody.\n".replace("\n", end)
    skill = Skill.parse(text, name="a")
    assert skill.description == description
    assert {**skill.metadata, "description": ""} == {
        "name": "a",
        "description": "",
        "allowed-tools": "Read",
        "license": "MIT",
    }
    assert skill.body == f"Body.{end}"
    assert not skill.valid
    assert any(3 <= finding.line <= 6 for finding in skill.findings)
    assert skill.write() == text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("value", "description"), RECOVERED.values(), ids=RECOVERED)
def test_the_mended_text_is_yaml_with_the_same_values_and_all_other_bytes(
    value: str, description: str, end: str
) -> None:
    text = f"---\nname:   a  # mine\ndescription: {value}\n# note\nlicense: MIT\n---\nBody. \n".replace("\n", end)
    made, repairs = mended(text)
    header = read_header(made)
    assert header.metadata == read_header(text).metadata
    assert not header.broken and [repair.startswith("the value of 'description' was ") for repair in repairs] == [True]
    before, after = text.split("description:")[0], text[text.index("# note") :]
    assert made.startswith(before) and made.endswith(after)


def test_the_finding_says_the_line_and_to_quote_the_value() -> None:
    text = "---\nname: a\ndescription: Use this when: x\n---\nBody.\n"
    [finding] = Skill.parse(text, name="a").findings
    assert (finding.line, finding.severity) == (3, "error")
    assert finding.message == (
        "'description' is not YAML (mapping values are not allowed in this context), so it is read as plain text; "
        "quote it: description: 'Use this when: x'"
    )


def test_a_recovered_description_is_searched() -> None:
    repo = SkillRepo.of({"clips": "---\nname: clips\ndescription: Use when: zebras\n---\nBody.\n"})
    assert [name for name, _ in SkillIndex.of(repo).search("zebras", 1)] == ["clips"]


@pytest.mark.parametrize(
    ("block", "metadata"),
    [
        ("name: a\n\tdescription: d\nlicense: MIT", {"name": "a", "description": "d", "license": "MIT"}),
        ("name: a\n  description: d: e\nlicense: MIT", {"name": "a", "description": "d: e", "license": "MIT"}),
        ("name:a\ndescription: d\nlicense: MIT", {"name": "a", "description": "d", "license": "MIT"}),
        ("name: a\ndescription\nlicense: MIT", {"name": "a", "license": "MIT"}),
        ("name: a\n}}}\ndescription: d", {"name": "a", "description": "d"}),
        ("name: a\nlicense: *x\ndescription: d: e", {"name": "a", "license": "*x", "description": "d: e"}),
        (
            "name: a\ndescription: d\nmetadata:\n  k: v: w\n  l: m\nlicense: MIT",
            {"name": "a", "description": "d", "metadata": {"k": "v: w", "l": "m"}, "license": "MIT"},
        ),
        (
            "name: a\nallowed-tools:\n  - Bash(git:*)\n  - *x\ndescription: d",
            {"name": "a", "allowed-tools": ["Bash(git:*)", "*x"], "description": "d"},
        ),
        (
            "name: a\ndescription: x\ndescription: y\nlicense: b: c",
            {"name": "a", "description": "y", "license": "b: c"},
        ),
        ("name: a\nmetadata: " + "[" * 900 + "\ndescription: d", {"name": "a", "description": "d"}),
    ],
)
def test_each_broken_line_costs_only_itself(block: str, metadata: dict[str, object]) -> None:
    skill = Skill.parse(f"---\n{block}\n---\nBody.\n", name="a")
    assert skill.metadata == metadata
    assert not skill.valid and skill.body == "Body.\n"


def test_a_key_that_stands_twice_is_found_beside_a_broken_line_too() -> None:
    skill = Skill.parse("---\nname: a\ndescription: x\ndescription: y\nlicense: b: c\n---\nB\n", name="a")
    assert [(finding.rule, finding.line) for finding in skill.findings] == [("duplicate-key", 4), ("bad-yaml", 5)]


@pytest.mark.parametrize(
    ("value", "description"), [("[x, y]", "x, y"), ("\n  - x\n  - y", "x, y"), ("{when: now}", "when: now")]
)
def test_a_list_or_a_mapping_where_a_text_is_expected_is_read_as_one(value: str, description: str) -> None:
    text = f"---\nname: a\ndescription: {value}\nlicense: MIT\n---\nBody.\n"
    skill = Skill.parse(text, name="a")
    assert skill.description == description
    assert "description-not-text" in [finding.rule for finding in skill.findings]
    assert with_text(text, "description", description) in (
        f"---\nname: a\ndescription: {description}\nlicense: MIT\n---\nBody.\n",
        f"---\nname: a\ndescription: '{description}'\nlicense: MIT\n---\nBody.\n",
    )


def test_a_text_that_ends_before_a_comment_is_a_warning() -> None:
    skill = Skill.parse("---\nname: a\ndescription: Fix #12 now\n---\nBody.\n", name="a")
    assert (skill.description, skill.valid) == ("Fix", True)
    assert [(finding.rule, finding.severity) for finding in skill.findings] == [("yaml-comment", "warning")]


@pytest.mark.parametrize(
    ("text", "body", "made"),
    [
        ("---\nname: a\ndescription: d\n\n# B\n", "\n# B\n", "---\nname: a\ndescription: d\n---\n\n# B\n"),
        ("---\nname: a\ndescription: d\n# B\n", "# B\n", "---\nname: a\ndescription: d\n---\n# B\n"),
        ("---\nname: a\ndescription: d\n ---\nB\n", "B\n", "---\nname: a\ndescription: d\n---\nB\n"),
        ("---\nname: a\ndescription: d\n...\nB\n", "B\n", "---\nname: a\ndescription: d\n---\nB\n"),
        ("---\r\nname: a\r\ndescription: d\r\n\r\nB", "\r\nB", "---\r\nname: a\r\ndescription: d\r\n---\r\n\r\nB"),
        ("---\nname: a\ndescription: d: e", "", "---\nname: a\ndescription: 'd: e'\n---\n"),
    ],
)
def test_a_frontmatter_without_an_end_is_read_up_to_where_it_looks_like_one(text: str, body: str, made: str) -> None:
    skill = Skill.parse(text, name="a")
    assert (skill.metadata["name"], skill.description[0], skill.body) == ("a", "d", body)
    assert "unclosed-frontmatter" in [finding.rule for finding in skill.findings] and not skill.valid
    assert mended(text)[0] == made


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("---\nname: a\n", True),
        ("\ufeff---  \r\n\r\n# note\r\nname: a\r\n", True),
        ("\n---\nname:a\n", True),
        ("---\ndescription: x: y", True),
        ("---\n---\n", False),
        ("---\nJust text: no\n", False),
        ("# Title\n---\nname: a\n", False),
        ("name: a\n", False),
        ("", False),
    ],
)
def test_a_file_begins_with_frontmatter_or_is_a_document(text: str, begins: bool) -> None:
    assert begins_with_frontmatter(text) == begins


def test_usage_is_the_description_where_that_is_absent_or_empty() -> None:
    for head, description, valid in (
        ("usage: u", "u", False),
        ("description:\nusage: u", "u", False),
        ("description: d\nusage: u", "d", False),
        ("usage: u: v", "u: v", False),
    ):
        skill = Skill.parse(f"---\nname: a\n{head}\n---\nB\n", name="a")
        assert (skill.description, skill.valid) == (description, valid)


@given(
    st.builds("---\n{}{}\n---\n{}".format, st.sampled_from(["name: a\n", "description: b: c\n", ""]), headers, texts)
)
def test_mending_any_text_keeps_what_is_read_and_ends(text: str) -> None:
    made, repairs = mended(text)
    before, after = read_header(text), read_header(made)
    assert bool(repairs) == (made != text) or made == text
    if repairs and "yaml-too-deep" not in [finding.rule for finding in before.findings]:
        assert after.metadata == before.metadata
        assert mended(made) == (made, ())
    assert made[after.body_start :] == text[before.body_start :]


def test_an_export_writes_the_recovered_value_quoted() -> None:
    text = "---\nname: a\ndescription: Use this when: x\nallowed-tools: Read  # kept\n---\r\nBody. \n"
    made = normalize(Skill.parse(text, name="a"), "a")
    assert made.text == text.replace("Use this when: x", "'Use this when: x'")
