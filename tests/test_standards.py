"""The house rules that a program can check: style, types, and which room may import which."""

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "engine", "skillos_tui", "tests"],
        ["ruff", "format", "--check", "engine", "skillos_tui", "tests"],
        ["mypy"],
        ["importlinter.cli"],
    ],
    ids=["style", "format", "types", "floors"],
)
def test_the_house_rules_hold(command):
    program = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    if command[0] != "importlinter.cli":
        program = [sys.executable, "-m", *command]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_of_code_has_over_five_hundred_lines():
    files = [path for package in ("engine", "skillos_tui") for path in (ROOT / package).rglob("*.py")]
    assert [str(path) for path in files if len(path.read_text("utf-8").splitlines()) > 500] == []


def test_no_module_imports_itself_by_way_of_others():
    graph = grimp.build_graph("engine", "skillos_tui", cache_dir=None)  # imports for the type checker are in it
    order = TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})
    try:
        order.prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (r"""kind (==|!=|in) .*"(train|curate|evaluate|distill)\"""", "engine/jobs/"),
        (r"""\"(household|alfworld)\"""", "engine/environments/"),
        (r"^class Finding\b", "engine/core/findings.py"),
        (r"^def printable\b", "engine/core/text.py"),
        (r"""sys\.executable,\s*"-m\"""", "nowhere"),
    ],
    ids=["kinds of run", "environments", "findings", "printable text", "modules of the working directory"],
)
def test_what_has_one_place_is_nowhere_else(pattern, allowed):
    files = [path for package in ("engine", "skillos_tui") for path in (ROOT / package).rglob("*.*")]
    found = [
        str(path.relative_to(ROOT))
        for path in files
        if path.suffix in (".py", ".toml", ".md") and re.search(pattern, path.read_text("utf-8"), re.MULTILINE)
    ]
    assert [path for path in found if not path.startswith(allowed)] == []


def test_everything_is_printed_by_the_one_module_that_makes_it_safe():
    """`print`, or writing to a standard stream, would let a text of others steer the terminal: see `engine.core.output`."""
    bare = re.compile(r"print$|sys\.(__)?std(out|err)(__)?\.(write|buffer)")
    found = set()
    for path in (*(ROOT / "engine/cli").rglob("*.py"), *(ROOT / "skillos_tui").rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        exits = [call for call in calls if ast.unparse(call.func) in ("SystemExit", "sys.exit") and call.args]
        texts = [
            call for call in exits if isinstance(call.args[0], ast.JoinedStr) or "str" in ast.unparse(call.args[0])
        ]
        if texts or any(bare.match(ast.unparse(call.func)) for call in calls):
            found.add(str(path.relative_to(ROOT)))
    assert found == {"skillos_tui/terminal/check.py"}  # `say_error`: Textual may have replaced sys.stderr


def test_the_skills_are_in_rooms():
    assert [path.name for path in (ROOT / "engine/skills").glob("*.py")] == ["__init__.py"]
