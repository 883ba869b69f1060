"""What a new user's install brings: the README's commands, the constraints they use, and that CI does the same."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
BUILD = [Requirement(need) for need in PROJECT["build-system"]["requires"]]
DIRECT = [
    *BUILD,
    *(Requirement(need) for need in (*PROJECT["project"]["dependencies"], *EXTRAS["test"], *EXTRAS["textworld"])),
]
"""What constraints.txt has to cover; `.ci/renew-constraints` says why `vllm` is not among it."""

TEXT = (ROOT / "constraints.txt").read_text(encoding="utf-8")
CONSTRAINTS = [Requirement(line) for line in TEXT.splitlines() if line and line.lstrip()[0] != "#"]
SYSTEMS = [(python, machine) for python in ("3.11", "3.12", "3.13") for machine in ("x86_64", "aarch64")]


def environment(python: str, machine: str) -> dict[str, str]:
    """What markers are evaluated with on a Linux machine."""
    return {
        **{name: str(value) for name, value in default_environment().items()},
        **{"python_version": python, "python_full_version": f"{python}.9", "implementation_version": f"{python}.9"},
        **{"implementation_name": "cpython", "platform_python_implementation": "CPython"},
        **{"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine},
    }


def applies(need: Requirement, where: dict[str, str], extras: set[str] | None = None) -> bool:
    return need.marker is None or any(need.marker.evaluate({**where, "extra": extra}) for extra in extras or {""})


def versions(where: dict[str, str]) -> dict[str, list[str]]:
    """The releases that the constraints admit there, by package."""
    found: dict[str, list[str]] = {}
    for need in CONSTRAINTS:
        if applies(need, where):
            found.setdefault(canonicalize_name(need.name), []).append(str(need.specifier).removeprefix("=="))
    return found


def installed() -> Iterator[str]:
    """The packages that the project and its tests need, as far as they are here, and what these need in turn."""
    where = {name: str(value) for name, value in default_environment().items()}
    waiting = [need for need in DIRECT if need not in BUILD]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        need = waiting.pop()
        name, extras = canonicalize_name(need.name), frozenset(need.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        yield name
        waiting += [found for found in map(Requirement, needs) if applies(found, where, {"", *extras})]


# The constraints


def test_every_line_names_one_release_without_a_local_version() -> None:
    for need in CONSTRAINTS:
        assert re.fullmatch(r"==[^+*,]+", str(need.specifier)), str(need)
        assert not need.extras and need.url is None, str(need)


@pytest.mark.parametrize(("python", "machine"), SYSTEMS)
def test_one_release_of_each_package_applies_and_every_direct_need_is_met(python: str, machine: str) -> None:
    where = environment(python, machine)
    found = versions(where)
    assert {name: releases for name, releases in found.items() if len(releases) != 1} == {}
    for need in DIRECT:
        assert applies(need, where) and need.specifier.contains(found[canonicalize_name(need.name)][0]), str(need)


def test_exact_needs_are_constrained_to_the_same_release() -> None:
    exact = {need.name: str(need.specifier) for need in DIRECT if str(need.specifier).startswith("==")}
    assert {"torch", "textual", "trl", "hatchling"} <= exact.keys()
    assert {need.name: str(need.specifier) for need in CONSTRAINTS if need.name in exact} == exact


def test_all_that_is_installed_for_the_project_is_constrained() -> None:
    found = set(installed())
    assert {"textual", "pytest", "mdurl", "pygments"} <= found
    where = {name: str(value) for name, value in default_environment().items()}
    assert sorted(found - versions(where).keys()) == []


def test_the_build_is_pinned_with_all_that_it_needs() -> None:
    """pip constrains no build, so pyproject.toml itself says which releases build the package."""
    assert all(re.fullmatch(r"==[^*,]+", str(need.specifier)) for need in BUILD)
    needed = re.findall(r"^([\w.-]+)==\S+(?:\n +#.*)*\n +# +(?:via )?hatchling$", TEXT, re.MULTILINE)
    assert {"pluggy", "tomlkit"} <= set(needed)
    assert {need.name for need in BUILD} == {"hatchling", *needed}


# The commands


PYTEST = "-m pytest -n 6 --dist worksteal"
SMOL = "-m pytest -m smol -rs tests/smol"


def commands() -> list[str]:
    """The README's install commands."""
    return re.findall(r"^python3 -m venv \.venv .*$", README, re.MULTILINE)


def test_both_commands_install_with_the_constraints_in_a_new_environment() -> None:
    begin = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt "
    assert commands() == [f"{begin}. && .venv/bin/skillos-tui", f"{begin}'.[test]' && .venv/bin/python {PYTEST}"]


VENV = """#!/bin/sh
# Instead of a virtual environment: programs that write down how they were called.
echo "python3 $*" >> calls
mkdir -p .venv/bin
for name in pip python; do
    printf '#!/bin/sh\\necho ".venv/bin/%s $*" >> calls\\nexit %s\\n' $name {} > .venv/bin/$name
    chmod +x .venv/bin/$name
done
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with an old virtual environment, in which nothing gets installed."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "old").touch()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    return tmp_path


def run_ci(checkout: Path, code: int = 0) -> tuple[int, list[str]]:
    """The exit code of `.ci/run`, and which programs it called, where each of them ends with `code`."""
    python = checkout / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(VENV.format(code), encoding="utf-8")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    path = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", ".ci/run"], cwd=checkout, env=path, stdin=subprocess.DEVNULL, check=False)
    calls = checkout / "calls"
    return done.returncode, calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []


def test_ci_runs_what_the_readme_says_word_for_word(checkout: Path) -> None:
    code, calls = run_ci(checkout)
    assert code == 0
    assert " && ".join(calls) == commands()[1].replace("'", "") + f" && .venv/bin/python {SMOL}"
    assert not (checkout / ".venv").exists()


def test_ci_follows_a_readme_that_says_something_else(checkout: Path) -> None:
    text = README.replace("'.[test]' && .venv/bin/python", "--pre '.[test]' && .venv/bin/python -X dev")
    (checkout / "README.md").write_text(text, encoding="utf-8")
    assert run_ci(checkout)[1][1:] == [
        ".venv/bin/pip install -c constraints.txt --pre .[test]",
        f".venv/bin/python -X dev {PYTEST}",
        f".venv/bin/python {SMOL}",
    ]


def test_ci_fails_where_the_command_fails_or_is_not_there(checkout: Path) -> None:
    code, calls = run_ci(checkout, code=3)
    assert code == 3 and len(calls) == 2
    shutil.rmtree(checkout / "bin")
    (checkout / "calls").unlink()
    (checkout / "README.md").write_text("Install it.\n", encoding="utf-8")
    assert run_ci(checkout) == (1, [])
