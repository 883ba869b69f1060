"""How long the rollouts and the update of a step take, by arithmetic: continuous batching on one accelerator.

    seconds = rollout_seconds(workload, engine)          # engine: what the models and the machine can do
    update_seconds(workload, engine)

A rollout is sequential: at each position an episode of several executor calls, then one call of the curator. All rollouts of
a step go on side by side, at most `seats` at once. One decoding step gives each running sequence a token and moves, for each
model that has one, its weights and the cache of its sequences: seconds = Σ (moved bytes + sequences × context × bytes a
token) / bandwidth. Prompts cost tokens × (1 - cached share) / prompt rate. Rollouts differ in length, so that at the end
fewer and fewer run (the tail).
"""

from __future__ import annotations

from statistics import NormalDist

import msgspec

CACHED = 0.75
"""The share of a prompt's tokens that is in the prefix cache (assumed)."""
MOST_LENGTHS = 10_000
"""Into how many lengths the rollouts of a step are divided at most."""


class Workload(msgspec.Struct, frozen=True):
    """One training step. Lengths are in tokens, `turns` are the executor's calls of an episode. `shared` is how many of the
    tasks are played once for all rollouts of a group. Standard deviations are those of one call, or of one episode."""

    groups: int
    rollouts: int
    tasks: int
    turns: float
    turns_deviation: float
    answer: float
    answer_deviation: float
    executor_prompt: float
    curator_prompt: float
    curator_answer: float
    curator_deviation: float
    prompt_growth: float = 60.0
    shared: int = 0

    @property
    def rows(self) -> int:
        """Rollouts of a step."""
        return self.groups * self.rollouts

    @property
    def positions(self) -> int:
        """Positions, and so calls of the curator: groups × rollouts × tasks."""
        return self.rows * self.tasks

    @property
    def episodes(self) -> int:
        """Episodes that are played."""
        return self.groups * (self.rollouts * (self.tasks - self.shared) + self.shared)

    @property
    def executor_calls(self) -> float:
        return self.episodes * self.turns

    @property
    def mean_prompt(self) -> float:
        """The mean length of an executor's prompt: it grows by `prompt_growth` a position."""
        return self.executor_prompt + self.prompt_growth * (self.tasks - 1) / 2

    @property
    def decoded(self) -> float:
        """Tokens of all answers."""
        return self.executor_calls * self.answer + self.positions * self.curator_answer

    @property
    def curator_share(self) -> float:
        """The curator's share of the tokens of all answers, and so of the sequences that run at a moment."""
        return self.positions * self.curator_answer / self.decoded

    @property
    def executor_share(self) -> float:
        return 1.0 - self.curator_share

    @property
    def executor_context(self) -> float:
        """The mean length of an executor's sequence in the middle of its answer."""
        return self.mean_prompt + self.answer / 2

    @property
    def curator_context(self) -> float:
        return self.curator_prompt + self.curator_answer / 2

    @property
    def prompted(self) -> float:
        """Tokens of all prompts, cached ones included."""
        return self.executor_calls * self.mean_prompt + self.positions * self.curator_prompt

    @property
    def trained(self) -> float:
        """Tokens of all samples of the update, prompts included."""
        return self.positions * (self.curator_prompt + self.curator_answer)

    def lengths(self) -> list[float]:
        """The decoded tokens of each rollout, shortest first: quantiles of a normal distribution, whose mean and variance
        are those of the sum of its calls. One rollout of a group also plays the shared tasks. Of more than `MOST_LENGTHS`
        rollouts each length stands for several."""
        own = self.tasks - self.shared
        episode = self.turns * self.answer
        mean = own * episode + self.tasks * self.curator_answer
        spread = self.turns * self.answer_deviation**2 + (self.turns_deviation * self.answer) ** 2
        deviation = (own * spread + self.tasks * self.curator_deviation**2) ** 0.5
        normal = NormalDist(mean, max(deviation, 1e-9))
        count = min(self.rows, MOST_LENGTHS)
        rows = [max(normal.inv_cdf((index + 0.5) / count), self.tasks) for index in range(count)]
        every = max(1, self.rows // self.groups)
        for index in range(every // 2, count, every):
            rows[index] += self.shared * episode
        return sorted(rows)


class Role(msgspec.Struct, frozen=True):
    """What one model moves: `weights` bytes in each decoding step, `token` bytes of cache for each token of context. A step
    takes at least `least` seconds."""

    weights: float
    token: float
    least: float = 0.0


class Engine(msgspec.Struct, frozen=True):
    """What serves a step: `bandwidth` in bytes a second, `prompt_rate` and `update_rate` in tokens a second, and at most
    `seats` sequences at once. `shared`: one server answers for both roles."""

    executor: Role
    curator: Role
    shared: bool
    bandwidth: float
    prompt_rate: float
    update_rate: float
    seats: int


def rollout_seconds(work: Workload, engine: Engine) -> float:
    """Seconds of the rollouts of a step."""
    prompts = work.prompted * (1 - CACHED) / engine.prompt_rate
    seconds, before = 0.0, 0.0
    lengths = work.lengths()
    for done, length in enumerate(lengths):
        left = (len(lengths) - done) * work.rows / len(lengths)
        running = min(left, engine.seats)
        steps = (length - before) * left / running
        seconds += steps * step_seconds(work, engine, running)
        before = length
    return prompts + seconds


def step_seconds(work: Workload, engine: Engine, running: float) -> float:
    """Seconds of one decoding step with `running` sequences, of which the curator has its share of the decoded tokens."""
    executors, curators = running * work.executor_share, running * work.curator_share
    caches = (
        executors * work.executor_context * engine.executor.token
        + curators * work.curator_context * engine.curator.token
    )
    if engine.shared:
        return max((engine.executor.weights + caches) / engine.bandwidth, engine.executor.least)
    least = (
        _any(work.executor_share, running) * engine.executor.least
        + _any(work.curator_share, running) * engine.curator.least
    )
    weights = (
        _any(work.executor_share, running) * engine.executor.weights
        + _any(work.curator_share, running) * engine.curator.weights
    )
    return max((weights + caches) / engine.bandwidth, least)


def update_seconds(work: Workload, engine: Engine) -> float:
    """Seconds of the update of a step."""
    return work.trained / engine.update_rate


def _any(share: float, running: float) -> float:
    """The probability that at least one of `running` sequences is of a role with this share."""
    return 1.0 - float((1.0 - share) ** running)
