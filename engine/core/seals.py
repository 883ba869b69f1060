"""Recognise what this user wrote: a keyed digest, with a secret key that only this user can read.

    seal(content, "search-index")                     # 32 bytes; makes the key if there is none. Raises `OSError`
    is_sealed(content, digest, "search-index")        # False for what another user, or somebody's tool, wrote

What a repository brings along is data of its author: a stored search index could rank any skill first, and a commit could
say that a finding of the audit was accepted. Such data counts only with the seal of this user.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import platformdirs

KEY_BYTES = DIGEST_BYTES = 32


def key_file() -> Path:
    """Where the key is kept."""
    return platformdirs.user_data_path("skillos-tui", appauthor=False) / "seal.key"


def seal(content: bytes, purpose: str) -> bytes:
    """The digest of `content` for a `purpose` of at most 16 characters, with this user's key. Raises `OSError`."""
    return _digest(content, _key() or _new_key(), purpose)


def is_sealed(content: bytes, digest: bytes, purpose: str) -> bool:
    """Whether `digest` is the one of `content` with this user's key. Raises `OSError`."""
    key = _key()
    return key is not None and hmac.compare_digest(_digest(content, key, purpose), digest)


def _digest(content: bytes, key: bytes, purpose: str) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES, key=key, person=purpose.encode("ascii")).digest()


def _key() -> bytes | None:
    try:
        key = key_file().read_bytes()
    except FileNotFoundError:
        return None
    return key if len(key) == KEY_BYTES else None


def _new_key() -> bytes:
    """Make the key, unless another process has made it meanwhile. A damaged one is replaced."""
    path, key = key_file(), secrets.token_bytes(KEY_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
    try:
        os.link(draft, path)
    except FileExistsError:
        known = _key()
        if known is not None:
            return known
        draft.replace(path)
    except OSError:  # a file system without hard links
        draft.replace(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    return key
