"""The folders of prompts that `executor.prompts` and `curator.prompts` can name. Cheap to import: no template is read.

    prompt_folder("standard")            # a folder that ships
    prompt_folder("maze:prompts")        # the folder `prompts` of the installed package `maze`
    check_prompts("executor.prompts", "maze:prompts", EXECUTOR)

A folder holds the Markdown files of each role that it serves. Those of the roles of the engine are `EXECUTOR` and `CURATOR`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from engine.core.errors import ConfigError
from engine.core.refusals import nearest


def chat_files(role: str) -> tuple[str, ...]:
    """The files of a chat of `role`: those that `engine.agents.prompting.Prompts.chat` renders."""
    return (f"{role}.system.md", f"{role}.user.md")


EXECUTOR = chat_files("executor")
CURATOR = (*chat_files("curator"), "curator.veto.md")


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


def prompt_texts(reference: str) -> dict[str, str]:
    """The text of each Markdown file in the folder of this name. Raises `ConfigError` where there is none."""
    try:
        return {
            item.name: item.read_text("utf-8")
            for item in prompt_folder(reference).iterdir()
            if item.name.endswith(".md")
        }
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the prompts {reference!r} cannot be read: {error}") from error


def check_prompts(what: str, reference: str, files: Sequence[str]) -> None:
    """Raises `ConfigError` where there is no such folder, or where it lacks one of `files`.

    `what` names who needs them in the message: a setting such as "executor.prompts", or a part such as "judge.kind=strict".
    """
    try:
        folder = prompt_folder(reference)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from error
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"{what}: the folder {reference} has no {missing[0]}; it needs {', '.join(files)}")
