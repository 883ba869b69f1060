"""Paths that a person wrote: `~` is a home folder, once, everywhere."""

from __future__ import annotations

import argparse
import pwd
from pathlib import Path

import pytest

from engine.core.fields import PathOrName, UserPath
from engine.core.output import Parser
from engine.core.parts import Settings
from engine.core.paths import BadPath, run_argument, user_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_tilde_is_the_home_folder_of_the_user_or_of_the_one_that_is_named(home: Path) -> None:
    assert user_path("~") == home and user_path("~/a/b") == home / "a/b"
    root = pwd.getpwuid(0)
    assert user_path(f"~{root.pw_name}/x") == Path(root.pw_dir) / "x"
    assert user_path("a/~") == Path("a/~")


def test_a_file_that_begins_with_a_tilde_is_named_with_a_dot_before_it(home: Path) -> None:
    assert user_path("./~x") == home / "~x"
    assert user_path(str(user_path("./~x"))) == home / "~x"


def test_what_cannot_be_meant_is_refused_and_a_secret_is_not_quoted(home: Path) -> None:
    with pytest.raises(BadPath, match="~nobody-of-this-name has no home folder"):
        user_path("~nobody-of-this-name/x")
    with pytest.raises(BadPath, match="it is empty"):
        user_path("")
    with pytest.raises(BadPath, match="password or token") as refused:
        user_path("https://ann:SECRET@host/skills.zip")
    assert "SECRET" not in str(refused.value)


def test_every_argument_of_the_type_path_is_such_a_path(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser("program")
    sub = parser.add_subparsers().add_parser("act")
    sub.add_argument("--to", type=Path)
    assert parser.parse_args(["act", "--to=~/x"]).to == home / "x"
    with pytest.raises(SystemExit):
        parser.parse_args(["act", "--to=~nobody-of-this-name"])
    assert "argument --to: ~nobody-of-this-name has no home folder" in capsys.readouterr().err


def test_a_run_is_named_by_a_path_or_by_a_name_that_stays(home: Path) -> None:
    assert run_argument("~/r") == str(home / "r")
    assert run_argument("20260101-train") == "20260101-train"
    assert run_argument("./r") == "./r"
    with pytest.raises(argparse.ArgumentTypeError):
        run_argument("~nobody-of-this-name/r")


class Places(Settings, frozen=True):
    """Settings that name places."""

    always: UserPath = ""
    perhaps: PathOrName = ""
    never: str = ""


def test_settings_that_name_a_path_become_absolute_by_their_type(home: Path) -> None:
    (home / "model").mkdir()
    places = Places(always="a", perhaps="model", never="~/x").absolute()
    assert places == Places(always=str(home / "a"), perhaps=str(home / "model"), never="~/x")
    assert Places(perhaps="Qwen/Qwen3").absolute() == Places(perhaps="Qwen/Qwen3")
    assert Places().absolute() == Places()
