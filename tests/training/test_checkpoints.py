"""Checkpoints: whole or absent, the newest by its number."""

import pytest

from engine.runs.errors import WriteFailed
from engine.training.checkpoints import PARTIAL, latest, settle, size_of


def written(folder, text="weights"):
    folder.mkdir(parents=True)
    (folder / "adapter").write_text(text)
    return folder


def test_a_finished_folder_gets_its_steps_name(tmp_path):
    final = settle(written(tmp_path / PARTIAL / "checkpoint-3"), tmp_path, 3)
    assert final == tmp_path / "step-0003"
    assert (final / "adapter").read_text() == "weights"
    assert not (tmp_path / PARTIAL / "checkpoint-3").exists()


def test_what_is_not_finished_is_not_a_checkpoint(tmp_path):
    written(tmp_path / PARTIAL / "checkpoint-9")
    assert latest(tmp_path) is None
    settle(written(tmp_path / PARTIAL / "checkpoint-2"), tmp_path, 2)
    assert latest(tmp_path) == (2, tmp_path / "step-0002")


def test_the_newest_is_the_one_of_the_highest_step_and_not_of_the_last_name(tmp_path):
    for step in (2, 10, 9999, 10000):
        settle(written(tmp_path / PARTIAL / str(step)), tmp_path, step)
    assert latest(tmp_path) == (10000, tmp_path / "step-10000")


def test_a_step_done_again_takes_the_place_of_the_first_and_is_never_half_there(tmp_path):
    settle(written(tmp_path / PARTIAL / "a", "old"), tmp_path, 4)
    settle(written(tmp_path / PARTIAL / "b", "new"), tmp_path, 4)
    assert (latest(tmp_path)[1] / "adapter").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"step-0004", PARTIAL}


def test_one_that_is_not_done_again_in_full_leaves_the_first_where_it_is(tmp_path):
    settle(written(tmp_path / PARTIAL / "a", "old"), tmp_path, 4)
    with pytest.raises(WriteFailed):
        settle(tmp_path / PARTIAL / "never written", tmp_path, 4)
    assert (latest(tmp_path)[1] / "adapter").read_text() == "old"


def test_one_that_cannot_be_kept_is_told_in_words_and_the_one_before_stays(tmp_path):
    settle(written(tmp_path / PARTIAL / "a", "old"), tmp_path, 1)
    with pytest.raises(WriteFailed, match=r"checkpoint of step 2 cannot be kept .* free some space"):
        settle(tmp_path / PARTIAL / "never written", tmp_path, 2)
    assert latest(tmp_path) == (1, tmp_path / "step-0001")


def test_its_size_is_that_of_all_its_files(tmp_path):
    folder = written(tmp_path / "step-0001", "12345")
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_text("678")
    assert size_of(folder) == 8
