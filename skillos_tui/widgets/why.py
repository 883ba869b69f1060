"""Why an edit was proposed, what speaks for and against it, and what a decision on it does.

    pane.show(facts)                        # `Facts`: the edit, its background, the turns that led to it
    pane.target()                           # what is behind the line under the cursor: enter leads there

The cursor goes to the lines that lead on; between them the text scrolls line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.core.edit import OPEN, PAST, Decision, Edit, State
from engine.core.findings import Severity
from engine.core.text import counted
from engine.review.worth import why
from engine.runs.rollouts.lines import figure
from skillos_tui.model.background import Background
from skillos_tui.model.target import Target, place_of
from skillos_tui.render.text import Line, clip, line, text_lines
from skillos_tui.widgets.listing import Item, ListPane
from skillos_tui.widgets.pane import Pane
from skillos_tui.widgets.queue import MARKS
from skillos_tui.widgets.transcript import outcome_span

SEVERITY: dict[Severity, str] = {"error": "bad", "danger": "bad", "warning": "warn", "info": "muted"}
INDENT = 10
MAX_TASKS = 12
"""Tasks of the retrieval effect that are listed."""
MAX_TURN = 300
"""Characters of a thought or observation that are shown."""
LEGEND = (
    ("r", "the composite reward of the rollout that proposed the edit"),
    ("(+.33 over its group)", "its advantage A: r less the mean r of its group"),
    ("like .83", "the BM25 score of the edit's text for that skill, divided by its score for itself"),
    ("not found → 2", "the rank of the skill among those that the task gets, without and with the edit"),
)


@dataclass(frozen=True)
class Facts:
    """What is known of an edit. `where` is its position in short, `draft` a reason for a veto that was written and not sent,
    `unsent` what a person wants changed, `unchecked` what is to be known of their text where the findings are not of it.
    `background` is None while it is read, `results` what a decision will do, `leftover` the file that an editor left when
    the terminal was cut."""

    edit: Edit
    where: str
    draft: str = ""
    unsent: str = ""
    unchecked: str = ""
    background: Background | None = None
    results: Sequence[str] = field(default_factory=tuple)
    leftover: str = ""


class WhyPane(ListPane):
    """The facts of one edit; lines that lead on can be entered."""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(title, id=id)
        self.facts: Facts | None = None

    def show(self, facts: Facts | None) -> None:
        """Show these facts, from the first line if they are of another edit than before."""
        if facts == self.facts and self.rows:
            return
        before = self.facts.edit.id if self.facts else ""
        if before != (facts.edit.id if facts else ""):
            self.top, self.value = 0, None
        self.facts = facts
        self.renew()

    def items(self, width: int) -> Sequence[Item]:
        return reasons(self.facts) if self.facts is not None else []

    def target(self) -> Target | None:
        return self.value if isinstance(self.value, Target) else None

    def legend(self) -> tuple[str, Sequence[tuple[str, str]]]:
        return "Figures of a reason", LEGEND

    def _mark(self) -> None:
        super()._mark()
        if not self.has_focus:
            self._list.cursor = -1

    def _move(self, by: int) -> None:
        """Go to the next line that leads on, if it is in view; else scroll."""
        ahead = [at for at in self._choices if (at > self._item if by > 0 else at < self._item)]
        goal = (ahead[0] if by > 0 else ahead[-1]) if ahead else None
        if goal is not None and self.top <= self._list.row_of(goal) < self.top + self.content_size.height:
            self._put(goal)
        else:
            self.scroll_row_to(self.top + by)

    def action_scroll_pages(self, by: int) -> None:
        Pane.action_scroll_pages(self, by)
        seen = range(self.top, self.top + self.content_size.height)
        visible = [at for at in self._choices if self._list.row_of(at) in seen]
        if visible and self._item not in visible:
            self._put(visible[0])


def reasons(facts: Facts) -> list[Item]:
    """The facts, line by line: first what a decision needs most."""
    edit, cause = facts.edit, facts.edit.provenance
    at = cause.position
    behind = Target("rollouts", place_of(at)) if at is not None else None
    items: list[Item] = []
    if facts.draft.strip():
        items.append(_text("not sent  ", f"warn:{facts.draft.strip()}"))
    if facts.leftover:
        items.append(_text("editor    ", f"warn:the terminal was cut; what you wrote is in {facts.leftover}"))
    if facts.unsent:
        items.append(_text("approving ", f"warn:{facts.unsent}"))
    if edit.decision is not None:
        items += _decision(edit.state, edit.decision)
    items.append(_text("task      ", f":{cause.task}"))
    items.append(
        Item(line("muted:outcome   ", outcome_span(cause.outcome), f"muted:   {facts.where}"), behind, not behind)
    )
    items.append(_text("worth     ", f":{why(edit)}"))
    items += _words("reason    ", cause.reason)
    items += _findings(edit)
    if facts.unchecked:
        items.append(_text("          ", f"warn:{facts.unchecked}"))
    if facts.background is not None:
        items += _background(facts.background)
    elif edit.state in OPEN:
        items.append(_text("similar   ", "muted:being read …"))
    if edit.amended_by:
        items.append(_text("amended   ", f":by {edit.amended_by}; the log keeps what was proposed"))
    for number, sentence in enumerate(facts.results):
        items.append(_text("does      " if number == 0 else "          ", f"muted:{sentence}"))
    return items


def _text(head: str, *spans: str) -> Item:
    """A line of text that is wrapped and leads nowhere."""
    return Item(line(f"muted:{head}", *spans, indent=INDENT), whole=True)


def _words(head: str, text: str) -> list[Item]:
    """A text of several lines."""
    if not text.strip():
        return []
    first, *more = text_lines(text.strip(), prefix=" " * INDENT)
    opened = Line(((head, "muted"), (first.spans[0][0][INDENT:], "")), INDENT)
    return [Item(each, whole=True) for each in (opened, *more)]


def _findings(edit: Edit) -> list[Item]:
    """What the gates found and measured, all of it."""
    if not edit.findings:
        items = [_text("findings  ", ":none")]
    else:
        items = [
            _text(
                "findings  " if at == 0 else "          ",
                f"{SEVERITY[finding.severity]}:{finding.severity}",
                f":  line {finding.line}  {finding.rule}: {finding.message}",
            )
            for at, finding in enumerate(edit.findings)
        ]
    for at, (gate, score) in enumerate(edit.scores.items()):
        items.append(_text("scores    " if at == 0 else "          ", f":{gate} {score:.3f}"))
    return items


def _turns(background: Background) -> list[Item]:
    """The decisive turns: what was done, and what came of it."""
    items: list[Item] = []
    for at, turn in enumerate(background.turns):
        head = "muted:turns     " if at == 0 else "muted:          "
        mark = "warn:  (invalid)" if turn.invalid_action else ""
        place = Target("rollouts", place_of(turn.at, turn.turn - 1))
        items.append(Item(line(head, f"muted:{turn.turn:>2}  ", f"action:{clip(turn.action, MAX_TURN)}", mark), place))
        if turn.observation.strip():
            seen = " ".join(turn.observation.split())
            items.append(Item(line(f"muted:{' ' * 14}{clip(seen, MAX_TURN)}", indent=14), whole=True))
    return items


def _background(background: Background) -> list[Item]:
    items = _turns(background)
    if background.said is not None:
        items += _words("curator   ", background.said) or [
            _text("curator   ", "muted:wrote its calls and no other word")
        ]
    for at, (name, score) in enumerate(background.similar):
        head = "muted:similar   " if at == 0 else "muted:          "
        items.append(Item(line(head, f"accent:{name}", f"muted: {figure(score)}"), Target("skills", name)))
    if not background.similar:
        items.append(_text("similar   ", "muted:no other skill shares a word with it"))
    items += _retrieved(background)
    for at, veto in enumerate(background.vetoes):
        head = "muted:vetoed    " if at == 0 else "muted:          "
        decision = veto.decision
        said = " ".join(decision.reason.split()) if decision and decision.reason.strip() else "no reason was given"
        by = f"muted: by {decision.by}" if decision else ""
        items.append(Item(line(head, f"warn:{veto.skill}: {said}", by), Target("review", veto.id)))
    if not background.vetoes:
        items.append(_text("vetoed    ", "muted:nothing like it was vetoed before"))
    return items + [_text("not read  ", f"warn:{trouble}") for trouble in background.troubles]


def _retrieved(background: Background) -> list[Item]:
    """Which recent tasks would get other skills by this edit."""
    changed, played = background.retrieved, counted(background.recent, "different task")
    if not background.recent:
        return [_text("reaches   ", "muted:not known, since no task was played yet")]
    if not changed:
        return [_text("reaches   ", f"muted:none of {played} played last would get other skills")]
    count = f"{len(changed)} of {played} played last would get other skills"
    items = [_text("reaches   ", f":{count}")]
    for each in changed[:MAX_TASKS]:
        ranks = f"{each.before or 'not found'} → {each.after or 'not found'}"
        lost = f"muted:  instead of {', '.join(each.replaced)}" if each.replaced else ""
        place = Target("rollouts", place_of(each.at))
        prompt = clip(" ".join(each.prompt.split()), MAX_TURN)
        items.append(Item(line(f"muted:{' ' * INDENT}", f"accent:{ranks}", f":  {prompt}", lost), place))
    if len(changed) > MAX_TASKS:
        items.append(_text("          ", f"muted:and {len(changed) - MAX_TASKS} more"))
    return items


def _decision(state: State, decision: Decision) -> list[Item]:
    style = MARKS[state].partition(":")[0]
    commit = f"muted: · commit {decision.commit[:10]}" if decision.commit else ""
    items = [_text("decision  ", f"{style}:{PAST[decision.action]}", f"muted: by {decision.by}", commit)]
    return items + _words("          ", decision.reason)
