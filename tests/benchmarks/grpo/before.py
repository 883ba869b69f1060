"""The same steps by the engine of commit 4ad2079, whose folder is on PYTHONPATH: `python before.py --steps 3`."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from engine.environments.worlds import open_world
from engine.training.groups import draw_groups
from engine.training.rollout import Agents, collect
from engine.training.step import score_rollouts
from phases import Phases

from engine.agents.prompting import Prompts
from engine.config import load_profile
from engine.models.local import load_base, load_tokenizer
from engine.system.memory import keep_freed
from engine.training.samples import step_samples
from engine.training.trainer import GrpoSession


async def main(steps: int, settings: list[str]) -> None:
    config = load_profile("pocket", [*settings, f"training.steps={steps}", "training.evaluate_every=0"])
    world, tokenizer = open_world(config.environment), load_tokenizer(config.model)
    clock, made, events = Phases(), {}, []

    async def play(step):
        clock.end("rest")
        groups = draw_groups(world, config.training, step)
        rows = await collect(groups, step=step, agents=agents, vetoes=[], emit=events.append)
        parts = score_rollouts(rows, config.rewards, events.append)
        clock.end("rollouts")
        positions = [position for row in rows for rollout in row for position in rollout.positions]
        sampled = [position.completion for position in positions if position.completion is not None]
        made["tokens"] = sum(len(tokens.completion_ids) for tokens in sampled)
        made["trained"] = sum(len(tokens.prompt_ids) + len(tokens.completion_ids) for tokens in sampled)
        made["positions"] = len(sampled) / (config.training.groups * config.training.rollouts)
        return step_samples(rows, parts, int(tokenizer.pad_token_id))

    async def after_update(update):
        clock.end("update")

    async def after_step(step, checkpoint):
        clock.end("publish")
        clock.step(**made)

    with tempfile.TemporaryDirectory() as folder:
        session = GrpoSession(
            config, load_base(config.model), tokenizer, checkpoints=Path(folder) / "run" / "checkpoints",
            play=play, after_update=after_update, after_step=after_step,
        )  # fmt: skip
        (Path(folder) / "run" / "checkpoints").mkdir(parents=True, exist_ok=True)
        executor, curator = Prompts.load(config.executor.prompts), Prompts.load(config.curator.prompts)
        agents = Agents(world, session.model, executor, curator, config)
        clock.start()
        await session.run(None)
    print(clock.report())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    keep_freed()
    asyncio.run(main(given.steps, given.set))
