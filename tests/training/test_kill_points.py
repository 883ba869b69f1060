"""An engine that is killed at random points of all its phases, and resumed, makes the run that nobody killed."""

import pytest

from tests.benchmarks.kill_resume.trials import trials


@pytest.mark.slow
def test_twenty_random_kill_points_leave_the_run_that_nobody_killed(tmp_path):
    found = list(trials(tmp_path, count=20, seed=7))
    assert [trial.wrong for trial in found if trial.wrong] == []
    kills = [phase for trial in found for phase in trial.kills]
    assert len(kills) == 20 and len(set(kills)) >= 4
