"""`rollouts` and `search`: what was played, and where a text stands in it, on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli import main
from tests.workbench.recording import measured, measuring_events, record_training


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with record_training(tmp_path / "run", steps=2) as run:
        run.append(*measuring_events(2, done=12), measured(2))
        return str(run.path)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main([*arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_the_levels_of_a_run_are_printed(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = printed(capsys, "rollouts", run)
    assert code == 0 and [line.split()[0] for line in text.splitlines()] == ["1", "2", "h2"]
    levels = (("1/g0", "A +.10"), ("1/g0/r1/p2", "find-nothing"), ("h2/g3/p2", "put the"), ("1/g0/r0/p1/t1", "Turn 2"))
    for place, shown in levels:
        assert shown in printed(capsys, "rollouts", run, place)[1], place


REFUSED = (("9", 1, "has no 9"), ("1/g0/r0/p9", 1, "has no"), ("x\x1b", 2, "is no place"))


@pytest.mark.parametrize(("place", "code", "why"), REFUSED)
def test_a_place_that_is_not_there_is_refused(
    run: str, capsys: pytest.CaptureFixture[str], place: str, code: int, why: str
) -> None:
    found, _, error = printed(capsys, "rollouts", run, place)
    assert found == code and why in error and "\x1b" not in error


def test_places_of_a_text_are_printed_and_lead_to_turns(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = printed(capsys, "search", run, "safe", "open", "--limit", "3")
    assert code == 0 and text.splitlines()[-1] == "60 places"
    place, what, line = text.splitlines()[0].split(maxsplit=2)
    assert (what, line) == ("action", "open safe")
    assert "Turn 2" in printed(capsys, "rollouts", run, place)[1]
    assert printed(capsys, "search", run, "nowhere")[1] == "found nowhere\n"
    assert printed(capsys, "search", run, "((")[0] == 2 and printed(capsys, "search", run)[0] == 2
    assert printed(capsys, "search", run, "--update") == (0, "", "")
