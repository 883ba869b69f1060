"""The plan of a run: memory by part, disk, tokens, and time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.agents.judges.registry import JUDGES
from engine.config import Config
from engine.core.parts import kind_of
from engine.core.paths import split_step
from engine.curation.registry import strategy_kind
from engine.jobs.base import JobKind
from engine.models.adapters import is_full, is_trained
from engine.runs.directory import CHECKPOINTS
from engine.runs.kept import newest_first
from engine.system.plan.figures import Machine, figures
from engine.system.plan.pace import CACHED, Engine, Role, Workload, rollout_seconds, update_seconds
from engine.system.plan.parts import Model, Part, disk_parts, memory_parts, total
from engine.system.plan.serving import Serving, servings
from engine.system.plan.shapes import UnknownShape, shape_of
from engine.system.published import Departure, departures

SEATS = 64
"""The most sequences that a server decodes at once (assumed; a larger batch gains little and needs more cache)."""
THINKING, SHORT = 340.0, 40.0
"""Tokens of an executor's answer with thinking, and without (measured with Qwen3-8B by others)."""
PROMPT, CURATOR_PROMPT, CURATOR_ANSWER = 1400.0, 3500.0, 620.0
"""Tokens of an executor's prompt, of a curator's, and of its answer (assumed)."""
OBSERVATION = 40.0
LAUNCH = 1.0e-3
"""Seconds in which the engine gives a GPU one layer's work of a pass, however small that is (measured: a decoding step of 36
layers takes 37 ms on an H100, of which its kernels work 14 ms)."""
PROMPTS_AT_ONCE = 1024
"""Tokens of prompts that the local backend reads in one pass."""
LOGGED = 6.0
"""Bytes in the log a token of text, with SQLite's indexes (measured with the pocket model)."""


class Pace(msgspec.Struct, frozen=True):
    """Time and tokens of one step (of a task in a run that does not train). Each is None where `unmeasured` says why.

    `decoded` and `prompted` are tokens of answers and prompts, `trained` those that the update reads; seconds are wall time.
    """

    decoded: float
    prompted: float
    trained: float
    calls: float
    rollout_seconds: float | None = None
    update_seconds: float | None = None
    step_seconds: float | None = None
    seats: int = 0
    source: str = ""
    unmeasured: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What a run of `steps` `unit`s needs. `used` is the peak of the parts of `memory` in the machine's pool (`pool` bytes),
    `fits` is None where a large part is not known. `host` is the peak beside a GPU with a memory of its own, None where
    there is none. `certain` is what `used` contains that is not assumed. `assumptions` and `warnings` are sentences."""

    profile: str
    job: str
    unit: str
    steps: int
    positions: int
    machine: Machine
    memory: list[Part]
    used: float
    certain: float
    host: float | None
    pool: float
    fits: bool | None
    disk: list[Part]
    disk_used: float
    pace: Pace
    departures: list[Departure]
    assumptions: list[str]
    warnings: list[str]

    @property
    def inside(self) -> list[Part]:
        """The parts of `memory` that are in the machine's pool."""
        return [part for part in self.memory if part.device or self.machine.unified]

    @property
    def run_seconds(self) -> float | None:
        """Seconds of the whole run, held-out measurements left out."""
        return None if self.pace.step_seconds is None else self.pace.step_seconds * self.steps


def plan(config: Config, machine: Machine, job: JobKind) -> Plan:
    """The plan of a run of the kind `job` on `machine`."""
    trains = job.trains
    models = [_model(serving) for serving in servings(config, roles_of(config))]
    work = workload(config, trains=trains)
    copied = bool(job.adapter) and _has_all_weights(config.curate.adapter)
    parts = memory_parts(config, models, trains=trains, copied=copied, reserve=machine.reserve)
    inside = [part for part in parts if part.device or machine.unified]
    used = total(inside)
    gaps = [part.name for part in inside if part.bytes is None]
    pool = machine.memory
    fits = None if (gaps and used <= pool) or not pool else used <= pool
    steps = job.total(config)
    pace = _pace(config, machine, models, work, trains=trains)
    disk = disk_parts(config, models, steps=steps, unit=job.unit, log=_logged(config, work), trains=trains)
    return Plan(
        profile=config.profile,
        job=job.name,
        unit=job.unit,
        steps=steps,
        positions=work.positions,
        machine=machine,
        memory=parts,
        used=used,
        certain=total([part for part in inside if part.certain]),
        host=None if machine.unified else total([part for part in parts if not part.device]),
        pool=pool,
        fits=fits,
        disk=disk,
        disk_used=sum(part.bytes or 0.0 for part in disk),
        pace=pace,
        departures=departures(config) if trains else [],
        assumptions=_assumptions(config, work, models),
        warnings=_warnings(config, models, work, machine),
    )


def disk_needed(config: Config, steps: int, job: JobKind) -> dict[str, float | None]:
    """The most bytes that `steps` steps of a run take on the disk at once, by part: checkpoints, log, weights that are to be
    downloaded. None: not known."""
    models = [_model(serving) for serving in servings(config, roles_of(config))]
    logged = _logged(config, workload(config, trains=job.trains))
    parts = disk_parts(config, models, steps=steps, unit=job.unit, log=logged, trains=job.trains)
    return {part.name: part.bytes for part in parts}


def roles_of(config: Config) -> list[str]:
    """The roles that a run has a model for; the curator's comes first."""
    asks = JUDGES.load(kind_of(config.judge)).needs_model
    return ["curator", "executor", *(["judge"] if asks else [])]


def workload(config: Config, *, trains: bool) -> Workload:
    """One step of a train run, or one task of another run, by the configuration and the assumptions."""
    turns = float(getattr(config.environment, "max_turns", 0)) or 8.0
    low = min(8.0, turns)
    mean = (
        turns + (low + turns) / 2
    ) / 2  # half of the episodes take every turn, the others end anywhere from the 8th on
    deviation = max(0.3 * (turns - low) * 1.11, 0.0)
    answer = _answer(config)
    curator = min(CURATOR_ANSWER, config.curator.max_tokens / 2)
    training = config.training
    return Workload(
        groups=training.groups if trains else 1,
        rollouts=training.rollouts if trains else 1,
        tasks=training.tasks if trains else 1,
        turns=mean,
        turns_deviation=deviation,
        answer=answer,
        answer_deviation=answer / 2,
        executor_prompt=min(PROMPT, config.executor.max_prompt_tokens / 2),
        curator_prompt=min(CURATOR_PROMPT, config.curator.max_prompt_tokens / 2),
        curator_answer=curator,
        curator_deviation=curator / 2,
    )


def _answer(config: Config) -> float:
    """Tokens of an executor's answer."""
    if config.executor.decoding != "generate":
        return 8.0
    short = getattr(config.executor, "thinking", "template") == "off"
    return min(SHORT if short else THINKING, float(config.executor.max_tokens))


def _has_all_weights(source: str) -> bool:
    """Whether the checkpoint that `source` names (RUN, RUN@STEP or a folder) has all weights of its model, not an
    adapter."""
    if not source or is_trained(Path(source)):
        return bool(source) and is_full(Path(source))
    run, step = split_step(source)
    found = [folder for number, folder in newest_first(run / CHECKPOINTS) if step in (None, number)]
    return bool(found) and is_full(found[0])


def _model(serving: Serving) -> Model:
    if serving.place == "elsewhere":
        return Model(serving, None, f"model.kind={serving.kind} answers from elsewhere")
    try:
        return Model(serving, shape_of(serving.weights))
    except UnknownShape as error:
        return Model(serving, None, str(error))


def _pace(config: Config, machine: Machine, models: Sequence[Model], work: Workload, *, trains: bool) -> Pace:
    trained = work.trained if trains else 0.0
    bare = Pace(work.decoded, work.prompted, trained, work.executor_calls + work.positions)
    curator = models[0]
    serving = curator.serving
    in_process = serving.place == "process" and serving.device == "cpu"
    if in_process and (known := figures().paces.get(serving.weights)) is not None:
        seconds = work.positions * known.seconds
        return msgspec.structs.replace(bare, step_seconds=seconds, source=known.source)
    engine, why = engine_of(config, machine, models, work)
    if engine is None:
        return msgspec.structs.replace(bare, unmeasured=why)
    playing = rollout_seconds(work, engine)
    updating = update_seconds(work, engine) if trains else 0.0
    return msgspec.structs.replace(
        bare,
        rollout_seconds=playing,
        update_seconds=updating,
        step_seconds=playing + updating,
        seats=engine.seats,
        source=machine.source,
    )


def engine_of(config: Config, machine: Machine, models: Sequence[Model], work: Workload) -> tuple[Engine | None, str]:
    """What serves the run, or the reason why its speed is not known."""
    by_role = {role: model for model in models for role in model.serving.roles}
    for model in (by_role["executor"], by_role["curator"]):
        if model.serving.place == "elsewhere":
            return None, f"the speed of model.kind={model.serving.kind} is that of its server"
        if model.shape is None:
            return None, model.unmeasured
        if model.serving.device == "cpu":
            return None, f"how fast a CPU runs {model.serving.name} is not known here; a run logs each step's time"
    if machine.bandwidth is None or machine.flops is None:
        return None, machine.source
    executor, curator = _role(by_role["executor"]), _role(by_role["curator"])
    model = by_role["curator"]
    if (shape := model.shape) is None:
        return None, model.unmeasured
    in_process = model.serving.place == "process"
    checkpointing = config.training.gradient_checkpointing
    trained = machine.update * machine.flops / ((6 if checkpointing else 4) * shape.parameters)
    prompted = machine.prefill * machine.flops / (2 * shape.parameters)
    launch = LAUNCH * shape.layers
    launched = config.training.micro_batch_tokens / (launch * (4 if checkpointing else 3))
    return Engine(
        executor=executor,
        curator=curator,
        shared=by_role["executor"] is by_role["curator"] and not in_process,
        bandwidth=machine.bandwidth,
        prompt_rate=_both(prompted, PROMPTS_AT_ONCE / launch) if in_process else prompted,
        update_rate=_both(trained, launched),
        seats=min(SEATS, work.rows, *(_seats(model, work) for model in models if model.shape is not None)),
    ), ""


def _both(one: float, other: float) -> float:
    """The rate of what takes the time of both."""
    return 1 / (1 / one + 1 / other)


def _role(model: Model) -> Role:
    shape, serving = model.shape, model.serving
    if shape is None:
        return Role(0.0, 0.0)
    least = LAUNCH * shape.layers if serving.place == "process" else 0.0
    return Role(shape.moved_bytes(serving.number, serving.linear), shape.kv_bytes(serving.kv_number), least)


def _seats(model: Model, work: Workload) -> int:
    """How many sequences can run at once, by the cache of `model`: at each moment its roles have their share of them."""
    serving, shape = model.serving, model.shape
    if serving.place == "process":
        return serving.batch
    if serving.kv_cache is None or shape is None:
        return SEATS
    lengths = {
        "curator": work.curator_share * work.curator_context,
        "executor": work.executor_share * work.executor_context,
    }
    held = sum(lengths.get(role, 0.0) for role in serving.roles) * shape.kv_bytes(serving.kv_number)
    return max(1, int(serving.kv_cache / held)) if held else SEATS


def _logged(config: Config, work: Workload) -> float:
    """Bytes of a step in the log: its answers and observations, and the repository after each decision."""
    repository = 2_000.0 if config.curator.max_tokens > 1_000 else 100.0
    turns = work.executor_calls * (60 + work.answer + OBSERVATION)
    return LOGGED * (turns + work.positions * (work.curator_answer + repository + 200))


def _assumptions(config: Config, work: Workload, models: Sequence[Model]) -> list[str]:
    said = [
        f"an episode has {work.turns:g} turns with answers of about {work.answer:.0f} tokens, a decision of the curator "
        f"about {work.curator_answer:.0f}; {CACHED:.0%} of each prompt is in the prefix cache",
        "calls of the judge's model are not counted" if JUDGES.load(kind_of(config.judge)).needs_model else "",
        "held-out measurements are not counted" if config.training.evaluate_every else "",
        *dict.fromkeys(
            f"the shape of {model.serving.name} is from published figures: the model is not on this machine"
            for model in models
            if model.shape is not None and not model.shape.here
        ),
    ]
    if strategy_kind(config.strategy).samples_per_position > 1:
        said.append("the strategy draws more than one answer at a position; one is counted")
    return [sentence for sentence in said if sentence]


def _warnings(config: Config, models: Sequence[Model], work: Workload, machine: Machine) -> list[str]:
    found = []
    for model in models:
        seats = _seats(model, work)
        if model.serving.place == "server" and seats < min(SEATS, work.rows):
            found.append(
                f"the key-value cache of the {' and '.join(model.serving.roles)} holds {seats} sequences of mean length at "
                f"once, and {min(SEATS, work.rows)} could run: raise kv_cache_gib"
            )
        if model.serving.device != "cpu" and not machine.memory:
            found.append(f"model.device={model.serving.device}: {machine.source}")
    return found
