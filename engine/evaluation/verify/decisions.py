"""The curator's decisions: each completion is parsed and applied again to the repository before it, its tokens are counted
again, and it is judged again where the judge is rule-based. The kept answer of a judge's model is read again, and the
rubric's score beside it is computed again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.agents.curator import Quoted, curator_chat
from engine.agents.judges.registry import DEFAULT as RUBRIC
from engine.agents.judges.registry import JUDGES
from engine.agents.judges.rubric import rubric
from engine.agents.prompting import Prompts, SkillShown
from engine.config import Config
from engine.core.events import Call, CurationMade, EpisodeEnded, EpisodeStarted, PromptsUsed
from engine.core.parts import kind_of
from engine.core.registry import resolve
from engine.curation.calls import apply_calls, changed
from engine.curation.registry import strategy_kind
from engine.curation.retrieval import SkillRetriever
from engine.evaluation.verify.report import Value
from engine.evaluation.verify.scope import Fork, Played, Scope
from engine.evaluation.verify.tokens import Tokens
from engine.jobs.base import JobKind
from engine.models.registry import BACKENDS
from engine.rollouts.rewards import NO_DECISION
from engine.runs.text import place
from engine.skills import Edit, SkillIndex, SkillRepo, find, operation_of, parse_operations

NO_TOKENIZER = "the run's tokenizer cannot be loaded here"
BY_THE_SERVER = "the server makes the prompt, and counts it"
NOT_COUNTED = "the run had no tokenizer to count with"
NO_BEFORE = "the log does not hold the repository before it, as in older ones"
NO_EPISODE = "its episode is not in the log"
BY_HAND = "a curate run's repository may be edited by hand between tasks"
NOT_UTF8 = "a skill in it is not UTF-8, and the log holds its text alone"
OLD_PROMPT = "an older log does not say what its prompts left out"
NOT_REPLAYED = "this curation strategy cannot be replayed from the log"
NOT_JUDGED_AGAIN = "this judge is not rule-based"
READ_AGAIN = "a model judged; its kept answer was only read again"
NO_CHECK = "an older log does not have the rubric's score beside another judge's"
NOT_CANONICAL = "its text has another number of tokens than were drawn"


class Decisions:
    """Checks of the skills found and of the decisions."""

    def __init__(self, config: Config, job: JobKind, tokens: Tokens | None, kept: PromptsUsed | None = None) -> None:
        """`kept` are the prompts that the log has; without them, those of their name that are here."""
        self._config = config
        self._job = job
        self._tokens = tokens
        self._server = not BACKENDS.load(kind_of(config.model)).vocabulary
        self._replays = strategy_kind(config.strategy).replays
        judge = JUDGES.load(kind_of(config.judge))
        self._rule = resolve(judge.rule) if judge.rule else None
        self._reads = resolve(judge.reads) if judge.reads else None
        self._is_rubric = judge.name == RUBRIC
        self._prompts = Prompts.load(config.curator.prompts) if kept is None else _curators(kept, config)

    def started(self, event_id: int, started: EpisodeStarted, scope: Scope) -> None:
        """The skills that search found in the rollout's repository, and their scores."""
        if not self._job.forks or not self._replays:
            scope.checks.skip("searches", NOT_REPLAYED if self._job.forks else BY_HAND)
            return
        fork, settings = scope.fork(started.at), self._config.executor
        found = find(fork.index, fork.usage, started.prompt, settings.skills, settings.reliability_weight)
        logged: dict[str, Value] = {"skills found": ", ".join(skill.name for skill in started.skills)}
        again: dict[str, Value] = {"skills found": ", ".join(name for name, _ in found)}
        logged |= {f"score of {skill.name}": skill.score for skill in started.skills}
        again |= {f"score of {name}": score for name, score in found}
        scope.checks.compare(event_id, place(started.at), "searches", logged, again)

    def ended(self, ended: EpisodeEnded, scope: Scope) -> None:
        """Remember for later searches how the task went that skills were shown for."""
        names = scope.at(ended.at).found if ended.shown is None else ended.shown
        scope.fork(ended.at).usage.record(names, ended.outcome)

    def made(self, event_id: int, made: CurationMade, scope: Scope) -> None:
        """Every field of a decision."""
        self._count_repo(event_id, made, scope)
        self._count_completion(event_id, made, scope)
        played = scope.at(made.at)
        fork = self._before(made, scope)
        reason = NO_EPISODE if played.started is None or played.ended is None else "" if fork else NO_BEFORE
        reason = reason or ("" if self._replays else NOT_REPLAYED)
        if fork is None or reason:
            for kind in ("completions", "judge", "tokens"):
                scope.checks.skip(kind, reason)
        else:
            self._count_prompt(event_id, made, played, fork.repo, scope)
            self._apply(event_id, made, played, fork, scope)
        if self._job.forks and dict(scope.fork(made.at).repo.texts()) != made.repo:
            repo = SkillRepo.of(made.repo)  # go on from what the log has: one fault is one difference
            scope.forks[made.at.group, made.at.rollout] = Fork(repo, SkillIndex.of(repo), scope.fork(made.at).usage)

    def _before(self, made: CurationMade, scope: Scope) -> Fork | None:
        """The repository before a decision: that of the rollout, or of the run what the decision did not change, and the
        rest by the log."""
        if self._job.forks:
            return scope.fork(made.at)
        if made.before is None:
            return None
        texts = {name: text for name, text in made.repo.items() if name not in made.before}
        texts |= {name: text for name, text in made.before.items() if text is not None}
        return Fork(SkillRepo.of(texts))

    def _apply(self, event_id: int, made: CurationMade, played: Played, fork: Fork, scope: Scope) -> None:
        """The calls and their verdicts, the repository after them, and the judge's score."""
        where = place(made.at)
        if not self._job.forks and any("not UTF-8" in call.why for call in made.calls):
            scope.checks.skip("completions", NOT_UTF8)
            scope.checks.skip("judge", NOT_UTF8)
            return
        follow = SkillRetriever(fork.index, fork.usage, 0.0).follow if self._job.forks else None
        calls, edits = apply_calls(parse_operations(made.completion), fork.repo, follow)
        logged, again = {**_calls(made.calls), **_texts("after", made.repo)}, _calls(calls)
        again |= _texts("after", fork.repo.texts())
        if made.before is not None:
            logged, again = logged | _texts("before", made.before), again | _texts("before", changed(edits))
        scope.checks.compare(event_id, where, "completions", logged, again)
        self._judge(event_id, made, played, edits, scope)

    def _judge(self, event_id: int, made: CurationMade, played: Played, edits: Sequence[Edit], scope: Scope) -> None:
        """The judge's score, where it follows from the log, and the rubric's beside it."""
        assert played.started is not None
        operations, trajectory = [operation_of(edit) for edit in edits], played.trajectory(played.started)
        logged: dict[str, Value] = {"judge": made.judge, "reason": made.judge_reason}
        again: dict[str, Value] = {"judge": None, "reason": NO_DECISION}
        kept = made.judge_text or made.judge is not None
        recomputed = not played.asked or self._rule is not None or bool(self._reads and kept and not made.judge_text)
        if played.asked and self._rule is not None:
            again = {"judge": self._rule(operations, trajectory), "reason": ""}
        elif played.asked and self._reads is not None and kept:
            logged, again = (
                {"judge": made.judge},
                {"judge": self._reads(self._config.judge, operations, made.judge_text).score},
            )
        elif played.asked:
            logged = again = {}
        if not recomputed:
            scope.checks.skip("judge", READ_AGAIN if made.judge_text else NOT_JUDGED_AGAIN)
        if made.version is None and made.judge_check is None and made.judge is not None and not self._is_rubric:
            scope.checks.skip("judge", NO_CHECK)
        else:
            check = None if made.judge is None or self._is_rubric else rubric(operations, trajectory)
            logged, again = {**logged, "judge's check": made.judge_check}, {**again, "judge's check": check}
        scope.checks.compare(event_id, place(made.at), "judge", logged, again, counts=int(recomputed))

    def _count_repo(self, event_id: int, made: CurationMade, scope: Scope) -> None:
        if self._tokens is None or made.repo_tokens is None:
            scope.checks.skip("tokens", NO_TOKENIZER if self._tokens is None else NOT_COUNTED)
            return
        tokens = sum(self._tokens.count(text) for text in made.repo.values())
        logged, again = {"tokens of the repository": made.repo_tokens}, {"tokens of the repository": tokens}
        scope.checks.compare(event_id, place(made.at), "tokens", logged, again)

    def _count_completion(self, event_id: int, made: CurationMade, scope: Scope) -> None:
        """The completion's tokens: those of its text and the one that ends it, where its text is what was drawn; a
        completion that was cut off has as many as it may have. Where there is none, it has no tokens."""
        logged: dict[str, Value] = {"tokens of the completion": made.completion_tokens}
        if not made.prompt_tokens:
            again: dict[str, Value] = {"tokens of the completion": 0}
        elif made.finish == "length" and (not self._replays or self._server):
            scope.checks.skip("tokens", BY_THE_SERVER if self._server else NOT_REPLAYED)
            return
        elif made.finish == "length":
            again = {"tokens of the completion": self._config.curator.max_tokens}
        elif self._tokens is None:
            scope.checks.skip("tokens", NO_TOKENIZER)
            return
        else:
            tokens = self._tokens.count(made.completion) + 1
            again = {"tokens of the completion": tokens}
            if made.canonical is not None and made.canonical != (tokens == made.completion_tokens):
                logged["canonical"], again["canonical"] = made.canonical, not made.canonical
            elif tokens != made.completion_tokens:
                scope.checks.skip("tokens", NOT_CANONICAL)
                return
        scope.checks.compare(event_id, place(made.at), "tokens", logged, again)

    def _count_prompt(self, event_id: int, made: CurationMade, played: Played, repo: SkillRepo, scope: Scope) -> None:
        """The curator's prompt, rendered again, and which skills were in it."""
        assert played.started is not None
        if not made.prompt_tokens:
            return
        shown = played.found if made.shown is None else made.shown
        vetoes = scope.vetoes or []
        if made.shown is not None:
            first = played.found[: len(shown)]
            most = min(made.dropped_vetoes, len(vetoes))
            logged: dict[str, Value] = {"skills shown": ", ".join(shown), "vetoes left out": made.dropped_vetoes}
            again: dict[str, Value] = {"skills shown": ", ".join(first), "vetoes left out": most}
            scope.checks.compare(event_id, place(made.at), "completions", logged, again, counts=0)
        known = [name for name in shown if name in repo]
        if self._tokens is None or len(known) < len(shown):
            reason = (
                NO_TOKENIZER if self._tokens is None else "a skill in the prompt is not in the repository before it"
            )
            scope.checks.skip("tokens", reason)
            return
        trajectory = played.trajectory(played.started)
        skills = [SkillShown(name, repo[name].description, repo[name].body.strip()) for name in known]
        quoted = Quoted(
            trajectory.turns[made.dropped_turns :], skills, vetoes[: max(0, len(vetoes) - made.dropped_vetoes)]
        )
        tokens = self._tokens.chat(curator_chat(trajectory, quoted, self._prompts))
        if tokens is None:
            scope.checks.skip("tokens", BY_THE_SERVER)
            return
        if made.shown is None and tokens != made.prompt_tokens:
            scope.checks.skip("tokens", OLD_PROMPT)
            return
        logged_tokens, again_tokens = {"tokens of the prompt": made.prompt_tokens}, {"tokens of the prompt": tokens}
        scope.checks.compare(event_id, place(made.at), "tokens", logged_tokens, again_tokens)


def _curators(kept: PromptsUsed, config: Config) -> Prompts:
    """The curator's prompts as the log has them. Raises `ConfigError`."""
    files = {name.replace("/", ".", 1): text for name, text in kept.prompts.items() if name.startswith("curator/")}
    return Prompts.of(files, f"{config.curator.prompts} of the log")


def _calls(calls: Sequence[Call]) -> dict[str, Value]:
    """Calls as names and values to compare."""
    return {f"call {number}": msgspec.json.encode(call).decode() for number, call in enumerate(calls, start=1)}


def _texts(when: str, texts: dict[str, str | None] | dict[str, str]) -> dict[str, Value]:
    """Skill texts as names and values to compare."""
    return {f"skill {name} {when}": "(no such skill)" if text is None else text for name, text in texts.items()}
