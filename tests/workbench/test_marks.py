"""How a diff looks: Markdown and frontmatter, changed words, hunks taken or left, one below the other or in pairs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skillos_tui.render.diff import Comparison
from skillos_tui.render.marks import kinds_of, layered, layers, looks, words
from skillos_tui.themes import Themes
from skillos_tui.widgets.diff import DiffRows

SKILL = "---\nname: a\n---\n# Head\n- see `x` and [y](z)\n```\ncode\n```\n> quoted\n"
BEFORE = "".join(f"line {n}\n" for n in range(20))
AFTER = BEFORE.replace("line 3\n", "line three\n").replace("line 15\n", "")


def text(spans: object) -> str:
    return "".join(part for part, _ in spans)  # type: ignore[attr-defined]


def rows(before: str | None, after: str | None, width: int = 60, **options: object) -> DiffRows:
    chosen = {"context": None, "paired": False, "left": frozenset(), "cursor": 0, **options}
    return DiffRows(Comparison(before, after), width, **chosen)  # type: ignore[arg-type]


def test_markdown_and_frontmatter_have_styles_of_their_own() -> None:
    lines = SKILL.splitlines()
    kinds = kinds_of(lines)
    assert kinds == ["front"] * 3 + ["text"] * 2 + ["code"] * 3 + ["text"]
    found = {line: dict(looks(line, kind)) for line, kind in zip(lines, kinds, strict=True)}
    assert found["name: a"]["name"] == "key" and found["# Head"] == {"# Head": "heading"}
    assert found["- see `x` and [y](z)"] == {
        "-": "accent",
        " ": "",
        "see ": "",
        "`x`": "code",
        " and ": "",
        "[y](z)": "link",
    }
    assert found["code"] == {"code": "code"} and found["> quoted"] == {"> quoted": "thought"}


@given(st.text(alphabet="-#> `*[](): abc1.\n", max_size=60))
def test_no_look_changes_the_text(line: str) -> None:
    for kind in ("front", "code", "text"):
        assert text(looks(line, kind)) == line  # type: ignore[arg-type]


def test_the_words_that_changed_are_marked_and_lines_with_little_in_common_are_not() -> None:
    removed, added = words("Push a shut place.", "Pull a shut place hard.") or ([], [])
    assert removed == [range(0, 4)] and added == [range(0, 4), range(17, 22)]
    assert words("Push a shut place.", "Completely different words") is None
    spans = layered(looks("see `x` now", "text"), [range(8, 11)], "added")
    assert spans == (("see ", "added"), ("`x`", "added+code"), (" ", "added"), ("now", "added_word"))


def test_a_look_on_a_changed_line_keeps_the_line_s_background() -> None:
    for theme in Themes.find().values():
        styles = layers(theme.styles)
        assert styles["added+code"].bgcolor == theme.styles["added"].bgcolor
        assert styles["added+code"].color == theme.styles["code"].color


def test_hunks_have_a_heading_that_says_whether_they_are_taken() -> None:
    shown = [text(row).rstrip("─ ") for row in rows(BEFORE, AFTER, left=frozenset({1}), cursor=1)]
    assert "  [✓] taken hunk 1/2" in shown and "▶ [ ] left hunk 2/2" in shown
    assert shown.index("- line 3") == shown.index("  [✓] taken hunk 1/2") + 1
    assert not [row for row in rows(BEFORE, AFTER.replace("three", "3") + "") if "hunk" in text(row)]
    left = next(row for row in rows(BEFORE, AFTER, left=frozenset({1})) if text(row) == "- line 15")
    assert {style for _, style in left} == {"muted"}, "the sign stays, the colour goes"


def test_side_by_side_has_the_old_line_on_the_left_and_nothing_is_cut() -> None:
    long = "word " * 29 + "word\n"
    shown = [text(row) for row in rows("a\n" + long, "b\n" + long, width=43, paired=True)]
    assert shown[0] == f"{'- a':20} │ {'+ b':20}"
    assert all(len(row) == 43 for row in shown)
    assert "".join(row[:20].strip() + " " for row in shown[1:]).split() == long.split()


def test_of_many_lines_only_those_in_view_are_drawn() -> None:
    made = rows(None, "".join(f"- line {n} of `many`\n" for n in range(5000)))
    assert len(made) == 5000 and text(made[4999]).strip() == "+ - line 4999 of `many`"
    made[0:40]
    assert len(made._drawn) == 41


def test_a_diff_is_copied_as_a_patch_of_what_is_taken() -> None:
    assert Comparison(BEFORE, AFTER).unified("a/x", "b/x", left={1}) == (
        "--- a/x\n+++ b/x\n@@ -4,1 +4,1 @@\n-line 3\n+line three\n"
    )
    assert Comparison(None, "x").unified("a/x", "b/x") == (
        "--- /dev/null\n+++ b/x\n@@ -0,0 +1,1 @@\n+x\n\\ No newline at end of file\n"
    )
