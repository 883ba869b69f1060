"""The transcript of one rollout: for each episode the task, the executor's turns, the outcome and the curator's calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from engine.core.outcomes import Outcome
from engine.core.position import PositionId
from engine.core.text import counted
from skillos_tui.model.episodes import Episode
from skillos_tui.model.target import Target, place_of
from skillos_tui.model.view import RunView
from skillos_tui.render.text import Line, Spans, clip, line, text_lines, wrap
from skillos_tui.render.verdict import verdict_of
from skillos_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from engine.core.events import CompletionMade, CurationMade, CurationSkipped, EpisodeEnded, TurnTaken

VERDICTS = {"valid": "good:✓", "malformed": "bad:✗", "refused": "bad:✗"}
LEGEND = (
    ("position", "one task of a rollout; the later ones are played with what the curator wrote before"),
    ("skills a-name 1.44", "the skills that the executor was shown, with the scores of the search for the task"),
    ("✓ ✗ ?", "succeeded, failed, not measured; of a call of the curator: valid, or not, with the reason"),
    ("(invalid)", "an action that was not admissible"),
    ("judge 0.62, rubric 0.50", "the judge's score of what the curator wrote, and that of the rule-based rubric"),
)
NOTE = ("position: a task", "skills: those shown, and their scores", "✓ ✗ ? succeeded, failed, n/m")
MAX_BRIEFING = 400
"""Characters of a briefing that are shown."""
MAX_COMPLETION = 200
"""Characters of a completion that are shown."""
MAX_SENTENCE = 400
"""Characters of a sentence of a judge that are shown."""


class TranscriptPane(Pane):
    """The newest episodes of the rollout that is followed; stays at the end while the end is in view."""

    follow = True

    def __init__(self, title: str, *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(title, id=id, classes=classes)
        self.episodes: list[Episode] = []
        self.view = RunView()
        self.waiting = "Waiting for the first episode …"
        self._starts: list[tuple[int, PositionId]] = []
        """The first row of each episode."""

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "Transcript", LEGEND

    def meanings(self) -> Sequence[str]:
        return NOTE

    def show(self, episodes: list[Episode], view: RunView) -> None:
        """Show these episodes of the run."""
        self.episodes, self.view = episodes, view
        self.renew()

    def build(self, width: int, height: int) -> Sequence[Line]:
        if not self.episodes:
            return [line(f"muted:{self.waiting}")]
        return [item for episode in self.episodes for item in self._lines(episode, width)]

    def _lines(self, episode: Episode, width: int) -> list[Line]:
        """The lines of one episode, after an empty one unless it is the first."""
        lines = episode_lines(episode, self.view, width)
        return lines if episode is self.episodes[0] else [line(), *lines]

    def make_rows(self, width: int, height: int) -> Sequence[Spans]:
        self._starts = []
        if not self.episodes:
            return super().make_rows(width, height)
        rows: list[Spans] = []
        for episode in self.episodes:
            self._starts.append((len(rows), episode.started.at))
            rows += [row for item in self._lines(episode, width) for row in wrap(item, width, words=self.words)]
        return rows

    def target(self) -> Target | None:
        """The record of the episode in the first row, or in the last one where the pane is at its end."""
        row = len(self.rows) if self.at_end else self.top
        begun = [at for start, at in self._starts if start <= row]
        return Target("rollouts", place_of(begun[-1])) if begun else None


def episode_lines(episode: Episode, view: RunView, width: int) -> list[Line]:
    """The lines of one episode."""
    lines = _opening(episode, view, width)
    for _, turn in sorted(episode.turns.items()):
        lines += _turn(turn)
    if episode.ended is not None:
        lines += _ending(episode.ended)
    lines += _completions(episode, "after")
    lines += _curator(episode.curation) if episode.curation is not None else []
    return lines


def _curator(done: CurationMade | CurationSkipped) -> list[Line]:
    """What the curator did, or why it was not asked."""
    from engine.core.events import CurationMade  # events are loaded when there are some

    if isinstance(done, CurationMade):
        return _curation(done) + _judgement(done)
    return text_lines(done.reason, "warn", prefix="  curator not asked: ")


def _opening(episode: Episode, view: RunView, width: int) -> list[Line]:
    started, at = episode.started, episode.started.at
    name = f"position {at.position}" if view.forks or at.held_out else f"{view.unit} {at.step}"
    title = f"── {name} · "
    family = line(f"accent:{title}", f"accent:{started.family}", "accent: ").spans
    used = sum(cell_len(text) for text, _ in family)
    lines = [Line((*family, ("─" * max(0, width - used), "axis")), 3)]
    lines += text_lines(started.prompt, "strong", prefix="  ")
    skills = "  ".join(f"{skill.name} {skill.score:.2f}" for skill in started.skills)
    lines.append(line("muted:  skills  ", f"accent:{skills}" if skills else "muted:none found", indent=10))
    if started.briefing:
        lines += _briefing(started.briefing)
    lines += _completions(episode, "before")
    return lines + text_lines(started.observation, "muted", prefix="  ")


def _briefing(text: str) -> list[Line]:
    """What the curation strategy wrote for the executor, its beginning."""
    head = "  briefing  "
    written = "\n".join(row for row in text.splitlines() if row.strip())
    first, *more = text_lines(written, "accent", prefix=" " * len(head), limit=MAX_BRIEFING)
    return [Line(((head, "muted"), (first.spans[0][0][len(head) :], "accent")), len(head)), *more]


def _completions(episode: Episode, phase: str) -> list[Line]:
    """What the curation strategy asked for beside its decision, each in short."""
    return [_completion(made) for made in episode.completions if made.phase == phase]


def _completion(made: CompletionMade) -> Line:
    text = clip(" ".join(made.text.split()), MAX_COMPLETION)
    cut = ", cut" if made.finish == "length" else ""
    tokens = f"muted:  ({counted(made.completion_tokens, 'token')}{cut})"
    return line("muted:  strategy  ", f"thought:{text}", tokens, indent=12)


def _turn(turn: TurnTaken) -> list[Line]:
    lines = text_lines(turn.thought, "thought", prefix="     ") if turn.thought.strip() else []
    mark = "warn:  (invalid)" if turn.invalid_action else ""
    lines.append(line(f"muted:{turn.turn:>3}  ", f"action:{clip(turn.action, 500)}", mark, indent=5))
    return lines + text_lines(turn.observation, "muted", prefix="     ")


def _ending(ended: EpisodeEnded) -> list[Line]:
    invalid = f", {ended.invalid_actions} invalid" if ended.invalid_actions else ""
    turns = f"{counted(ended.turns, 'turn')}{invalid}"
    lines = [line(":  ", outcome_span(ended.outcome), f"muted: in {turns}", indent=4)]
    return lines + (_verdict("", ended.judged) if ended.judged else [])


def outcome_span(outcome: Outcome) -> str:
    """An outcome as a span: its sign, its word, and for what was not measured the reason."""
    if outcome.kind == "unmeasured":
        return f"warn:? not measured: {outcome.reason}"
    return "good:✓ succeeded" if outcome.kind == "succeeded" else "bad:✗ failed"


def _curation(made: CurationMade) -> list[Line]:
    if not made.calls:
        return [line("muted:  curator  ", "muted:no call")]
    lines = []
    for at, call in enumerate(made.calls):
        head = "muted:  curator  " if at == 0 else ":           "
        why = f"muted:  {call.verdict}: {call.why}" if call.why else ""
        lines.append(
            line(head, VERDICTS[call.verdict], f"action: {call.operation} ", f"accent:{call.skill}", why, indent=13)
        )
    return lines


def _judgement(made: CurationMade) -> list[Line]:
    """The judge's score with what its model answered, or why there is no score; nothing for a score by rules alone."""
    if made.judge is None and (made.calls or made.prompt_tokens):
        lines = [line("muted:  judge    ", f"warn:? not measured: {made.judge_reason}", indent=11)]
        return lines + (_verdict("", made.judge_text)[1:] if made.judge_text else [])
    if made.judge is None or not made.judge_text:
        return []
    check = "" if made.judge_check is None else f", rubric {made.judge_check:.2f}"
    return _verdict(f"{made.judge:.2f}{check}", made.judge_text)


def _verdict(score: str, text: str) -> list[Line]:
    """What a judge's model answered, after the score."""
    verdict = verdict_of(text)
    words = " · ".join(filter(None, [score, *verdict.words]))
    rows = [line(f":{'':11}", f"thought:{clip(row, MAX_SENTENCE)}", indent=11) for row in verdict.sentences]
    return [line("muted:  judge    ", f"accent:{words}", indent=11), *rows]
