"""Whether a run could use a configuration at all: in milliseconds, without torch.

    config = absolute(load_profile("pocket", settings))
    check(config, "train")                    # raises ConfigError with one sentence

`engine.config` refuses what no run could use; this module refuses what a kind of run, or this machine, cannot use. Call
`check` before creating a run: the errors that it finds would otherwise end the run after minutes. Each part that the
configuration chooses, and the kind of run, checks what it knows of.
"""

from __future__ import annotations

from engine.agents.judges.registry import JUDGES, SUCCESS_JUDGES, JudgeKind, SuccessJudgeKind, asks_judge_model
from engine.agents.judges.settings import AskingSettings
from engine.agents.prompts.registry import CURATOR, EXECUTOR, chat_files, check_prompts
from engine.agents.settings import CuratorSettings
from engine.config import OPEN, Config, ConfigError
from engine.core.parts import kind_of
from engine.environments.registry import environment_kind
from engine.jobs.base import JobKind
from engine.jobs.registry import JOBS
from engine.models.registry import BACKENDS
from engine.models.settings import in_section
from engine.review.gates.registry import GATES
from engine.system.memory.guard import AGAIN
from engine.system.memory.pool import Pool, measure_pool
from engine.system.memory.sources import RealFiles
from engine.system.plan.fit import refusal


def check(config: Config, kind: str) -> None:
    """Raises `ConfigError` for what a run of `kind` would only find out later."""
    job = JOBS.load(kind)
    check_settings(config, job)
    _check_headroom(config, measure_pool(RealFiles()))
    for name, section in OPEN.items():
        settings = getattr(config, name)
        try:
            section.part(kind_of(settings)).check(settings)
        except ConfigError as error:
            if not section.like:
                raise
            named = in_section(str(error), name, settings)
            raise ConfigError(named if named != str(error) else f"in [{name}]: {error}") from error
    if why := refusal(config, job):
        raise ConfigError(why)


def check_settings(config: Config, job: JobKind) -> None:
    """Raises `ConfigError` for settings that do not go together in a run of the kind `job`, on any machine."""
    if job.trains:
        check_training_sampling(config.curator)
    job.check(config)
    _check_total(config, job)
    _check_prompts(config)
    _check_abilities(config, job)
    _check_room(config)
    for name in config.review.gates:
        gate = GATES.load(name)
        gate.check(config.settings_of(gate))


def absolute(config: Config) -> Config:
    """`config` with absolute paths: the engine works in another directory than the person who named them."""
    return config.absolute()


def check_training_sampling(curator: CuratorSettings) -> None:
    """Raises `ConfigError` for a curator that draws from another distribution than the one that the update trains."""
    why = "" if curator.temperature else "curator.temperature=0 always draws the same answer, so no rollout differs"
    if curator.top_p < 1:
        why = f"curator.top_p={curator.top_p:g} leaves out tokens that the update's probabilities include"
    if curator.top_k:
        why = f"curator.top_k={curator.top_k} leaves out tokens that the update's probabilities include"
    if curator.min_p:
        why = f"curator.min_p={curator.min_p:g} leaves out tokens that the update's probabilities include"
    if why:
        raise ConfigError(
            f"{why}: a train run needs curator.temperature over 0 (1.0 as published), curator.top_p=1, curator.top_k=0 and "
            "curator.min_p=0; a curate run may use other values"
        )


def _check_total(config: Config, job: JobKind) -> None:
    """A kind of run whose `total` fails: every status of its run would fail with it."""
    try:
        total = job.total(config)
    except Exception as error:
        raise ConfigError(f"the kind of run {job.name!r} cannot count its {job.unit}s: {error!r}") from error
    if not isinstance(total, int) or total < 0:
        raise ConfigError(f"the kind of run {job.name!r} counts {total!r} {job.unit}s, and a whole number is wanted")


def _check_prompts(config: Config) -> None:
    check_prompts("executor.prompts", config.executor.prompts or environment_kind(config.environment).prompts, EXECUTOR)
    check_prompts("curator.prompts", config.curator.prompts, CURATOR)
    judges: dict[str, JudgeKind | SuccessJudgeKind] = {
        "judge": JUDGES.load(kind_of(config.judge)),
        "success_judge": SUCCESS_JUDGES.load(kind_of(config.success_judge)),
    }
    for section, judge in judges.items():
        if judge.prompts:
            files = [name for role in judge.roles for name in chat_files(role)]
            check_prompts(f"{section}.kind={judge.name}", judge.prompts, files)


def _check_abilities(config: Config, job: JobKind) -> None:
    """A backend, or an environment, that cannot do what the run needs."""
    backend = BACKENDS.load(kind_of(config.model_of("curator")))
    if job.trains and not backend.trains:
        raise ConfigError(
            f"model.kind={backend.name} cannot be trained: a {job.name} run needs a backend that reports token ids and "
            "takes adapters, such as local; a run that trains nothing works with it"
        )
    if job.trains and config.training.method == "full" and not backend.trains_all:
        raise ConfigError(
            f"training.method=full cannot be used with model.kind={backend.name}: it takes adapters of a curator, and no "
            "other weights. Set training.method=lora, or use model.kind=local"
        )
    if job.trains:
        backend.check_training(config.model_of("curator"), config.training.lora_rank)
    _check_judges(config)
    _check_decoding(config)


def _check_judges(config: Config) -> None:
    """A judge without a model that answers for it, a model that no judge asks, or nobody who decides on success."""
    environment = environment_kind(config.environment)
    if not environment.judges_success and SUCCESS_JUDGES.load(kind_of(config.success_judge)).open is None:
        raise ConfigError(
            f"environment.kind={environment.name} does not tell whether a task was done, so no episode would be measured: "
            "set success_judge.kind=llm"
        )
    asking = asks_judge_model(config.judge, config.success_judge, judges_success=environment.judges_success)
    section, backend = config.model_section("judge"), BACKENDS.load(kind_of(config.model_of("judge")))
    if asking and not backend.judges:
        raise ConfigError(
            f"{asking[0]} needs a model that answers for it, and {section}.kind={backend.name} has none: use another judge, "
            "such as judge.kind=rubric, or another model, such as judge_model.kind=local"
        )
    if not asking and section != "model":
        raise ConfigError(
            f"judge_model.kind={backend.name} would never be asked, for judge.kind={kind_of(config.judge)} asks no model: "
            "set judge.kind=llm, or leave out judge_model"
        )


def _check_decoding(config: Config) -> None:
    """A decoding of the executor that its model or its environment cannot do."""
    decoding = config.executor.decoding
    environment = environment_kind(config.environment)
    if decoding == "generate":
        form = "".join(environment.answer_form)
        for stop in config.executor.stop:
            if stop in form:
                raise ConfigError(
                    f"executor.stop has {stop!r}, which is part of every answer in environment.kind={environment.name}: an "
                    "answer ends before it, so none could be read"
                )
        return
    backend, section = BACKENDS.load(kind_of(config.model_of("executor"))), config.model_section("executor")
    if not (backend.scores if decoding == "loglikelihood" else backend.chooses):
        needs = "scores given texts" if decoding == "loglikelihood" else "can be constrained to given texts"
        does = "does not" if decoding == "loglikelihood" else "cannot"
        raise ConfigError(
            f"executor.decoding={decoding} needs a model that {needs}, and {section}.kind={backend.name} {does}: use "
            f"executor.decoding=generate, or another {section}.kind such as local"
        )
    if not environment.lists_actions:
        raise ConfigError(
            f"executor.decoding={decoding} needs an environment that lists its actions, and "
            f"environment.kind={environment.name} takes any text: use executor.decoding=generate"
        )


def _check_room(config: Config) -> None:
    """A role whose answer alone fills its model's context cannot be asked anything."""
    answers = {"executor.max_tokens": ("executor", config.executor.max_tokens)}
    if config.executor.decoding != "generate":
        answers = {}
    if isinstance(config.judge, AskingSettings):
        answers["judge.max_tokens"] = ("judge", config.judge.max_tokens)
    if isinstance(decides := config.success_judge, AskingSettings):
        role = SUCCESS_JUDGES.load(kind_of(decides)).asks(decides)
        answers["success_judge.max_tokens"] = (role, decides.max_tokens)
    for setting, (role, answer) in answers.items():
        model = config.model_of(role)
        context = BACKENDS.load(kind_of(model)).context(model)
        if context is not None and answer >= context:
            section = config.model_section(role)
            if getattr(model, "context", 0):
                most, advice = f"{section}.context={context}", "raise the one or lower the other"
            else:
                most, advice = f"the {context} tokens that the model of {section} can read", f"lower {setting}"
            raise ConfigError(f"{setting}={answer} leaves no room for a prompt in {most}: {advice}")


def _check_headroom(config: Config, pool: Pool) -> None:
    """A headroom that this machine never has: the run would wait without end."""
    headroom = config.limits.headroom_gib
    if pool.total is not None and headroom * AGAIN * 2**30 >= pool.total:
        raise ConfigError(
            f"limits.headroom_gib={headroom:g} is too much for this machine: a run goes on when {headroom * AGAIN:g} GiB "
            f"are available, and there are {pool.total / 2**30:.1f} GiB in all ({pool.source})"
        )
