"""A password or token that somebody gives in a setting or a path is refused, and stands nowhere afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.config import ConfigError, parse
from engine.core.fields import UserPath
from engine.environments.base import EnvironmentKind
from engine.environments.settings import EnvironmentSettings
from skillos_tui.client.messages import StartRun
from skillos_tui.client.start import StartError, create_run
from tests.cli.shell import Done, shell
from tests.extending.installed import install

TOKEN = "tok3nV4lu3"
URL = f"https://ann:{TOKEN}@host.example/x"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that the programs write is below this folder."""
    for name in ("DATA", "CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def assert_refused(done: Done, place: Path, *given: Path) -> None:
    assert done.code in (1, 2)
    assert TOKEN not in done.out + done.err
    assert [path for path in files(place) if path not in given] == []


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        (f"environment.path={URL}", "environment.path"),
        (f'environment.path="{URL}"', "environment.path"),
        (f"model.weights={URL}", "model.weights"),
        (f"model.weights=https://{TOKEN}@host.example/x", "model.weights"),
        (f"model.weights=https://host.example/x?access_token={TOKEN}", "model.weights"),
        (f"model.weights=ann:{TOKEN}@host.example", "model.weights"),
        (f"model.device={URL}", "model.device"),
        (f"training.steps={URL}", "training.steps"),
        (f"curate.adapter={URL}", "curate.adapter"),
        (f"executor.prompts={URL}", "executor.prompts"),
        (f'review.gates=["format", "{URL}"]', "review.gates"),
    ],
)
def test_a_setting_with_a_secret_is_refused_by_its_key(place: Path, setting: str, key: str) -> None:
    kind = ["environment.kind=alfworld"] if "environment" in setting else []
    done = shell("train", "--profile", "pocket", "--run", place / "run", "--detach", "--set", *kind, setting)
    assert_refused(done, place)
    assert key in done.err and "environment variable" in done.err


@pytest.mark.parametrize(
    "setting", [URL, f"{URL}=1", f"model.url={URL}", f"no.such={URL}", f"training.steps {URL}", f"model.{URL}=3"]
)
def test_a_setting_of_the_wrong_form_is_quoted_without_its_secret(place: Path, setting: str) -> None:
    assert_refused(shell("config", "--profile", "pocket", "--set", setting), place)


def test_a_configuration_file_and_a_profile_with_a_secret_are_refused(place: Path) -> None:
    file = place / "mine.toml"
    file.write_text(f'profile = "pocket"\n[model]\nweights = "{URL}"\n')
    assert_refused(shell("train", "--config", file, "--run", place / "run"), place, file)
    own = place / "config/skillos-tui/profiles/own.toml"
    own.parent.mkdir(parents=True)
    own.write_text(file.read_text())
    done = shell("train", "--profile", "own", "--run", place / "run")
    assert_refused(done, place, file, own)
    assert "model.weights" in done.err
    with pytest.raises(ConfigError) as refused:
        parse(f'profile = "{URL}"')
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["curate", "--profile", "pocket", "--repo", URL],
        ["train", "--profile", "pocket", "--run", URL],
        ["curate", "--profile", "pocket", "--repo", "s", "--games", URL],
        ["skills", "s", "import", URL],
        ["skills", URL, "list"],
        ["skills", "s", "export", URL],
        ["status", URL],
        ["games", "--path", URL],
        ["config", "--config", URL],
        ["config", "--profile", URL],
        ["config", URL],
        ["review", "r", "approve", URL, URL],
        ["skills", "s", "show", URL],
        [URL],
    ],
    ids=lambda arguments: " ".join(arguments).replace(URL, "URL"),
)
def test_an_argument_with_a_secret_is_refused_and_not_quoted(place: Path, arguments: list[str]) -> None:
    assert_refused(shell(*arguments), place)


class RemoteSettings(EnvironmentSettings, frozen=True, tag="remote"):
    """Tasks of a server."""

    server: str = ""
    """Where the server is."""

    data: UserPath = ""
    """A folder of files."""


KIND = EnvironmentKind(
    name="remote", settings=RemoteSettings, open=lambda s: None, held_out=lambda s, t: t, lists_actions=True
)


def test_a_secret_in_the_setting_of_a_package_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(place / "site", monkeypatch, "skillos.environments", remote="tests.cli.test_credentials:KIND")
    there = tuple(files(place))
    given = ["--profile", "pocket", "--set", "environment.kind=remote", f"environment.server={URL}"]
    done = shell("train", "--run", place / "run", *given)
    assert_refused(done, place, *there)
    assert "environment.server has a password or token in it" in done.err


def test_the_workbenchs_dialog_refuses_it_too(place: Path) -> None:
    for request in (
        StartRun("train", "pocket", (f"model.weights={URL}",)),
        StartRun("curate", "pocket", repo=Path(URL)),
    ):
        with pytest.raises(StartError) as refused:
            create_run(request, place / "runs")
        assert TOKEN not in str(refused.value)
    assert list(files(place)) == []


def test_a_secret_in_a_runs_own_configuration_is_not_shown(place: Path) -> None:
    from engine.runs.directory import Run
    from tests.runs.samples import CONFIG

    text = CONFIG + f'[model]\nweights = "{URL}"\n'
    with Run.create(place / "run", kind="train", config_text=text):
        pass
    for arguments in (["status", "run"], ["resume", "run"], ["runs"]):
        done = shell(*arguments)
        assert TOKEN not in done.out + done.err
    assert TOKEN.encode() not in (place / "run/run.db").read_bytes()


def test_no_message_of_an_error_has_a_secret_in_it_in_whatever_class() -> None:
    from engine.core.errors import SkillosError

    def subclasses(kind: type) -> Iterator[type]:
        for child in kind.__subclasses__():
            yield child
            yield from subclasses(child)

    assert [kind for kind in subclasses(SkillosError) if kind.__str__ is not SkillosError.__str__] == []
    assert msgspec.json.encode(str(SkillosError(URL))) == b'"https://\xe2\x80\xa6@host.example/x"'
