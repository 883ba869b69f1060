"""The package `engine.skills`: its example runs, its names exist, and its import is cheap."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

import engine.skills

ROOT = Path(__file__).parents[2]


def test_the_example_of_the_docstring_runs() -> None:
    result = doctest.testmod(engine.skills)
    assert result.attempted > 5
    assert result.failed == 0


def test_the_example_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (example,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    result = doctest.DocTestRunner().run(doctest.DocTestParser().get_doctest(example, {}, "README.md", "README.md", 0))
    assert result.attempted > 5
    assert result.failed == 0


def test_every_public_name_exists() -> None:
    assert all(getattr(engine.skills, name) is not None for name in engine.skills.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Repository'"):
        engine.skills.Repository  # noqa: B018


def test_the_import_loads_no_heavy_library() -> None:
    heavy = "{'numpy', 'pygit2', 'rank_bm25', 'torch', 'transformers', 'textual', 'yaml'}"
    code = f"import sys, engine.skills; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
