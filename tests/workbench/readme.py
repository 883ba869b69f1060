"""The table of keys in the README, from the keymap.

python -m tests.workbench.readme      # writes the table again, after a key has changed
"""

from __future__ import annotations

import re
from pathlib import Path

from skillos_tui.keymap import OwnKeys
from skillos_tui.screens.own_keys import table

README = Path(__file__).parents[2] / "README.md"
KEYS = re.compile(r"(<!-- keys: .* -->\n).*?(<!-- end of keys -->)", re.DOTALL)


def with_keys(text: str) -> str:
    """The text of a README with the present keys between its marks."""
    found, count = KEYS.subn(lambda match: f"{match[1]}\n{table(OwnKeys())}\n\n{match[2]}", text)
    assert count == 1, "the README has no marks of the table of keys, or several"
    return found


if __name__ == "__main__":
    README.write_text(with_keys(README.read_text(encoding="utf-8")), encoding="utf-8")
