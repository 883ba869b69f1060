"""Questions to the models of a run as the run asks them: its prompts, its decoding, its number of calls at once.

    answers = await asked([lambda: play(task), …], seconds=120.0)         # `Answers`: results, reasons, wall time
    probes = Probes(context, groups, seconds=120.0)
    check = await probes.executor()                                       # one `Check` a role, and the pace of each

Each role is asked for one short thing: an executor for the first turn of a task, a curator for its decision after it, a
judge for its verdict on that. All waits end after `limits.probe_seconds`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from engine.agents import executor
from engine.agents.executor import Trajectory
from engine.agents.judges.base import JudgedDecision, Judgement, judged
from engine.agents.judges.registry import JUDGES
from engine.agents.judges.success import decided
from engine.core.errors import SkillosError
from engine.core.events import PositionId
from engine.core.json_answers import THOUGHT_BEGINS
from engine.core.outcomes import FAILED
from engine.core.parts import kind_of
from engine.core.records import Check
from engine.core.seeds import seed_of
from engine.core.text import counted, printable
from engine.curation.base import Curation
from engine.curation.calls import apply_calls
from engine.curation.retrieval import SkillRetriever
from engine.environments.base import Environment, Task, TaskSource
from engine.environments.registry import environment_kind
from engine.jobs.preflight.heard import Heard
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import Group
from engine.skills import Insert, SkillIndex, SkillRepo, SkillUsage

T = TypeVar("T")

IN_PROCESS, MOST_CALLS = 8, 64
"""So many calls at once at most: of a model in this process, which answers in batches, and of a server."""
FEWEST = 4
"""So many answers at least: one of them has an action, and one a tool call, if the model can do its work."""
QUOTED = 120
"""How many characters of an answer a message quotes."""
SKILL = """---
name: look-before-you-search
description: Use it when a task names an object whose place is not known.
---
Read the list of places first. Visit the likeliest place, and do not visit a place twice.
"""
"""What a judge is asked about where the curator wrote nothing."""


class Answers(msgspec.Struct, Generic[T], frozen=True):
    """What several calls at once gave. `late` is how many had no result when time was up; `why` are the reasons of the
    others without one; `seconds` is the wall time of all together."""

    results: list[T]
    why: list[str]
    late: int
    seconds: float


class Pace(msgspec.Struct, frozen=True):
    """`calls` at once took `seconds` and gave `tokens` of answers."""

    calls: int
    seconds: float
    tokens: int


async def asked(calls: Sequence[Callable[[], Coroutine[Any, Any, T]]], seconds: float) -> Answers[T]:
    """What `calls` give, all asked at once, as far as they answer within `seconds`. Errors but a `SkillosError` or an
    `OSError` are raised."""
    began = time.monotonic()
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        done, late = await asyncio.wait(tasks, timeout=seconds)
        took = time.monotonic() - began
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    results, why = [], []
    for task in tasks:
        if task not in done:
            continue
        error = task.exception()
        if error is None:
            results.append(task.result())
        elif isinstance(error, SkillosError | OSError):
            why.append(str(error))
        else:
            raise error
    return Answers(results, why, len(late), took)


class _OneTurn:
    """A task source whose episodes have one turn."""

    def __init__(self, source: TaskSource) -> None:
        self._source = source
        self.name = source.name
        self.warnings = source.warnings

    def start(self, task: Task) -> Environment:
        return self._source.start(task)

    def max_turns(self, task: Task) -> int:
        return 1

    def families(self, seed: int) -> Mapping[str, int]:
        return self._source.families(seed)

    def tasks(self, family: str, seed: int, count: int) -> list[Task]:
        return self._source.tasks(family, seed, count)

    def stream(self, seed: int, count: int) -> list[Task]:
        return self._source.stream(seed, count)


class Probes:
    """The probes of one run. `groups` are those of its first step, of which each task's play begins once a rollout; `calls`
    is how many calls the run makes at once. `paces` has the pace of each role that answered, `heard` what it said."""

    def __init__(self, context: RolloutContext, groups: Sequence[Group], *, calls: int, trains: bool, seconds: float):
        self._heard = {role: Heard() for role in ("executor", "curator", "judge")}
        models = context.models
        listening = msgspec.structs.replace(
            models,
            executor=self._heard["executor"].listen(models.executor),
            curator=self._heard["curator"].listen(models.curator),
            judge=None if models.judge is None else self._heard["judge"].listen(models.judge),
        )
        self._context = RolloutContext.open(context.config, _OneTurn(context.source), listening, context.holds)
        self._config = context.config
        self._trains = trains
        self._seconds = seconds
        self.calls = calls
        firsts = [(group, group.tasks[0]) for group in groups if group.tasks]
        self._firsts = (
            [firsts[number % len(firsts)] for number in range(max(FEWEST, min(calls, MOST_CALLS)))] if firsts else []
        )
        self._trajectory: Trajectory | None = None
        self._curations: list[Curation] = []
        self.paces: dict[str, Pace] = {}

    @property
    def longest(self) -> dict[str, int]:
        """The longest prompt of each role, in tokens."""
        return {role: heard.longest for role, heard in self._heard.items()}

    def _places(self, role: str) -> list[tuple[Group, Task]]:
        """A group and its first task for each call at once of a role."""
        return self._firsts[: getattr(self._config.model_of(role), "concurrency", IN_PROCESS)]

    async def executor(self) -> Check:
        """The first turn of tasks: whether each answer can be read as an action."""
        if not self._firsts:
            return Check("executor", "warn", "not measured: the first step has no task")
        context, settings = self._context, self._config.executor

        def playing(number: int, group: Group, task: Task) -> Callable[[], Coroutine[Any, Any, Trajectory]]:
            return lambda: executor.play(
                context.source,
                task,
                [],
                kind=environment_kind(self._config.environment),
                model=context.models.executor,
                prompts=context.executor_prompts,
                settings=settings,
                seed=seed_of("play", group.seed, number),
                holds=context.holds,
            )

        found = await asked(
            [playing(number, group, task) for number, (group, task) in enumerate(self._places("executor"))],
            self._seconds,
        )
        played = [trajectory for trajectory in found.results if trajectory.turns]
        why = [*found.why, *(trajectory.outcome.reason for trajectory in found.results if not trajectory.turns)]
        if not played:
            return self._silent("executor", why, found)
        self._trajectory = played[0]
        pace = self._pace("executor", found)
        turns = [trajectory.turns[0] for trajectory in played]
        read = [turn for turn in turns if turn.action]
        texts = [completion.text for completion in self._heard["executor"].completions]
        if not read:
            cut = self._cut("executor", settings.max_tokens)
            return Check(
                "executor",
                "fail",
                f"no action could be read in any of {counted(len(turns), 'answer')}, such as {_quoted(texts)}: {cut}use a "
                "model that follows executor.prompts, or executor.decoding=choice or loglikelihood",
                found.seconds,
            )
        parts = [f"{len(read)} of {len(turns)} answers have an action", *self._gaps(why, found)]
        legal = sum(not turn.invalid_action for turn in turns)
        doubts = [f"only {legal} of {len(turns)} actions are legal"] if legal < len(turns) / 2 else []
        doubts += self._gaps(why, found)
        doubts += self._thinking("executor", settings.thinking, settings.decoding == "generate")
        return _check("executor", [*parts, pace], doubts, found.seconds)

    async def curator(self) -> Check:
        """A decision after a first turn: whether there are calls, and whether one of each answer's would be applied."""
        trajectory = self._measured_trajectory()
        if trajectory is None:
            return Check("curator", "warn", "not measured: there is no task to decide on")
        context = self._context

        def deciding(number: int, group: Group) -> Callable[[], Coroutine[Any, Any, Curation]]:
            async def decide() -> Curation:
                repo = SkillRepo.empty()
                retriever = SkillRetriever(SkillIndex(), SkillUsage(), self._config.executor.reliability_weight)
                seed = seed_of("preflight", group.seed, number)
                strategy = context.open_strategy(
                    PositionId(1), retriever, vetoes=[], seed=seed, emit=lambda event: None
                )
                shown = await strategy.before(trajectory.task, repo)
                curation = await strategy.after(trajectory, shown, repo)
                return msgspec.structs.replace(curation, completions=[*shown.completions, *curation.completions])

            return decide

        found = await asked(
            [deciding(number, group) for number, (group, _) in enumerate(self._places("curator"))], self._seconds
        )
        if not found.results:
            return self._silent("curator", found.why, found)
        self._curations = found.results
        completions = [completion for curation in found.results for completion in curation.completions]
        if not completions:
            return Check("curator", "pass", "the strategy asks no model", found.seconds)
        pace = self._pace("curator", found)
        if self._trains and any(completion.tokens is None for completion in completions):
            return Check(
                "curator",
                "fail",
                "its answers have no token ids and log-probabilities, which a train run needs: use another model.kind, such "
                "as local or vllm",
                found.seconds,
            )
        calls = [call for curation in found.results for call in curation.calls]
        valid = sum(any(call.verdict == "valid" for call in curation.calls) for curation in found.results)
        parts = [
            f"{valid} of {len(found.results)} answers have a tool call that applies",
            *self._gaps(found.why, found),
        ]
        doubts = [
            *self._gaps(found.why, found),
            *self._thinking("curator", self._config.curator.thinking, generates=True),
        ]
        if not valid:
            texts = [completion.text for completion in completions]
            wrong = next((f"{call.operation}: {call.why}" for call in calls if call.why), "")
            what = f"the first call is {calls[0].verdict} ({printable(wrong, QUOTED)})" if calls else "none has a call"
            advice = "use a model that calls tools, other curator.prompts, or a server with a parser of tool calls"
            return Check(
                "curator",
                "fail" if calls_expected(self._context) and len(found.results) >= FEWEST else "warn",
                f"no tool call applies in any of {counted(len(found.results), 'answer')}, such as {_quoted(texts)}; {what}: "
                f"{self._cut('curator', self._config.curator.max_tokens)}{advice}",
                found.seconds,
            )
        return _check("curator", [*parts, pace], doubts, found.seconds)

    async def judge(self) -> Check:
        """Verdicts on what the curator wrote, or on a skill of ours: whether each can be read."""
        trajectory = self._measured_trajectory()
        if trajectory is None:
            return Check("judge", "warn", "not measured: there is no task to judge")
        written = [
            JudgedDecision(curation.edits, curation.completions[-1].text if curation.completions else "")
            for curation in self._curations
            if curation.edits
        ]
        _, edits = apply_calls([Insert("look-before-you-search", SKILL)], SkillRepo.empty())
        decisions = written or [JudgedDecision(edits, "")]
        count = len(self._places("judge")) if JUDGES.load(kind_of(self._config.judge)).needs_model else 1
        context = self._context

        def judging(decision: JudgedDecision) -> Callable[[], Coroutine[Any, Any, Judgement]]:
            return lambda: judged(context.judge, decision, trajectory, seconds=self._seconds, holds=context.holds)

        found = await asked([judging(decisions[number % len(decisions)]) for number in range(count)], self._seconds)
        scored = [judgement for judgement in found.results if judgement.score is not None]
        why = [*found.why, *(judgement.reason for judgement in found.results if judgement.score is None)]
        if not scored:
            return self._silent(
                "judge", why, found, "every decision would be unmeasured, and so no rollout has a reward"
            )
        if not self._heard["judge"].calls:
            return Check("judge", "pass", f"{kind_of(self._config.judge)} scores {scored[0].score:g}", found.seconds)
        parts = [f"{len(scored)} of {count} verdicts can be read", self._pace("judge", found)]
        return _check("judge", parts, self._gaps(why, found), found.seconds)

    async def success_judge(self) -> Check | None:
        """A verdict on a task, where a judge decides on success; None where the environment does."""
        trajectory, judge = self._measured_trajectory(), self._context.success_judge
        if judge is None:
            return None
        if trajectory is None:
            return Check("success-judge", "warn", "not measured: there is no task to judge")
        places = self._places("judge")
        found = await asked(
            [lambda: decided(judge, trajectory, holds=self._context.holds) for _ in places], self._seconds
        )
        read = [decision for decision in found.results if decision.outcome.measured]
        why = [*found.why, *(decision.outcome.reason for decision in found.results if not decision.outcome.measured)]
        if not read:
            return self._silent("success-judge", why, found, "no task would have an outcome")
        parts = [f"{len(read)} of {len(places)} verdicts can be read in {found.seconds:.1f} s"]
        return _check("success-judge", parts, self._gaps(why, found), found.seconds)

    def _measured_trajectory(self) -> Trajectory | None:
        """The first turn that was played, or a task without a turn, as a task that failed."""
        trajectory = self._trajectory
        if trajectory is None and self._firsts:
            trajectory = Trajectory(self._firsts[0][1], "", [], FAILED)
        if trajectory is None or trajectory.outcome.measured:
            return trajectory
        return msgspec.structs.replace(trajectory, outcome=FAILED, score=None)

    def _silent(self, role: str, why: Sequence[str], found: Answers[Any], so: str = "") -> Check:
        """The failing check of a role that gave no answer at all."""
        held = self._context.holds.reason.partition("; ")[0]
        reason = held or next(iter(why), "") or f"no answer within {self._seconds:g} s (limits.probe_seconds)"
        late = "; look at its server, or raise limits.probe_seconds where it is only slow" if found.late else ""
        return Check(role, "fail", f"{printable(reason, 400)}{': ' + so if so else ''}{late}", found.seconds)

    def _gaps(self, why: Sequence[str], found: Answers[Any]) -> list[str]:
        """What is to be said of the calls without an answer."""
        said = [f"{found.late} gave none within {self._seconds:g} s (limits.probe_seconds)"] if found.late else []
        return [*said, *([f"{len(why)} failed: {printable(why[0], 200)}"] if why else [])]

    def _pace(self, role: str, found: Answers[Any]) -> str:
        """Note the pace of a role; a phrase for the message."""
        heard, count = self._heard[role], len(self._places(role))
        self.paces[role] = Pace(max(1, heard.calls), found.seconds, heard.tokens)
        at_once = f"{count} at once" if count >= self.calls else f"{count} at once (the run: {self.calls})"
        speed = f", {heard.tokens / found.seconds:.0f} tokens/s" if heard.tokens else ""
        return f"{found.seconds:.1f} s for {at_once}{speed}"

    def _cut(self, role: str, most: int) -> str:
        """A phrase where answers were cut."""
        completions = self._heard[role].completions
        cut = sum(completion.finish == "length" for completion in completions)
        return f"{cut} of them were cut after {role}.max_tokens={most}; raise it; or " if cut else ""

    def _thinking(self, role: str, asked: str, generates: bool) -> list[str]:
        """What is to be said where a model does not think as it was asked to."""
        texts = [completion.text for completion in self._heard[role].completions]
        if not generates or not texts or asked == "template":
            return []
        thought = sum(THOUGHT_BEGINS in text and bool(_thought(text)) for text in texts)
        if asked == "on" and not thought:
            return [f"{role}.thinking=on, and no answer has a thought: the model's template may have no such setting"]
        if asked == "off" and thought:
            return [f"{role}.thinking=off, and {thought} of {len(texts)} answers have a thought"]
        return []


def calls_expected(context: RolloutContext) -> bool:
    """Whether the strategy's completions are a curator's calls: not where it only briefs."""
    return bool(context.strategy.replays)


def _thought(text: str) -> str:
    return text.partition(THOUGHT_BEGINS)[2].partition("</think>")[0].strip()


def _quoted(texts: Sequence[str]) -> str:
    return repr(printable(texts[0], QUOTED)) if texts else "none that was generated"


def _check(name: str, parts: Sequence[str], doubts: Sequence[str], seconds: float) -> Check:
    """A warning where there are doubts, else a pass."""
    said = dict.fromkeys([*parts, *doubts])
    return Check(name, "warn" if doubts else "pass", "; ".join(said), seconds)
