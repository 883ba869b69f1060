"""Usage: how often each skill was in the executor's prompt, and how often the task then succeeded."""

from __future__ import annotations

from pathlib import Path

from engine.core.events import EpisodeEnded, PositionId
from engine.core.outcomes import FAILED, SUCCEEDED, Outcome, unmeasured
from engine.runs.usage import Used, usage
from tests.workbench.recording import create


def ended(step: int, outcome: Outcome, shown: list[str] | None) -> EpisodeEnded:
    return EpisodeEnded(PositionId(step), outcome, 3, 0, shown=shown)


def test_a_skill_counts_where_it_was_shown_and_an_unmeasured_outcome_is_no_failure(tmp_path: Path) -> None:
    run = create(tmp_path / "run", "curate")
    run.append(
        ended(1, SUCCEEDED, ["mugs", "cups"]),
        ended(2, FAILED, ["mugs"]),
        ended(3, unmeasured("out of time"), ["mugs"]),
        ended(4, SUCCEEDED, None),
        ended(5, SUCCEEDED, []),
    )
    found = usage(run)
    assert found.skills == {"mugs": Used(3, 2, 1, PositionId(3)), "cups": Used(1, 1, 1, PositionId(1))}


def test_usage_that_is_read_piece_by_piece_is_that_of_the_whole_log(tmp_path: Path) -> None:
    run = create(tmp_path / "run", "curate")
    found = usage(run)
    for step, outcome in enumerate((SUCCEEDED, FAILED, unmeasured("out of time")), 1):
        run.append(ended(step, outcome, ["mugs"]), ended(step, SUCCEEDED, ["cups"]))
        found = usage(run, found)
    assert found == usage(run) and found.skills["mugs"] == Used(3, 2, 1, PositionId(3))
    shorter = create(tmp_path / "repaired", "curate")
    assert usage(shorter, found) == usage(shorter)
