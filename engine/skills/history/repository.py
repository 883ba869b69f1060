"""Git repositories on the disk, opened: a folder's own, made where it lacks, or anybody's to read from.

    repository = own_repository(Path("skills"))      # a pygit2.Repository whose working tree is just that folder
    repository = any_repository(Path("project.git")) # to read; also bare, also one that the path lies inside of

Nothing is read of a user's own configuration of git, and nothing that a configuration names is ever run: no hook, no
filter, no credential helper.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pygit2
from pygit2.enums import ConfigLevel, RepositoryOpenFlag, RepositoryState

from engine.core.errors import SkillosError
from engine.skills.history import checkout as worktree

ASIDE = f"{worktree.TEMPORARY}new"

_ADVICE: Mapping[int, str] = MappingProxyType(
    {
        errno.EACCES: "give yourself permission to write there, or name another folder",
        errno.EPERM: "give yourself permission to write there, or name another folder",
        errno.EROFS: "the file system is read-only; name another folder",
        errno.ENOSPC: "free some space and try again",
        errno.EDQUOT: "free some space and try again",
        errno.EFBIG: "free some space or raise the limit on file sizes, and try again",
    }
)
_UNKNOWN: Mapping[str, str] = MappingProxyType(
    {
        "unknown object format": "it is a SHA-256 repository, which libgit2 does not read",
        "extensions.partialclone": "it is a partial clone, which libgit2 does not read",
        "extensions.": "it uses an extension of git that libgit2 does not know",
    }
)


class HistoryError(SkillosError):
    """Something that the history could not do; the message says what, where and what to do. Nothing was changed."""


def own_repository(root: Path) -> pygit2.Repository:
    """The repository of just the folder `root`. Raises `HistoryError` where it is not one that edits can go to."""
    repository = pygit2.Repository(str(root), RepositoryOpenFlag.NO_SEARCH)
    if repository.workdir is None or Path(repository.workdir).resolve() != root.resolve():
        raise HistoryError(f"the .git of {root} works on another folder; name that one, or a folder without it")
    if "core.sparseCheckout" in repository.config and repository.config.get_bool("core.sparseCheckout"):
        why = "a sparse checkout, whose absent files look deleted"
        raise HistoryError(f"{root} is {why}; run `git sparse-checkout disable`")
    return repository


def any_repository(path: Path) -> pygit2.Repository:
    """The repository that `path` is, or lies inside of, to read from. Raises `pygit2.GitError` where there is none."""
    ignore_user_git_config()
    return pygit2.Repository(str(path))


def make_repository(root: Path) -> None:
    """A `.git` of the folder's own, made aside and renamed into place, unless another process made it meanwhile.

    Needs the lock. Raises `HistoryError` where `root` is the inside of a git repository.
    """
    if is_bare(root):
        raise HistoryError(f"{root} is the inside of a git repository, not a folder of skills; name another folder")
    aside = root / ASIDE
    if aside.exists():
        shutil.rmtree(aside)
    if not (root / ".git").exists():
        pygit2.init_repository(str(aside), initial_head="main")
        (aside / ".git").rename(root / ".git")
        aside.rmdir()


def is_bare(path: Path) -> bool:
    """Whether a folder is the inside of a git repository: a bare one, or a `.git`."""
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def refuse_unfinished(repository: pygit2.Repository, what: str) -> None:
    """Raise `HistoryError` where a git is at work, or a merge, rebase or the like waits for its end."""
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
    """Let libgit2 read no configuration but the repository's own: a user's may be absent, broken or unreadable.

    Whose the repository is does not matter to it then either; nothing that a configuration names is ever run.
    """
    for level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.owner_validation = False


@contextmanager
def translate_errors(root: Path, what: str) -> Iterator[None]:
    """Turn what the system and libgit2 raise into a `HistoryError`."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "mend that and try again")
        where = error.filename or root
        raise HistoryError(f"cannot {what}: {error.strerror or error} ({where}); {advice}") from error
    except pygit2.GitError as error:
        unknown = next((why for sign, why in _UNKNOWN.items() if sign in str(error)), "")
        if unknown:
            raise HistoryError(
                f"cannot {what} in {root}: {unknown}; use a copy of the folder without its .git"
            ) from error
        code = next((code for code in _ADVICE if os.strerror(code) in str(error)), 0)
        advice = _ADVICE.get(code, "mend that and try again")
        raise HistoryError(f"cannot {what} in {root}: {error}; {advice}") from error
