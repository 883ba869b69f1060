"""Randomness by key: written out, so that no later version draws other groups and houses for the same configuration."""

import hashlib

import pytest

from engine.core.seeds import seed_of, stream


@pytest.mark.parametrize(
    ("key", "seed"),
    [
        (("group", 7, 4, 0), 0xF5CF4158BF94),
        (("play", 0xF5CF4158BF94, 3), 0x6AE3369F8874),
        (("curate", 1, 2, 3, 4), 0x700061E75A80),
        (("held-out", 0), 0x31662F72173E),
        (("arm", "Größe ξ"), 0x17BB418D6EA0),
        ((), 0x4F53CDA18C2B),
    ],
)
def test_a_seed_never_changes(key, seed):
    assert seed_of(*key) == seed


@pytest.mark.parametrize(
    ("key", "bits", "number"),
    [
        (("house", 7, 6, 4, 2), 0x9C1693030AB55F74, 0.3323700643727474),
        (("group", 7, 10), 0x6378F4459EB8492A, 0.0103589053378087),
        (("oracle", "household-x"), 0xE3FEC5FDB1C1CE6E, 0.4994885361518363),
        (("Größe", "ξ", None, 1.5), 0x36E12841F47DC7E9, 0.01033936635797128),
        ((), 0xF11C85A6F8F9D0E6, 0.047032220502212896),
    ],
)
def test_a_stream_never_changes(key, bits, number):
    draw = stream(*key)
    assert (draw.getrandbits(64), draw.random()) == (bits, number)


def test_a_seed_is_the_sha_256_of_its_key():
    digest = hashlib.sha256(b'["group",7,4,0]').hexdigest()
    assert seed_of("group", 7, 4, 0) == int(digest[:12], 16)
    assert seed_of("a", 1) != seed_of("a1") != seed_of("a", "1")
    assert all(0 <= seed_of(number) < 2**48 for number in range(100))
