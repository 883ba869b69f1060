"""Keys of model servers: read by the engine's process only, from the environment or the keyring, and never written.

    key = read_key("OPENAI_API_KEY")                 # None for ""; raises ConfigError where there is none of that name
    secrets = Secrets([key])
    secrets.without(body)                            # what a server sent, in bytes, without the key
    subprocess.Popen(command, env=clean_environment())

A configuration has the name of a key, never the key. What a server sends may repeat the key, in any place: `Secrets` takes
it out before anything is parsed.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from engine.core.errors import ConfigError

SERVICE = "skillos-tui"
"""The service under which the keyring has the keys: `keyring set skillos-tui OPENAI_API_KEY`."""
KEYRING_SECONDS = 10.0
HIDDEN = "…"
SHORTEST = 4
"""A shorter key is no secret, and would be found everywhere."""

_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?)?KEYS?(?:$|_)|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|(?:^|_)(?:AUTH|PWD_?KEY|PAT|DSN)(?:$|_)",
    re.IGNORECASE,
)
_NOT_SECRET = frozenset({"SSH_AUTH_SOCK", "TOKENIZERS_PARALLELISM"})


def check_key_name(name: str, setting: str = "model.key") -> None:
    """Raises `ConfigError` for a setting that is no name of a key. The message does not quote it: it may be the key."""
    if name and not _NAME.fullmatch(name):
        raise ConfigError(
            f"{setting} is the name of a key, in capital letters, such as OPENAI_API_KEY, and never the key itself: put the "
            f"key into the environment variable of that name, or into the keyring (keyring set {SERVICE} NAME)"
        )


def read_key(name: str, setting: str = "model.key") -> str | None:
    """The key called `name`: of the environment, or else of the keyring. None for "". Raises `ConfigError`."""
    check_key_name(name, setting)
    if not name:
        return None
    if found := os.environ.get(name, "").strip():
        return _printable(found, name)
    found, problem = _of_keyring(name)
    if found:
        return _printable(found, name)
    raise ConfigError(
        f"there is no key called {name}: set the environment variable {name} before the run is started, or store the key "
        f"with: keyring set {SERVICE} {name}{f' (the keyring cannot be read: {problem})' if problem else ''}"
    )


def _printable(key: str, name: str) -> str:
    """Raises `ConfigError` for a key that no header can have."""
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"the key called {name} has characters that no key has, such as a line break: store it again")
    return key


def _of_keyring(name: str) -> tuple[str, str]:
    """The key of the keyring, "" where it has none, and why it cannot be read. Some backends hang: the wait is bounded."""
    found: list[str] = []
    problems: list[str] = []

    def look() -> None:
        try:
            import keyring  # its backends import D-Bus and more

            found.append(keyring.get_password(SERVICE, name) or "")
        except Exception as error:  # noqa: BLE001 - a backend may raise anything; it is reported
            problems.append(" ".join(f"{type(error).__name__}: {error}".split())[:200])

    looking = threading.Thread(target=look, name="keyring", daemon=True)
    looking.start()
    looking.join(KEYRING_SECONDS)
    if looking.is_alive():
        return "", f"it did not answer within {KEYRING_SECONDS:g} s"
    return (found or [""])[0], (problems or [""])[0]


def _escaped(form: str) -> bytes:
    """A pattern of `form` in JSON, which may write any of its characters as an escape."""
    return b"".join(rb"(?:%s|\\u00(?i:%02x))" % (re.escape(each).encode(), ord(each)) for each in form)


class Secrets:
    """The keys of a run's servers, in the forms in which they may be repeated."""

    def __init__(self, keys: Iterable[str | None]) -> None:
        forms: set[str] = set()
        for key in keys:
            if key and len(key) >= SHORTEST:
                forms |= {key, quote(key, safe=""), json.dumps(key)[1:-1], key.replace("/", "\\/")}
        self._forms = sorted(forms, key=len, reverse=True)
        self._escaped = [re.compile(_escaped(form)) for form in self._forms]

    def without(self, body: bytes) -> bytes:
        """`body` with `…` in place of each key. It stays JSON where it was."""
        for form in self._forms:
            if (plain := form.encode()) in body:
                body = body.replace(plain, HIDDEN.encode())
        if b"\\u00" in body:
            for pattern in self._escaped:
                body = pattern.sub(HIDDEN.encode(), body)
        return body

    def text_without(self, text: str) -> str:
        """The same of a text."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text


def clean_environment(
    environment: Mapping[str, str] | None = None, *, keys: Iterable[str] = (), keep: Iterable[str] = ()
) -> dict[str, str]:
    """The environment for a child process: without `keys`, and without what is called like a secret (a key, a token, a
    password), besides the variables that `keep` names. None: of this process."""
    environment = os.environ if environment is None else environment
    kept, left_out = {*keep, *_NOT_SECRET}, set(keys)
    return {
        name: value
        for name, value in environment.items()
        if name in kept or not (name in left_out or _SECRET_NAME.search(name))
    }
