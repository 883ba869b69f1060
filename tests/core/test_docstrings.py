"""The documentation of settings is read from their source, where there is one."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from engine.core.docstrings import field_docs

SOURCE = '''
from engine.core.parts import Settings


class Mine(Settings, frozen=True):
    size: int = 3
    """How large
    it is."""

    bare: int = 4


class Outer:
    class Inner(Settings, frozen=True):
        depth: int = 1
        """How deep."""
'''


@pytest.fixture
def zipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in a zip file."""
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as package:
        package.writestr("zipped_settings.py", SOURCE)
    monkeypatch.syspath_prepend(tmp_path / "package.zip")
    return "zipped_settings"


def test_a_field_has_the_text_below_it(zipped: str) -> None:
    module = __import__(zipped)
    assert field_docs(module.Mine) == {"size": "How large it is."}
    assert field_docs(module.Outer.Inner) == {"depth": "How deep."}
    del sys.modules[zipped]


def test_a_class_without_source_has_no_documentation() -> None:
    names = {"__name__": "without_source"}
    exec(compile(SOURCE, "nowhere.py", "exec"), names)
    assert field_docs(names["Mine"]) == {}
