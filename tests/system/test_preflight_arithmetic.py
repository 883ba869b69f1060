"""The checks that compute: settings against the published table, memory and disk against this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import load_profile
from engine.core.records import Check
from engine.jobs.registry import JOBS
from engine.system.plan.fit import plan_here
from engine.system.preflight import NAMES, blocking, lines, verdict
from engine.system.preflight.arithmetic import by_arithmetic, disk, memory, settings

TRAIN = JOBS.load("train")


def test_each_departure_from_the_published_settings_is_named_with_both_values() -> None:
    config = load_profile("spark", ["training.learning_rate=1e-4"])
    check = settings(config, TRAIN, plan_here(config, TRAIN))
    assert check.status == "warn" and "training.learning_rate is 0.0001 (published: 1e-06)" in check.message


def test_the_pocket_model_is_compared_with_nothing(tmp_path: Path) -> None:
    checks = list(by_arithmetic(load_profile("pocket"), TRAIN, tmp_path))
    assert [check.name for check in checks] == list(NAMES[:4])
    assert checks[0].message == "no settings are published for the pocket model"


def test_a_disk_with_too_little_room_fails_with_both_figures_and_what_to_do(tmp_path: Path) -> None:
    config = load_profile("pocket", ["training.steps=1000000"])
    check = disk(plan_here(config, TRAIN), tmp_path / "not" / "there")
    assert check.status == "fail" and "GB are free" in check.message and "--run" in check.message


def test_memory_that_is_in_use_at_present_is_a_warning_or_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_profile("pocket")
    monkeypatch.setattr("engine.system.preflight.arithmetic.host_available", lambda: 100_000_000)
    check = memory(config, plan_here(config, TRAIN))
    assert check.status in ("warn", "fail") and "available at present" in check.message
    headroom = load_profile("pocket", ["limits.headroom_gib=2"])
    assert memory(headroom, plan_here(headroom, TRAIN)).status == "fail"


def test_a_check_fits_any_width_and_is_safe_for_a_terminal() -> None:
    check = Check("curator", "fail", "no tool call in \x1b[31m'an answer that is long'\x1b[0m: use another model " * 3)
    for width in (20, 39, 80, 100_000):
        shown = lines(check, width)
        assert max(map(len, shown)) <= max(width, 20) and "\x1b" not in "".join(shown)
    assert len(lines(check, 100_000)) == 1


def test_only_failing_checks_that_nobody_overrode_block() -> None:
    checks = [Check("disk", "fail", ""), Check("memory", "fail", ""), Check("time", "warn", "")]
    assert [check.name for check in blocking(checks, ["disk"])] == ["memory"]
    assert "--override memory" in verdict(checks, ["disk"]) and "--override disk" not in verdict(checks, ["disk"])
    assert verdict(checks, ["disk", "memory"]).endswith("overridden: disk, memory")
