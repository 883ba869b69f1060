"""Randomness from a key alone, by SHA-256: no slot number, not Python's salted hash (`method.md`, lesson 3).

    seed_of("play", group.seed, 3)                # an integer that travels in the data
    stream("house", 7).choice(["box", "rack"])    # a `random.Random` of its own

What they return for a key never changes: the groups, houses and games of every figure shipped were drawn by it.
"""

from __future__ import annotations

import hashlib
import json
import random

import msgspec


def seed_of(*key: object) -> int:
    """A seed in [0, 2⁴⁸) that depends on `key` alone."""
    digest = hashlib.sha256(msgspec.json.encode(key)).digest()
    return int.from_bytes(digest[:6], "big")


def stream(*key: object) -> random.Random:
    """A random stream that depends on `key` alone. Its JSON is Python's own, with spaces and escapes, unlike `seed_of`'s."""
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))
