"""The guard holds requests before memory runs out, goes on when it returns, never flaps, and never waits silently."""

import msgspec
import pytest

from engine.core.events import Notice, Progress, StateChanged, UpdateMade
from engine.core.holds import Holds
from engine.system.memory import guard as guarding
from engine.system.memory.guard import Guard
from engine.system.memory.pool import Pool
from tests.system.memory.constructed import GIB, Clock

HEADROOM = 8 * GIB
LARGEST = "vllm (pid 7) 70.0 GiB, engine (pid 100) 3.0 GiB"


class Stage:
    """A guard of 8 GiB on a pool of 100 GiB, with a clock that tests move."""

    def __init__(self, headroom=HEADROOM):
        self.clock, self.holds, self.notices, self.changes = Clock(), Holds(), [], []
        self.holds.on_change = lambda: self.changes.append(self.holds.reason)
        self.guard = Guard(headroom, self.holds, self.notices.append, self.clock)

    def look(self, free, *, pressure=0.0, seconds=1):
        """Let `seconds` go by with `free` GiB available."""
        for _ in range(seconds):
            self.clock.now += 1
            self.guard.look(Pool("test", 100 * GIB, round(free * GIB), pressure=pressure), lambda: LARGEST)

    @property
    def held(self):
        return bool(self.holds.reason)


async def test_it_holds_below_the_headroom_and_goes_on_at_half_as_much_again():
    stage = Stage()
    stage.look(8.1, seconds=60)
    assert not stage.held
    stage.look(7.9)
    assert stage.held and stage.guard.holding
    stage.look(11.9, seconds=120)
    assert stage.held, "half as much again is not available"
    stage.look(12.1, seconds=4)
    assert stage.held, "not for long enough"
    stage.look(12.1, seconds=2)
    assert not stage.held


async def test_the_reason_has_the_figures_the_largest_processes_and_the_setting():
    stage = Stage()
    stage.look(7.5)
    assert stage.holds.reason == (
        "7.5 GiB of 100.0 GiB memory available, under limits.headroom_gib=8; requests wait for 12.0 GiB. "
        "Largest: vllm (pid 7) 70.0 GiB, engine (pid 100) 3.0 GiB"
    )


async def test_it_holds_earlier_where_tasks_already_wait_for_memory():
    stage = Stage()
    stage.look(11, pressure=0.1, seconds=5)
    assert not stage.held
    stage.look(13, pressure=0.9, seconds=5)
    assert not stage.held, "pressure alone is not a lack of memory"
    stage.look(11, pressure=0.25)
    assert stage.held and "tasks wait for memory (25% of the time)" in stage.holds.reason


async def test_a_short_hold_lasts_its_least_time():
    stage = Stage()
    stage.look(7)
    stage.look(50, seconds=13)
    assert stage.held
    stage.look(50, seconds=2)
    assert not stage.held


async def test_memory_that_comes_and_goes_makes_longer_and_longer_holds():
    stage, lengths = Stage(), []
    for _ in range(7):
        stage.look(7)
        began = stage.clock.now
        while stage.held:
            stage.look(50)
        lengths.append(stage.clock.now - began)
    assert lengths == [15, 30, 60, 120, 240, 300, 300]
    stage.look(50, seconds=130)
    stage.look(7)
    stage.look(50, seconds=15)
    assert not stage.held, "after a quiet time it begins anew"


async def test_figures_that_swing_around_a_threshold_change_the_state_once():
    stage = Stage()
    for number in range(200):
        stage.look(7.5 if number % 2 else 8.5)
    for number in range(200):
        stage.look(11.5 if number % 2 else 12.5)
    assert len(stage.changes) == 1


async def test_a_hold_that_does_not_end_is_reported_and_says_what_to_do():
    stage = Stage()
    stage.look(7, seconds=300)
    assert stage.notices == []
    stage.look(7)
    (notice,) = stage.notices
    assert notice.level == "warning" and notice.message.startswith(
        "the run has waited 5 min for memory: 7.0 GiB of 100.0"
    )
    assert "limits.headroom_gib" in notice.message and "vllm (pid 7) 70.0 GiB" in notice.message
    stage.look(7, seconds=3599)
    assert len(stage.notices) == 1
    stage.look(7, seconds=1)
    assert len(stage.notices) == 2


async def test_a_person_goes_on_anyway_and_the_guard_then_holds_at_half():
    stage = Stage()
    stage.look(7, seconds=20)
    stage.holds.resume()
    assert not stage.held and "waits again below 4.0 GiB" in stage.notices[-1].message
    stage.look(7, seconds=60)
    assert not stage.held
    stage.look(3.9)
    assert stage.held
    stage.look(13, seconds=400)
    stage.look(7)
    assert stage.held, "there was enough in between, so the whole headroom is guarded again"


@pytest.mark.parametrize(
    ("phase", "words"), [("update", "during the update"), ("loading", "during loading the models")]
)
async def test_in_a_phase_that_asks_no_model_it_only_warns_once(phase, words):
    stage = Stage()
    stage.guard.hear(Progress(phase))
    stage.look(5, seconds=30)
    assert not stage.held
    (notice,) = stage.notices
    assert words in notice.message and "cannot be paused" in notice.message and "vllm (pid 7)" in notice.message
    over = UpdateMade(1, [], 0, None, None, None, None, 0.1, 1.0) if phase == "update" else StateChanged("running")
    stage.guard.hear(over)
    stage.look(5)
    assert stage.held


async def test_without_a_headroom_it_does_nothing():
    stage = Stage(headroom=0)
    stage.look(0.01, pressure=1.0, seconds=400)
    assert not stage.held and stage.notices == [] and stage.guard.headroom is None


async def test_a_guard_that_cannot_see_says_so_once():
    stage = Stage()
    for _ in range(3):
        stage.guard.look(
            Pool("test", None, None, reasons={"available": "/proc/meminfo does not report it"}), lambda: LARGEST
        )
    (notice,) = stage.notices
    assert notice == Notice(
        "warning", "memory is not guarded, limits.headroom_gib has no effect: /proc/meminfo does not report it"
    )


async def test_a_measurement_that_fails_in_between_changes_nothing():
    stage = Stage()
    stage.look(7)
    stage.guard.look(Pool("test", None, None), lambda: LARGEST)
    assert stage.held


def test_the_times_are_in_order():
    assert guarding.CALM_SECONDS < guarding.LEAST_SECONDS < guarding.MOST_SECONDS <= guarding.NOTICE_SECONDS
    assert msgspec.structs.fields(Pool)[0].name == "source"
