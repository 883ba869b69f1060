"""What a person should know beside the diff of an edit: similar skills, whom it reaches, earlier vetoes, decisive turns.

    similar(repo, edit)                    # [("shut-places", 0.83)]: the skills that are most like it
    retrieval(run, edit, k=5)              # recent tasks that would get this skill, or no more, and at which rank
    vetoes_on(run, edit)                   # vetoed edits of the same skill, or of a similar text, the newest first
    recent(run), pinned(run, edit)         # the tasks that `retrieval` compares; the names that no policy decides on
    decisive(turns, edit)                  # [3, 7, 11]: indices of the turns to look at
    said(completion)                       # what the curator wrote beside its calls
    results(edit, settings)                # what the decision will do: repository, prompt, reward, start

All but `decisive`, `said` and `results` read files or the database and block. The index, whose library takes long to
import, is loaded where there is something to search.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from engine.core.edit import Edit
from engine.core.events import EpisodeStarted, PositionId, TurnTaken
from engine.review.checking import open_repo
from engine.review.effects import results as results
from engine.review.queue import vetoed
from engine.runs.directory import Run
from engine.skills.audit.duplicates import jaccard, shingles
from engine.skills.format.skill import Skill
from engine.skills.repo.pins import pins
from engine.skills.repo.repository import SkillRepo

if TYPE_CHECKING:
    from engine.skills.search.index import SkillIndex

RECENT = 40
"""How many of the newest different tasks `retrieval` compares."""
READ = 400
"""How many of the newest episodes those are looked for in: the rollouts of a group play the same tasks."""
COMPARED = 200
"""How many of the newest vetoed edits are compared with an edit."""
SIMILAR = 0.5
"""The Jaccard similarity of word triples from which the text of a vetoed edit counts as similar."""
MAX_TURNS = 6
"""How many turns are decisive, at most."""
_CALL_FRAME = r"</?tool_call>|```\w*\s*```"
"""The marks around a call, which stay when the call is taken out."""
SHARED_WORDS = 2
"""How many words of the skill's advice a turn must have in its thought and action to have used it."""


class Retrieved(msgspec.Struct, frozen=True):
    """A recent task whose retrieved skills an edit changes.

    `before` and `after` are the rank of the edit's skill without and with the edit, from 1; None where it is not among the
    best k. `replaced` are the skills that the task would no longer get. `at` is where the run last began the task.
    """

    at: PositionId
    task: str
    prompt: str
    before: int | None
    after: int | None
    replaced: tuple[str, ...] = ()


def similar(run_repo: SkillRepo, edit: Edit, k: int = 5) -> list[tuple[str, float]]:
    """The `k` skills of a repository that BM25 finds by the edit's text, best first, without the edit's own skill.

    A score is divided by the score that the text has for itself, so 1.0 is as like as the text is to itself.
    """
    name, text = edit.name, edit.after if edit.after is not None else edit.before
    own = {edit.skill, name}
    if text is None or k <= 0 or not set(run_repo) - own:
        return []
    from engine.skills.search.index import SkillIndex

    skill = Skill.parse(text, name=name)
    index = SkillIndex.open(run_repo)
    for known in own & set(run_repo):
        index.delete(known)
    index.insert(name, skill)
    query = f"{skill.name or name} {skill.description} {skill.body}"
    scores = dict(index.search(query, k + 1))
    itself = scores.pop(name, None)
    whole = itself if itself is not None else max(scores.values(), default=1.0)
    return [(found, min(1.0, score / whole)) for found, score in scores.items()][:k]


def retrieval(run: Run, edit: Edit, k: int) -> list[Retrieved]:
    """The recent tasks of the run whose best `k` skills change when the edit is approved, the newest task first.

    Both searches are BM25 over the run's repository as it is now, without what `executor.reliability_weight` adds.
    """
    repo, tasks = open_repo(run), recent(run)
    if not tasks:
        return []
    from engine.skills.search.index import SkillIndex

    index = SkillIndex.open(repo)
    without = [_names(index, prompt, k) for _, _, prompt in tasks]
    for known in {edit.skill, edit.name} & set(repo):
        index.delete(known)
    if edit.after is not None:
        index.insert(edit.name, Skill.parse(edit.after, name=edit.name))
    found = []
    for (at, task, prompt), old in zip(tasks, without, strict=True):
        new = _names(index, prompt, k)
        if old == new:
            continue
        before, after = _rank(old, edit.skill), _rank(new, edit.name)
        replaced = tuple(name for name in old if name not in new and name != edit.skill)
        found.append(Retrieved(at, task, prompt, before, after, replaced))
    return found


def vetoes_on(run: Run, edit: Edit) -> list[Edit]:
    """The vetoed edits of the same skill, or of a text that is like the edit's, the newest first; not the edit itself."""
    names = {edit.skill, edit.name}
    own = shingles(Skill.parse(edit.after)) if edit.after is not None else None
    return [
        veto
        for veto in vetoed(run, COMPARED)
        if veto.id != edit.id and (names & {veto.skill, veto.name} or _alike(own, veto.after))
    ]


def pinned(run: Run, edit: Edit) -> list[str]:
    """Which names of the edit are pinned, so that no policy decides on it. Raises `PinsError`."""
    return sorted({edit.skill, edit.name} & pins(run.repo_path).keys())


def decisive(turns: Sequence[TurnTaken], edit: Edit) -> list[int]:
    """The indices of the turns that show most of why an edit was made, in their order, at most `MAX_TURNS`.

    These are the last turn, which ended the episode; then the turns whose thought and action share at least `SHARED_WORDS`
    words with what the edit writes or removes, those of most words first; then the turns whose action was invalid.
    """
    if not turns:
        return []
    from engine.skills.search.words import count_words

    advice = _advice(edit)
    shared = [len(advice & count_words(f"{turn.thought}\n{turn.action}").keys()) for turn in turns]
    used = sorted((i for i in range(len(turns)) if shared[i] >= SHARED_WORDS), key=lambda i: (-shared[i], i))
    invalid = [i for i, turn in enumerate(turns) if turn.invalid_action]
    chosen = list(dict.fromkeys((len(turns) - 1, *used, *invalid)))
    return sorted(chosen[:MAX_TURNS])


def said(completion: str) -> str:
    """What a curator wrote beside its calls, thoughts included; "" where it wrote nothing else."""
    from engine.skills.operations.tool_calls import read_calls

    left = completion
    for call in read_calls(completion):
        left = left.replace(call.text, "\n", 1)
    rows = re.sub(_CALL_FRAME, "\n", left).split("\n")
    return "\n".join(row for row in rows if row.strip())


def recent(run: Run) -> list[tuple[PositionId, str, str]]:
    """The newest different tasks that the run played, `RECENT` at most: where it began each last, its name, its prompt."""
    tasks: dict[str, tuple[PositionId, str, str]] = {}
    for stored in reversed(run.tail(READ, ["episode_started"])):
        event = stored.event
        if isinstance(event, EpisodeStarted) and not event.at.held_out:
            tasks.setdefault(event.prompt, (event.at, event.task, event.prompt))
    return list(tasks.values())[:RECENT]


def _names(index: SkillIndex, query: str, k: int) -> list[str]:
    return [name for name, _ in index.search(query, k)]


def _rank(names: list[str], name: str) -> int | None:
    return names.index(name) + 1 if name in names else None


def _alike(own: set[int] | None, text: str | None) -> bool:
    return own is not None and text is not None and jaccard(own, shingles(Skill.parse(text))) >= SIMILAR


def _advice(edit: Edit) -> set[str]:
    """The words that the edit writes and that were not there before; those that it removes where it writes none."""
    from engine.skills.search.words import count_words

    before, after = set(count_words(edit.before or "")), set(count_words(edit.after or ""))
    return after - before or before - after
