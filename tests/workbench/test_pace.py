"""No more is on its way to the terminal than a moment's text."""

from __future__ import annotations

from skillos_tui.terminal.pace import (
    FIRST_SECONDS,
    KEY_WINDOW,
    LATER_SECONDS,
    LEAST_WINDOW,
    MAX_MISSES,
    UNLIMITED,
    Pace,
)


def test_a_frame_of_events_waits_for_the_reply_and_one_that_answers_a_key_does_not() -> None:
    pace = Pace()
    assert pace.room(0.0, urgent=False) == LEAST_WINDOW
    pace.sent(100, 0.0)
    assert pace.room(0.1, urgent=False) == 0
    pace.answered(0.2)
    pace.sent(1400, 0.3)
    assert pace.room(0.31, urgent=False) == 0
    assert pace.room(0.31, urgent=True) == max(KEY_WINDOW, pace.window) - 1400
    pace.sent(6000, 0.32)
    assert pace.room(0.33, urgent=True) == 0


def test_the_window_grows_on_a_fast_line_and_shrinks_on_a_slow_one() -> None:
    fast, slow = Pace(), Pace()
    for turn in range(10):
        fast.sent(fast.window, turn)
        fast.answered(turn + 0.01)
        for size in (50, slow.window):
            slow.sent(size, turn)
            slow.answered(turn + 0.01 + size / 16_000)
    assert fast.window > 30_000
    assert slow.window <= 2 * LEAST_WINDOW


def test_a_line_with_a_long_way_and_much_room_is_not_taken_for_a_slow_one() -> None:
    pace = Pace()
    for turn in range(8):
        pace.sent(pace.window, turn * 3)
        pace.answered(turn * 3 + 2.9 + pace.window / 1e7)
    assert pace.window > 30_000


def test_a_terminal_that_never_answers_is_asked_some_times_and_then_not_waited_for() -> None:
    pace, now = Pace(), 0.0
    for _ in range(MAX_MISSES):
        pace.sent(100, now)
        assert pace.room(now, urgent=True) == UNLIMITED
        now += FIRST_SECONDS
        assert pace.room(now, urgent=False) > 0
    assert not pace.asking
    pace.sent(100, now)
    assert pace.deadline is None
    pace.answered(now)
    assert pace.asking


def test_one_that_has_answered_is_waited_for_longer() -> None:
    pace = Pace()
    pace.sent(100, 0.0)
    pace.answered(0.1)
    pace.sent(100, 1.0)
    assert pace.room(1.0 + FIRST_SECONDS * 2, urgent=False) == 0
    assert pace.room(1.0 + LATER_SECONDS, urgent=False) == LEAST_WINDOW
