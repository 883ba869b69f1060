"""Random seeds and streams that depend only on a key, by SHA-256 (`method.md`, lesson 3).

    seed_of("play", group.seed, 3)                # an integer to be stored in the data
    stream("house", 7).choice(["box", "rack"])    # a separate `random.Random`

They do not depend on a worker's number, nor on Python's salted hash. The values for a key must never change: all published
figures depend on the groups, houses and games that were drawn with them.
"""

from __future__ import annotations

import hashlib
import json
import random

import msgspec


def seed_of(*key: object) -> int:
    """A seed in [0, 2⁴⁸) that depends only on `key`."""
    digest = hashlib.sha256(msgspec.json.encode(key)).digest()
    return int.from_bytes(digest[:6], "big")


def stream(*key: object) -> random.Random:
    """A random stream that depends only on `key`. It hashes the JSON of `json` (spaces, escapes), unlike `seed_of`."""
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))
