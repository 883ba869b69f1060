"""Open git repositories: the repository of a skill folder, which is created if absent, or any other to read from.

    repository = own_repository(Path("skills"))      # a pygit2.Repository whose working tree is that folder
    repository = any_repository(Path("project.git")) # to read; a bare one too, or the one that the path is in

The git configuration of the user is not read. Nothing that a configuration names is run: no hook, no filter, no
credential helper.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pygit2
from pygit2.enums import ConfigLevel, RepositoryOpenFlag, RepositoryState

from engine.skills.history.errors import HistoryError
from engine.skills.history.trees import TEMPORARY

DRAFT = f"{TEMPORARY}new"
"""The folder in which a new `.git` is made before it gets its name."""


def own_repository(root: Path) -> pygit2.Repository:
    """The repository whose working tree is `root`. Raises `HistoryError` where edits cannot be committed to it."""
    repository = pygit2.Repository(str(root), RepositoryOpenFlag.NO_SEARCH)
    if repository.workdir is None or Path(repository.workdir).resolve() != root.resolve():
        raise HistoryError(f"the .git of {root} works on another folder; name that one, or a folder without it")
    if "core.sparseCheckout" in repository.config and repository.config.get_bool("core.sparseCheckout"):
        why = "a sparse checkout, whose absent files look deleted"
        raise HistoryError(f"{root} is {why}; run `git sparse-checkout disable`")
    return repository


def any_repository(path: Path) -> pygit2.Repository:
    """The repository at `path` or above it, to read from. Raises `pygit2.GitError` where there is none."""
    ignore_user_git_config()
    return pygit2.Repository(str(path))


def make_repository(root: Path) -> None:
    """Create the `.git` of `root` under a temporary name and rename it, unless another process has created it.

    Needs the lock. Raises `HistoryError` where `root` is the inside of a git repository.
    """
    if is_bare(root):
        raise HistoryError(f"{root} is the inside of a git repository, not a folder of skills; name another folder")
    draft = root / DRAFT
    if draft.exists():
        shutil.rmtree(draft)
    if not (root / ".git").exists():
        pygit2.init_repository(str(draft), initial_head="main")
        (draft / ".git").rename(root / ".git")
        draft.rmdir()


def is_bare(path: Path) -> bool:
    """Whether a folder is the inside of a git repository: a bare one, or a `.git`."""
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def refuse_unfinished(repository: pygit2.Repository, what: str) -> None:
    """Raise `HistoryError` while git writes the index, or while a merge, a rebase or the like is unfinished."""
    if (Path(repository.path) / "index.lock").exists():
        raise HistoryError(
            f"cannot {what}: git is at work in {repository.workdir} (index.lock); let it finish, or remove that "
            f"file from {repository.path} if no git is running"
        )
    state = repository.state()
    if state != RepositoryState.NONE:
        name = state.name.partition("_")[0].lower()
        raise HistoryError(f"cannot {what}: a {name} is under way in {repository.workdir}; finish it or abort it first")


def ignore_user_git_config() -> None:
    """Make libgit2 read only the configuration of the repository: that of the user can be absent, broken or unreadable.

    It also makes libgit2 accept repositories of other owners, which is safe because nothing in a configuration is run.
    """
    for level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.owner_validation = False
