"""The best few edits of a training step, among all that its rollouts leave behind.

    chosen = await choose(candidates, places=3, check=check)
    chosen.queued, chosen.withheld, chosen.refused

Pure but for `check`, which asks the gates.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from engine.core.edit import Edit
from engine.review.errors import EditRefused
from engine.review.worth import order

TRIED = 4
"""The most edits that are given to the gates, for each place: a gate may play held-out tasks for every edit."""
COMPARED = 2
"""How many edits that the gates admit are compared, for each place: a gate's score can change the order."""

ROUNDING = 1e-9
"""Advantages that add up to less than this in size add up to 0."""

Check = Callable[[Edit], Awaitable[Edit]]
"""Asks the gates: the edit with findings and scores. Raises `EditRefused`."""


class Chosen(msgspec.Struct, frozen=True):
    """`queued` are the edits to put to review, the best first; `withheld` the others, the best first; `refused` those that
    a gate refused, with its reason."""

    queued: list[Edit]
    withheld: list[Edit]
    refused: list[tuple[Edit, str]]


async def choose(candidates: Sequence[Edit], places: int, check: Check) -> Chosen:
    """At most `places` edits, at most one a skill: those of the greatest worth (`engine.review.worth`).

    An edit whose rollouts did worse than their groups is withheld, also where places stay free.

    The gates check the candidates in the order of what their rewards say, one a skill, until `COMPARED` times `places`
    passed; of these the best by rewards, scores and findings together are chosen.
    """
    ranked = sorted(candidates, key=order)
    passed: dict[str, Edit] = {}
    left: list[Edit] = []
    refused: list[tuple[Edit, str]] = []
    tried = 0
    for edit in ranked:
        full = len(passed) >= COMPARED * places or tried >= TRIED * places
        if full or edit.skill in passed or did_worse(edit):
            left.append(edit)
            continue
        tried += 1
        try:
            passed[edit.skill] = await check(edit)
        except EditRefused as refusal:
            refused.append((edit, refusal.why))
    best = sorted(passed.values(), key=order)
    return Chosen(best[:places], sorted([*best[places:], *left], key=order), refused)


def did_worse(edit: Edit) -> bool:
    """Whether the rollouts that leave the edit had lower rewards than their groups, taken together."""
    standing = edit.provenance.standing
    return standing is not None and sum(standing.advantages) < -ROUNDING
