"""A toy strategy: it shows the executor a briefing, and trains the completion that wrote it."""

from engine.core.fields import Positive
from engine.core.seeds import seed_of
from engine.curation.base import Curation, Shown
from engine.curation.calls import apply_calls
from engine.curation.registry import StrategyKind
from engine.curation.settings import StrategySettings
from engine.models.base import Message, Sampling
from engine.skills import parse_operations

BRIEF = "Write a briefing for:"
REFLECT = "Write a skill after:"


class BriefingSettings(StrategySettings, frozen=True, tag="briefing"):
    """One call writes a briefing before the task, another edits the repository after it."""

    words: Positive = 40
    """The length of a briefing."""


class Briefing:
    """A strategy with two trainable completions at a position."""

    def __init__(self, context):
        self._context = context

    async def before(self, task, repo):
        words = self._context.settings.words
        made = await self._ask(f"{BRIEF} {task.prompt} ({words} words)", "brief")
        return Shown(briefing=made.text, completions=[made])

    async def after(self, trajectory, shown, repo):
        made = await self._ask(f"{REFLECT} {trajectory.task.prompt}", "reflect")
        calls, edits = apply_calls(parse_operations(made.text), repo)
        return Curation(calls, edits, [made])

    async def _ask(self, text, what):
        sampling = Sampling(max_tokens=40, seed=seed_of(what, self._context.seed))
        return await self._context.models.curator.complete([Message("user", text)], sampling)


KIND = StrategyKind(name="briefing", settings=BriefingSettings, open=Briefing, samples_per_position=2)
