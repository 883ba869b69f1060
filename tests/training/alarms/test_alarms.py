"""Each alarm is raised on one side of its threshold and not on the other, and noise alone raises almost none."""

import random

import msgspec
import pytest

from engine.config import ConfigError, load_profile
from engine.core.events import HeldOutMeasured, RewardBreakdown
from engine.training.alarms.registry import ALARMS, check
from engine.training.alarms.settings import AlarmsSettings, Name
from tests.training.alarms.histories import step, steps

DEFAULT = AlarmsSettings()


def raised(history, settings=DEFAULT):
    return [alarm.name for alarm in check(history, settings)]


def course(values, every=5, **parts):
    """A history with a held-out result after every so many steps; `parts` are functions of the step."""
    history = []
    for number in range(1, len(values) * every + 1):
        held_out = values[number // every - 1] if number % every == 0 else None
        history.append(step(number, held_out=held_out, **{name: read(number) for name, read in parts.items()}))
    return history


FALLING = [0.60, 0.57, 0.50, 0.45, 0.41, 0.35]
FLAT = [0.52, 0.49, 0.51, 0.50, 0.52, 0.48]


def wavy(number):
    return 0.01 * (number % 3)


CASES = {
    "zero_std": (steps(3, zero=3), steps(3, zero=2)),
    "entropy_collapse": (
        [*steps(5), *(step(n, entropy=0.29) for n in (6, 7, 8))],
        [*steps(5), *(step(n, entropy=0.31) for n in (6, 7, 8))],
    ),
    "unmeasured": (steps(1, measured=94, unmeasured=6), steps(1, measured=95, unmeasured=5)),
    "ratio": (steps(1, ratio=(1.06, 1.2)), steps(1, ratio=(1.04, 1.2))),
    "ratio ": (steps(1, ratio=(1.0, 1.6)), steps(1, ratio=(1.0, 1.4))),
    "ratio  ": (steps(1, ratio=(0.9, 1.0)), steps(1, ratio=(0.96, 1.0))),
    "ratio   ": (steps(1, ratio=(float("nan"), 1.0)), steps(1)),
    "constant_judge": (steps(3, judge_std=0.0), [*steps(2, judge_std=0.0), step(3, judge_std=0.01)]),
    "constant_judge ": (steps(3, judge_std=0.0), steps(3, judge_std=0.0, measured=6, unjudged=0)),
    "constant_judge  ": (steps(3, judge_std=0.0), steps(3, judge_std=None)),
    "nothing_trained": (steps(3, skipped="nothing was measured"), [*steps(2, skipped="equal"), step(3)]),
    "nothing_trained ": (steps(3, samples=0), steps(2, samples=0)),
    "adapter": (steps(5, unproved="noise"), [step(1), *steps(5, unproved="noise")[1:]]),
    "adapter ": (steps(5, unproved="noise"), steps(5, unproved="noise", skipped="equal")[:2]),
    "instance_names": (steps(3, named=0.21), steps(3, named=0.19)),
    "empty_skills": (steps(3, empty=0.21), steps(3, empty=0.19)),
    "reward_hacking": (
        course(FALLING, r_cnt=lambda n: 0.3 + 0.01 * n + wavy(n)),
        course(FLAT, r_cnt=lambda n: 0.3 + 0.01 * n + wavy(n)),
    ),
    "reward_hacking ": (
        course(FALLING, r_comp=lambda n: 0.3 + 0.01 * n + wavy(n)),
        course(FALLING, r_comp=lambda n: 0.6 + wavy(n)),
    ),
    "reward_hacking  ": (
        course(FALLING, r_fc=lambda n: 0.3 + 0.01 * n + wavy(n)),
        course(FALLING, r_fc=lambda n: 0.9 - 0.01 * n + wavy(n)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_alarm_is_raised_on_one_side_of_its_threshold_only(case):
    over, under = CASES[case]
    name = case.strip()
    assert name in raised(over)
    assert name not in raised(under)


def test_every_alarm_has_a_case_a_name_in_the_settings_and_advice():
    assert set(ALARMS) == {case.strip() for case in CASES} == set(Name.__args__)
    for alarm in (found for over, _ in CASES.values() for found in check(over, DEFAULT)):
        assert alarm.message and alarm.advice.endswith((".", "`.")) and not alarm.pauses


def test_the_messages_have_the_figures():
    (alarm,) = check(steps(1, measured=90, unmeasured=10), DEFAULT)
    assert alarm.message == "10 of 100 positions are unmeasured (10.0%)"
    (alarm,) = check(course(FALLING, r_cnt=lambda n: 0.3 + 0.01 * n), DEFAULT)
    assert (
        "over steps 5 to 30 held-out r_task falls by 0.01" in alarm.message
        and "(r_cnt) rises by 0.0100" in alarm.message
    )


def test_what_was_not_measured_raises_nothing():
    assert raised(steps(1)) == []
    assert raised([msgspec.structs.replace(found, update=None, published=None) for found in steps(8)]) == []
    assert raised(steps(8, entropy=None, judge_std=None, named=None, empty=None)) == []


def test_a_small_fall_within_the_measurements_own_errors_is_no_alarm():
    small = [0.50, 0.498, 0.496, 0.494, 0.492, 0.49]
    rises = {"r_cnt": lambda n: 0.3 + 0.01 * n}
    assert "reward_hacking" not in raised(course(small, **rises))


def test_an_alarm_that_is_over_is_not_raised_any_more():
    assert raised([*steps(3, zero=4), *(step(n) for n in (4, 5, 6))]) == []


def test_only_named_alarms_pause_and_a_wrong_name_is_refused():
    settings = load_profile("pocket", ['alarms.pause=["unmeasured"]']).alarms
    (alarm,) = check(steps(1, measured=1, unmeasured=1), settings)
    assert alarm.name == "unmeasured" and alarm.pauses
    with pytest.raises(ConfigError, match=r"alarms\.pause"):
        load_profile("pocket", ['alarms.pause=["unmeasurd"]'])


def noisy(dice, count=40, every=5):
    """A history of constant means with noise, as a healthy run that learns nothing has it."""
    history = []
    for number in range(1, count + 1):
        history.append(
            step(
                number,
                r_task=dice.gauss(0.5, 0.08),
                r_fc=dice.gauss(0.7, 0.05),
                r_cnt=dice.gauss(0.5, 0.05),
                r_comp=dice.gauss(0.6, 0.03),
                zero=sum(dice.random() < 0.1 for _ in range(4)),
                unmeasured=sum(dice.random() < 0.005 for _ in range(100)),
                judge_std=abs(dice.gauss(0.3, 0.05)),
                entropy=max(0.0, dice.gauss(1.0, 0.15)),
                ratio=(dice.gauss(1.0, 0.005), dice.gauss(1.1, 0.02)),
                named=min(1.0, abs(dice.gauss(0.05, 0.03))),
                empty=min(1.0, abs(dice.gauss(0.02, 0.02))),
                held_out=dice.gauss(0.5, 0.05) if number % every == 0 else None,
            )
        )
    return history


def test_noise_around_constant_means_raises_an_alarm_in_less_than_one_run_of_a_hundred():
    dice = random.Random(12)
    runs, alarmed = 2000, 0
    for _ in range(runs):
        history = noisy(dice)
        alarmed += any(raised(history[:end]) for end in range(1, len(history) + 1))
    assert alarmed / runs < 0.01


def test_the_untrained_curator_is_the_first_point_of_the_trend():
    rises = {"r_cnt": lambda n: 0.3 + 0.01 * n + wavy(n)}
    history = course([0.55, 0.50, 0.45], **rises)
    assert "reward_hacking" not in raised(history)  # three points are no trend
    before = HeldOutMeasured(0, 32, 0.601, 0.05, 0, 1.0)
    history[0] = msgspec.structs.replace(history[0], untrained=before)
    assert "reward_hacking" in raised(history)


def test_rewards_that_are_missing_in_some_steps_do_not_end_the_trend():
    history = course(FALLING, r_cnt=lambda n: 0.3 + 0.01 * n + wavy(n))
    lost = msgspec.structs.replace(history[12].ended, rewards=RewardBreakdown(None, None, None, None, None))
    history[12] = msgspec.structs.replace(history[12], ended=lost)
    assert "reward_hacking" in raised(history)
