"""What plays and what is measured: the parts that a configuration names, opened once for many rollouts.

context = RolloutContext.open(config, source, models)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.agents.judges.base import Judge, open_judge
from engine.agents.judges.success import SuccessJudge, open_success_judge
from engine.agents.prompting import Prompts
from engine.config import Config
from engine.core.calls import pack
from engine.core.events import CallsKept, PositionId, Sink, Veto
from engine.core.holds import Holds
from engine.curation.base import BatchContext, BatchStrategy, CurationStrategy, Retriever, StrategyContext
from engine.curation.registry import StrategyKind, batch_strategy_kind, strategy_kind
from engine.environments.base import TaskSource
from engine.environments.registry import environment_kind
from engine.models.base import Models
from engine.rollouts.calls import is_kept, keeping


class RolloutContext(msgspec.Struct, frozen=True):
    """Everything that a rollout needs: the tasks, the models, their prompts, the strategy, the judges, the configuration.
    `success_judge` is None where the environment decides on success."""

    source: TaskSource
    models: Models
    strategy: StrategyKind
    judge: Judge
    success_judge: SuccessJudge | None
    executor_prompts: Prompts
    curator_prompts: Prompts
    config: Config
    holds: Holds

    @classmethod
    def open(cls, config: Config, source: TaskSource, models: Models, holds: Holds | None = None) -> RolloutContext:
        """The parts that `config` names; the executor's prompts are its environment's where none are named. While `holds`
        hold, no time limit runs.

        Raises `ConfigError` where there are no prompts of a name.
        """
        environment = environment_kind(config.environment)
        needed = not environment.judges_success
        seed = config.training.seed
        return cls(
            source=source,
            models=models,
            strategy=strategy_kind(config.strategy),
            judge=open_judge(config.judge, models.judge, seed=seed),
            success_judge=open_success_judge(config.success_judge, models, seed=seed) if needed else None,
            executor_prompts=Prompts.load(config.executor.prompts or environment.prompts),
            curator_prompts=Prompts.load(config.curator.prompts),
            config=config,
            holds=holds or Holds(),
        )

    def open_strategy(
        self, at: PositionId, retriever: Retriever, *, vetoes: Sequence[Veto], seed: int, emit: Sink
    ) -> CurationStrategy:
        """The strategy for one position; what its curator is asked is kept, as `curator.keep_calls` says."""
        models = self.models
        if is_kept(self.config.curator.keep_calls, at):
            curator = keeping(
                models.curator, "curator", models.tokenizer, lambda call: emit(CallsKept(at, pack([call])))
            )
            models = msgspec.structs.replace(models, curator=curator)
        strategy: CurationStrategy = self.strategy.open(
            StrategyContext(
                at=at,
                settings=self.config.strategy,
                config=self.config,
                models=models,
                prompts=self.curator_prompts,
                retriever=retriever,
                vetoes=vetoes,
                seed=seed,
                emit=emit,
            )
        )
        return strategy

    def open_batch_strategy(self, emit: Sink) -> BatchStrategy:
        """The batch strategy that `[batch]` selects."""
        settings = self.config.batch
        strategy: BatchStrategy = batch_strategy_kind(settings).open(
            BatchContext(settings, self.config, self.models, self.curator_prompts, emit)
        )
        return strategy
