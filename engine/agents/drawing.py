"""Drawing one of several scored options, repeatably.

index = pick([-0.2, -1.7], temperature=0.6, seed=7)
"""

from __future__ import annotations

from collections.abc import Sequence


def pick(scores: Sequence[float], temperature: float, seed: int) -> int:
    """The index of the best score at temperature 0, else a draw from softmax(scores / temperature) by Gumbel-max."""
    import torch  # takes seconds to import

    values = torch.tensor(scores, dtype=torch.float64)
    if temperature:
        uniform = torch.rand(len(scores), generator=torch.Generator().manual_seed(seed % 2**63), dtype=torch.float64)
        values = values / temperature - torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
    return int(values.argmax())
