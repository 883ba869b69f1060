"""The proof that a server answers by the adapter that was published, and not by an earlier one. Nothing here asks a model.

    asked = separating(questions, old, new)            # where the trainer's two tables differ most
    found = compare([Values(served, old, new, noise), …])
    found.proof("…") or raise found.refused("…")

A table has, for each question and each of its tokens, the natural log-probability. A server's differ from the trainer's by
rounding, about .03 between bfloat16 and float32, and one step may move them by less. So the comparison asks which of two
hypotheses the served values fit. With δ = new − old where that is largest, `moved` = Σ (served − old) · δ / Σ δ² is 0 where the
old adapter answers, and 1 where the new one does. Its standard error is the same projection of the noise: of what the base
on the server differs from the trainer's base at the same places. Where the error is too large to distinguish 0 from 1, the
result is unmeasured. Served values that fit neither hypothesis are of another adapter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from engine.models.base import NotPublished, Proof
from engine.models.vllm.api import Question

PLACES, WIDTH = 64, 20
"""How many questions are asked, and for how many tokens each."""
SIGMAS = 4.0
"""How many standard errors the middle between old and new must be away from either."""
APART = 4.0
"""How many times the noise the served values may differ from the new adapter's."""
ROUNDED = 0.15
"""Which share of its effect an adapter may lose by rounding."""
LEAST_NOISE = 1e-3
"""The noise of two computations of the same precision."""

Table = list[list[float]]
"""Log-probabilities `[question][token]`."""


class Values(msgspec.Struct, frozen=True):
    """What is known of one token after one prompt: the served log-probability, the trainer's for the old and for the new
    adapter, and the noise, which is the difference of the base's two."""

    served: float
    old: float
    new: float
    noise: float


class Comparison(msgspec.Struct, frozen=True):
    """`moved` is 0 for the old adapter and 1 for the new one, `error` its standard error. `difference`, `separation` and
    `noise` are means a token; see `engine.models.base.Proof`."""

    verdict: Literal["new", "old", "other", "unknown"]
    difference: float
    separation: float
    noise: float
    moved: float
    error: float

    def proof(self, how: str) -> Proof:
        """The proof of the new adapter, or why it is unmeasured. Raises `NotPublished` for another verdict."""
        if self.verdict in ("old", "other"):
            raise NotPublished(self.said)
        below = (
            f"below the noise: the adapters differ by {self.separation:.4f} a token, and the server's answers from the "
            f"trainer's by {self.noise:.4f}"
        )
        unmeasured = "" if self.verdict == "new" else below
        return Proof(how, self.difference, self.separation, self.noise, unmeasured)

    @property
    def said(self) -> str:
        """What was found, as the end of a sentence."""
        what = "those of the adapter before it" if self.verdict == "old" else "of neither it nor the one before it"
        return (
            f"the served log-probabilities are {what}: they differ from the trainer's by {self.difference:.4f} a token, the "
            f"two adapters by {self.separation:.4f}, the noise is {self.noise:.4f}"
        )


def separating(questions: Sequence[Question], old: Table, new: Table) -> list[tuple[int, Question]]:
    """The questions, with their numbers, at which two adapters differ most, each with the tokens at which they do."""
    chosen = []
    for number, (question, before, after) in enumerate(zip(questions, old, new, strict=True)):
        apart = sorted(
            ((abs(b - a), token) for token, a, b in zip(question.tokens, before, after, strict=True)), reverse=True
        )[:WIDTH]
        power = sum(difference**2 for difference, _ in apart)
        chosen.append((power, number, Question(question.prompt, sorted(token for _, token in apart))))
    chosen.sort(key=lambda item: (-item[0], item[1]))
    return [(number, question) for _, number, question in chosen[:PLACES]]


def compare(places: Iterable[Sequence[Values]]) -> Comparison:
    """Which adapter answers, by the values at each place; places without any are left out. The noise of the tokens of one
    place is taken to be dependent, that of two places not."""
    known = [place for place in places if place]
    tokens = [value for place in known for value in place]
    if not tokens:
        return Comparison("unknown", 0.0, 0.0, 0.0, 0.0, math.inf)
    count = len(tokens)
    weight = sum((value.new - value.old) ** 2 for value in tokens)
    difference = sum(abs(value.served - value.new) for value in tokens) / count
    separation = sum(abs(value.new - value.old) for value in tokens) / count
    noise = sum(abs(value.noise) for value in tokens) / count
    spread = max(math.sqrt(sum(value.noise**2 for value in tokens) / count), LEAST_NOISE)
    moved, error = 0.0, math.inf
    if weight > 0:
        moved = sum((value.served - value.old) * (value.new - value.old) for value in tokens) / weight
        projected = [sum(value.noise * (value.new - value.old) for value in place) for place in known]
        least = LEAST_NOISE / math.sqrt(weight)
        error = max(math.sqrt(sum(part**2 for part in projected)) / weight, least)
    rest = math.sqrt(sum((value.served - value.new) ** 2 for value in tokens) / count)
    effect = math.sqrt(weight / count)
    verdict: Literal["new", "old", "other", "unknown"] = "unknown"
    if error * SIGMAS <= 0.5:
        verdict = "new" if abs(moved - 1) < 0.5 else "old" if abs(moved) <= 0.5 else "other"
    if verdict != "old" and rest > APART * spread + ROUNDED * effect:
        verdict = "other"
    return Comparison(verdict, difference, separation, noise, moved, error)
