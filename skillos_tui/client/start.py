"""Makes a run: any kind, any profile, any settings.

request = StartRun("train", "pocket", ("training.steps=2",))
path = create_run(request, runs_folder)      # raises `StartError`, which names the field; nothing is created then
supervisor.start(path)
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from engine.config import Config, ConfigError, load_profile, profiles, to_toml, user_profiles
from engine.core.errors import SkillosError
from engine.core.paths import BadPath, user_path
from engine.core.registry import UnknownPart
from engine.jobs.base import JobKind
from engine.jobs.registry import JOBS
from engine.runs import supervisor
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.system.preflight import absolute, check
from skillos_tui.client.messages import Field, StartRun


class StartError(SkillosError):
    """A run that cannot be created; `field` is the field of the request that is wrong."""

    def __init__(self, field: Field, why: str) -> None:
        super().__init__(why)
        self.field = field


def create_run(request: StartRun, folder: Path) -> Path:
    """Create the run's directory, in `folder` unless the request names a path, and return it. Raises `StartError`."""
    config, repo = check_request(request)
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


def check_request(request: StartRun) -> tuple[Config, Path | None]:
    """The configuration of the run, and the absolute path of its repository if one is named. Raises `StartError`."""
    job = _job(request)
    return _config(request), _repo(request, job)


def _job(request: StartRun) -> JobKind:
    try:
        return JOBS.load(request.kind)
    except UnknownPart as error:
        raise StartError("kind", str(error)) from error


def _config(request: StartRun) -> Config:
    """The profile with the settings, checked for this kind of run."""
    try:
        config = absolute(load_profile(request.profile, request.settings, folder=user_profiles(), job=request.kind))
        pinned: Config = JOBS.load(request.kind).pin(config)[0]
        check(pinned, request.kind)
    except (ConfigError, OSError) as error:
        field: Field = "settings" if request.profile in profile_names() else "profile"
        why = str(error).removeprefix("--set: ").removeprefix("--set ")  # the option of the command line
        raise StartError(field, why) from error
    return pinned


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
