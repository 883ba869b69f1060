"""The secret key by which a user's own stored search indexes are recognised.

    data = seal(content)
    unseal(data)                              # the content; None where another user, or somebody's tool, wrote it

An index that a repository brings along could rank any skill first. So a stored index is only used if it was written with the
key of this user: 32 random bytes in the user's data folder, readable by nobody else.
"""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import blake2b
from pathlib import Path

import platformdirs

KEY_BYTES = DIGEST_BYTES = 32


def key_file() -> Path:
    """Where the key is kept."""
    return platformdirs.user_data_path("skillos-tui", appauthor=False) / "search.key"


def seal(content: bytes) -> bytes:
    """`content` after its keyed digest. Makes the key if there is none. Raises `OSError`."""
    return _digest(content, _key() or _new_key()) + content


def unseal(data: bytes) -> bytes | None:
    """The content of `data`; None where it was not sealed with this user's key. Raises `OSError`."""
    key = _key()
    content = data[DIGEST_BYTES:]
    return content if key and hmac.compare_digest(_digest(content, key), data[:DIGEST_BYTES]) else None


def _digest(content: bytes, key: bytes) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES, key=key).digest()


def _key() -> bytes | None:
    try:
        key = key_file().read_bytes()
    except FileNotFoundError:
        return None
    return key if len(key) == KEY_BYTES else None


def _new_key() -> bytes:
    path, key = key_file(), secrets.token_bytes(KEY_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
    draft.replace(path)
    return key
