"""Which keys may act: those pressed when the thing was on the screen, and not those typed after a key that could not."""

from __future__ import annotations

import pytest
from textual.events import Key

from skillos_tui.model.keyguard import MAX_IGNORED_SECONDS, PAUSE_SECONDS, UNREAD_SECONDS, Reading, Typing


def key(name: str, at: float) -> Key:
    event = Key(name, name if len(name) == 1 else None)
    event.time = at
    return event


def test_what_has_not_been_painted_is_not_decided_on() -> None:
    reading = Reading()
    reading.show("a", by_itself=False)
    assert "not on the screen yet" in reading.refusal(100.0)
    reading.paint(100.0)
    assert "when the key was pressed" in reading.refusal(99.9)
    assert reading.refusal(100.0) == ""


def test_what_the_program_brought_is_read_first() -> None:
    reading = Reading()
    reading.show("a", by_itself=True)
    reading.paint(100.0)
    reading.paint(101.0)
    assert "has just come" in reading.refusal(100.0 + UNREAD_SECONDS - 0.01)
    assert reading.refusal(100.0 + UNREAD_SECONDS) == ""


def test_a_new_state_of_the_same_diff_by_one_s_own_key_needs_no_new_look() -> None:
    reading = Reading()
    reading.show(("diff", "pending"), by_itself=False, diff="diff")
    reading.paint(100.0)
    reading.show(("diff", "approved"), by_itself=False, diff="diff")
    assert reading.refusal(100.1) == ""
    reading.show(("diff", "undone"), by_itself=True, diff="diff")
    assert reading.refusal(100.2) != ""


def test_typing_is_ignored_until_a_pause() -> None:
    typing = Typing()
    assert not typing.takes(key("a", 0.0))
    typing.ignore(10.0, pause=1.5)
    assert typing.takes(key("t", 9.9)), "typed before the answer, and later in the queue"
    assert typing.takes(key("o", 11.0)) and typing.takes(key("space", 12.4)) and typing.takes(key("enter", 13.8))
    assert typing.ignored == 4
    assert not typing.takes(key("a", 15.4))


@pytest.mark.parametrize("name", ["down", "tab", "f5", "pageup", "ctrl+c"])
def test_keys_that_are_no_text_are_heard(name: str) -> None:
    typing = Typing()
    typing.ignore(10.0)
    assert not typing.takes(key(name, 10.1))


def test_escape_ends_it_and_does_nothing_else() -> None:
    typing = Typing()
    typing.ignore(10.0)
    assert typing.takes(key("escape", 10.1))
    assert not typing.takes(key("a", 10.2))


def test_it_is_bounded() -> None:
    typing = Typing()
    typing.ignore(0.0)
    at = 0.0
    while typing.takes(key("a", at)):
        at += PAUSE_SECONDS / 2
    assert MAX_IGNORED_SECONDS <= at <= MAX_IGNORED_SECONDS + PAUSE_SECONDS
