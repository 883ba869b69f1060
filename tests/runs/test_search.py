"""A run is searched by words; the index is made of the log, beside it, and can be lost at any time."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.calls import pack
from engine.core.events import CallsKept, PositionId, RunStarted, StepStarted, TurnTaken
from engine.core.outcomes import SUCCEEDED
from engine.core.records import ChatMessage, ModelCall
from engine.runs.directory import Run
from engine.runs.search.index import SearchFailed, SearchIndex
from engine.runs.search.texts import Query
from tests.workbench.recording import create, episode, record_training

NONE = "letters or digits"


def turn(at: PositionId, text: str) -> TurnTaken:
    return TurnTaken(at, 3, "", "look", text, False)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = create(tmp_path / "run")
    at = PositionId(1, 0, 2)
    run.append(StepStarted(1, []), *episode(at, SUCCEEDED))
    run.append(turn(at, "first line\nThe Café has a whistling-kettle, 3 of them.\nlast line"))
    return run


def opened(run: Run) -> SearchIndex:
    """The whole index of a run."""
    index = SearchIndex.open(run, run.path.parent / "cache")
    while index.add(run):
        pass
    return index


def places(run: Run, text: str, limit: int = 50) -> list[str]:
    with opened(run) as index:
        return [place.spot.text for place in index.find(run, text, limit).places]


def test_a_place_is_found_with_its_line(run: Run) -> None:
    with opened(run) as index:
        found = index.find(run, "kettle café", 10)
    assert [(place.spot.text, place.what) for place in found.places] == [("1/g0/r2/p1/t2", "observation")]
    assert found.places[0].line == "The Café has a whistling-kettle, 3 of them."
    assert (found.total, found.more, found.read) == (1, False, run.last_id())


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("whist", 1),  # the beginning of the last word
        ("whist kettle", 0),  # not of another
        ('"whistling kettle"', 1),
        ('"kettle whistling"', 0),
        ("whistling-kettle", 1),
        ("CAFE", 1),
        ("safe", 3),
        ("nowhere-at-all", 0),
    ],
)
def test_words_and_phrases_are_found(run: Run, text: str, count: int) -> None:
    assert len(places(run, text)) == count


@pytest.mark.parametrize(
    ("text", "line", "matches"),
    [
        ("水壶", "打开水壶的盖子", ["水壶"]),  # inside a run of characters
        ("壶水", "打开水壶的盖子", None),
        ("盖", "打开水壶的盖子", ["盖"]),
        ("模型", "用AI模型打开", ["模型"]),
        ("AI", "用AI模型打开", ["AI"]),
        ("ai模", "用AI模型打开", ["AI模"]),
        ("やかん", "赤いやかんを開ける", ["やかん"]),
        ("かん", "がんばる", None),  # a voiced letter is another one
        ("주전자", "주전자를 연다", ["주전자"]),
        ("하다", "한다", None),
    ],
)
def test_chinese_japanese_and_korean_words_are_found_without_spaces(
    run: Run, text: str, line: str, matches: list[str] | None
) -> None:
    run.append(turn(PositionId(1, 0, 2), line))
    with opened(run) as index:
        found = index.find(run, text, 10).places
    assert [place.line for place in found] == ([line] if matches else [])
    assert [line[start:end] for start, end in Query.of(text).spans(line)] == (matches or [])


HOSTILE = (
    '"',
    '""',
    "AND",
    "NOT safe",
    "safe OR",
    "body:safe",
    "NEAR(a b)",
    "a*b^c",
    "(",
    "-",
    "{",
    "\0",
    "' OR 1=1 --",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_an_error_of_syntax(run: Run, text: str) -> None:
    with opened(run) as index:
        found = index.find(run, text, 10)
    assert found.refusal == "" or NONE in found.refusal


def test_any_text_is_a_query(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    with opened(run) as index:

        @settings(max_examples=25, deadline=None)
        @given(st.text(max_size=40))
        def search(text: str) -> None:
            query = Query.of(text)
            found = index.find(run, text, 3)
            assert bool(found.refusal) == (not query.terms)
            for start, end in query.spans(text):
                assert 0 <= start < end <= len(text)

        search()


def test_where_the_words_stand_is_marked() -> None:
    line = "Open the Café: the café-door, not the door"
    assert [line[a:b] for a, b in Query.of('"the cafe"').spans(line)] == ["the Café", "the café"]
    assert [line[a:b] for a, b in Query.of("doo").spans(line)] == ["doo", "doo"]
    assert Query.of("oor").spans(line) == []
    assert len(Query.of("x").line([("observation", "y" * 1000 + " x " + "z" * 1000)])[1]) < 320


def test_the_newest_places_come_first_and_their_number_is_limited(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=3)
    with opened(run) as index:
        found = index.find(run, "closed", 5)
    assert len(found.places) == 5 and found.total == 72
    assert [place.event for place in found.places] == sorted((place.event for place in found.places), reverse=True)


def test_only_what_is_new_is_indexed_and_every_process_may_do_it(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2)
    opened(run).close()
    run.append(turn(PositionId(2), "an armadillo"))
    indexes = [SearchIndex.open(run, tmp_path / "cache") for _ in range(4)]

    def add(index: SearchIndex) -> None:
        while index.add(run):
            pass

    threads = [threading.Thread(target=add, args=[index]) for index in indexes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(index.find(run, "armadillo", 9).places) for index in indexes] == [1] * 4
    assert indexes[0].find(run, "closed", 500).total == 48
    for index in indexes:
        index.close()


def test_places_that_a_resume_undid_are_not_found(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2)
    run.append(turn(PositionId(2), "an armadillo"))
    assert places(run, "armadillo") == ["2/g0/r0/p1/t2"]
    run.append(RunStarted("train", "pocket", 9, 1, resumed_from=1))
    assert places(run, "armadillo") == []


def test_an_index_of_another_log_is_made_anew(run: Run, tmp_path: Path) -> None:
    assert places(run, "kettle")
    path, created = run.path, run.created
    run.close()
    shutil.rmtree(path)
    other = create(path)
    other.append(StepStarted(1, []), *episode(PositionId(1), SUCCEEDED))
    assert other.created != created and places(other, "kettle") == []
    assert len(places(other, "safe")) == 3


def test_a_changed_log_of_the_same_run_is_indexed_anew(run: Run) -> None:
    assert places(run, "kettle")
    with sqlite3.connect(run.path / "run.db") as database:
        database.execute("UPDATE events SET sum = x'00' WHERE id = (SELECT max(id) FROM events)")
        database.execute("UPDATE events SET data = replace(CAST(data AS TEXT), 'kettle', 'bottle')")
    assert places(run, "kettle") == [] and places(run, "bottle")


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 100])
def test_a_damaged_index_is_made_anew(run: Run, damage: bytes) -> None:
    assert places(run, "kettle")
    (file,) = (run.path.parent / "cache").glob("*.db")
    for path in (run.path.parent / "cache").iterdir():
        path.unlink()
    file.write_bytes(damage)
    assert places(run, "kettle")


def test_a_run_that_can_only_be_read_is_searched_and_nothing_is_written_there(run: Run) -> None:
    path = run.path
    run.close()
    for file in path.glob("run.db*"):
        file.chmod(0o444)
    path.chmod(0o555)
    try:
        with Run.open(path) as again:
            if os.geteuid() != 0:
                assert again.read_only
            before = sorted(path.iterdir())
            assert places(again, "kettle") and sorted(path.iterdir()) == before
    finally:
        path.chmod(0o755)


def test_indexes_of_runs_that_are_gone_are_removed(run: Run, tmp_path: Path) -> None:
    assert places(run, "kettle")
    run.close()
    shutil.rmtree(run.path)
    other = record_training(tmp_path / "other", steps=1)
    with SearchIndex.open(other, tmp_path / "cache"):
        assert len([*(tmp_path / "cache").glob("*.db")]) == 1


def test_where_no_index_can_be_made_the_message_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SearchFailed, match="cannot be made"):
        SearchIndex.open(run, tmp_path / "file")


def kept(at: PositionId, *prompts: str, role: str = "executor") -> CallsKept:
    """The calls of an episode whose chat grows: each prompt repeats those before. A curator's call has no turn."""
    calls = [
        ModelCall(
            role, turn if role == "executor" else 0, [ChatMessage("user", text) for text in prompts[:turn]], "x", 0.1
        )
        for turn in range(1, len(prompts) + 1)
    ]
    return CallsKept(at, pack(calls))


@pytest.fixture
def asked(run: Run) -> Run:
    run.append(kept(PositionId(1, 0, 2), "You play a game.\nThe Café has a kettle.", "You see an armadillo there."))
    run.append(kept(PositionId(1, 0, 2), "Edit the skills after the armadillo.", role="curator"))
    return run


def prompts(run: Run, text: str) -> list[tuple[str, str, str]]:
    with opened(run) as index:
        while index.add(run, "prompts"):
            pass
        return [(place.spot.text, place.what, place.line) for place in index.find(run, text, 50).places]


def test_what_the_models_were_asked_is_found_where_it_is_asked_for_and_nowhere_else(asked: Run) -> None:
    assert prompts(asked, "in:prompt armadillo") == [
        ("1/g0/r2/p1", "prompt", "Edit the skills after the armadillo."),
        ("1/g0/r2/p1/t1", "prompt", "You see an armadillo there."),
    ]
    assert prompts(asked, "cafe IN:PROMPT kett") == [("1/g0/r2/p1/t0", "prompt", "The Café has a kettle.")]
    assert prompts(asked, "armadillo") == [] and prompts(asked, 'in:prompt "nothing like it"') == []
    assert [what for _, what, _ in prompts(asked, "kettle")] == ["observation"]
    assert prompts(asked, '"in:prompt" armadillo') == []


def test_words_are_indexed_without_prompts_and_prompts_by_themselves(asked: Run) -> None:
    with opened(asked) as index:
        found = index.find(asked, "in:prompt armadillo", 9)
        assert (found.places, found.read, found.last) == ([], 0, asked.last_id()) and index.read == asked.last_id()
        while index.add(asked, "prompts"):
            pass
        assert index.find(asked, "in:prompt armadillo", 9).read == asked.last_id()


def test_a_search_in_what_is_not_searched_says_what_can_be(asked: Run) -> None:
    with opened(asked) as index:
        assert "in:prompt searches what the models were asked" in index.find(asked, "in:answer kettle", 9).refusal
        assert NONE in index.find(asked, "in:prompt", 9).refusal


@pytest.mark.parametrize("packed", [b"", b"no zlib", zlib.compress(b'[{"role": 3}]'), zlib.compress(b"[]")])
def test_calls_that_cannot_be_read_are_left_out(asked: Run, packed: bytes) -> None:
    asked.append(CallsKept(PositionId(1, 0, 2), packed))
    assert len(prompts(asked, "in:prompt armadillo")) == 2
