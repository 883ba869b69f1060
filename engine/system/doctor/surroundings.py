"""Checks of what a person works with: terminal, language, git, the user's systemd, tmux."""

from __future__ import annotations

import locale
import shutil
import sys
from collections.abc import Iterator

from engine.system import service
from engine.system.doctor.base import Check, Subject, Unanswered, ok, unmeasured, warning

LEAST = (80, 24)


def terminal(subject: Subject) -> Iterator[Check]:
    """Whether the workbench can be shown here."""
    kind = subject.host.environment.get("TERM", "")
    if not (sys.stdout is not None and sys.stdout.isatty()):
        yield unmeasured("terminal", "the output is no terminal")
        return
    size = shutil.get_terminal_size()
    if kind in ("", "dumb"):
        yield warning(
            "terminal", f"TERM={kind or '(not set)'}: the workbench cannot draw", "export TERM=xterm-256color"
        )
    elif size < LEAST:
        yield warning("terminal", f"{size.columns} × {size.lines} cells", f"enlarge it to {LEAST[0]} × {LEAST[1]}")
    else:
        yield ok("terminal", f"{kind}, {size.columns} × {size.lines} cells")


def language(subject: Subject) -> Iterator[Check]:
    encoding = locale.getpreferredencoding(False)
    if encoding.lower().replace("-", "") == "utf8":
        yield ok("locale", encoding)
    else:
        yield warning("locale", f"{encoding}: not every character can be shown", "export LANG=C.UTF-8")


def git(subject: Subject) -> Iterator[Check]:
    try:
        yield ok("git", f"{subject.host.run(('git', '--version'))}; the history of skills does not need it")
    except Unanswered as error:
        yield ok("git", f"{error}; the history of skills does not need it")


def user_bus(subject: Subject) -> Iterator[Check]:
    """Whether a run can be made a service that survives a logout."""
    advice = f"sudo loginctl enable-linger {service.user()}"
    if why := service.user_manager():
        yield warning("user services", f"a run cannot be made a service: {why}", advice)
    elif not service.lingers():
        yield warning("user services", "services of this user end at the logout", advice)
    else:
        yield ok("user services", "a run can continue after a logout and a reboot")


def clipboard(subject: Subject) -> Iterator[Check]:
    """Inside tmux, what the workbench copies reaches the clipboard only with set-clipboard on."""
    if not subject.host.environment.get("TMUX"):
        yield ok("clipboard", "not inside tmux: the terminal takes what is copied (OSC 52), if it supports that")
        return
    try:
        value = subject.host.run(("tmux", "show-options", "-sv", "set-clipboard"))
    except Unanswered as error:
        yield unmeasured("clipboard", str(error))
        return
    if value == "on":
        yield ok("clipboard", "tmux passes on what is copied")
    else:
        yield warning(
            "clipboard", f"tmux has set-clipboard {value}: nothing is passed on", "tmux set -s set-clipboard on"
        )
