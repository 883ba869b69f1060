"""The keys and values of many rows that begin and end at different times: a cache of transformers with a slot for each row.

    slots = Slots(layers=3)
    slots.place(first, columns, width)         # the next forward pass reads rows of slots first, first + 1, …
    network(input_ids=…, past_key_values=slots, …)
    slots.swap(2, 5, 40); slots.copy(0, 3, 40) # the first 40 columns

A row's tokens begin at column 0 of its slot. The memory is allocated ahead, and grows when a row outgrows it. What a slot
holds stays there until it is overwritten.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

SPARE_COLUMNS = 64
"""The least by which a slot grows; it grows by a quarter where that is more."""


class _Place:
    """Where the tokens of a forward pass go: `columns` `[row, token]` of the slots from `first` on. `width` columns are
    seen, and there are at least `slots` slots of `reach` columns."""

    first: int
    columns: torch.Tensor
    rows: torch.Tensor
    width: int
    slots: int = 0
    reach: int = 0


class SlotLayer(CacheLayerMixin):
    """The slots of one layer, `[slot, head, column, dimension]`."""

    is_sliding = False

    def __init__(self, place: _Place) -> None:
        super().__init__()
        self._place = place

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.keys, self.values = key_states.new_empty(0), value_states.new_empty(0)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put the new keys and values in their place, and return all that the rows of the pass hold."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        place = self._place
        self.keys, self.values = _put(self.keys, key_states, place), _put(self.values, value_states, place)
        seen = slice(place.first, place.first + len(key_states)), slice(None), slice(place.width)
        return self.keys[seen], self.values[seen]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._place.width, 0

    def get_seq_length(self) -> int:
        return self._place.width

    def get_max_length(self) -> int:
        return -1


class Slots(Cache):
    """The slots of all layers of a network."""

    def __init__(self, layers: int) -> None:
        self._place = _Place()
        super().__init__(layers=[SlotLayer(self._place) for _ in range(layers)])

    def place(self, first: int, columns: torch.Tensor, width: int, reach: int) -> None:
        """Let the tokens of the next pass go to `columns` `[row, token]`, all below `reach`, of the slots from `first` on. A
        row's tokens see columns below `width`."""
        place = self._place
        place.first, place.columns, place.width = first, columns, width
        self.reserve(first + len(columns), reach)
        place.rows = torch.arange(first, first + len(columns), device=columns.device)

    def reserve(self, slots: int, columns: int) -> None:
        """Allocate memory for so many slots and columns, once the first pass has shown their shape."""
        place = self._place
        place.slots, place.reach = max(place.slots, slots), max(place.reach, columns)

    def swap(self, one: int, other: int, columns: int) -> None:
        """Exchange the first `columns` of two slots."""
        for layer in self.layers:
            for kept in (layer.keys, layer.values):
                held = kept[one, :, :columns].clone()
                kept[one, :, :columns] = kept[other, :, :columns]
                kept[other, :, :columns] = held

    def copy(self, source: int, target: int, columns: int) -> None:
        """Let slot `target` hold the first `columns` of `source`."""
        for layer in self.layers:
            for kept in (layer.keys, layer.values):
                kept[target, :, :columns] = kept[source, :, :columns]


def _put(kept: torch.Tensor, states: torch.Tensor, place: _Place) -> torch.Tensor:
    """`kept`, grown where that is needed, with `states` `[row, head, token, dimension]` in it."""
    if not kept.numel():
        kept = states.new_zeros(0, states.shape[1], 0, states.shape[3])
    kept = _grown(kept, place.slots, place.reach)
    if states.shape[2] == 1:
        kept[place.rows, :, place.columns[:, 0]] = states[:, :, 0]
    else:
        kept[place.rows[:, None], :, place.columns] = states.transpose(1, 2)
    return kept


def _grown(kept: torch.Tensor, slots: int, columns: int) -> torch.Tensor:
    """`kept` with at least so many slots and columns."""
    had, heads, wide, dimension = kept.shape
    if had >= slots and wide >= columns:
        return kept
    width = wide if wide >= columns else columns + max(SPARE_COLUMNS, columns // 4)
    grown = kept.new_zeros(max(had, slots), heads, width, dimension)
    grown[:had, :, :wide] = kept
    return grown
