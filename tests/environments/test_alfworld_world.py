"""Tasks drawn from the official games: reproducible anywhere, one family together."""

from __future__ import annotations

import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from engine.environments.alfworld import AlfworldWorld, GamesError
from engine.environments.contract import Task
from tests.environments.alfworld_games import LAMPS_TASK, lamps_line, write_packed


@pytest.fixture
def world(tmp_path: Path) -> AlfworldWorld:
    ids = [f"valid/{family}-{number}/trial" for family in ("light_all", "light_one", "darken") for number in range(4)]
    return AlfworldWorld.at(write_packed(tmp_path / "games", *map(lamps_line, ids)), max_turns=12)


def test_a_group_is_of_one_family_and_repeats_none_before_all_were_played(world: AlfworldWorld) -> None:
    for seed in range(20):
        tasks = world.group(seed, 6)
        assert len({task.family for task in tasks}) == 1
        assert len({task.id for task in tasks[:4]}) == 4 and len(tasks) == 6
        assert {task.prompt for task in tasks} == {LAMPS_TASK}
    assert {world.group(seed, 1)[0].family for seed in range(20)} == {"light_all", "light_one", "darken"}


def test_a_stream_keeps_families_together(world: AlfworldWorld) -> None:
    tasks = world.stream(3, 12)
    assert len({task.id for task in tasks}) == 12
    assert len([family for family, _ in groupby(task.family for task in tasks)]) == 3


def test_the_seed_alone_decides_in_any_process(world: AlfworldWorld, tmp_path: Path) -> None:
    code = (
        "import sys; from engine.environments.alfworld import AlfworldWorld as W; w = W.at(sys.argv[1]);"
        "print([t.id for t in w.group(7, 3) + w.stream(7, 5)])"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "games")]
    printed = {
        subprocess.run(
            run, env={"PYTHONHASHSEED": salt}, cwd=Path.cwd(), capture_output=True, text=True, check=True
        ).stdout
        for salt in ("1", "2")
    }
    assert printed == {f"{[task.id for task in world.group(7, 3) + world.stream(7, 5)]}\n"}
    assert world.stream(7, 5) != world.stream(8, 5)


def test_a_task_starts_its_game_with_the_cap_of_the_world(world: AlfworldWorld) -> None:
    task = world.stream(0, 1)[0]
    environment = world.start(task)
    assert LAMPS_TASK in environment.reset().text
    assert world.max_turns(task) == 12


def test_a_task_of_another_world_is_refused(world: AlfworldWorld) -> None:
    with pytest.raises(GamesError, match="nowhere is not among the 12 games"):
        world.start(Task("nowhere", "light_all", ""))
