"""What the pocket model can do: the executor by skills shown, the curator before and after GRPO.

    python -m tests.benchmarks.pocket [--steps 40] [--seeds 1 2] [--groups 96] [--json FILE] [--set key=value …]

Everything is played on held-out houses, the same for every row. The two training runs follow one another in this process,
on one core each, so seconds per step are those of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch

from engine.config import Config, load_profile
from engine.environments.household.source import HouseholdTasks
from engine.evaluation.held_out import HeldOut, evaluate
from engine.models.base import Opening
from engine.models.local.opening import open_models
from engine.models.local.settings import LocalModelSettings
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import open_grouping
from engine.rollouts.rollout import collect
from engine.rollouts.summary import score_rollouts, summary
from engine.system.memory import keep_freed
from engine.training.samples import TrainingSample, step_samples
from engine.training.trainer import GrpoSession, Update
from tests.benchmarks.arms import play_arms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--groups", type=int, default=96)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    keep_freed()
    result = asyncio.run(measure(arguments))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """The whole table, printed as it comes."""
    config = load_profile("pocket", arguments.settings)
    torch.set_num_threads(local(config).threads)
    context = RolloutContext.open(
        config, HouseholdTasks(), (await open_models(local(config), Opening(report=print))).models
    )
    arms = await play_arms(context, arguments.groups)
    print(f"{'executor':<28}{'success':>10}{'± s.e.':>8}{'tasks':>7}{'invalid':>9}{'episodes/s':>12}")
    for name, arm in arms.items():
        numbers = f"{arm.success:>10.3f}{arm.standard_error:>8.3f}{arm.tasks:>7}{arm.invalid_action_rate:>9.3f}"
        print(f"{'skills: ' + name:<28}{numbers}{arm.episodes_per_second:>12.1f}", flush=True)
    print(f"\n{'curator':<28}{'r_task':>10}{'± s.e.':>8}{'r_fc':>7}{'r_cnt':>9}{'s/step':>12}{'minutes':>9}")
    before = await evaluate(context, arguments.groups)
    _row("untrained", before)
    runs = []
    for seed in arguments.seeds:
        settings = [*arguments.settings, f"training.seed={seed}", f"training.steps={arguments.steps}"]
        after, seconds = await train(load_profile("pocket", settings), arguments.groups)
        _row(f"{arguments.steps} steps, seed {seed}", after, seconds)
        runs.append({"seed": seed, "seconds": seconds, "after": msgspec.to_builtins(after)})
    return {"arms": msgspec.to_builtins(arms), "before": msgspec.to_builtins(before), "runs": runs}


def local(config: Config) -> LocalModelSettings:
    """The settings of the model, which this profile has in the process."""
    assert isinstance(config.model, LocalModelSettings)
    return config.model


async def train(config: Config, groups: int) -> tuple[HeldOut, list[float]]:
    """Train in a throw-away folder; the held-out result of the last step, and each step's seconds."""
    world, seconds, began = HouseholdTasks(), [], [0.0]
    opened = await open_models(local(config), Opening())
    base, sink = opened.for_training()
    context = RolloutContext.open(config, world, opened.models)

    async def play(step: int) -> list[TrainingSample]:
        began[0] = time.monotonic()
        drawn = open_grouping(config.grouping).groups(world, config.training, step)
        rollouts = await collect(drawn, step=step, context=context, vetoes=[], emit=lambda event: None)
        parts = score_rollouts(rollouts, config.rewards, lambda event: None)
        told = summary(step, rollouts, parts, rollout_seconds=time.monotonic() - began[0], seconds=0)
        print(f"  step {step:>3}  r_task {told.rewards.r_task:.3f}  r_fc {told.rewards.r_fc:.3f}", end="", flush=True)
        return step_samples(rollouts, parts, int(base.vocabulary.pad_token_id))

    async def after_update(update: Update) -> None:
        seconds.append(time.monotonic() - began[0])
        print(f"  entropy {update.entropy:.3f}  {seconds[-1]:.1f} s", flush=True)

    async def after_step(step: int, checkpoint: Path) -> None:
        pass

    with tempfile.TemporaryDirectory() as folder:
        session = GrpoSession(
            config,
            base,
            sink,
            checkpoints=Path(folder),
            play=play,
            after_update=after_update,
            after_step=after_step,
        )
        await session.run(None)
        return await evaluate(context, groups), seconds


def _row(name: str, result: HeldOut, seconds: Sequence[float] = ()) -> None:
    parts = result.rewards
    row = f"{name:<28}{parts.r_task:>10.3f}{result.standard_error:>8.3f}{parts.r_fc:>7.3f}{parts.r_cnt:>9.3f}"
    if seconds:
        row += f"{sum(seconds) / len(seconds):>12.1f}{sum(seconds) / 60:>9.1f}"
    print(row, flush=True)


if __name__ == "__main__":
    main()
