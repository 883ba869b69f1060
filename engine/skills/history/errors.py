"""The errors of the history, and the translation of what the operating system and libgit2 raise.

with translate_errors(root, "commit the edit"):
    ...                                     # OSError and pygit2.GitError become HistoryError

A writing method of `History` either returns, and then the commit is made (`History.warning` says what is left to do), or
raises `HistoryError`, and then it is not made. Only `Uncertain` means that this could not be found out.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pygit2

from engine.core.errors import SkillosError

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
_DEFAULT_ADVICE = "correct that and try again"
_UNSUPPORTED: Mapping[str, str] = MappingProxyType(
    {
        "unknown object format": "it is a SHA-256 repository, which libgit2 does not read",
        "extensions.partialclone": "it is a partial clone, which libgit2 does not read",
        "extensions.": "it uses an extension of git that libgit2 does not know",
    }
)


class HistoryError(SkillosError):
    """The history cannot do something. The message says what, where, and what to do.

    What was asked for was not done, not even in part. Changes that were made by hand may have been committed before.
    """


class Uncertain(HistoryError):
    """It could not be read whether a commit was made. The log says it, once it can be read."""


class Conflict(HistoryError):
    """The file `path` differs from the text that the edit was made from. `present` is its text now, None if absent."""

    def __init__(self, path: str, present: str | None, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.present = present


@contextmanager
def translate_errors(root: Path, what: str) -> Iterator[None]:
    """Raise `HistoryError` ("cannot `what` …") for an `OSError` or a `pygit2.GitError` of the block."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, _DEFAULT_ADVICE)
        where = error.filename or root
        raise HistoryError(f"cannot {what}: {error.strerror or error} ({where}); {advice}") from error
    except pygit2.GitError as error:
        reason = next((reason for part, reason in _UNSUPPORTED.items() if part in str(error)), "")
        if reason:
            raise HistoryError(
                f"cannot {what} in {root}: {reason}; use a copy of the folder without its .git"
            ) from error
        code = next((code for code in _ADVICE if os.strerror(code) in str(error)), 0)
        raise HistoryError(f"cannot {what} in {root}: {error}; {_ADVICE.get(code, _DEFAULT_ADVICE)}") from error
