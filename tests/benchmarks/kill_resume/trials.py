"""The trials: runs whose engine is killed several times at drawn points, and a run that nobody kills.

for trial in trials(folder, count=200, seed=1):
    trial.kills, trial.wrong                 # the phases of the kills; what the run differs in ("" for nothing)
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from engine.config import load_profile, to_toml
from engine.evaluation.verify import Means, open_means
from engine.runs.directory import Run
from tests.benchmarks.kill_resume.engines import Ended, Engines
from tests.benchmarks.kill_resume.equal import differences
from tests.benchmarks.kill_resume.traps import FILE_PHASES, PHASES, Trap

SETTINGS = (
    "training.steps=4", "training.groups=1", "training.rollouts=2", "training.tasks=2", "training.evaluate_every=2",
    "training.evaluate_groups=1", "training.keep_newest=1", "training.keep_every=3", "curator.max_tokens=64",
)  # fmt: skip
"""As little as a run can be in which each phase comes several times, and retention removes something after most steps."""
KILLS = 8
"""How often the engine of one run is killed, at most."""
LIKELY_SECONDS = 1.3
"""A time in a phase is drawn up to so many times as long as the phase took in the whole run."""


class Trial(msgspec.Struct, frozen=True):
    """One run: the phase in which each kill struck, and what was wrong with the run at its end; "" for nothing."""

    run: str
    kills: list[str]
    wrong: str


class Lengths:
    """How long each phase takes, by the run that nobody killed: its seconds and file operations."""

    def __init__(self, ended: Ended) -> None:
        self._seconds = {phase: [each.seconds for each in ended.phases if each.passed == phase] for phase in PHASES}
        self._operations = {
            phase: [each.operations for each in ended.phases if each.passed == phase] for phase in PHASES
        }

    def draw(self, draws: random.Random) -> Trap:
        """A point in some phase. The phases are drawn alike, so that the short ones are met as often as the long ones."""
        phase = draws.choice([phase for phase in PHASES if self._seconds[phase]])
        occurrence = draws.choice((1, 1, 2)) if phase != "loading" else 1
        most = max(self._operations[phase])
        if phase in FILE_PHASES and most and draws.random() < 0.7:
            return Trap(phase, occurrence, operation=draws.randint(1, most))
        longest = max(self._seconds[phase])
        return Trap(phase, occurrence, seconds=draws.uniform(0.0, LIKELY_SECONDS * longest))


def config_text(settings: Sequence[str]) -> str:
    """The configuration of every run."""
    return to_toml(load_profile("pocket", [*SETTINGS, *settings]))


def trials(folder: Path, count: int, seed: int, settings: Sequence[str] = ()) -> Iterator[Trial]:
    """Kill engines `count` times in all, and compare each run at its end. Raises `RuntimeError` where the run that nobody
    kills fails."""
    draws = random.Random(seed)
    text = config_text(settings)
    with Engines() as engines:
        whole = folder / "whole"
        lengths = Lengths(_finish(engines, whole, text))
        with Run.open(whole) as run:
            means = open_means(run.config)
        struck, number = 0, 0
        while struck < count:
            number += 1
            path = folder / f"run-{number:03}"
            trial = _trial(engines, path, text, lengths, draws, min(KILLS, count - struck), whole, means)
            struck += len(trial.kills)
            yield trial
            if not trial.wrong:
                shutil.rmtree(path)


def _finish(engines: Engines, path: Path, text: str) -> Ended:
    Run.create(path, kind="train", config_text=text).close()
    ended = engines.run(path, Trap())
    if ended.code:
        raise RuntimeError(f"the run that nobody killed ended with {ended.code}: see {path / 'logs' / 'engine.log'}")
    return ended


def _trial(
    engines: Engines,
    path: Path,
    text: str,
    lengths: Lengths,
    draws: random.Random,
    most: int,
    whole: Path,
    means: Means,
) -> Trial:
    """One run to its end, killed at most `most` times."""
    Run.create(path, kind="train", config_text=text).close()
    kills: list[str] = []
    ended = Ended(-9, "", [])
    while ended.code == -9 and len(kills) < most:
        ended = engines.run(path, lengths.draw(draws))
        if ended.code == -9:
            kills.append(ended.killed)
    if ended.code == -9:
        ended = engines.run(path, Trap())
    if ended.code:
        return Trial(str(path), kills, f"the engine ended with {ended.code}: see {path / 'logs' / 'engine.log'}")
    with Run.open(path) as run, Run.open(whole) as other:
        return Trial(str(path), kills, "; ".join(differences(run, other, means)))
