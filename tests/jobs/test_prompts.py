"""A run keeps its prompts: text, hash, and a notice where a start has others."""

import hashlib

import msgspec
import pytest

from engine.cli import main
from engine.config import load_profile, to_toml
from engine.core.events import Notice, PromptsUsed
from engine.jobs.prompts import noted, used
from engine.runs.directory import Run
from engine.runs.prompts import last_used

CONFIG = load_profile("pocket")


@pytest.fixture
def run(tmp_path):
    with Run.create(tmp_path / "run", kind="train", config_text=to_toml(CONFIG)) as run:
        yield run


def test_every_prompt_and_template_has_its_text_and_its_hash():
    now = used(CONFIG)
    assert set(now.prompts) == {
        f"{role}/{part}.md" for role in ("executor", "curator") for part in ("system", "user")
    } | {"curator/veto.md"}
    assert set(now.templates) == {"executor", "curator"} and "{%" in now.templates["curator"]
    assert now.hashes["curator/user.md"] == hashlib.sha256(now.prompts["curator/user.md"].encode()).hexdigest()
    assert set(now.hashes) == {*now.prompts, "template/executor", "template/curator"}


def test_a_server_s_template_is_not_known_and_a_judge_s_prompts_are_kept():
    server = load_profile(
        "pocket",
        [
            'model={kind="openai", model="m", url="http://127.0.0.1:9/v1"}',
            "judge.kind=llm",
            "executor.decoding=generate",
        ],
    )
    now = used(server)
    assert now.templates == {"executor": "", "curator": "", "judge": ""} and "judge/system.md" in now.prompts


def test_they_are_logged_once_and_a_start_with_others_is_noticed(run):
    (first,) = noted(run, CONFIG)
    run.append(first)
    assert noted(run, CONFIG) == [] and last_used(run) == first
    other, notice = noted(run, msgspec.structs.replace(CONFIG, curator=load_profile("smol").curator))
    assert isinstance(other, PromptsUsed) and isinstance(notice, Notice) and notice.level == "warning"
    assert "curator/system.md" in notice.message and "executor" not in notice.message


def test_a_run_that_loaded_no_models_has_none(run, capsys):
    assert main(["prompts", str(run.path)]) == 1
    assert "has no prompts" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../outside.md", "/outside.md", "curator/../../outside.md"])
def test_a_name_that_leads_out_of_the_folder_writes_nothing(run, tmp_path, capsys, name):
    run.append(PromptsUsed({name: "text"}, {}, {}))
    assert main(["prompts", str(run.path), "--to", str(tmp_path / "texts")]) == 1
    assert "which is no place in a folder" in capsys.readouterr().err and not (tmp_path / "outside.md").exists()
    assert not (tmp_path / "texts").exists()


def test_verify_says_where_prompts_changed_and_finds_a_hash_that_is_not_of_its_text(run, capsys):
    one = used(CONFIG)
    two = msgspec.structs.replace(one, prompts={**one.prompts, "curator/user.md": "other"})
    run.append(one, two)
    assert main(["verify", str(run.path)]) == 1
    printed = capsys.readouterr().out
    assert "the prompts changed with event 2: curator/user.md" in printed and "1 difference" in printed
