"""Makes a run: any kind, any profile, any settings.

request = StartRun("train", "pocket", ("training.steps=2",))
with prepare(request, runs_folder) as engine:        # raises `StartError`, which names the field
    for report in engine.reports(): ...              # the preflight
    path = create_run(request, runs_folder)          # raises `StartError`; nothing is created then
    engine.work_on(run)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING

import msgspec

from engine.config import Config, ConfigError, load_profile, profiles, to_toml, user_profiles
from engine.core.errors import SkillosError
from engine.core.paths import BadPath, user_path
from engine.core.registry import UnknownPart
from engine.jobs.base import JobKind
from engine.jobs.registry import JOBS
from engine.runs import supervisor
from engine.runs.directory import Run, check_new
from engine.runs.errors import RunError
from engine.runs.preparing import Preparing
from engine.system.preflight import absolute, check
from skillos_tui.client.messages import Field, StartRun

if TYPE_CHECKING:
    from engine.config.help import Setting

WAIT_SECONDS = 0.1


class StartError(SkillosError):
    """A run that cannot be created; `field` is the field of the request that is wrong."""

    def __init__(self, field: Field, why: str) -> None:
        super().__init__(why)
        self.field = field


def create_run(request: StartRun, folder: Path) -> Path:
    """Create the run's directory, in `folder` unless the request names a path, and return it. Raises `StartError`."""
    config, repo = check_request(request, folder)
    missing = [] if repo is None else [each for each in (repo, *repo.parents) if not each.exists()]
    try:
        if repo is not None:
            _make_repo(repo)
        return _create(request, config, repo, folder)
    except StartError:
        for each in missing:
            with suppress(OSError):
                each.rmdir()
        raise


class Flight:
    """The start of one run, between the thread that makes its preflight and the person who watches it."""

    def __init__(self) -> None:
        self._answer: Queue[bool] = Queue()
        self.wanted = True

    def override(self) -> None:
        """Let the failing checks pass."""
        self._answer.put(True)

    def give_up(self) -> None:
        """Make no run."""
        self.wanted = False

    def decided(self, wait: Callable[[], bool]) -> bool:
        """Wait until the failing checks are overridden; False where the run is given up, or `wait` returns False."""
        while self.wanted and wait():
            with suppress(Empty):
                return self._answer.get(timeout=WAIT_SECONDS)
        return False


def prepare(request: StartRun, folder: Path) -> Preparing:
    """Start the engine of a run that does not exist yet. Raises `StartError`."""
    config, repo = check_request(request, folder)
    try:
        if request.path is not None:
            check_new(request.path, repo)
        near = request.path.parent if request.path else supervisor.make_home(folder)
        return Preparing.begin(request.kind, to_toml(config), near)
    except RunError as error:
        raise StartError("path" if request.path else "", str(error)) from error


def profile_names() -> list[str]:
    """The shipped profiles, then the user's own; the shipped ones alone where those cannot be told apart."""
    try:
        return profiles(user_profiles())
    except ConfigError:
        return profiles()


def _make_repo(repo: Path) -> None:
    try:
        repo.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError("repo", f"cannot make {repo}: {error.strerror}; give a folder that you may write") from error


def _create(request: StartRun, config: Config, repo: Path | None, folder: Path) -> Path:
    path = request.path or _new_path(request, folder)
    try:
        Run.create(path, kind=request.kind, config_text=to_toml(config), repo=repo).close()
    except (RunError, OSError) as error:
        if request.path is None:
            path.rmdir()
        raise StartError("path" if request.path else "", str(error)) from error
    return path


def check_request(request: StartRun, folder: Path) -> tuple[Config, Path | None]:
    """The configuration of the run, and the absolute path of its repository if one is named. Raises `StartError`."""
    job = _job(request)
    return _config(request, folder), _repo(request, job)


def _job(request: StartRun) -> JobKind:
    try:
        return JOBS.load(request.kind)
    except UnknownPart as error:
        raise StartError("kind", str(error)) from error


def _config(request: StartRun, folder: Path) -> Config:
    """The profile with the settings, checked for this kind of run; runs are named among those of `folder`."""
    try:
        return _with(request, [*_given(request, folder), *request.settings])
    except (ConfigError, BadPath, OSError) as error:
        why = str(error).removeprefix("--set: ").removeprefix("--set ")  # the option of the command line
        raise StartError(_field_of(request, folder, str(error)), why) from error


def _with(request: StartRun, settings: Sequence[str]) -> Config:
    """The profile with these settings. Raises `ConfigError`."""
    config = absolute(load_profile(request.profile, settings, folder=user_profiles(), job=request.kind))
    pinned: Config = JOBS.load(request.kind).pin(config)[0]
    check(pinned, request.kind)
    return pinned


def _field_of(request: StartRun, folder: Path, why: str) -> Field:
    """The field that alone is refused for the same reason."""
    if request.profile not in profile_names():
        return "profile"
    for field, given in (("profile", {}), *((key, {key: value}) for key, value in request.given.items())):
        try:
            _with(request, list(_given(replace(request, given=given), folder)))
        except (ConfigError, BadPath, OSError) as error:
            if str(error) == why:
                return field
    return "settings"


def _given(request: StartRun, folder: Path) -> Iterator[str]:
    """The values of single fields as settings; those of paths and runs in TOML's quotes, as the engine can find them.
    Raises `BadPath`."""
    options = {option.key: option for option in JOBS.load(request.kind).options}
    for key, value in request.given.items():
        option = options.get(key)
        if option is not None and option.path:
            path = _named_run(value, folder) if option.run else user_path(value).absolute()
            yield f"{key}={msgspec.json.encode(str(path)).decode()}"
        else:
            yield f"{key}={value}"


def _named_run(value: str, folder: Path) -> Path:
    """A run by its path, or by its name among the runs of `folder`; with or without @STEP."""
    name, at, step = value.partition("@")
    path = user_path(name).absolute()
    among = folder / name
    found = path if path.exists() or "/" in name or not among.exists() else among.absolute()
    return Path(f"{found}{at}{step}")


class Documented(msgspec.Struct, frozen=True):
    """Every setting of the chosen kinds of a profile, by its key."""

    profile: str
    settings: Mapping[str, Setting]


def settings_of(profile: str) -> Documented:
    """The documentation of the settings, with the values that a profile has. Raises `ConfigError`."""
    from engine.config.help import described

    sections = described(load_profile(profile, folder=user_profiles()))
    ordered = sorted(sections, key=lambda section: section.chosen)  # a chosen kind's settings replace those of another
    return Documented(profile, {setting.key: setting for section in ordered for setting in section.settings})


def _repo(request: StartRun, job: JobKind) -> Path | None:
    """The repository to work on. Raises `StartError` for one that the run could not use."""
    if request.repo is None:
        return None
    if job.forks:
        raise StartError("repo", f"a {job.name} run makes its own repositories; leave the repository empty")
    try:
        repo = user_path(str(request.repo)).absolute()
    except BadPath as error:
        raise StartError("repo", str(error)) from error
    if repo.exists() and not repo.is_dir():
        raise StartError("repo", f"{repo} is a file; give the folder of a skill repository, or one to be made")
    if repo.exists() and not os.access(repo, os.R_OK | os.W_OK | os.X_OK):
        raise StartError("repo", f"no permission to write in {repo}; give a folder that you may write")
    return repo


def _new_path(request: StartRun, folder: Path) -> Path:
    try:
        return supervisor.new_run_path(folder, request.kind, request.profile)
    except RunError as error:
        raise StartError("", str(error)) from error
