"""A frame counts as seen once the terminal has answered for it: what a person decides on has reached their screen."""

from __future__ import annotations

from skillos_tui.terminal.pace import FIRST_SECONDS, LATER_SECONDS, MAX_MISSES, Pace
from skillos_tui.terminal.seen import UNKNOWN_SECONDS, Seen


def due(seen: Seen, pace: Pace, now: float) -> int:
    """How many of those who wait may go on."""
    pace.expire(now)
    return len(seen.due(pace.answered_frames, now, ever=pace.fastest is not None))


def answering() -> Pace:
    pace = Pace()
    pace.sent(100, 0.0)
    pace.answered(0.1)
    return pace


def test_a_frame_is_seen_with_the_reply_to_it_and_not_with_one_to_the_frame_before() -> None:
    pace, seen = answering(), Seen(0.0)
    pace.sent(100, 1.0)
    seen.watch(lambda: None)
    assert due(seen, pace, 1.0) == 0, "some cells are not sent yet"
    pace.sent(100, 1.1)
    seen.complete(pace.sent_frames)
    pace.answered(1.2)
    assert due(seen, pace, 1.2) == 0
    pace.answered(1.3)
    assert due(seen, pace, 1.3) == 1
    assert not seen


def test_a_frame_that_was_complete_before_is_seen_at_once() -> None:
    pace, seen = answering(), Seen(0.0)
    seen.watch(lambda: None)
    seen.complete(pace.sent_frames)
    assert due(seen, pace, 1.0) == 1


def test_a_missing_reply_is_waited_for_no_longer_than_any_other() -> None:
    pace, seen = answering(), Seen(0.0)
    pace.sent(100, 1.0)
    seen.watch(lambda: None)
    seen.complete(pace.sent_frames)
    assert due(seen, pace, 0.9 + LATER_SECONDS) == 0
    assert due(seen, pace, 1.0 + LATER_SECONDS) == 1


def test_a_terminal_that_never_answers_is_believed_after_a_while() -> None:
    pace, seen = Pace(), Seen(0.0)
    for miss in range(MAX_MISSES):
        pace.sent(100, miss * 0.6)
        pace.expire(miss * 0.6 + FIRST_SECONDS)
    assert not pace.asking
    pace.sent(100, 2.0)
    seen.watch(lambda: None)
    seen.complete(pace.sent_frames)
    assert due(seen, pace, 2.0) == 0
    assert seen.deadline(ever=False) == UNKNOWN_SECONDS
    assert due(seen, pace, UNKNOWN_SECONDS) == 1


def test_replies_to_frames_that_were_given_up_do_not_count_for_later_ones() -> None:
    pace, seen = Pace(), Seen(0.0)
    pace.sent(100, 0.0)
    pace.expire(FIRST_SECONDS)
    pace.sent(100, 0.6)
    pace.expire(0.6 + FIRST_SECONDS)
    pace.answered(3.0)
    pace.sent(100, 3.1)
    seen.watch(lambda: None)
    seen.complete(pace.sent_frames)
    pace.answered(3.6)
    assert due(seen, pace, 3.6) == 0
    pace.answered(6.1)
    assert due(seen, pace, 6.1) == 1
