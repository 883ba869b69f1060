"""Pictures of every screen, compared with those that were looked at and committed (pytest-textual-snapshot).

    python -m pytest tests/workbench/test_snapshots.py -m "slow or not slow" --snapshot-update   # then look at them

The run, the clock, the time zone and the folders are the same in every test, and a picture is taken when no question to
the run is open and the screen does not change any more. Two looks of each screen are compared by default, the rest with
`-m slow`.
"""

from __future__ import annotations

from pathlib import Path

NOW = 1_767_261_600.0
"""The time of everything here: 2026-01-01, 10:00 UTC."""
RUN = Path("/proc/self/cwd/runs/20260101-100000-train-pocket")
"""The program needs an absolute path, and shows it: this one leads to the folder of each test."""
SCREENS: dict[str, tuple[str, ...]] = {
    "live": (),
    "review": ("2",),
    "skills": ("3", "down"),
    "rollouts": ("4",),
    "rewards": ("5",),
    "evaluation": ("6",),
    "runs": ("7",),
    "system": ("8",),
    "keys": ("question_mark",),
    "home": ("h",),
}
"""The keys that lead to each screen from Live."""
SIZES = ((80, 24), (120, 40), (200, 60))
THEMES = ("dark", "light")
