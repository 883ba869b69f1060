"""The whole record of a position, or of one turn, as lines.

    describe_position(record)            # task, skills, transcript, decision, edits
    describe_turn(record, 4, sampling)   # the fifth turn: what the model got, what it answered, token by token

What the log does not hold is named, with what would hold it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.core.edit import Edit
from engine.core.events import CompletionMade, CurationMade, ModelCall, TurnTaken
from engine.core.position import Spot, spot_at
from engine.core.text import counted
from engine.runs.rollouts.describe import pair
from engine.runs.rollouts.lines import NOT_MEASURED, Block, Document, Text, heading, outcome_span, say_line
from engine.runs.rollouts.records import PositionRecord

NOT_KEPT = "The log does not hold the prompt and the tokens of this call"
KEEPING = "the setting executor.keep_calls=all keeps those of every turn, and first those of rollout 0 of group 0"
SIGNS: Mapping[str, str] = {"valid": "good:✓", "malformed": "bad:✗", "refused": "bad:✗"}


def describe_position(record: PositionRecord) -> Document:
    """A position: what was shown, every turn, the result, the decision and its edits."""
    started, ended = record.started, record.ended
    at = started.at
    title = f"Position {at.position}"
    lines: list[Text | Block] = [say_line(f"strong:{title}", f"muted:  {spot_at(at).text}")]
    lines.append(pair("outcome", outcome_span(ended.outcome if ended else None)))
    if ended is not None and ended.score is not None:
        lines.append(pair("score", f":{ended.score:.3f} by the environment"))
    lines += [pair("family", f"accent:{started.family}"), pair("task id", f":{started.task}")]
    expert = f"; an expert needs {started.difficulty}" if started.difficulty is not None else ""
    lines.append(pair("turns", f":{len(record.turns)} of at most {started.max_turns}{expert}"))
    if ended is not None and record.ended_at is not None and record.ended_at >= record.began:
        lines.append(pair("seconds", f":{record.ended_at - record.began:.1f}, other rollouts' turns included"))
    if started.played_by is not None:
        first = Spot(at.step, at.held_out, at.group, started.played_by, at.position).text
        lines.append(pair("played once", f":by rollout {started.played_by}", f"rollouts:{first}"))
    lines += [*heading("Task"), Block(started.prompt)]
    lines += heading("Skills given")
    for skill in started.skills:
        unseen = "" if ended is None or ended.shown is None or skill.name in ended.shown else "warn:  in no prompt"
        lines.append(
            say_line(f"accent:  {skill.name}", f"muted:  {skill.score:.2f}", unseen, leads=f"skills:{skill.name}")
        )
    if not started.skills:
        lines.append(say_line("muted:  none found"))
    if started.briefing:
        lines += [*heading("Briefing"), Block(started.briefing, "accent", "  ")]
    lines += _completions(record, "before")
    lines += [*heading("Transcript"), Block(started.observation, "muted", "     ")]
    for number, turn in enumerate(record.turns):
        lines += _turn(record, number, turn)
    if ended is not None:
        lines.append(say_line(":  ", outcome_span(ended.outcome), indent=4))
        if ended.judged:
            lines.append(Block(ended.judged, "thought", "     "))
    lines += _completions(record, "after") + _curation(record)
    lines += _edits(record)
    if record.asked_at(0):
        lines += heading("What the curator got and gave")
        for call in record.asked_at(0):
            lines += describe_call(call)
    return lines


def _turn(record: PositionRecord, number: int, turn: TurnTaken) -> list[Text | Block]:
    where = spot_at(record.started.at, number).text
    mark = "warn:  (invalid)" if turn.invalid_action else ""
    lines: list[Text | Block] = [Block(turn.thought, "thought", "     ")] if turn.thought.strip() else []
    action = turn.action if "\n" not in turn.action else " ".join(turn.action.split())
    lines.append(say_line(f"muted:{turn.turn:>3}  ", f"action:{action}", mark, indent=5, leads=f"rollouts:{where}"))
    return [*lines, Block(turn.observation, "muted", "     ")]


def _completions(record: PositionRecord, phase: str) -> list[Text | Block]:
    """What the curation strategy asked for beside its decision."""
    lines: list[Text | Block] = []
    for made in record.completions:
        if made.phase == phase:
            lines += [
                *heading(f"Asked by the strategy {phase} the task"),
                _size(made),
                Block(made.text, "thought", "  "),
            ]
    return lines


def _size(made: CompletionMade | CurationMade) -> Text:
    version = f", curator v{made.version}" if made.version is not None else ""
    cut = ", cut at the limit" if made.finish == "length" else ""
    tokens = f"{made.prompt_tokens:,} + {counted(made.completion_tokens, 'token')}"
    return say_line(f"muted:  {tokens}{version}{cut}")


def _curation(record: PositionRecord) -> list[Text | Block]:
    made = record.curation
    if made is None:
        why = f": {record.skipped.reason}" if record.skipped else " in the log"
        return [*heading("Decision"), say_line(f"warn:  ? none{why}", indent=4)]
    lines: list[Text | Block] = [*heading("Decision"), _size(made)]
    for call in made.calls:
        why = f"muted:  {call.verdict}: {call.why}" if call.why else ""
        lines.append(
            say_line(
                ":  ",
                SIGNS[call.verdict],
                f"action: {call.operation} ",
                f"accent:{call.skill}",
                why,
                indent=4,
                leads=f"skills:{call.skill}" if call.skill else "",
            )
        )
    if not made.calls:
        lines.append(say_line("muted:  no call"))
    if made.judge is not None:
        check = f", rubric {made.judge_check:.2f}" if made.judge_check is not None else ""
        lines.append(pair("  judge", f":{made.judge:.2f}{check}"))
    elif made.judge_reason:
        lines.append(pair("  judge", f"warn:? {NOT_MEASURED}: {made.judge_reason}"))
    if made.judge_text:
        lines.append(Block(made.judge_text, "thought", "     "))
    dropped = [(made.dropped_turns, "turn"), (made.dropped_vetoes, "veto")]
    left = ", ".join(counted(count, what) for count, what in dropped if count)
    if left:
        lines.append(say_line(f"warn:  the prompt had no room for {left}"))
    if made.completion:
        lines += [*heading("The curator's words"), Block(made.completion, "thought", "  ")]
    return lines


def _edits(record: PositionRecord) -> list[Text]:
    if not record.edits:
        return []
    return [*heading("Edits put to review"), *map(_edit, record.edits)]


def _edit(edit: Edit) -> Text:
    by = f"muted:  by {edit.decision.by}" if edit.decision else ""
    head = f"action:  {edit.operation} "
    return say_line(head, f"accent:{edit.skill}", f":  {edit.state}", by, indent=4, leads=f"review:{edit.id}")


def describe_turn(record: PositionRecord, number: int, sampling: str) -> Document:
    """One turn, counted from 0. `sampling` is how the executor's answers are drawn, "" where the log does not say."""
    if not 0 <= number < len(record.turns):
        return [say_line(f"muted:The log has no turn {number + 1} here; it has {counted(len(record.turns), 'turn')}.")]
    turn = record.turns[number]
    started = record.started
    calls = record.asked_at(turn.turn)
    lines: list[Text | Block] = [
        say_line(f"strong:Turn {turn.turn}", f"muted:  {spot_at(started.at, number).text}"),
        pair("task", f":{' '.join(started.prompt.split())}"),
        pair("action", f"action:{turn.action}"),
        pair("valid", "warn:no: none of the listed actions, or it did not parse" if turn.invalid_action else ":yes"),
    ]
    if turn.skills is not None:
        names = ", ".join(skill.name for skill in started.skills[: turn.skills]) or "none"
        lines.append(pair("skills", f":{turn.skills} of {len(started.skills)} found: {names}"))
    seconds = record.seconds(number)
    if seconds is not None and not calls:
        lines.append(pair("seconds", f":{seconds:.2f} since the event before, other rollouts' turns included"))
    if sampling and not calls:
        lines.append(pair("sampling", f":{sampling}"))
    before = record.turns[number - 1].observation if number else started.observation
    lines += [*heading("What it saw"), Block(before, "muted", "  ")]
    if turn.thought.strip():
        lines += [*heading("Thought"), Block(turn.thought, "thought", "  ")]
    lines += [*heading("What came back"), Block(turn.observation, "muted", "  ")]
    for call in calls:
        lines += describe_call(call)
    if not calls:
        lines += [*heading("Prompt and tokens"), _no_call(record, number)]
    return lines


def _no_call(record: PositionRecord, number: int) -> Text:
    """Why a turn, counted from 0, has no prompt and no tokens, and where they are."""
    at, by = record.started.at, record.started.played_by
    if by is not None:
        first = spot_at(msgspec.structs.replace(at, rollout=by), number).text
        return say_line(f":  with the turn of rollout {by}, which played this episode", leads=f"rollouts:{first}")
    if record.lost:
        return say_line(f"warn:  ? {record.lost}", indent=4)
    when = "; those that are kept are logged when the episode ends" if record.ended is None else ""
    return say_line(f"warn:  ? {NOT_KEPT}{when}; {KEEPING}.", indent=4)


def describe_call(call: ModelCall) -> list[Text | Block]:
    """One call of a model: the settings of the draw, the messages, the answer, its tokens."""
    settings = "  ".join(f"{name} {value}" for name, value in call.settings.items() if value not in ("", None, []))
    version = "not reported" if call.version is None else f"v{call.version}" if call.version else "v0, not trained"
    lines: list[Text | Block] = [
        *heading(f"Call of the {call.role}"),
        pair("sampling", f":{settings or 'not in the log'}"),
        pair("version", f":{version}"),
        pair("seconds", f":{call.seconds:.2f}, the wait for other requests included"),
    ]
    if call.tools:
        lines.append(pair("tools", f":{', '.join(call.tools)}"))
    for message in call.messages:
        lines += [*heading(f"Message: {message.role}"), Block(message.content, "", "  ")]
    if call.options:
        lines += heading("Scored options (mean log-probability of a token)")
        best = max(option.logprob for option in call.options)
        for option in sorted(call.options, key=lambda each: -each.logprob):
            style = "strong" if option.logprob == best else ""
            lines.append(say_line(f"muted:  {option.logprob:>9.3f}  ", f"{style}:{option.text}", indent=13))
    if call.answer:
        lines += [*heading("Answer"), Block(call.answer, "action", "  ")]
    return lines + _tokens(call)


def _tokens(call: ModelCall) -> list[Text | Block]:
    if call.answer_ids is None:
        why = "the options were scored, so none was written" if call.options else "the backend does not report them"
        return [*heading("Tokens"), say_line(f"muted:  ? not in the log: {why}", indent=4)]
    prompt = "not reported" if call.prompt_ids is None else counted(len(call.prompt_ids), "token")
    lines: list[Text | Block] = [
        *heading("Tokens of the answer"),
        say_line("muted:       id   log-prob  text"),
    ]
    pieces, logprobs = call.pieces, call.logprobs
    for at, token in enumerate(call.answer_ids):
        chance = f"{round(logprobs[at], 3) + 0.0:>9.3f}" if logprobs is not None and at < len(logprobs) else f"{'?':>9}"
        text = pieces[at] if pieces is not None and at < len(pieces) else ""
        shown = repr(text)[1:-1] if text else "(its text is not in the log)"
        lines.append(
            say_line(f"muted:{token:>9}  ", f":{chance}  ", f"{'code' if text else 'muted'}:{shown}", indent=22)
        )
    lines += [*heading(f"Token ids of the prompt ({prompt})")]
    lines.append(Block(" ".join(map(str, call.prompt_ids or ())) or "not in the log", "muted", "  "))
    return lines
