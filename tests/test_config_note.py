"""The note of a profile: kept with the run, shown by the commands and in the state line at every width."""

import pytest
from rich.cells import cell_len

from engine.config import ConfigError, load_config, load_file, load_profile, parse, to_toml
from engine.core.events import Progress, RunStarted
from engine.runs.directory import Run
from skillos_tui.model.folding import fold
from skillos_tui.model.view import RunView
from skillos_tui.widgets.state import state_line
from tests.cli.shell import shell

NAME = "20261125-181716-train-smol"


def test_it_is_kept_where_a_profile_has_one_and_older_configurations_have_none(tmp_path):
    config = load_profile("smol")
    assert config.note.startswith("not learning: ")
    (tmp_path / "config.toml").write_text(to_toml(config))
    assert load_file(tmp_path / "config.toml") == config
    pocket = load_profile("pocket")
    assert pocket.note == "" and "note" not in to_toml(pocket)


def test_a_file_over_a_profile_may_have_another(tmp_path):
    (tmp_path / "mine.toml").write_text('profile = "smol"\nnote = "mine"\n')
    assert load_config(tmp_path / "mine.toml").note == "mine"


@pytest.mark.parametrize("note", ["3", '"two\\nlines"', f'"{"x" * 201}"', '"https://a:secret@b"', "[1]"])
def test_what_a_screen_cannot_show_is_refused(note):
    with pytest.raises(ConfigError, match=r"note = .* is not one line of text"):
        parse(f'profile = "pocket"\nnote = {note}\n')


def test_it_is_no_setting():
    with pytest.raises(ConfigError, match="note is no section"):
        load_profile("smol", ["note.x=1"])


def test_the_status_of_a_run_has_it(tmp_path):
    with Run.create(tmp_path / "run", kind="train", config_text=to_toml(load_profile("smol"))):
        pass
    assert "note: not learning: " in shell("status", tmp_path / "run").out
    assert '"note": "not learning' in shell("status", tmp_path / "run", "--json").out


@pytest.mark.parametrize(
    ("width", "shown"), [(200, "plays at chance"), (120, "not learning"), (80, "not learning"), (60, "not learning")]
)
@pytest.mark.parametrize("phase", ["loading", "rollouts", "update"])
def test_the_state_line_has_it_at_every_width(width, shown, phase):
    view = RunView()
    view.identify("train", None)
    fold(view, RunStarted(run_kind="train", profile="smol", steps=2, pid=1, note=load_profile("smol").note))
    fold(view, Progress(phase, "the model smol-curator", 3, 12, "episodes", 60.0))
    line = "".join(text for text, _ in state_line(view, "running", NAME, 0, width).spans)
    assert shown in line and cell_len(line) <= width
