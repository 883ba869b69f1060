"""A kind of run that an installed package adds is a command, by one line of the package's metadata."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KIND = """
from engine.core.options import Option
from engine.jobs.base import JobKind

KIND = JobKind(
    name="rehearse",
    unit="scene",
    total=lambda config: config.curate.tasks,
    trains=False,
    forks=True,
    work="rehearsing:work",
    about="play every task twice",
    options=(Option("--scenes", "curate.tasks", "how many scenes"),),
)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder of an installed package with a kind of run."""
    (tmp_path / "rehearsing.py").write_text(KIND)
    metadata = tmp_path / "rehearsing-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: rehearsing\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[skillos.jobs]\nrehearse = rehearsing:KIND\n")
    return tmp_path


def shell(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from engine.cli import main; sys.exit(main())"
    paths = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


def test_its_command_has_its_description_and_its_options(package: Path) -> None:
    assert "play every task twice" in shell(package, "--help").stdout
    shown = shell(package, "rehearse", "--help").stdout
    assert "--scenes" in shown and "how many scenes (curate.tasks)" in " ".join(shown.split())
    refused = shell(package, "rehearse", "--profile", "pocket", "--scenes", "0")
    assert refused.returncode == 1 and "curate.tasks = 0 cannot be used" in refused.stderr


def test_a_broken_package_says_so_and_leaves_the_other_commands_alone(package: Path) -> None:
    (package / "rehearsing.py").write_text("import nowhere_at_all")
    assert shell(package, "config", "training.steps").returncode == 0
    broken = shell(package, "rehearse")
    assert broken.returncode == 1 and "nowhere_at_all" in broken.stderr and broken.stderr.count("\n") == 1
