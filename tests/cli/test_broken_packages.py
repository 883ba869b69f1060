"""One broken or clumsy package breaks only what uses it, and the message names the package and its entry point."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.config import ConfigError, load_profile
from engine.core.registry import UnknownPart
from engine.environments.registry import ENVIRONMENTS
from engine.jobs.registry import JOBS
from engine.runs.directory import Run
from tests.cli.shell import Done, shell
from tests.runs.samples import CONFIG

JUDGE = """
    from engine.agents.judges.registry import JudgeKind
    from engine.agents.judges.settings import JudgeSettings
    from engine.core.parts import PartKind, Settings

    class Strict(JudgeSettings, frozen=True, tag="odd"):
        limit: int = 3

    KIND = JudgeKind(name="odd", settings=Strict, open=lambda context: None)
"""
JOB = """
    from engine.core.options import Option
    from engine.jobs.base import JobKind

    KIND = JobKind(name="odd", unit="game", total=lambda config: 3, trains=False, forks=True, work="odd:Job")
"""


class Package:
    """Installs packages: `add` writes a module and one entry point for it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch

    def add(self, group: str, name: str, source: str, *, package: str = "oddity") -> None:
        folder = self._folder / package
        metadata = folder / f"{package}-2.1.dist-info"
        metadata.mkdir(parents=True)
        module = re.sub(r"\W", "_", f"{package}_of_{self._folder.name}")
        (folder / f"{module}.py").write_text(textwrap.dedent(source))
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.1\n")
        (metadata / "entry_points.txt").write_text(f"[skillos.{group}]\n{name} = {module}:KIND\n")
        self._monkeypatch.syspath_prepend(folder)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    return Package(tmp_path, monkeypatch)


def other_commands(folder: Path) -> list[Done]:
    """Commands that use no part of the package."""
    with Run.create(folder / "run", kind="curate", config_text=CONFIG) as run:
        return [
            shell(*command)
            for command in (
                ("status", run.path),
                ("config", "training.steps"),
                ("config", "--profile", "pocket", "--toml"),
                ("completion", "bash"),
                ("train", "--help"),
                ("--help",),
            )
        ]


class Broken(NamedTuple):
    source: str
    why: str


BROKEN = {
    "it raises at import": Broken('raise RuntimeError("boom")', "RuntimeError: boom"),
    "it ends the process at import": Broken("import sys\nsys.exit(3)", "SystemExit: 3"),
    "its syntax is wrong": Broken("def (", "SyntaxError: invalid syntax"),
    "it imports what is not installed": Broken("import nowhere_at_all", "No module named 'nowhere_at_all'"),
    "it has no such attribute": Broken("", "has no attribute 'KIND'"),
    "it is no kind": Broken('KIND = "hello"', "it is of the type str, not JudgeKind"),
    "it is another kind": Broken(JOB, "it is of the type JobKind, not JudgeKind"),
    "it calls itself otherwise": Broken(
        JUDGE.replace('name="odd"', 'name="strange"'), "it is declared as 'odd' and calls itself 'strange'"
    ),
    "a setting has no default": Broken(
        JUDGE.replace("int = 3", "int").replace("frozen", "kw_only=True, frozen"), "its setting limit has no default"
    ),
    "a setting's type is none of msgspec's": Broken(
        JUDGE.replace("int = 3", "dict[str, set[int]] | complex = 3"), "TypeError"
    ),
    "a setting's type is unknown": Broken(JUDGE.replace("int = 3", '"Nothing" = 3'), "NameError: name 'Nothing'"),
    "its settings are none": Broken(
        JUDGE.replace("settings=Strict", "settings=dict"), "its settings are no subclass of"
    ),
    "its tag is another": Broken(JUDGE.replace('tag="odd"', 'tag="even"'), 'JudgeSettings with tag="odd"'),
    "it has no tag": Broken(JUDGE.replace(', tag="odd"', ""), 'JudgeSettings with tag="odd"'),
    "its settings are of no judge": Broken(
        JUDGE.replace("(JudgeSettings, ", "(Settings, "), 'JudgeSettings with tag="odd"'
    ),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_part_is_one_sentence_where_it_is_chosen_and_breaks_nothing_else(
    package: Package, tmp_path: Path, broken: Broken
) -> None:
    package.add("judges", "odd", broken.source)
    for done in other_commands(tmp_path):
        assert done.code == 0, done
    with pytest.raises(ConfigError) as refused:
        load_profile("pocket", ["judge.kind=odd"])
    message = str(refused.value)
    assert message.startswith("--set: judge.kind = 'odd' cannot be used; the judge 'odd' ")
    assert broken.why in message and "\n" not in message
    listed = shell("config", "judge")
    assert listed.code == 0 and 'kind = "rubric"' in listed.out and 'kind = "odd"' not in listed.out
    assert (
        listed.err.startswith("warning: the judge 'odd' ") and broken.why in listed.err and listed.err.count("\n") == 1
    )


def test_the_message_of_a_broken_part_names_its_package_and_its_entry_point(package: Package) -> None:
    package.add("environments", "odd", "1 / 0")
    with pytest.raises(
        UnknownPart, match=r"'odd' of the package oddity 2\.1 \(oddity_of_\w+:KIND\) .* ZeroDivisionError"
    ):
        ENVIRONMENTS.load("odd")


def test_a_wrong_setting_is_refused_with_its_own_message_beside_a_broken_part(package: Package) -> None:
    package.add("judges", "odd", "1 / 0")
    with pytest.raises(ConfigError, match=r"there is no setting judge\.limit"):
        load_profile("pocket", ["judge.limit=3"])


CLUMSY = {
    "it raises at import": Broken("1 / 0", "ZeroDivisionError"),
    "an option is one of every start command": Broken(
        JOB.replace("work=", 'options=(Option("--run", "curate.tasks", "tasks"),), work='), "conflicting option string"
    ),
    "an option is no flag": Broken(
        JOB.replace("work=", 'options=(Option("tasks", "curate.tasks", "tasks"),), work='),
        "'tasks' is not of the form --flag",
    ),
    "an option is a text": Broken(
        JOB.replace("work=", 'options=("--tasks",), work='), "its options are not all an Option"
    ),
}


@pytest.mark.parametrize("broken", CLUMSY.values(), ids=CLUMSY)
def test_a_kind_of_run_that_cannot_be_started_is_a_command_that_says_why(
    package: Package, tmp_path: Path, broken: Broken
) -> None:
    package.add("jobs", "odd", broken.source)
    for done in other_commands(tmp_path):
        assert done.code == 0, done
    for arguments in ((), ("--profile", "pocket", "--tasks=3"), ("--help",)):
        done = shell("odd", *arguments)
        assert (done.code, done.out) == (1, "") and broken.why in done.err and done.err.count("\n") == 1


FINE = {
    "an option is one of an environment": (
        'Option("--games", "curate.tasks", "how many games")',
        "--games TASKS how many games (curate.tasks)",
    ),
    "an option is of its own section": ('Option("--limit", "odd.limit", "the limit")', "--limit LIMIT"),
    "an option is of no section": ('Option("--limit", "nowhere.limit", "the limit")', "--limit LIMIT"),
    "a help has a percent sign": ('Option("--limit", "curate.tasks", "100 % of %s")', "100 % of %s (curate.tasks)"),
}


@pytest.mark.parametrize(("option", "shown"), FINE.values(), ids=FINE)
def test_an_unusual_option_leaves_every_command_working(
    package: Package, tmp_path: Path, option: str, shown: str
) -> None:
    package.add("jobs", "odd", JOB.replace("work=", f"options=({option},), work="))
    for done in other_commands(tmp_path):
        assert done.code == 0, done
    done = shell("odd", "--help")
    assert done.code == 0 and shown in " ".join(done.out.split())


def test_an_option_for_a_section_that_does_not_exist_is_refused_when_it_is_used(package: Package) -> None:
    package.add("jobs", "odd", JOB.replace("work=", 'options=(Option("--limit", "nowhere.limit", "x"),), work='))
    done = shell("odd", "--profile", "pocket", "--limit", "3")
    assert done.code == 1 and "there is no section 'nowhere'" in done.err and done.err.count("\n") == 1


def test_a_kind_of_run_called_like_a_command_is_left_out_and_the_help_says_so(package: Package, tmp_path: Path) -> None:
    package.add("jobs", "status", JOB.replace('"odd"', '"status"'))
    for done in other_commands(tmp_path):
        assert done.code == 0, done
    assert "the kind of run 'status' is left out: a command has this name" in " ".join(shell("--help").out.split())


def test_a_name_that_is_no_command_is_refused(package: Package, tmp_path: Path) -> None:
    package.add("jobs", "my job", JOB.replace('"odd"', '"my job"'))
    for done in other_commands(tmp_path):
        assert done.code == 0, done
    with pytest.raises(UnknownPart, match="a name has letters, digits, - and _ only"):
        JOBS.load("my job")


def test_a_run_is_not_created_where_its_units_cannot_be_counted(package: Package, tmp_path: Path) -> None:
    package.add("jobs", "odd", JOB.replace("lambda config: 3", "lambda config: 1 / 0"))
    done = shell("odd", "--profile", "pocket", "--run", tmp_path / "counted")
    assert done.code == 1 and "cannot count its games: ZeroDivisionError" in done.err
    assert not (tmp_path / "counted").exists()


# Names that two parts have


def test_a_name_that_two_packages_add_is_refused_with_both(package: Package, tmp_path: Path) -> None:
    package.add("judges", "odd", JUDGE, package="first")
    package.add("judges", "odd", JUDGE, package="second")
    for done in other_commands(tmp_path):
        assert done.code == 0, done
    with pytest.raises(
        ConfigError, match=r"more than one package adds the judge 'odd': first 2\.1 .* and second 2\.1 "
    ):
        load_profile("pocket", ["judge.kind=odd"])
    assert "more than one package adds the judge 'odd'" in shell("config", "judge").err


def test_a_part_that_ships_cannot_be_replaced_and_config_warns_of_it(package: Package) -> None:
    package.add("judges", "rubric", JUDGE.replace('"odd"', '"rubric"'))
    assert type(load_profile("pocket").judge).__name__ == "RubricSettings"
    listed = shell("config", "judge")
    assert listed.out.count('kind = "rubric"') == 1
    assert "warning: the judge 'rubric' of the package oddity 2.1 is ignored" in listed.err
