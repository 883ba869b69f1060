"""A systemd user unit for a run, so that its engine is started again after a logout, a crash or a reboot.

    unit = unit_of(run_path)                          # Unit(name="skillos-NAME.service", path=~/.config/systemd/user/…)
    install(unit)                                     # writes the file; raises `ServiceError`
    answers, why = user_manager()                     # whether `systemctl --user` works here

The unit runs `skillos-engine service run RUN`. It has no environment of the shell in it, so no secrets.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path

import msgspec
import platformdirs

from engine.core.errors import SkillosError
from engine.core.files import replace
from engine.models.remote.keys import clean_environment

SECONDS = 20.0
"""How long one call of systemctl may take."""
PREFIX, SUFFIX = "skillos-", ".service"
RUN_KEY = "X-Skillos-Run"
LINGER = Path("/var/lib/systemd/linger")

TEMPLATE = """\
# Written by skillos-engine. It continues the run after a logout, a crash or a reboot.
[Unit]
Description={description}
ConditionPathExists={condition}
StartLimitIntervalSec=1h
StartLimitBurst=5
{key}={run}

[Service]
Type=exec
ExecStart={command}
{environment}Restart=on-failure
RestartSec=30
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"""


class ServiceError(SkillosError):
    """A unit cannot be written or removed, or systemd refused it."""


class Unit(msgspec.Struct, frozen=True):
    """The unit of a run: its name, its file, and the run's directory."""

    name: str
    path: str
    run: str


def unit_of(run: Path) -> Unit:
    """The unit of the run in the directory `run`. Raises `ServiceError` for a path that a unit cannot hold."""
    run = run.absolute()
    if not str(run).isprintable() or "\\" in str(run):
        raise ServiceError(f"a unit cannot name {run}: rename what has control characters or backslashes in its name")
    name = f"{PREFIX}{_escaped(run.name)}{SUFFIX}"
    return Unit(name, str(units() / name), str(run))


def units() -> Path:
    """The folder of this user's own units."""
    return platformdirs.user_config_path() / "systemd" / "user"


def text_of(unit: Unit, command: list[str] | None = None) -> str:
    """What the unit's file says."""
    return TEMPLATE.format(
        description=f"skillos run {Path(unit.run).name}".replace("%", "%%"),
        condition=unit.run.replace("%", "%%"),
        key=RUN_KEY,
        run=unit.run,
        command=" ".join(map(_quoted, command or [*_python(), "service", "run", unit.run])).replace("$", "$$"),
        environment="".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in _import_path().items()),
    )


def install(unit: Unit) -> bool:
    """Write the unit's file, whole or not at all; False where it was there already. Raises `ServiceError`."""
    path, text = Path(unit.path), text_of(unit)
    there = owner(unit)
    if there and there != unit.run:
        raise ServiceError(f"{path} is the unit of another run ({there}); uninstall that one first, or rename the run")
    try:
        if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, text.encode())
        path.chmod(0o644)
    except OSError as error:
        raise ServiceError(f"cannot write {path}: {error.strerror}") from error
    return True


def remove(unit: Unit) -> None:
    """Remove the unit's file. Raises `ServiceError` where there is none of this run."""
    there = owner(unit)
    if there != unit.run:
        other = f"; {unit.path} is the unit of another run ({there})" if there else ""
        raise ServiceError(f"the run {unit.run} has no service{other}")
    try:
        Path(unit.path).unlink()
        with suppress(FileNotFoundError):
            (Path(unit.path).parent / "default.target.wants" / unit.name).unlink()
    except OSError as error:
        raise ServiceError(f"cannot remove {unit.path}: {error.strerror}") from error


def owner(unit: Unit) -> str:
    """The directory of the run that the unit's file is for; "" where there is no file. Raises `ServiceError`."""
    try:
        text = Path(unit.path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ServiceError(f"cannot read {unit.path}: {error.strerror}") from error
    found = re.search(rf"^{RUN_KEY}=(.*)$", text, re.MULTILINE)
    return found[1] if found else "a file that skillos-engine did not write"


def enabled(unit: Unit) -> bool:
    """Whether the unit is started with the user's manager."""
    return os.path.lexists(Path(unit.path).parent / "default.target.wants" / unit.name)


def lingers() -> bool:
    """Whether the user's manager runs without a login, from the start of the machine on."""
    try:
        return (LINGER / user()).exists()
    except OSError:
        return False


def user() -> str:
    """The name of the user that this process runs as; the number where the system has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def user_manager() -> str:
    """Why `systemctl --user` cannot be used here, in a few words; "" where it can."""
    try:
        systemctl("show-environment")
    except ServiceError as error:
        return str(error)
    return ""


def systemctl(*arguments: str, fails: bool = False) -> str:
    """What `systemctl --user` printed. Raises `ServiceError`; with `fails`, an exit code over 0 is no error."""
    try:
        done = subprocess.run(
            ["systemctl", "--user", "--no-pager", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            env=clean_environment(),
        )
    except FileNotFoundError as error:
        raise ServiceError("systemctl is not installed") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"systemctl --user {arguments[0]} did not answer: {error}") from error
    if done.returncode and not fails:
        said = " ".join((done.stderr or done.stdout).split()) or f"it ended with {done.returncode}"
        raise ServiceError(f"systemctl --user {arguments[0]}: {said}")
    return done.stdout.strip()


def _python() -> list[str]:
    return [sys.executable, "-P", "-m", "engine.cli"]


def _import_path() -> dict[str, str]:
    """PYTHONPATH, where this package is not installed."""
    root = str(Path(__file__).parents[2])
    return {} if root in sysconfig.get_paths().values() else {"PYTHONPATH": root}


def _escaped(name: str) -> str:
    """A part of a unit's name, as `systemd-escape` writes it."""
    plain = re.compile(rb"[A-Za-z0-9:_.]")
    parts = [bytes([byte]) for byte in os.fsencode(name)]
    kept = [part.decode() if plain.match(part) or part == b"-" else f"\\x{part[0]:02x}" for part in parts]
    return "".join(kept)


def _quoted(word: str) -> str:
    """A word in a unit: `%`, quotes and backslashes stand for themselves."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
