"""What the preflight finds of a server that answers well, wrongly, late or not at all, and of tasks that repeat."""

import asyncio
import json
import time

import pytest

from engine.config import load_profile
from engine.environments.base import Task
from engine.jobs.preflight import preflight
from engine.jobs.preflight.models import adapters
from engine.jobs.preflight.pacing import pace
from engine.jobs.preflight.probing import Pace
from engine.jobs.preflight.tasks import tasks
from engine.jobs.registry import JOBS
from engine.models.base import Models, Opened, Opening
from engine.rollouts.groups.base import Group
from engine.system.preflight import NAMES
from tests.models.standin import HANG, StandIn, Status

SETTINGS = (
    "environment.kind=household",
    "model.model=base",
    "model.retries=0",
    "curator.max_tokens=256",
    "curator.max_prompt_tokens=2000",
    "executor.max_tokens=64",
    "executor.max_prompt_tokens=1024",
    "limits.probe_seconds=30",
)
CALL = {
    "name": "insert_skill",
    "arguments": {
        "skill_name": "find-mugs",
        "content": "---\nname: find-mugs\ndescription: where mugs are\n---\nLook.\n",
    },
}
VERDICT = json.dumps(
    {
        "explanation": "fine",
        "issues": [],
        **dict.fromkeys(("abstraction", "reusability", "actionability", "faithfulness"), "yes"),
    }
)


def well(asked):
    """What a server answers that can do everything."""
    if asked.body.get("tools"):
        return f"<tool_call>\n{json.dumps(CALL)}\n</tool_call>"
    return VERDICT if "abstraction" in json.dumps(asked.body) else "<think>hm</think><action>go safe</action>"


def found(server, folder, *settings, job="curate"):
    """The checks of a run whose models are on the stand-in, by name, in the order in which they were reported."""
    return made(load_profile("endpoint", [*SETTINGS, f"model.url={server.url}", *settings]), folder, job)


def made(config, folder, job, report=lambda what: None):
    """The checks of a run by name; `report` gets what is loaded."""
    config, told = config.absolute(), []

    async def run():
        async with preflight(config, JOBS.load(job), Opening(report=report), folder, told.append) as result:
            assert result.checks == told
            return result

    asyncio.run(run())
    return {check.name: check for check in told}


@pytest.fixture
def server():
    with StandIn() as server:
        server.answer = well
        yield server


def test_a_server_that_answers_well_passes_every_check_and_what_cannot_be_known_is_named(server, tmp_path):
    checks = found(server, tmp_path, "judge.kind=llm", "judge.max_prompt_tokens=3000", "judge.max_tokens=256")
    assert list(checks) == [name for name in NAMES if name in checks]
    assert {name for name, check in checks.items() if check.status == "fail"} == set()
    assert checks["template"].status == "warn" and checks["template"].message.startswith("not measured")
    assert "4 of 4 answers have an action" in checks["executor"].message and "tokens/s" in checks["executor"].message
    assert "4 of 4 answers have a tool call that applies" in checks["curator"].message
    assert "4 of 4 verdicts can be read" in checks["judge"].message
    assert checks["context"].status == "pass" and checks["time"].status == "pass"


def test_before_the_libraries_of_a_model_that_is_loaded_here_are_imported_they_are_reported(tmp_path):
    loading = []
    checks = made(load_profile("pocket", [f"model.weights={tmp_path / 'none'}"]), tmp_path, "curate", loading.append)
    assert checks["models"].status == "fail"
    assert loading.index("the games") < loading.index("PyTorch and transformers")


def test_a_run_of_one_call_at_once_is_probed_with_a_few_and_no_more(server, tmp_path):
    found(server, tmp_path)
    decisions = [asked for asked in server.chats if "# Result" in json.dumps(asked.body)]
    assert len(decisions) == 4


def test_answers_without_an_action_or_a_call_fail_with_the_answer_and_what_to_do(server, tmp_path):
    server.answer = lambda asked: "no idea"
    checks = found(server, tmp_path, "judge.kind=llm", "judge.max_prompt_tokens=3000")
    for name in ("executor", "curator"):
        assert checks[name].status == "fail" and "'no idea'" in checks[name].message and "use a" in checks[name].message
    assert checks["judge"].status == "fail" and "cannot be read" in checks["judge"].message


def test_a_call_that_does_not_apply_is_no_call(server, tmp_path):
    server.answer = lambda asked: '<tool_call>\n{"name": "insert_skill", "arguments": {}}\n</tool_call>'
    check = found(server, tmp_path)["curator"]
    assert check.status == "fail" and "malformed" in check.message


def test_a_refused_key_fails_with_the_servers_word(server, tmp_path):
    server.on("/v1/chat/completions", *[Status(401, "invalid key")] * 20)
    checks = found(server, tmp_path)
    failed = [check for check in checks.values() if check.status == "fail"]
    assert failed and all("401" in check.message or "key" in check.message for check in failed)


def test_a_server_that_hangs_fails_after_its_limit(server, tmp_path):
    server.answer = lambda asked: HANG
    began = time.monotonic()
    checks = found(server, tmp_path, "limits.probe_seconds=1")
    assert time.monotonic() - began < 20
    failed = [check for check in checks.values() if check.status == "fail"]
    assert failed and all("limits.probe_seconds" in check.message for check in failed)


def test_a_server_that_is_down_fails_and_names_its_address(tmp_path):
    with StandIn() as server:
        pass
    checks = found(server, tmp_path, "limits.probe_seconds=1")
    assert checks["models"].status == "fail" and server.url in checks["models"].message


def test_a_short_context_is_a_warning_where_prompts_can_be_shortened_and_names_both_numbers(tmp_path):
    with StandIn(context=1400) as server:
        server.answer = well
        check = found(server, tmp_path)["context"]
    assert check.status == "warn" and "1,400" in check.message and "2,000" in check.message


def test_thinking_that_was_asked_for_and_does_not_come_is_a_warning(server, tmp_path):
    server.answer = lambda asked: well(asked) if asked.body.get("tools") else "<action>go safe</action>"
    check = found(server, tmp_path, "executor.thinking=on")["executor"]
    assert check.status == "warn" and "thinking=on" in check.message


def group(number, *ids):
    return Group(f"g{number}", number, 1, "house", [Task(each, "house", each) for each in ids])


class Houses:
    """A finite source of two families; generated: with a house of its own for each seed."""

    name = "houses"

    def __init__(self, *, generated=False):
        self.generated = generated

    def families(self, seed):
        return {f"house-{seed}": 2} if self.generated else {"house": 2, "garden": 2}


def drawn(*steps, generated=False):
    config = load_profile("pocket", ["training.evaluate_every=0", f"training.steps={len(steps)}"])
    return tasks(config, JOBS.load("train"), lambda step: steps[step - 1], Houses(generated=generated))


def test_distinct_tasks_pass_and_are_counted():
    check = drawn([group(0, "a", "b")], [group(0, "c", "d")])
    assert check.status == "pass" and "4 distinct of 4, 1 family (house 2)" in check.message


def test_generated_families_are_counted_and_their_numbers_are_not_shown():
    check = drawn([group(0, "a", "b")], [group(0, "c", "d")], generated=True)
    assert check.message.startswith("4 distinct of 4, 1 generated family") and "house" not in check.message


def test_tasks_that_repeat_are_a_warning_with_how_often():
    check = drawn(*([group(0, "a", "b")] for _ in range(4)))
    assert check.status == "warn" and "2 distinct of 8" in check.message and "3 groups of 4 repeat" in check.message


def test_a_group_with_one_task_twice_is_a_warning():
    check = drawn([group(0, "a", "a")])
    assert check.status == "warn" and "same group" in check.message


def test_steps_without_tasks_fail():
    assert drawn([]).status == "fail"


def test_held_out_tasks_that_are_trained_on_fail():
    class Two:
        name = "two"

        def families(self, seed):
            return {"house": 2}

        def tasks(self, family, seed, count):
            return [Task(name, family, name) for name in ("a", "b")][:count]

    config = load_profile("pocket", ["training.evaluate_every=1", "training.tasks=2", "training.steps=1"])
    check = tasks(config, JOBS.load("train"), lambda step: [group(0, "a", "b")], Two())
    assert check.status == "fail" and "also trained on" in check.message


def test_the_time_has_a_low_and_a_high_figure_and_without_a_pace_is_not_measured():
    config = load_profile("endpoint", ["environment.kind=household", "curate.tasks=100"])
    job = JOBS.load("curate")
    measured = pace(config, job, {"executor": Pace(1, 1.0, 10), "curator": Pace(1, 2.0, 10)}, 1)
    assert measured.status == "pass" and "4 to 10 s a task, 7 to 17 min for 100" in measured.message
    assert pace(config, job, {}, 1).message.startswith("not measured")


def test_models_are_not_loaded_while_the_check_of_the_memory_fails_unless_it_is_overridden(server, tmp_path):
    config = load_profile("endpoint", [*SETTINGS, f"model.url={server.url}", "limits.headroom_gib=1e6"]).absolute()

    async def run(overridden):
        told = []
        async with preflight(config, JOBS.load("curate"), Opening(), tmp_path, told.append, overridden) as result:
            return result.loaded is not None, {check.name: check.status for check in told}

    loaded, checks = asyncio.run(run([]))
    assert not loaded and checks["memory"] == "fail" and checks["models"] == "warn" and server.asked == []
    loaded, checks = asyncio.run(run(["memory"]))
    assert loaded and checks["models"] == "pass" and checks["executor"] != "fail"


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        (["training.lora_rank=128"], "pass"),
        (["training.lora_rank=600"], "warn"),
        (["training.lora_rank=600", "training.method=full"], "pass"),
    ],
)
def test_a_rank_that_no_layer_can_use_is_a_warning(settings, status):
    """It trains as it should, so that it is not refused; it costs memory and time."""
    opened = Opened(Models(None, None, None, None), sink=object(), base=object())
    check = adapters(opened, load_profile("pocket", settings))
    assert check.status == status
    if status == "warn":
        assert "the smaller side of each has at most 128" in check.message and "training.method=full" in check.message
