"""A few of the one-bit flips of `tests.benchmarks.faults.flips`, which tries hundreds."""

from __future__ import annotations

from tests.benchmarks.faults.flips import measure


def test_a_flipped_bit_crashes_no_reader_hides_no_run_and_is_found_or_repaired() -> None:
    rows = measure(count=8, seed=5)
    assert [(row.held, row.broken) for row in rows] == [(8, [])] * 4
