"""What is wrong with a TOML file that a person wrote is named with its line, however the file is written."""

from __future__ import annotations

import pytest

from skillos_tui.toml import Lines, TomlFault, loads

TEXT = """# "quoted" = 1
a = 1
'b.c' . d = '''
a = 2
[e]
'''
list = [
  "x = 1", # y = 1
]
[ "table" . 'inner' ]
one = { two = 2 } # three = 3
[[many]]
a = "\\\"\u2028" \r
\tb = 1
"""


def test_each_key_and_table_has_the_line_at_which_it_begins() -> None:
    loads(TEXT)
    assert Lines(TEXT) == {
        "a": 2, "b.c": 3, "b.c.d": 3, "list": 7, "table": 10, "table.inner": 10, "table.inner.one": 11,
        "many": 12, "many.a": 13, "many.b": 14,
    }  # fmt: skip


def test_a_name_that_is_not_found_has_the_line_of_its_table() -> None:
    assert Lines(TEXT)["table.inner.one.two"] == 11 and Lines(TEXT)["many.c"] == 12 and Lines(TEXT)["none"] == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = 1\na = 2\n", "line 2: Cannot overwrite a value"),
        ('a = """\n\n', "line 1: Unterminated string"),
        ("a = 1\nb = [\n1,\n", "line 3: Invalid value"),
        ("a = 1\nb = " + "[" * 2_000, "line 2: it nests too deep"),
        ("a = [\n" + "[\n" * 2_000 + "]" * 2_000, "line [0-9]+: it nests too deep"),
        ("a = 1\nb = " + "1" * 5_000 + "\nc = 1\n", "line 2: .* too many digits"),
    ],
)
def test_a_fault_names_its_line(text: str, told: str) -> None:
    with pytest.raises(TomlFault, match=f"^{told}"):
        loads(text)
