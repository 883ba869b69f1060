"""GRPO steps of the pocket profile by this engine: `python tests/benchmarks/grpo/now.py --steps 3 --set NAME=VALUE`."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from phases import Phases

from engine.config import load_profile
from engine.jobs import loading
from engine.jobs.train.run import draws
from engine.models.base import Opening
from engine.rollouts.context import RolloutContext
from engine.rollouts.rollout import collect
from engine.rollouts.summary import score_rollouts
from engine.system.memory import keep_freed
from engine.system.waiting import sleep_soon
from engine.training.samples import step_samples


async def main(steps: int, settings: list[str]) -> None:
    config = load_profile("pocket", [*settings, f"training.steps={steps}", "training.evaluate_every=0"])
    source, _ = loading.load_sources(config, lambda what: None, held_out=False)
    clock, made, events = Phases(), {}, []
    async with loading.open_models(config, Opening(lora_rank=config.training.lora_rank)) as opened:
        base, sink = opened.for_training()
        context = RolloutContext.open(config, source, opened.models)
        groups = draws(config, source)

        async def play(step):
            clock.end("rest")
            rows = await collect(groups(step), step=step, context=context, vetoes=[], emit=events.append)
            parts = score_rollouts(rows, config.rewards, events.append)
            clock.end("rollouts")
            positions = [position for row in rows for rollout in row for position in rollout.positions]
            sampled = [completion.tokens for position in positions for completion in position.completions]
            made["tokens"] = sum(len(tokens.completion_ids) for tokens in sampled)
            made["trained"] = sum(len(tokens.prompt_ids) + len(tokens.completion_ids) for tokens in sampled)
            made["positions"] = len(sampled) / (config.training.groups * config.training.rollouts)
            return step_samples(rows, parts, int(base.vocabulary.pad_token_id), context.strategy.samples_per_position)

        async def after_update(update):
            clock.end("update")

        async def after_step(step, checkpoint):
            clock.end("publish")
            clock.step(**made)

        with tempfile.TemporaryDirectory() as folder:
            from engine.training.trainer import GrpoSession

            session = GrpoSession(
                config, base, sink, checkpoints=Path(folder) / "run" / "checkpoints",
                play=play, after_update=after_update, after_step=after_step,
            )  # fmt: skip
            (Path(folder) / "run" / "checkpoints").mkdir(parents=True, exist_ok=True)
            clock.start()
            await session.run(None)
    print(clock.report())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    keep_freed()
    sleep_soon()
    asyncio.run(main(given.steps, given.set))
