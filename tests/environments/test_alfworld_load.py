"""Where games come from, and what is said of those that are broken."""

from __future__ import annotations

import lzma
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from tests.environments.alfworld_games import (
    DATA,
    LAMPS_DOMAIN,
    LAMPS_GRAMMAR,
    LAMPS_PROBLEM,
    LAMPS_TASK,
    LAMPS_WALKTHROUGH,
    lamps_line,
    needs_data,
    play_lamps,
    won_after_each,
    write_official,
    write_packed,
)


def test_a_packed_game_says_what_its_line_says(tmp_path: Path) -> None:
    game = load_games(write_packed(tmp_path))[0]
    assert (game.id, game.family, game.task) == ("valid/light_all-Lamp-1/trial_1", "light_all", LAMPS_TASK)
    assert game.walkthrough == tuple(LAMPS_WALKTHROUGH)


def test_a_compressed_split_reads_like_a_plain_one(tmp_path: Path) -> None:
    write_packed(tmp_path)
    (tmp_path / "valid.jsonl").unlink()
    (tmp_path / "train.jsonl.xz").write_bytes(
        lzma.compress((lamps_line("train/a-1/t") + lamps_line("train/b-1/t")).encode())
    )
    assert [game.family for game in load_games(tmp_path, "train")] == ["a", "b"]


def test_recordings_beside_the_splits_are_no_split(tmp_path: Path) -> None:
    write_packed(tmp_path)
    (tmp_path / "traces-valid.jsonl").write_text("{}\n")
    assert not load_games(tmp_path).left_out


def test_the_official_layout_reads_from_the_root_a_split_or_one_file(tmp_path: Path) -> None:
    file = write_official(tmp_path, "valid_seen/light_all-Lamp-1/trial_1")
    write_official(tmp_path, "train/light_all-Lamp-2/trial_2")
    assert [game.id for game in load_games(tmp_path, "valid_seen")] == ["valid_seen/light_all-Lamp-1/trial_1"]
    assert len(load_games(tmp_path)) == len(load_games(tmp_path / "json_2.1.1")) == 2
    assert len(load_games(tmp_path / "json_2.1.1" / "train")) == 1
    (game,) = load_games(file)
    assert (game.id, game.family, game.task) == ("valid_seen/light_all-Lamp-1/trial_1", "light_all", LAMPS_TASK)
    assert won_after_each(game, game.walkthrough)[-1]


def test_an_official_task_may_be_more_than_plain_words(tmp_path: Path) -> None:
    said = LAMPS_GRAMMAR.replace("@@TASK@@", r"light \"every\" lamp: now.")
    (game,) = load_games(write_official(tmp_path, "train/light_all-Lamp-1/trial_1", grammar=said))
    assert game.task == 'light "every" lamp: now.'
    assert AlfworldEnvironment(game).reset().text.endswith("You are asked to: light every lamp: now.")


def test_official_games_that_the_official_player_leaves_out_are_left_out(tmp_path: Path) -> None:
    write_official(tmp_path, "train/light_all-Lamp-1/trial_1")
    write_official(tmp_path, "train/light_all-Lamp-2/trial_2", solvable=False)
    write_official(tmp_path, "train/light_all-LampSliced-3/trial_3")
    games = load_games(tmp_path)
    assert len(games) == 1 and len(games.left_out) == 2
    assert games.broken == ()


def test_a_game_that_was_listed_plays_as_it_was_then(tmp_path: Path) -> None:
    games = load_games(write_packed(tmp_path))
    (tmp_path / "valid.jsonl").write_text(lamps_line(task="sleep.") * 2)
    (tmp_path / "valid.jsonl").unlink()
    assert games[0].task == LAMPS_TASK
    assert AlfworldEnvironment(games[0]).step("press lamp 3").text == "lamp 3 shines."


def test_a_disk_without_room_to_unpack_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))
    with pytest.raises(
        GamesError, match=r"full: games cannot be unpacked there: .*; set TMPDIR to where there is room"
    ):
        load_games(write_packed(tmp_path))


def test_listing_opens_no_official_game_further_than_its_end(tmp_path: Path) -> None:
    write_official(tmp_path, "train/light_all-Lamp-1/trial_1", pddl_problem="(")
    (game,) = load_games(tmp_path)
    with pytest.raises(GamesError, match=r"game\.tw-pddl, line 1: pddl_problem: 1 parentheses are not closed"):
        AlfworldEnvironment(game)


def test_a_missing_path_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(GamesError, match="nowhere: no such file or directory; expected ALFWorld games"):
        load_games(tmp_path / "nowhere")


def test_a_directory_without_games_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(GamesError, match=r"no games; expected <split>/<task>/<trial>/game\.tw-pddl or <split>\.jsonl"):
        load_games(tmp_path)


def test_an_unknown_split_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(GamesError, match="no split test; expected one of: valid"):
        load_games(write_packed(tmp_path), "test")


def test_an_unknown_split_of_the_official_layout_names_those_there_are(tmp_path: Path) -> None:
    write_official(tmp_path, "train/light_all-Lamp-1/trial_1")
    with pytest.raises(GamesError, match="no split test; expected one of: train"):
        load_games(tmp_path, "test")


@pytest.mark.parametrize("content", ["", "\n"], ids=["an empty file", "a blank line"])
def test_an_empty_packed_split_is_an_error(tmp_path: Path, content: str) -> None:
    write_packed(tmp_path)
    (tmp_path / "test.jsonl").write_text(content)
    with pytest.raises(GamesError, match="no games of the split test"):
        load_games(tmp_path, "test")


def test_an_empty_directory_of_a_split_is_an_error(tmp_path: Path) -> None:
    write_official(tmp_path, "train/light_all-Lamp-1/trial_1")
    (tmp_path / "json_2.1.1" / "test").mkdir()
    with pytest.raises(GamesError, match="no games of the split test"):
        load_games(tmp_path, "test")


@pytest.mark.parametrize("missing", ["domain.pddl", "grammar.twl2"])
def test_packed_games_need_their_domain_and_grammar(tmp_path: Path, missing: str) -> None:
    (write_packed(tmp_path) / missing).unlink()
    with pytest.raises(GamesError, match=f"{missing}: cannot be read"):
        load_games(tmp_path)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{\n", r"valid\.jsonl, line 2: broken JSON: .*; expected an object with id, task, walkthrough, pddl_problem"),
        ('{"id": "a/b/c"}\n', r"valid\.jsonl, line 2: .*missing required field `task`"),
        (lamps_line(id=3), r"line 2: .*Expected `str`, got `int`"),
        (
            lamps_line(walkthrough="go"),
            r"line 2: Expected `array`, got `str` - at `\$\.walkthrough`; expected an object with",
        ),
        (lamps_line(walkthrough=["go", 3]), r"line 2: Expected `str`, got `int` - at `\$\.walkthrough\[1\]`"),
        (lamps_line(task="x" * 1001), r"line 2: Expected `str` of length <= 1000 - at `\$\.task`"),
        ("[]\n", r"line 2: Expected `object`, got `array`"),
        ('{"x": ' + "[" * 100_000 + "\n", "line 2: "),
        (lamps_line("valid/light_all-1/first"), r"line 2: the id valid/light_all-1/first is taken by .*line 1"),
    ],
    ids=[
        *(
            "no JSON",
            "a field too few",
            "an id that is no text",
            "a walkthrough that is no list",
            "an action that is no text",
        ),
        *("a long task", "no object", "deep nesting", "an id twice"),
    ],
)
def test_a_broken_line_does_not_stop_the_others(tmp_path: Path, line: str, why: str) -> None:
    games = load_games(
        write_packed(tmp_path, lamps_line("valid/light_all-1/first"), line, lamps_line("valid/light_all-3/t"))
    )
    assert [game.id for game in games] == ["valid/light_all-1/first", "valid/light_all-3/t"]
    (error,) = games.left_out
    assert re.search(why, str(error))


@pytest.mark.parametrize(
    "id",
    ["", "a/../../b", "/etc/x/y", "a//b", "a/./b", "a/ /b", "a/b\x1b[2Jc", "a/b\nc", "a/\u202eb", "a/\x00", "x" * 301],
)
def test_an_id_that_could_do_harm_is_refused(tmp_path: Path, id: str) -> None:
    games = load_games(write_packed(tmp_path, lamps_line(), lamps_line(id)))
    assert len(games) == 1
    (error,) = games.left_out
    assert re.search(r"valid\.jsonl, line 2: .*(printable names between /|length <= 300)", str(error))
    assert str(error).isprintable()


def test_an_archive_that_is_none_leaves_out_its_games(tmp_path: Path) -> None:
    write_packed(tmp_path)
    (tmp_path / "big.jsonl.xz").write_text(lamps_line())
    games = load_games(tmp_path)
    assert len(games) == 1
    assert "big.jsonl.xz, after line 0: cannot be read: Input format not supported" in str(games.left_out[0])


def test_a_cut_off_archive_still_gives_the_games_before_the_cut(tmp_path: Path) -> None:
    write_packed(tmp_path)
    lines = [lamps_line(f"big/light_all-{number}/t", walkthrough=["x" * 5000 + str(number)]) for number in range(400)]
    whole = lzma.compress("".join(lines).encode())
    (tmp_path / "big.jsonl.xz").write_bytes(whole[: len(whole) - 20])
    games = load_games(tmp_path, "big")
    assert len(games) > 0 and "cannot be read" in str(games.left_out[-1])


def test_a_cut_off_official_game_is_left_out(tmp_path: Path) -> None:
    write_official(tmp_path, "train/light_all-Lamp-1/trial_1")
    file = write_official(tmp_path, "train/light_all-Lamp-2/trial_2")
    file.write_text(file.read_text()[:-5])
    games = load_games(tmp_path)
    assert len(games) == 1 and "trial_2/game.tw-pddl, line 1: broken JSON" in str(games.left_out[0])


BROKEN = {
    "an unknown predicate": (
        "problem",
        "(in Hall_bar_1)",
        "(inside Hall_bar_1)",
        "line 5: the domain declares no predicate",
    ),
    "a wrong number of arguments": ("problem", "(in Hall_bar_1)", "(in Hall_bar_1 x)", "line 5: in takes 1 arguments"),
    "an unknown object": ("problem", "(in Hall_bar_1)", "(in Cellar)", "line 5: the problem declares no object cellar"),
    "an unknown type": ("problem", "Candle_bar_1 - lamp", "Candle_bar_1 - wax", "is of the type wax; expected one of"),
    "a variable as a fact": ("problem", "(in Hall_bar_1)", "(in ?x)", "expected a fact without variables"),
    "a variable as an object": ("problem", "Attic_bar_1 - room", "?x - room", "an object cannot be called"),
    "two types for one object": (
        "problem",
        "Attic_bar_1 - room",
        "Attic_bar_1 Candle_bar_1 - room",
        "declared as (room|lamp) and as",
    ),
    "another domain": ("problem", "(:domain lamps)", "(:domain stars)", "is for the domain stars"),
    "no goal": ("problem", "(:goal", "(:metric", "no :goal"),
    "a goal that is no condition": ("problem", "(or (lit ?l) (broken ?l))", "(((lit)))", "expected a predicate"),
    "an undeclared variable": ("problem", "(or (lit ?l)", "(or (lit ?x)", r"uses \?x, which neither"),
    "a parenthesis too many": ("problem", ":goal", ":goal)", "pddl_problem"),
    "deep nesting": ("problem", "(in Hall_bar_1)", "(" * 5000 + ")" * 5000, "nested more than"),
    "an unknown section": ("domain", "(:requirements", "(:derived", "expected :requirements"),
    "an unknown predicate in an action": (
        "domain",
        "(in ?here)",
        "(at ?here)",
        r"pddl_domain, line \d+: the domain declares",
    ),
    "an unknown constant in an action": ("domain", "(stands ?l ?r)", "(stands ?l cellar)", "declares no object cellar"),
    "a parameter that is no variable": ("domain", "(?l - lamp)\n", "(l - lamp)\n", "variables, which begin with"),
    "an undeclared variable in an effect": (
        "domain",
        "(lit ?l))))",
        "(lit ?x))))",
        r"press uses \?x, and no parameter",
    ),
    "a quantifier over a parameter": (
        "domain",
        "(?l - lamp) (when (stands ?l ?r) (not (lit ?l)))",
        "(?r - lamp) (not (lit ?r))",
        r"darken uses \?r",
    ),
    "an action without a text": ("grammar", "action press", "action push", "no text for the domain's action press"),
    "an action without a template": ("grammar", 'template :: "walk to {to}";', "", "the action walk has no template"),
    "an action that is not closed": (
        "grammar",
        'Dark: [{l.name | not_lit(l:lamp)}].";\n}',
        '";',
        "darken is not closed",
    ),
    "rules that are not JSON": ("grammar", '"intro": [', '"intro": [[', "the grammar block is not JSON"),
    "a rule that is no list": ("grammar", '[{"rhs": ", "}]', '", "', "the rule list_separator should be a list"),
    "an unknown rule": ("grammar", "Off you go.", "Off you go. #lights#", "the grammar has no rule lights"),
    "a rule within itself": (
        "grammar",
        '"no lamp"',
        '"#list_empty#"',
        "the grammar's rule list_empty refers to itself",
    ),
    "an unknown predicate in a query": ("grammar", "not_lit(l:lamp)}", "dim(l:lamp)}", "declares no predicate dim"),
    "an argument too many in a query": (
        "grammar",
        "not_lit(l:lamp)}",
        "not_lit(l:lamp, r:room)}",
        "lit takes 1 arguments",
    ),
    "an unknown type in a query": ("grammar", "not_lit(l:lamp)}", "not_lit(l:star)}", "l:star is of no type"),
    "a query that is none": ("grammar", "not_lit(l:lamp)}", "not_lit l}", "expected predicate"),
    "a call in an expression": ("grammar", "{l.name or l.id}", "{print(l)}", "uses more than the names in scope"),
    "a hidden attribute": ("grammar", "{l.name or l.id}", "{l.__class__}", "uses more than the names in scope"),
    "a broken expression": ("grammar", "{l.name or l.id}", "{l.name or}", "cannot be read"),
    "a long expression": (
        "grammar",
        "{l.name or l.id}",
        "{l.name" + " + l.name" * 100 + "}",
        "more than 200 characters",
    ),
    "nonsense in the grammar": ("grammar", "action darken", "deed darken", r"grammar, line \d+: expected an action"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_game_that_does_not_fit_says_where_and_what_was_expected(tmp_path: Path, name: str) -> None:
    part, old, new, why = BROKEN[name]
    texts = {"domain": LAMPS_DOMAIN, "grammar": LAMPS_GRAMMAR, "problem": LAMPS_PROBLEM}
    assert old in texts[part]
    with pytest.raises(GamesError, match=why) as raised:
        play_lamps(tmp_path, **{part: texts[part].replace(old, new)})
    assert "valid.jsonl, line 1: " in str(raised.value)


def test_a_grammar_may_tell_of_more_actions_than_the_domain_has(tmp_path: Path) -> None:
    """The official grammar does."""
    more = 'action dance {\n template :: "dance";\n feedback :: "#never_read#";\n}\n'
    assert play_lamps(tmp_path, grammar=LAMPS_GRAMMAR + more).step("dance").text == "Nothing happens."


def test_checking_finds_what_listing_cannot_and_keeps_the_rest(tmp_path: Path) -> None:
    broken = LAMPS_PROBLEM.replace("(in Hall_bar_1)", "(inside Hall_bar_1)")
    lines = [
        lamps_line("valid/a-1/t"),
        lamps_line("valid/b-1/t", pddl_problem=broken),
        "{\n",
        lamps_line("valid/c-1/t"),
    ]
    games = load_games(write_packed(tmp_path, *lines))
    assert len(games) == 3
    checked = games.checked()
    assert [game.id for game in checked] == ["valid/a-1/t", "valid/c-1/t"]
    assert [re.findall(r"line \d", str(error))[0] for error in checked.left_out] == ["line 3", "line 2"]
    assert checked.broken == checked.left_out


def test_checking_finds_what_only_shows_when_the_game_begins(tmp_path: Path) -> None:
    silent = LAMPS_GRAMMAR.replace('{"rhs": "{l.name or l.id}"}', '{"condition": "broken(l:lamp)", "rhs": "x"}')
    (error,) = load_games(write_packed(tmp_path, grammar=silent)).checked().left_out
    assert re.search(r"valid\.jsonl, line 1: grammar: the grammar's rule lamp\(l\) has no alternative", str(error))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["domain", "grammar", "problem"]), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_a_damaged_game_is_played_or_refused(tmp_path: Path, part: str, at: float, to: float, move: bool) -> None:
    texts = {"domain": LAMPS_DOMAIN, "grammar": LAMPS_GRAMMAR, "problem": LAMPS_PROBLEM}
    words = re.split(r"(\W)", texts[part])
    word = words.pop(int(at * (len(words) - 1)))
    if move:
        words.insert(int(to * len(words)), word)
    try:
        environment = play_lamps(tmp_path, **{part: "".join(words)})
    except GamesError as error:
        assert "valid.jsonl, line 1: " in str(error)
    else:
        assert [environment.step(action) for action in LAMPS_WALKTHROUGH]


@needs_data
def test_all_splits_of_the_official_data_list_and_nothing_is_left_out() -> None:
    games = load_games(DATA)
    assert (len(games), games.left_out) == (3553 + 200 + 140, ())
    assert len({game.family for game in games}) == 6
