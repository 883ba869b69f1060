"""`skillos-engine games`: what lies where, how a game is played, and new ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.shell import shell
from tests.environments.alfworld_games import DATA, LAMPS_GRAMMAR, lamps_line, needs_data, write_official, write_packed

FIRST, SECOND = "valid/light_all-Lamp-1/trial_1", "valid/darken_all-Lamp-1/trial_2"


def table(text: str) -> dict[str, list[str]]:
    """The rows below the first line, by their first cell."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()[2:]}


# Listing


def test_splits_and_task_types_are_listed_with_their_counts(tmp_path: Path) -> None:
    for id in (FIRST, SECOND, "train/light_all-Lamp-2/trial_1", "train/light_all-Lamp-2/trial_2"):
        write_official(tmp_path, id)
    done = shell("games", "--path", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{tmp_path}: 4 games")
    assert table(done.out) == {
        "task": ["type", "train", "valid", "all"],
        "darken_all": ["0", "1", "1"],
        "light_all": ["2", "1", "3"],
        "all": ["2", "2", "4"],
    }


def test_one_split_can_be_asked_for_and_the_answer_had_as_json(tmp_path: Path) -> None:
    for id in (FIRST, "train/light_all-Lamp-2/trial_1"):
        write_official(tmp_path, id)
    listing = json.loads(shell("games", "--path", tmp_path, "--split", "valid", "--json").out)
    assert listing["splits"] == {"valid": {"light_all": 1}}
    assert (listing["left_out"], listing["checked"]) == ([], False)


@needs_data
def test_the_official_games_are_all_listed() -> None:
    listing = json.loads(shell("games", "--path", DATA, "--json").out)
    counts = {split: sum(families.values()) for split, families in listing["splits"].items()}
    assert counts == {"train": 3553, "valid_train": 200, "valid_seen": 140}


def test_what_is_left_out_is_counted_and_reported_and_the_rest_is_listed(tmp_path: Path) -> None:
    write_packed(tmp_path, lamps_line(FIRST), "{broken\n")
    done = shell("games", "--path", tmp_path)
    assert done.code == 0
    assert "1 games" in done.out and "1 left out" in done.out
    assert "valid.jsonl, line 2: broken JSON" in done.err


def test_a_fault_inside_a_game_is_found_by_checking(tmp_path: Path) -> None:
    write_packed(tmp_path, lamps_line(FIRST), lamps_line(SECOND, pddl_problem="(define (problem p) (:domain lamps))"))
    assert shell("games", "--path", tmp_path).code == 0
    done = shell("games", "--path", tmp_path, "--check")
    assert done.code == 1
    assert "1 games (each compiled), 1 left out" in done.out
    assert "valid.jsonl, line 2" in done.err and "no :goal" in done.err


def test_games_that_the_official_player_leaves_out_too_are_reported_and_are_no_fault(tmp_path: Path) -> None:
    write_official(tmp_path, FIRST)
    write_official(tmp_path, SECOND, solvable=False)
    done = shell("games", "--path", tmp_path, "--check")
    assert done.code == 0
    assert "1 left out" in done.out and "solvable" in done.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["games"], "give --path"),
        (["games", "--path", "absent"], "absent: no such file"),
        (["games", "--path", ".", "--split", "train"], "no split train; expected one of: valid"),
        (["games", "show", "trial_3", "--path", "."], "none of the 2 games has trial_3"),
        (["games", "--path", ".", "show", "trial"], "2 games have trial in their ids"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], why: str
) -> None:
    write_packed(tmp_path, lamps_line(FIRST), lamps_line(SECOND))
    monkeypatch.chdir(tmp_path)
    done = shell(*arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("skillos-engine: ") and why in done.err


def test_checking_names_the_grammars_with_their_counts(tmp_path: Path) -> None:
    write_official(tmp_path, FIRST)
    write_official(tmp_path, SECOND, grammar=LAMPS_GRAMMAR.replace("press {l}", "push {l}"), walkthrough=[])
    done = shell("games", "--path", tmp_path, "--check")
    assert done.code == 0
    assert "games of several grammars: 'press X' (1 games), 'push X' (1 games)" in done.out
    listed = json.loads(shell("games", "--path", tmp_path, "--check", "--json").out)
    assert [(each["says"], each["games"]) for each in listed["grammars"]] == [(["press X"], 1), (["push X"], 1)]
    assert "grammar" not in shell("games", "--path", tmp_path).out


@needs_data
def test_checking_names_the_one_grammar_of_official_games(tmp_path: Path) -> None:
    done = shell("games", "--path", DATA, "--split", "valid_seen", "--check")
    assert "grammar: " in done.out and "'move X to Y' (140 games)" in done.out


# Showing


def test_a_game_without_a_walkthrough_is_shown_as_the_expert_plans_it(tmp_path: Path) -> None:
    older = LAMPS_GRAMMAR.replace("press {l}", "push {l}")
    write_official(tmp_path, FIRST, grammar=older, walkthrough=[])
    done = shell("games", "show", "trial_1", "--path", tmp_path)
    assert done.code == 0, done.err
    assert done.out.count("> push lamp") == 2 and done.out.endswith("won after 3 commands\n")


def test_a_game_is_shown_as_its_expert_plays_it(tmp_path: Path) -> None:
    write_packed(tmp_path, lamps_line(FIRST), lamps_line(SECOND))
    done = shell("games", "show", "trial_2", "--path", tmp_path)
    assert done.code == 0
    assert done.out.startswith(SECOND)
    commands = [line for line in done.out.splitlines() if line.startswith("> ")]
    assert commands == ["> press lamp 3", "> walk to attic 1", "> press lamp 1"]
    assert done.out.endswith("lamp 1 shines.\n\nwon after 3 commands\n")


def test_a_shown_game_can_be_had_as_json(tmp_path: Path) -> None:
    write_packed(tmp_path, lamps_line(FIRST))
    shown = json.loads(shell("games", "--path", tmp_path, "--json", "show", "trial_1").out)
    assert (shown["id"], shown["family"], shown["last"]) == (FIRST, "light_all", "lamp 1 shines.")
    assert [command for _, command in shown["turns"]] == ["press lamp 3", "walk to attic 1", "press lamp 1"]


def test_text_of_a_game_cannot_steer_the_terminal(tmp_path: Path) -> None:
    grammar = (write_packed(tmp_path) / "grammar.twl2").read_text().replace("You wake up.", r"\u001bc You wake up.")
    (tmp_path / "grammar.twl2").write_text(grammar)
    out = shell("games", "show", "trial_1", "--path", tmp_path).out
    assert r"\x1bc You wake up." in out and "\x1b" not in out


# Generating


def test_new_games_are_written_and_listed(tmp_path: Path) -> None:
    arguments = ["--count", 4, "--seed", 3, "--size", "small", "--families", "pick_and_place_simple"]
    done = shell("games", "generate", "--out", tmp_path / "new", *arguments)
    assert done.code == 0, done.err
    assert "4 games" in done.out
    listing = json.loads(shell("games", "--path", tmp_path / "new", "--check", "--json").out)
    assert listing["splits"] == {"synthetic": {"pick_and_place_simple": 4}}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    arguments = ["games", "generate", "--out", tmp_path, "--count", 1, "--seed", 3, "--size", "small", "--json"]
    assert json.loads(shell(*arguments).out) == {"path": str(tmp_path), "games": 1}
    done = shell(*arguments)
    assert done.code == 1 and "nothing is overwritten" in done.err


def test_unknown_families_are_wrong_usage(tmp_path: Path) -> None:
    done = shell("games", "generate", "--out", tmp_path / "new", "--count", 1, "--seed", 1, "--families", "cook")
    assert done.code == 2 and "pick_and_place_simple" in done.err
    assert not (tmp_path / "new").exists()
