"""What README and user guide say about the workbench: the keys are those of the keymap, and the pictures are there."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.workbench.pictures import OUT, SHOTS, aligned
from tests.workbench.readme import README, with_keys

GUIDE = README.parent / "docs" / "workbench.md"
SVG = "{http://www.w3.org/2000/svg}"


def test_the_readme_has_the_keys_of_the_keymap() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_keys(text) == text, "run `python -m tests.workbench.readme`"


@pytest.mark.parametrize("page", [README, GUIDE], ids=lambda page: page.name)
def test_every_picture_and_page_that_is_linked_is_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert links and [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", [shot.screen for shot in SHOTS])
def test_a_picture_is_of_this_version_and_has_nothing_private_or_from_elsewhere(name: str) -> None:
    svg = (OUT / f"{name}.svg").read_text(encoding="utf-8")
    words = [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]
    assert "skillos-tui" in words and {"Live", "Review", "System"} & {word.strip("·0123456789") for word in words}
    assert not re.search(r"@font-face|url\(['\"]?https?:|/root|/home", svg)
    assert "root" not in words


def test_each_word_is_at_its_own_place() -> None:
    text = '<text class="r1" x="10" y="20" textLength="36" clip-path="url(#l)">&#160;a&#160;✓✗&#160;</text>'
    places = re.findall(r'x="([\d.]+)".*?textLength="([\d.]+)"[^>]*>([^<]+)<', aligned(text))
    assert places == [("16.0", "6.0", "a"), ("28.0", "6.0", "✓"), ("34.0", "6.0", "✗")]
