"""Open git repositories: the one of a skill folder, which is created if absent, or any other to read from.

    make_repository(place_of(root))                  # unless another process has made it meanwhile
    repository = own_repository(place_of(root))      # a pygit2.Repository whose working tree is that folder
    repository = any_repository(Path("project.git")) # to read; a bare one too, or the one that the path is in

The git configuration of the user is not read. Nothing that a configuration names is run: no hook, no filter, no
credential helper.
"""

from __future__ import annotations

import errno
import os
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

import pygit2
from pygit2.enums import RepositoryOpenFlag, RepositoryState

from engine.core.beneath import Beneath
from engine.skills.history.errors import HistoryError
from engine.skills.history.head import APART, FOLDER
from engine.skills.history.place import Place, ignore_user_git_config, place_of
from engine.skills.history.trees import TEMPORARY

DRAFT = f"{TEMPORARY}new-"
"""Prefix of the folder in which a new git directory is made before it gets its name."""
BRANCH = "main"
BRANCH_APART = "skillos"
"""The branch of a history in `.skillos/history`: it differs from the branches of the repository around it."""


def own_repository(place: Place) -> pygit2.Repository:
    """The repository at `place`, with `place.root` as its working tree. Raises `HistoryError` where it cannot be used.

    A `.git` may read objects of another repository (alternates, as after `git clone --shared`): nothing is written there.
    """
    flags = RepositoryOpenFlag.NO_SEARCH | RepositoryOpenFlag.NO_DOTGIT
    repository = pygit2.Repository(str(place.path), flags)
    if (place.path / "commondir").exists():
        raise HistoryError(f"{place.path} shares its branches with another repository (commondir); {_ELSEWHERE}")
    if place.inside == APART:
        if (place.path / "objects/info/alternates").exists():
            raise HistoryError(f"{place.path} borrows the objects of another repository (alternates); {_ELSEWHERE}")
        if "core.worktree" not in repository.config and not repository.is_bare:
            repository.workdir = str(place.root)  # in memory only
    if repository.workdir is None or Path(repository.workdir).resolve() != place.root.resolve():
        raise HistoryError(f"{place.path} works on another folder; {_ELSEWHERE}")
    if "core.sparseCheckout" in repository.config and repository.config.get_bool("core.sparseCheckout"):
        why = "a sparse checkout, whose absent files look deleted"
        raise HistoryError(f"{place.root} is {why}; run `git sparse-checkout disable`")
    return repository


_ELSEWHERE = "correct that, or use a copy of the folder without it"


def any_repository(path: Path, ref: str = "") -> pygit2.Repository:
    """The repository at `path` or above it, to read from. Raises `pygit2.GitError` where there is none.

    The history that `path` has of its own (`.skillos/history`) comes first, unless it has no commit `ref`.
    """
    ignore_user_git_config()
    own = _history_apart(path)
    if own is not None and (not ref or _has(own, ref)):
        return own
    try:
        return pygit2.Repository(str(path))
    except pygit2.GitError:
        if own is None:
            raise
        return own


def _history_apart(path: Path) -> pygit2.Repository | None:
    with suppress(HistoryError):  # it came with a checkout, or leads elsewhere: it is not the history of `path`
        place = place_of(path)
        return own_repository(place) if place.inside == APART and place.exists else None
    return None


def _has(repository: pygit2.Repository, ref: str) -> bool:
    try:
        repository.revparse_single(ref)
    except (KeyError, ValueError, pygit2.GitError):
        return False
    return True


def make_repository(place: Place) -> None:
    """Create the git directory of a folder under a temporary name and rename it. Needs no lock: the first one wins.

    Raises `HistoryError` where `place.root` is the inside of a git repository, and `OSError`.
    """
    if is_bare(place.root):
        raise HistoryError(
            f"{place.root} is the inside of a git repository, not a folder of skills; name another folder"
        )
    parent = place.inside.rpartition("/")[0]
    with Beneath(place.root) as folder:
        if parent:
            folder.mkdir(parent)
            with suppress(FileExistsError):
                folder.write(f"{FOLDER}/.gitignore", b"*\n")
        draft = f"{parent}/{DRAFT}{uuid.uuid4().hex}".removeprefix("/")
        try:
            _write_new(folder, draft, apart=bool(parent))
            folder.rename(draft, place.inside)
        except OSError as error:
            folder.rmtree(draft)
            made = error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT) and folder.exists(
                f"{place.inside}/HEAD"
            )
            if not made:
                raise


def _write_new(folder: Beneath, draft: str, *, apart: bool) -> None:
    """Write a new git directory without commits to `draft`. libgit2 makes it in a private folder first."""
    with tempfile.TemporaryDirectory(prefix="skillos-") as name:
        made = Path(name) / "git"
        pygit2.init_repository(str(made), bare=apart, initial_head=BRANCH_APART if apart else BRANCH)
        source = made if apart else made / ".git"
        if apart:
            config = pygit2.Config(str(source / "config"))
            config["core.bare"] = False
            config["core.worktree"] = "../.."
        for here, folders, names in os.walk(source):
            below = Path(here).relative_to(source).as_posix()
            for inside in folders:
                folder.mkdir(f"{draft}/{below}/{inside}".replace("/./", "/"))
            for inside in names:
                data = (Path(here) / inside).read_bytes()
                folder.write(f"{draft}/{below}/{inside}".replace("/./", "/"), data, sync=False)


def drafts(place: Place) -> list[Path]:
    """What killed processes left of their attempts to make the git directory, which exists by now."""
    return list(place.path.parent.glob(f"{DRAFT}*"))


def remove_drafts(place: Place) -> None:
    """Remove the `drafts` of a git directory. A process that still writes one finds the directory made."""
    parent = place.inside.rpartition("/")[0]
    with Beneath(place.root) as folder:
        for draft in drafts(place):
            folder.rmtree(f"{parent}/{draft.name}".removeprefix("/"))


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
