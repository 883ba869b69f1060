"""`verify` and `measure` on a real train run: one changed number or text of its log is found, and a checkpoint measures as
it did."""

import json
import shutil
import sqlite3

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.cli import main
from engine.models.catalogue.store import sha256_of
from engine.models.local.files import weights_path
from engine.runs import projections
from engine.runs.chain import rechain
from engine.runs.directory import Run
from tests.whole_loop.shell import ROWS, copy_of, skillos, told, verified


@pytest.fixture(scope="module")
def run(trained):
    return trained[0]


@pytest.fixture
def copied(run, tmp_path):
    return copy_of(run, tmp_path, "optimizer.pt", "step-0001")


def test_everything_that_can_follow_from_the_log_does(run):
    printed = told("verify", run.path)
    positions = 4 * ROWS  # two steps, and two measurements of as many
    assert "not checked" not in printed
    assert f"completions {positions}, tokens {3 * positions}, judge {positions}, held-out 2, prompts 1" in printed
    assert printed.rstrip().endswith(": 0 differences")
    assert f"rewards 4, advantages 4, steps 2, draws 4, episodes {positions}, plays {positions}" in printed


# One change


def more(path, by):
    """A change of one number or text of an event, by the path to it."""

    def change(event):
        *parents, last = path
        inner = event
        for key in parents:
            inner = inner[key]
        inner[last] = by(inner[last]) if callable(by) else inner[last] + by

    return change


def other(*values):
    """The other of two values."""
    return lambda value: values[1] if value == values[0] else values[0]


def first_text(texts):
    """The texts by name, with a word more in the first."""
    name = min(texts)
    return {**texts, name: texts[name] + "more"}


CHANGES = {
    "a group's seed": ("step_started", more(["groups", 0, "seed"], 1)),
    "a group's tasks": ("step_started", lambda event: event["groups"][0]["tasks"].reverse()),
    "a group's family": ("step_started", more(["groups", 0, "family"], "x")),
    "a held-out group's tasks": ("measurement_started", lambda event: event["groups"][1]["tasks"].pop()),
    "a task": ("episode_started", more(["task"], "x")),
    "a task's sentence": ("episode_started", more(["prompt"], " Quickly.")),
    "a step cap": ("episode_started", more(["max_turns"], 1)),
    "an opening": ("episode_started", more(["observation"], " It rains.")),
    "a skill found": ("episode_started", lambda event: event["skills"].append({"name": "a", "score": 1.0})),
    "the score of a skill": ("episode_started", more(["skills", 0, "score"], 1e-6)),
    "a turn's number": ("turn_taken", more(["turn"], 1)),
    "an action": ("turn_taken", more(["action"], "x")),
    "an observation": ("turn_taken", more(["observation"], " It rains.")),
    "a turn's invalid action": ("turn_taken", more(["invalid_action"], lambda invalid: not invalid)),
    "the skills of a turn's prompt": ("turn_taken", more(["skills"], 7)),
    "a count of turns": ("episode_ended", more(["turns"], 1)),
    "a count of invalid actions": ("episode_ended", more(["invalid_actions"], 1)),
    "a reason of an outcome that is known": ("episode_ended", more(["outcome", "reason"], "x")),
    "an outcome": ("episode_ended", more(["outcome", "kind"], other("failed", "succeeded"))),
    "the skills shown": ("episode_ended", lambda event: event["shown"].append("a")),
    "a shortened prompt": ("episode_ended", more(["shortened"], lambda shortened: not shortened)),
    "a completion": ("curation_made", more(["completion"], lambda text: text.replace("insert_skill", "delete_skill"))),
    "a call": (
        "curation_made",
        lambda event: event["calls"].append({"operation": "x", "skill": "", "verdict": "valid"}),
    ),
    "a call's verdict": ("curation_made", more(["calls", 0, "verdict"], other("valid", "refused"))),
    "a skill's text": ("curation_made", more(["repo"], first_text)),
    "a skill's text before": ("curation_made", lambda event: event["before"].update({"a-skill": "text"})),
    "a judge's score": ("curation_made", more(["judge"], 0.25)),
    "a repository's tokens": ("curation_made", more(["repo_tokens"], 1)),
    "a prompt's tokens": ("curation_made", more(["prompt_tokens"], 1)),
    "a completion's tokens": ("curation_made", more(["completion_tokens"], 1)),
    "how a completion ended": ("curation_made", more(["finish"], other("stop", "length"))),
    "whether a completion is canonical": ("curation_made", more(["canonical"], lambda canonical: not canonical)),
    "the skills that the curator saw": ("curation_made", lambda event: event["shown"].append("a")),
    "dropped turns": ("curation_made", more(["dropped_turns"], 1)),
    "dropped vetoes": ("curation_made", more(["dropped_vetoes"], 1)),
    "a judge's reason": ("curation_made", more(["judge_reason"], "x")),
    "r": ("rollout_scored", more(["rewards", "r"], 1e-6)),
    "r_task": ("rollout_scored", more(["rewards", "r_task"], 0.25)),
    "an unmeasured r_fc": ("rollout_scored", more(["rewards", "r_fc"], lambda value: None)),
    "how many were measured": ("rollout_scored", more(["measured"], -1)),
    "an advantage": ("update_made", more(["advantages", 0, 0], 1e-6)),
    "a rollout too many": ("update_made", lambda event: event["advantages"][0].append(0.0)),
    "how many samples": ("update_made", more(["samples"], 1)),
    "an update that was not skipped": ("update_made", more(["skipped"], "nothing was measured")),
    "a step's r_comp": ("step_ended", more(["rewards", "r_comp"], 1e-6)),
    "a step's spread": ("step_ended", more(["reward_std"], 1e-6)),
    "a step's flat groups": ("step_ended", more(["zero_std_groups"], 1)),
    "a step's success": ("step_ended", more(["success_rate"], 0.1)),
    "a step's rate of invalid actions": ("step_ended", more(["invalid_action_rate"], 0.1)),
    "a step's operations": ("step_ended", lambda event: event["operations"].update(delete=9)),
    "a step's invalid calls": ("step_ended", more(["invalid_calls"], 1)),
    "a step's episodes": ("step_ended", more(["episodes"], 1)),
    "a step's unmeasured": ("step_ended", more(["unmeasured"], 1)),
    "a step's skipped curations": ("step_ended", more(["skipped_curations"], 1)),
    "a step's shortened prompts": ("step_ended", more(["shortened"], 1)),
    "a step's dropped skills": ("step_ended", more(["dropped_skills"], 1)),
    "a held-out r_task": ("held_out_measured", more(["r_task"], 0.125)),
    "a held-out standard error": ("held_out_measured", more(["standard_error"], 1e-6)),
    "a held-out count": ("held_out_measured", more(["unmeasured"], 1)),
    "the held-out groups": ("held_out_measured", more(["groups"], 1)),
    "the step of a held-out result": ("held_out_measured", more(["step"], 1)),
    "a held-out part": ("held_out_measured", more(["rewards", "r_cnt"], 1e-6)),
}


def derive_again(connection):
    """As if the log had been written so: what is left to find is what its own events do not give."""
    rechain(connection)
    projections.rebuild(connection)


def spoil(path, kind, change, *, held_out=False):
    """Change the last event of `kind` that the change can be made to; its id."""
    with sqlite3.connect(path / "run.db") as connection:
        rows = connection.execute("SELECT id, data FROM events WHERE kind = ? ORDER BY id DESC", [kind]).fetchall()
        for event_id, data in rows:
            event = json.loads(data)
            if event.get("at", {}).get("held_out", held_out) != held_out:
                continue
            before = msgspec.json.encode(event)
            try:
                change(event)
            except (IndexError, ValueError):
                continue
            if msgspec.json.encode(event) != before:
                connection.execute("UPDATE events SET data = ? WHERE id = ?", [msgspec.json.encode(event), event_id])
                derive_again(connection)
                return event_id
    raise AssertionError(f"no {kind} can be changed so")


OF_POSITIONS = ("episode_started", "turn_taken", "episode_ended", "curation_made")


@pytest.mark.parametrize(("kind", "change"), CHANGES.values(), ids=CHANGES)
def test_one_change_is_found_where_it_was_made(copied, kind, change):
    """Also in a held-out measurement, whose episodes are logged like any others."""
    places = (False, True) if kind in OF_POSITIONS else (False,)
    changed = [spoil(copied, kind, change, held_out=held_out) for held_out in places]
    with Run.open(copied) as spoiled:
        found = [difference.event for difference in verified(spoiled).differences]
    assert set(changed) <= set(found)


def test_a_veto_that_was_not_quoted_is_found_in_the_prompts_of_its_step(copied):
    spoil(copied, "step_started", lambda event: event["vetoes"].append({"skill": "a", "reason": "b"}))
    with Run.open(copied) as spoiled:
        found = verified(spoiled).differences
    assert len(found) == ROWS and all("step 2" in each.where and "tokens of the prompt" in each.where for each in found)


def test_verify_names_what_was_changed_and_exits_with_1(copied, capsys):
    event = spoil(copied, "update_made", more(["advantages", 0, 1], 0.5))
    assert main(["verify", str(copied)]) == 1
    printed = capsys.readouterr().out
    assert f"event {event}, step 2 advantage of group 0 rollout 1: logged " in printed
    assert ": 1 difference" in printed


@pytest.mark.parametrize("held_out", [False, True], ids=["of a step", "held out"])
@pytest.mark.parametrize("kind", OF_POSITIONS)
def test_an_event_that_is_missing_is_found(copied, kind, held_out):
    with sqlite3.connect(copied / "run.db") as connection:
        rows = connection.execute("SELECT id, data FROM events WHERE kind = ?", [kind]).fetchall()
        event_id = max(id_ for id_, data in rows if json.loads(data)["at"]["held_out"] == held_out)
        connection.execute("DELETE FROM events WHERE id = ?", [event_id])
    with Run.open(copied) as spoiled:
        assert verified(spoiled).differences


WHOLE = ("step_started", "update_made", "step_ended", "measurement_started", "held_out_measured")


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("which", ["min", "max"], ids=["first", "last"])
def test_a_step_or_a_measurement_without_its_beginning_or_its_end_is_found(copied, kind, which):
    with sqlite3.connect(copied / "run.db") as connection:
        connection.execute(f"DELETE FROM events WHERE id = (SELECT {which}(id) FROM events WHERE kind = ?)", [kind])
    with Run.open(copied) as spoiled:
        assert verified(spoiled).differences


def test_what_cannot_be_checked_is_counted_and_never_called_verified(run, copied, tmp_path, capsys):
    """An older log, and a model that is no more where it was."""
    with sqlite3.connect(copied / "run.db") as connection:
        connection.execute("DELETE FROM events WHERE kind = 'measurement_started'")
        connection.execute("UPDATE events SET data = json_remove(data, '$.rewards') WHERE kind = 'held_out_measured'")
        connection.execute(
            "DELETE FROM events WHERE kind IN (?, ?, ?, ?) AND json_extract(data, '$.at.held_out')", OF_POSITIONS
        )
        connection.execute(
            "UPDATE events SET data = CAST(replace(CAST(data AS TEXT), ?, ?) AS BLOB) WHERE kind = 'run_started'",
            ['weights = \\"pocket\\"', f'weights = \\"{tmp_path / "absent"}\\"'],
        )
        connection.execute(
            "UPDATE events SET data = json_remove(data, '$.decided_until') WHERE kind = 'rollout_scored'"
        )
        rows = connection.execute("SELECT at, kind, data FROM events ORDER BY id").fetchall()
        connection.execute("DELETE FROM events")  # without gaps
        connection.executemany("INSERT INTO events (at, kind, data) VALUES (?, ?, ?)", rows)
        derive_again(connection)
    assert main(["verify", str(copied)]) == 0
    printed = capsys.readouterr().out
    assert "not checked: held-out 2 (its episodes are not in the log, as in older ones)" in printed
    assert f"not checked: tokens {6 * ROWS} (the run's tokenizer cannot be loaded here)" in printed
    assert str(tmp_path / "absent") in printed
    assert f"completions {2 * ROWS}, tokens 0, judge {2 * ROWS}, prompts 1, standings 11: 0 differences" in printed


# Measured again


def files_of(run):
    """What is in a run's directory, less what SQLite keeps beside an open database."""
    return {
        path.relative_to(run.path): path.read_bytes()
        for path in run.path.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def test_a_checkpoint_measured_again_gives_exactly_what_the_log_has_and_writes_nothing(run):
    """In a process of its own, as the engine was."""
    before, events = files_of(run), run.last_id()
    shown = json.loads(told("measure", run.path, "--json"))
    logged = {event.step: event for event in (s.event for s in run.events(kinds=["held_out_measured"]))}[2]
    assert (shown["step"], shown["groups"], shown["same"]) == (2, 2, True)
    assert (shown["r_task"], shown["standard_error"]) == (logged.r_task, logged.standard_error)
    assert shown["rewards"] == msgspec.to_builtins(logged.rewards) == shown["logged"]["rewards"]
    assert files_of(run) == before and run.last_id() == events


def test_the_untrained_curator_is_measured_too(run, capsys):
    assert main(["measure", str(run.path), "--step", "0"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("after 0 steps, 2 held-out groups: r_task ") and "the log has the same" in printed


def test_a_logged_result_that_is_another_ends_with_exit_code_1_and_both_are_shown(copied, capsys):
    spoil(copied, "held_out_measured", more(["r_task"], 0.125))
    assert main(["measure", str(copied)]) == 1
    printed = capsys.readouterr().out
    assert "after 2 steps, 2 held-out groups: r_task" in printed and "the log has another: after 2" in printed


def test_other_groups_and_absent_checkpoints_are_told(run, capsys):
    assert main(["measure", str(run.path), "--groups", "1"]) == 0
    printed = capsys.readouterr().out
    assert "after 2 steps, 1 held-out group: r_task" in printed and "the log has: after 2 steps, 2 held" in printed
    assert main(["measure", str(run.path), "--step", "7"]) == 1
    said = capsys.readouterr().err
    assert f"{run.path} has no checkpoint of step 7; there are: 1, 2; and 0 is the untrained" in said


def with_weights(path, folder, change):
    """The run at `path` gets a base model of its own in `folder`: the pocket model, its tensors changed."""
    shutil.copytree(weights_path("pocket"), folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = path / "config.toml"
    config.write_text(config.read_text().replace('weights = "pocket"', f'weights = "{folder}"'))


def test_a_base_model_that_answers_with_nan_cannot_be_measured_which_is_one_sentence(copied, tmp_path, capsys):
    with_weights(copied, tmp_path / "nan", lambda tensors: tensors["model.norm.weight"].fill_(torch.nan))
    assert main(["measure", str(copied), "--step", "0"]) == 1
    said = capsys.readouterr().err
    assert "skillos-engine: step 0 cannot be measured: the executor's log-probabilities are not finite" in said


def test_an_adapter_of_another_base_cannot_be_measured_which_is_one_sentence(copied, capsys):
    adapter = copied / "checkpoints" / "step-0002" / "adapter_model.safetensors"
    before = sha256_of(adapter)
    save_file({name: torch.zeros(3, 3) for name in load_file(adapter)}, adapter)
    assert main(["measure", str(copied), "--step", "2"]) == 1
    assert "is not what was written" in capsys.readouterr().err
    about = adapter.with_name("checkpoint.json")
    about.write_text(about.read_text().replace(before, sha256_of(adapter)))
    assert main(["measure", str(copied), "--step", "2"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"skillos-engine: {adapter.parent}") and "Use the base that it was trained on" in said
    assert said.count("\n") == 1


def test_nothing_but_the_result_is_printed(run):
    done = skillos("measure", run.path, "--groups", 1)
    assert (done.returncode, done.stderr) == (0, f"measured: the checkpoint of step 2 of {run.path}\n")
