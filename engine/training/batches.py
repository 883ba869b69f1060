"""Micro-batches: which samples go through the model at the same time.

for rows in micro_batches([len(ids) for ids in sequences], budget=20_480): ...

Samples of like length share a batch, so that little is padded. The longest come first, so that memory runs out in the first
batch of a step, or not at all. The order depends on lengths and positions alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def micro_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """The indices of `lengths` in batches of at most `budget` tokens, padding included; a longer sequence is alone."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
