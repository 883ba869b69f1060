"""The folders of prompts that `executor.prompts` and `curator.prompts` can name. Cheap to import: no template is read.

    prompt_folder("standard")            # a folder that ships
    prompt_folder("maze:prompts")        # the folder `prompts` of the installed package `maze`
    check_prompts("maze:prompts", "executor")

A folder holds, for each role that it serves, the Markdown files of `FILES`.
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Literal

from engine.core.errors import ConfigError
from engine.core.refusals import nearest

Role = Literal["executor", "curator"]
FILES = MappingProxyType(
    {
        "executor": ("executor.system.md", "executor.user.md"),
        "curator": ("curator.system.md", "curator.user.md", "curator.veto.md"),
    }
)


def prompt_names() -> list[str]:
    """The folders that ship, by the alphabet."""
    shipped = resources.files(__package__).iterdir()
    return sorted(item.name for item in shipped if item.is_dir() and not item.name.startswith("_"))


def prompt_folder(reference: str) -> Traversable:
    """The folder that ships under this name, or that "package:folder" names. Raises `ConfigError` where there is none."""
    package, colon, path = reference.partition(":")
    if not colon:
        if reference not in prompt_names():
            raise ConfigError(
                f"there are no prompts called {reference!r}{nearest(reference, prompt_names())}; there are: "
                f"{', '.join(prompt_names())}; an installed package's are named package:folder"
            )
        return resources.files(__package__) / reference
    parts = PurePosixPath(path).parts
    if not package or not parts or ".." in parts or "/" in parts:
        raise ConfigError(f"{reference!r} is not of the form package:folder, such as maze:prompts")
    try:
        folder = resources.files(package).joinpath(*parts)
    except (ImportError, TypeError, ValueError) as error:
        raise ConfigError(f"the prompts {reference!r} cannot be read: {error}") from error
    if not folder.is_dir():
        raise ConfigError(f"the prompts {reference!r} cannot be read: the package {package} has no folder {path}")
    return folder


def check_prompts(reference: str, role: Role) -> None:
    """Raises `ConfigError`, naming the setting, where there is no such folder, or where it lacks a file of `role`."""
    try:
        folder = prompt_folder(reference)
    except ConfigError as error:
        raise ConfigError(f"{role}.prompts: {error}") from error
    missing = [name for name in FILES[role] if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"{role}.prompts: the folder {reference} has no {missing[0]}; the {role} needs {', '.join(FILES[role])}"
        )
