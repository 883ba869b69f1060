"""A log is verified by the settings that each start logged, and not by what config.toml says today."""

import json

import pytest

from engine.cli import main
from engine.config import load_profile, to_toml
from engine.core.events import CallsKept, Notice, RunStarted
from engine.evaluation.verify import Means, verify
from engine.runs.directory import Run
from tests.training.answering import CONFIG, Answering, stored, told_in_full

OTHER = load_profile("pocket", ["rewards.lambda_c=0.9"])


def started(config, resumed_from=0):
    return RunStarted("train", "pocket", 3, 1, resumed_from, to_toml(config))


async def test_each_step_is_recomputed_by_the_settings_of_its_start():
    one, two = await told_in_full(Answering()), await told_in_full(Answering(), step=2)
    log = [started(CONFIG), *one, started(CONFIG, 1), *two]
    assert verify(stored(log), OTHER, "train").differences == []
    assert verify(stored(log), None, "train").differences == []
    found = verify(stored([started(CONFIG), *one, started(OTHER, 1), *two]), CONFIG, "train").differences
    assert found and all("step 2" in each.where for each in found)


async def test_means_are_asked_once_for_each_configuration():
    asked = []
    log = [started(CONFIG), started(CONFIG), started(OTHER), started(OTHER)]
    verify(stored(log), CONFIG, "train", means=lambda config: asked.append(config) or Means())
    assert asked == [CONFIG, OTHER]


async def test_events_without_settings_are_counted_with_the_reason_and_never_called_verified():
    one = [event for event in await told_in_full(Answering()) if not isinstance(event, CallsKept)]  # it has no figure
    report = verify(stored([RunStarted("train", "pocket", 3, 1), *one]), None, "train")
    [(reason, count)] = report.without_settings.items()
    assert count == len(one) and "config.toml cannot be read" in reason and report.checked == {}
    broken = verify(stored([RunStarted("train", "pocket", 3, 1, settings="[["), *one]), CONFIG, "train")
    [(reason, count)] = broken.without_settings.items()
    assert count == len(one) and "the settings of event 1 is not TOML" in reason


# The command


@pytest.fixture
def run(tmp_path):
    with Run.create(tmp_path / "run", kind="train", config_text=to_toml(load_profile("pocket"))) as run:
        run.append(Notice("info", "loading"), started(load_profile("pocket")))
        yield run


def verified(run, capsys):
    """The exit code and the lines of `verify`."""
    code = main(["verify", str(run.path)])
    return code, capsys.readouterr().out.splitlines()


def test_an_edited_config_toml_is_named_and_does_not_count(run, capsys):
    config = run.path / "config.toml"
    config.write_text(config.read_text().replace("seed = 1\n", "seed = 4\n", 1))
    code, lines = verified(run, capsys)
    assert code == 0 and "0 differences" in lines[-1]
    [said] = [line for line in lines if line.startswith("config.toml was edited after the last start")]
    assert "was 1 and is now 4" in said


@pytest.mark.parametrize("spoil", ["missing", "broken"])
def test_a_config_toml_that_is_missing_or_broken_does_not_stop_the_verification(run, capsys, spoil):
    config = run.path / "config.toml"
    config.unlink() if spoil == "missing" else config.write_text("[[[")
    code, lines = verified(run, capsys)
    assert code == 0 and "read 2 events" in lines[-1] and "0 differences" in lines[-1]
    assert any("config.toml" in line for line in lines[:-1])


def test_what_is_not_understood_is_named_and_the_exit_code_is_1(run, capsys):
    run.db.one("""INSERT INTO events (id, at, kind, data) VALUES (3, 5, 'dreamt', '{"kind":"dreamt"}')""")
    code, lines = verified(run, capsys)
    assert code == 1 and not lines[-1].endswith(" 0 differences")
    assert any(
        line.startswith("event 3, dreamt: not understood: this version does not know its kind") for line in lines
    )


def test_events_shows_what_it_cannot_read_and_all_that_follows(run, capsys):
    run.db.one("""INSERT INTO events (id, at, kind, data) VALUES (3, 5, 'dreamt', '{"kind":"dreamt"}')""")
    run.append(Notice("info", "later"))
    assert main(["events", str(run.path)]) == 0
    third, fourth = capsys.readouterr().out.splitlines()[2:]
    assert "dreamt             cannot be read: this version does not know its kind" in third and "later" in fourth
    assert main(["events", "--json", str(run.path)]) == 0
    third, fourth = map(json.loads, capsys.readouterr().out.splitlines()[2:])
    assert third["event"]["kind"] == "dreamt" and "newer skillos-tui" in third["event"]["unreadable"]
    assert fourth["event"] == {"kind": "notice", "level": "info", "message": "later"}


def test_events_json_is_one_printable_object_a_line_whatever_is_stored(run, capsys):
    hostile = '{"kind":"notice",\n"level":"info","message":"\x7f\x9b31m","later":"\u202e"}'
    run.db.one("INSERT INTO events (id, at, kind, data) VALUES (3, 'noon', 'notice', CAST(? AS BLOB))", [hostile])
    run.db.one("INSERT INTO events (id, at, kind, data) VALUES (4, 9e300, 'notice', CAST(? AS BLOB))", [hostile])
    assert main(["events", "--json", str(run.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and all(line.isprintable() for line in lines)
    assert json.loads(lines[2])["at"] is None and json.loads(lines[3])["event"]["message"] == "\x7f\x9b31m"
    assert main(["events", str(run.path)]) == 0
    assert [line[:8] for line in capsys.readouterr().out.splitlines()[2:]] == ["--:--:--"] * 2
