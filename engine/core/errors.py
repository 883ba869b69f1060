"""The base of every error that is meant for a user, and the error of the configuration."""

from __future__ import annotations

from engine.core.text import without_credentials


class SkillosError(Exception):
    """Something that cannot be done. The message is written for users: what happened, where, and what to do.

    The worker, the command line and the workbench catch this class and show the message. Any other exception is a bug.
    A message may quote what it is about: passwords and tokens of URLs are left out of it.
    """

    def __str__(self) -> str:
        return without_credentials(super().__str__())


class PartFault(SkillosError):
    """A part broke its contract: it raised an exception that the contract does not name, or returned another type.

    It is a bug of the part. The message names the part. It is raised from the exception, whose traceback is printed too.
    """


class ConfigError(SkillosError):
    """A profile or a setting that cannot be used. The message names it, says why, and what is allowed."""
