"""The exit codes of `skillos-engine`, as the README's table has them.

A terminated command (SIGTERM) ends by that signal, which a shell shows as 143. The engine that it follows continues.
"""

from __future__ import annotations

DONE = 0
"""The command did what it was asked, or the run that it followed has finished."""

FAILED = 1
"""It was refused or failed, or what it checked is not right. The reason is on standard error or in what it printed."""

USAGE = 2
"""The command line itself is wrong: an unknown command or option, or one that is missing."""

INTERRUPTED = 130
"""Ctrl+C ended the command."""

CLOSED_PIPE = 141
"""The reader of the output closed the pipe, as `head` does, so the result is not known."""
