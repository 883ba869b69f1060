"""Takes out of a text what a report of a bug must not have: secrets, people's and machines' names, texts of skills.

    redact = Redactor(environment, skills=repository_texts)
    redact("GET https://me:pw@node7.corp/v1 from /home/anna")       # "GET https://…@HOST/v1 from ~"

What is called like a secret in the environment, the shapes of known keys, what stands after words such as `token=`, and
long random words are replaced. So are home folders, the names of users and hosts, addresses, and lines of skills.
"""

from __future__ import annotations

import getpass
import os
import pwd
import re
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from engine.core.text import without_credentials
from engine.models.remote.keys import Secrets, clean_environment

RUN = 5
"""So many words in a row, as a skill has them, are its text; a line with fewer words, and `LEAST` letters, is as a whole."""
LEAST = 12
SKILL, SECRET, HOST, USER, ADDRESS, MAIL = "[skill text]", "[secret]", "HOST", "USER", "ADDRESS", "MAIL"
LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")

_KEYS = re.compile(
    r"""(?x)
      \b(?:sk|pk|rk|hf|gsk|ghp|gho|ghu|ghs|ghr|glpat|xox[abprs]|nvapi|github_pat|dop_v1|AKIA|ASIA|AIza|SG|pypi)[-_.A-Za-z0-9]{10,}
    | \beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----(?:.|\n)*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    """
)
_NAMED = re.compile(
    r"""(?ix)\b([\w.-]*(?:token|secret|passw(?:or)?d|passphrase|api[_-]?key|credential|authorization|(?<![^\W_])keys?)
    [\w.-]*["']?\s*[:=]\s*["']?(?:bearer\s+|basic\s+)?)(?!\s|(?-i:[A-Z0-9_]+_(?:KEY|TOKEN)\b)|\d{1,9}(?:\.\d+)?(?:["',}\s]|$))[^\s"',}]{4,}"""
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_RANDOM = re.compile(r"(?<![\w/+-])(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[A-Za-z0-9+_=-]{32,}(?![\w/+-])")
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HOME = re.compile(r"(?:/home/|/Users/|\\Users\\|/var/home/|/export/home/)([^/\\\s:\"']+)")
_URL_HOST = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://(?:[^\s/@]*@)?)(\[[0-9a-f:]+\]|[^\s/:?#\"']+)")
_WORD = re.compile(r"\w+")
_MAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_IPV6 = re.compile(
    r"""(?ix)(?<![\w:.])(?=[0-9a-f:]*\d)(?=[0-9a-f:]*(?:::|(?::[0-9a-f]+){7}))(?=[0-9a-f]*:[0-9a-f:]*:)
    [0-9a-f:]{3,39}(?![\w:])"""
)
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


class Redactor:
    """Called with a text, gives the text without all that. `homes`, `users` and `hosts` are this machine's; `skills` are
    texts of which no line may appear."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        homes: Iterable[str] = (),
        users: Iterable[str] = (),
        hosts: Iterable[str] = (),
        skills: Iterable[str] = (),
    ) -> None:
        kept = clean_environment(environment)
        self._secrets = Secrets(value for name, value in environment.items() if name not in kept)
        self._homes = sorted({home.rstrip("/") for home in homes if len(home) > 1}, key=len, reverse=True)
        self._users, self._hosts = _words(users, USER), _words(hosts, HOST)
        self._skills = {run for text in skills for line in text.splitlines() for run in _runs(line)}

    def __call__(self, text: str) -> str:
        text = self._secrets.text_without(_KEYS.sub(SECRET, text))
        text = _BEARER.sub(rf"\1 {SECRET}", _NAMED.sub(rf"\1{SECRET}", text))
        text = without_credentials(text)
        text = "\n".join(map(self._without_skills, text.split("\n")))
        for home in self._homes:
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
        text = _HOME.sub(lambda found: found[0].replace(found[1], USER), text)
        text = _MAIL.sub(MAIL, text)
        text = _URL_HOST.sub(lambda found: found[0] if found[2].strip("[]") in LOCAL else f"{found[1]}{HOST}", text)
        for addresses in (_IPV4, _IPV6):
            text = addresses.sub(lambda found: found[0] if found[0] in LOCAL else ADDRESS, text)
        for pattern, name in (*self._hosts, *self._users):
            text = pattern.sub(name, text)
        return _RANDOM.sub(lambda found: found[0] if _HASH.fullmatch(found[0]) else SECRET, text)

    def _without_skills(self, line: str) -> str:
        """A line; one that has text of a skill in it, also in part or as JSON or Python quote it, is replaced as a whole."""
        if not self._skills:
            return line
        words = _WORD.findall(line.lower().replace("\\n", "\n"))
        found = (
            " ".join(words[start : start + length]) in self._skills
            for start in range(len(words))
            for length in range(1, min(RUN, len(words) - start) + 1)
        )
        return SKILL if any(found) else line


def _runs(line: str) -> list[str]:
    """Every `RUN` words in a row of a line of a skill, in small letters; the whole line where it is shorter."""
    words = _WORD.findall(line.lower())
    if len(words) >= RUN:
        return [" ".join(words[start : start + RUN]) for start in range(len(words) - RUN + 1)]
    whole = " ".join(words)
    return [whole] if len(whole) >= LEAST else []


def names_of_here() -> tuple[list[str], list[str], list[str]]:
    """The home folders, user names and host names of this process."""
    homes, users = [str(Path.home())], []
    with suppress(KeyError):
        entry = pwd.getpwuid(os.getuid())
        homes.append(entry.pw_dir)
        users.append(entry.pw_name)
    with suppress(OSError, KeyError):
        users.append(getpass.getuser())
    hosts = {socket.gethostname(), os.uname().nodename}
    return homes, [*users, *(Path(home).name for home in homes)], [*hosts, *(host.partition(".")[0] for host in hosts)]


def _words(names: Iterable[str], replacement: str) -> list[tuple[re.Pattern[str], str]]:
    """A pattern for each name as a word of its own; "root" and names of one or two letters say nothing of a person."""
    found = sorted(
        {name for name in names if len(name) > 2 and name not in ("root", "localhost")}, key=len, reverse=True
    )
    return [(re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])"), replacement) for name in found]
