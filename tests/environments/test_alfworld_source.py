"""Tasks drawn from the official games: reproducible anywhere, one family together, a game's file read once it is drawn."""

from __future__ import annotations

import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from engine.environments.alfworld import KIND
from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.files.grammars import commands_of
from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.settings import AlfworldSettings
from engine.environments.alfworld.source import AlfworldTasks
from engine.environments.base import Task
from tests.environments.alfworld_games import (
    DATA,
    LAMPS_DOMAIN,
    LAMPS_GRAMMAR,
    LAMPS_PROBLEM,
    LAMPS_TASK,
    LAMPS_WALKTHROUGH,
    lamps_line,
    needs_data,
    official,
    write_official,
    write_packed,
)

HOPELESS = LAMPS_PROBLEM.replace("(or (lit ?l) (broken ?l))", "(and (lit ?l) (broken ?l))")
FAMILIES = ("light_all", "light_one", "darken")


@pytest.fixture
def source(tmp_path: Path) -> AlfworldTasks:
    ids = [f"valid/{family}-{number}/trial" for family in FAMILIES for number in range(4)]
    return AlfworldTasks.at(write_packed(tmp_path / "games", *map(lamps_line, ids)), max_turns=12)


def test_every_seed_may_draw_from_all_families(source: AlfworldTasks) -> None:
    assert source.families(1) == source.families(2) == dict.fromkeys(FAMILIES, 4)


def test_tasks_are_of_the_family_and_repeat_none_before_all_were_drawn(source: AlfworldTasks) -> None:
    for seed in range(20):
        tasks = source.tasks("light_one", seed, 6)
        assert {task.family for task in tasks} == {"light_one"}
        assert len({task.id for task in tasks[:4]}) == 4 and len(tasks) == 6
        assert {(task.prompt, task.difficulty) for task in tasks} == {(LAMPS_TASK, len(LAMPS_WALKTHROUGH))}


def test_a_family_that_is_not_there_is_refused_with_those_that_are(source: AlfworldTasks) -> None:
    with pytest.raises(GamesError, match="family cook; expected one of: darken, light_all, light_one"):
        source.tasks("cook", 1, 1)


def test_the_difficulty_of_a_game_without_a_walkthrough_is_the_length_of_the_experts_plan(tmp_path: Path) -> None:
    source = AlfworldTasks.at(write_packed(tmp_path / "games", lamps_line(walkthrough=[])))
    assert source.tasks("light_all", 1, 1)[0].difficulty == len(LAMPS_WALKTHROUGH)


def test_a_game_that_nobody_wins_is_of_unknown_difficulty(tmp_path: Path) -> None:
    line = lamps_line(walkthrough=[], pddl_problem=HOPELESS)
    source = AlfworldTasks.at(write_packed(tmp_path / "games", line))
    assert source.tasks("light_all", 1, 1)[0].difficulty is None


def test_games_of_several_grammars_are_named_with_their_counts(tmp_path: Path) -> None:
    for number in range(3):
        write_official(tmp_path, f"train/light_all-{number}/trial")
    older = LAMPS_GRAMMAR.replace("press {l}", "push {l}")
    write_official(tmp_path, "train/light_all-9/trial", grammar=older, walkthrough=[])
    (warning,) = AlfworldTasks.at(tmp_path).warnings
    assert "2 grammars" in warning
    assert "'press X' (3 games), 'push X' (1 games)" in warning


def test_games_of_one_grammar_are_no_warning_though_their_task_sentences_differ(tmp_path: Path) -> None:
    write_official(tmp_path, "train/light_all-1/trial")
    write_official(tmp_path, "train/light_all-2/trial", grammar=LAMPS_GRAMMAR.replace("@@TASK@@", "darken it all."))
    assert AlfworldTasks.at(tmp_path).warnings == ()


def test_held_out_games_of_another_grammar_are_a_warning(tmp_path: Path) -> None:
    write_official(tmp_path, "train/light_all-1/trial")
    write_official(tmp_path, "valid/light_all-2/trial", grammar=LAMPS_GRAMMAR.replace("press {l}", "push {l}"))
    settings = AlfworldSettings(path=str(tmp_path), split="train", evaluate_split="valid")
    source = KIND.open(settings)
    assert source.warnings == ()
    (warning,) = KIND.held_out(settings, source).warnings
    assert "held-out games have another grammar" in warning and "'push X' (1 games)" in warning


def test_a_grammar_that_is_not_near_the_beginning_of_its_file_is_found(tmp_path: Path) -> None:
    write_official(tmp_path, "train/light_all-1/trial", pddl_domain=LAMPS_DOMAIN + ";" * 100_000)
    (game,) = load_games(tmp_path)
    assert "press X" in commands_of(game.grammar())


def test_a_stream_keeps_families_together(source: AlfworldTasks) -> None:
    tasks = source.stream(3, 12)
    assert len({task.id for task in tasks}) == 12
    assert len([family for family, _ in groupby(task.family for task in tasks)]) == 3


def test_the_seed_alone_decides_in_any_process(source: AlfworldTasks, tmp_path: Path) -> None:
    code = (
        "import sys; from engine.environments.alfworld.source import AlfworldTasks as W; w = W.at(sys.argv[1]);"
        "print([t.id for t in w.tasks('darken', 7, 3) + w.stream(7, 5)])"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "games")]
    printed = {
        subprocess.run(
            run, env={"PYTHONHASHSEED": salt}, cwd=Path.cwd(), capture_output=True, text=True, check=True
        ).stdout
        for salt in ("1", "2")
    }
    assert printed == {f"{[task.id for task in source.tasks('darken', 7, 3) + source.stream(7, 5)]}\n"}
    assert source.stream(7, 5) != source.stream(8, 5)


def test_a_games_file_is_read_once_it_is_drawn_and_no_other(tmp_path: Path) -> None:
    """A file that is listed, since it ends as an object does, and cannot be read, shows when its task is started."""
    files = [write_official(tmp_path, f"train/light_all-{number}/trial") for number in range(12)]
    drawn = AlfworldTasks.at(tmp_path).tasks("light_all", 5, 3)
    for file in files:
        if not any(task.id in str(file) for task in drawn):
            file.write_text('{"pddl_domain": oops}')
    source = AlfworldTasks.at(tmp_path)
    assert source.families(5) == {"light_all": 12}
    assert source.tasks("light_all", 5, 3) == drawn
    broken = source.tasks("light_all", 5, 4)[-1]
    assert (broken.family, broken.prompt, broken.difficulty) == ("light_all", "", None)
    with pytest.raises(GamesError, match=r"light_all-\d+/trial/game\.tw-pddl, line 1: broken JSON"):
        source.start(broken)


def test_official_and_packed_the_same_games_deal_the_same_tasks(tmp_path: Path) -> None:
    ids = [f"valid/{family}-{number}/trial" for family in FAMILIES for number in range(3)]
    for id in reversed(ids):
        write_official(tmp_path / "official", id)
    sources = AlfworldTasks.at(tmp_path / "official"), AlfworldTasks.at(write_packed(tmp_path, *map(lamps_line, ids)))
    drawn_tasks = [[*source.tasks("darken", 3, 5), *source.stream(3, 9)] for source in sources]
    assert drawn_tasks[0] == drawn_tasks[1]


@needs_data
def test_the_official_games_are_dealt_with_the_difficulty_of_their_walkthroughs() -> None:
    source, games = AlfworldTasks.at(DATA, "valid_seen"), official("valid_seen")
    assert source.families(1) == {
        "look_at_obj_in_light": 13,
        "pick_and_place_simple": 35,
        "pick_clean_then_place_in_recep": 27,
        "pick_cool_then_place_in_recep": 25,
        "pick_heat_then_place_in_recep": 16,
        "pick_two_obj_and_place": 24,
    }
    for task in source.stream(1, 140):
        assert task.difficulty == len(games[task.id].walkthrough)


def test_a_task_starts_its_game_with_the_cap_of_its_source(source: AlfworldTasks) -> None:
    task = source.stream(0, 1)[0]
    environment = source.start(task)
    assert LAMPS_TASK in environment.reset().text
    assert source.max_turns(task) == 12


def test_a_task_of_another_source_is_refused(source: AlfworldTasks) -> None:
    with pytest.raises(GamesError, match="nowhere is not among the 12 games"):
        source.start(Task("nowhere", "light_all", ""))
