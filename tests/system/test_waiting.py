"""The threads of an engine's update sleep soon where other processes have their cores."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from engine.system.waiting import NAME

OPENMP = Path(find_spec("torch").origin).with_name("lib") / "libgomp.so.1"
LOADED = f"""
import ctypes, sys
import engine.worker
from engine.system.waiting import sleep_soon
assert "torch" not in sys.modules, "OpenMP is loaded before its setting is made"
sleep_soon()
ctypes.CDLL({str(OPENMP)!r})
"""


@pytest.mark.skipif(not OPENMP.exists(), reason="this torch has another OpenMP")
@pytest.mark.parametrize(("given", "expected"), [({}, "10000"), ({NAME: "77"}, "77")])
def test_openmp_takes_the_setting_unless_the_user_has_made_one(given, expected):
    rest = {name: value for name, value in os.environ.items() if name != NAME}
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        env={**rest, **given, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"GOMP_SPINCOUNT = '{expected}'" in done.stderr
