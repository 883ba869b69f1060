"""Where the history of a folder is: in its `.git`, or in `.skillos/history` where a `.git` would disturb another project.

    place = place_of(root)                           # place.path: the git directory, present or to be made
    print(place_note(root))                          # one sentence for users where it is not simply `.git`

A folder inside another git repository gets its history in `.skillos/history`: a git directory that the other repository does
not take for one, and that `.skillos/.gitignore` hides from it, so it sees the skills as plain files. The same holds for a
folder whose `.git` is a file or a link (a submodule, a linked working tree), because commits there would change the branches
of another project. A `.git` directory that a folder has already is kept.

A `.skillos/history` can come with an archive or a copy, as a `.git` can. Its commits and branches are data: they are shown
and restored on request, and nothing that its configuration names is run. A configuration that leads to another folder is
refused (`repository.own_repository`). A `.skillos/history` whose files the other repository tracks came with a checkout and
is not used.
"""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

import msgspec
import pygit2
from pygit2.enums import ConfigLevel, FileMode

from engine.skills.history.errors import HistoryError
from engine.skills.history.head import APART, FOLDER, OWN


class Place(msgspec.Struct, frozen=True):
    """The git directory of a folder: `inside` is its path below `root`, and `why` the reason where it is not `.git`."""

    root: Path
    inside: str
    exists: bool
    why: str = ""

    @property
    def path(self) -> Path:
        """The git directory."""
        return self.root / self.inside


def place_of(root: Path) -> Place:
    """Where the history of the folder `root` is or will be. Raises `HistoryError` where that place cannot be used."""
    own = _kind(root / OWN)
    around = repository_around(root)
    tracked = _is_folder(root / APART) and _tracks(root, f"{APART}/HEAD")
    if _is_folder(root / APART) and not tracked and _kind(root / FOLDER) == "folder":
        return Place(root, APART, (root / APART / "HEAD").exists(), _why(root, own, around))
    if own == "folder" or (not own and around is None):
        return Place(root, OWN, own == "folder")
    if tracked:
        raise HistoryError(
            f"{root / APART} is tracked by git, so it came with a checkout and was not made here; run "
            f"`git -C {shlex.quote(str(root))} rm -r --cached -q {APART}` to keep it as the history, or remove it"
        )
    for path in (root / FOLDER, root / APART):
        if _kind(path) in ("link", "file"):
            raise HistoryError(f"{path} is a {_kind(path)}, and the history needs a folder there; move it away")
    return Place(root, APART, False, _why(root, own, around))


def repository_around(root: Path) -> Path | None:
    """The nearest folder above `root` that has a `.git`, links followed. None where there is none."""
    return next((folder for folder in _real(root).parents if os.path.lexists(folder / OWN)), None)


def place_note(root: Path) -> str:
    """One sentence that says where the history is if it is not in `.git`, or how to move it there. Raises `HistoryError`."""
    place = place_of(root)
    if place.inside == APART:
        return f"the history is in {place.path}, because {place.why}" if place.exists else ""
    around = repository_around(root)
    if not place.exists or around is None or _ignores(around, root):
        return ""
    listed = f"git -C {shlex.quote(str(around))} rm -q -f --cached {shlex.quote(_below(around, root))} && "
    return (
        f"{place.path} is a repository inside the repository {around}, which therefore does not see the skills as files; "
        f"to move the history: {listed if _tracks_as_repository(around, root) else ''}{_move(root)}"
    )


def _move(root: Path) -> str:
    folder, own = shlex.quote(str(root / FOLDER)), shlex.quote(str(root / OWN))
    return f"mkdir -p {folder} && echo '*' > {folder}/.gitignore && mv {own} {shlex.quote(str(root / APART))}"


def _why(root: Path, own: str, around: Path | None) -> str:
    if own in ("file", "link"):
        return f"{root / OWN} is a {own} that leads to a repository elsewhere, whose branches stay as they are"
    if around is not None:
        return f"the folder is inside the git repository {around}"
    if own:
        return f"it began before {root} had a .git of its own"
    return "the folder was inside another git repository when it began"


def _kind(path: Path) -> str:
    """What is at a path: "folder", "link", "file" (or anything else), or "" for nothing. Links are not followed."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return "folder" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "file"


def _is_folder(path: Path) -> bool:
    return _kind(path) == "folder"


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # `Path.resolve` raises for a cycle of links


def _below(around: Path, root: Path) -> str:
    return _real(root).relative_to(around).as_posix()


def _opened(path: Path) -> pygit2.Repository | None:
    """The repository that has `path` in its working tree. None where libgit2 finds none, or cannot read it."""
    ignore_user_git_config()
    try:
        found = pygit2.Repository(str(path))
        inside = found.workdir is not None and _real(path).is_relative_to(_real(Path(found.workdir)))
        return found if inside else None
    except pygit2.GitError:
        return None


def _tracks(root: Path, path: str) -> bool:
    """Whether the repository at or above `root` tracks the file `path` of `root`."""
    found = _opened(root)
    if found is None:
        return False
    below = _real(root).relative_to(_real(Path(found.workdir))).as_posix()
    return (path if below == "." else f"{below}/{path}") in found.index


def _tracks_as_repository(around: Path, root: Path) -> bool:
    """Whether the repository `around` tracks `root` as one commit of another repository (a gitlink), without its files."""
    found = _opened(around)
    below = _below(around, root)
    return found is not None and below in found.index and found.index[below].mode == FileMode.COMMIT


def _ignores(around: Path, root: Path) -> bool:
    found = _opened(around)
    return found is not None and found.path_is_ignored(f"{_below(around, root)}/")


def ignore_user_git_config() -> None:
    """Make libgit2 read only the configuration of the repository: that of the user can be absent, broken or unreadable.

    It also makes libgit2 accept repositories of other owners, which is safe because nothing in a configuration is run.
    """
    for level in (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        pygit2.settings.search_path[level] = ""
    pygit2.settings.owner_validation = False
