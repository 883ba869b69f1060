"""What a judge's model answered, as the transcript and the rewards show it."""

import json

import msgspec
import pytest

from engine.core.events import CurationMade, EpisodeEnded, JudgedTwice, RunStarted, StepEnded
from skillos_tui.model.folding import fold
from skillos_tui.render.text import width_of
from skillos_tui.render.verdict import verdict_of
from skillos_tui.widgets.rewards import RewardPane, reward_facts
from skillos_tui.widgets.transcript import episode_lines
from tests.workbench.recording import step_events, training_view

EVIL = "It \x1b[31mnames\x1b[0m the \u202esafe: good."
ANSWER = json.dumps({"explanation": EVIL, "issues": ["no check"], "abstraction": "yes", "faithfulness": "partly"})


def changed(event, **of_curation):
    if isinstance(event, CurationMade):
        return msgspec.structs.replace(event, **of_curation)
    if isinstance(event, EpisodeEnded):
        return msgspec.structs.replace(
            event, judged=json.dumps({"explanation": "Turn 2 shows it.", "verdict": "success"})
        )
    if isinstance(event, StepEnded):
        return msgspec.structs.replace(
            event, unjudged=1, judged_twice=[JudgedTwice(0.75, 0.5, 12), JudgedTwice(0.5, 0.25, 8)]
        )
    return event


def shown(**of_curation):
    """The view of a step, and the text of its first episode in the transcript."""
    view = training_view()
    fold(view, RunStarted("train", "pocket", 3, 1))
    for event in step_events(1):
        fold(view, changed(event, **of_curation))
    lines = episode_lines(view.episodes[0], view, 80)
    return view, "\n".join("".join(text for text, _ in item.spans) for item in lines)


def test_a_verdict_is_shown_with_both_scores_its_grades_and_its_sentences_and_steers_no_terminal():
    _, text = shown(judge=0.75, judge_check=0.5, judge_text=ANSWER)
    assert "judge    0.75, rubric 0.50 · abstraction yes · faithfulness partly" in text
    assert "           It ␛[31mnames␛[0m the ⟨202E⟩safe: good." in text and "           - no check" in text
    assert "judge    verdict success" in text and "Turn 2 shows it." in text


def test_an_answer_that_is_no_verdict_is_shown_with_the_reason():
    _, text = shown(judge=None, judge_reason="the judge's answer cannot be read", judge_text="Fine,\nI think.")
    assert "judge    ? not measured: the judge's answer cannot be read" in text and "           Fine, I think." in text


def test_a_score_by_rules_alone_has_no_line():
    view, text = shown(judge=0.75)
    assert "judge    0" not in text and view.judged is None


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_rewards_show_the_newest_verdict_and_the_agreement_with_the_rubric(width):
    view, _ = shown(judge=0.75, judge_check=0.5, judge_text=ANSWER)
    facts = {label: value for label, value, _ in reward_facts(view)}
    assert (facts["vs rubric"], facts["not judged"]) == ("Δ0.25 ρ 1.00 n 20", "1 decision")
    pane = RewardPane("Reward")
    pane.view = view
    lines = pane.build(width, 14)
    assert "".join(text for text, _ in lines[0].spans).startswith("judge 0.75  step 1 · g1 r3 p3")
    assert all(width_of(item) <= width for item in lines)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '{"a": 1}',
        '{"a": [1, 2]}',
        "x" * 100_000,
        '{"a": ' * 9999 + "}" * 9999,
        "\ud800",
        '{"a": "b"} {"c": "d"}',
    ],
    ids=range(9),
)
def test_any_text_is_a_verdict_of_bounded_length(text):
    verdict = verdict_of(text)
    assert sum(map(len, (*verdict.words, *verdict.sentences))) < 1000


def test_many_words_and_sentences_are_cut():
    verdict = verdict_of(json.dumps({"issues": ["x"] * 1000, **{f"field{number}": "yes" for number in range(1000)}}))
    assert len(verdict.words) == 8 and len(verdict.sentences) == 12
