"""A long log shows how far the work is, on a terminal only."""

import io
import sys

import pytest

from engine.cli import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 0.0)


def shown(monkeypatch, stream, last):
    """What is written to standard error while work reaches half of the events."""
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.progress("verify", last) as reached:
        reached(last // 2)
    return stream.getvalue()


def test_a_terminal_gets_a_bar_which_is_gone_at_the_end(monkeypatch, fast):
    text = shown(monkeypatch, Terminal(), 3_000_000)
    assert "verify" in text and "1,500,000 of 3,000,000 events" in text and f" {'━' * 15} " in text
    assert text.endswith("\r\x1b[K")


def test_neither_a_file_nor_a_short_log_gets_one(monkeypatch, fast):
    assert shown(monkeypatch, io.StringIO(), 3_000_000) == ""
    assert shown(monkeypatch, Terminal(), 40_000) == ""
