"""Runs of the profile `endpoint`: models on a server, reached over HTTP, with a key that is nowhere afterwards."""

import json
import os

import pytest

from engine.config import ConfigError, load_profile
from engine.runs.directory import Run
from engine.system.preflight import check
from tests.models.remote.opening import POCKET
from tests.models.standin import StandIn, Status
from tests.whole_loop.shell import skillos

KEY = "Zx9-planted/key+Qw7"
SKILL = "---\nname: find-mugs\ndescription: where mugs are\n---\nLook on the desk. {}\n"
SMALL = ("--tasks", 2, "--set", "review.policy=auto", "curator.max_tokens=512", "executor.max_tokens=64")


def insert(content):
    call = {"name": "insert_skill", "arguments": {"skill_name": "find-mugs", "content": content}}
    return f"I write it down.\n<tool_call>\n{json.dumps(call)}\n</tool_call>"


class Echo:
    """Answers that repeat the key, after a fault that repeats it too."""

    def __init__(self):
        self.failed = False

    def __call__(self, asked):
        secret = asked.headers["authorization"]
        if asked.body.get("tools"):
            return insert(SKILL.format(secret))
        if not self.failed:
            self.failed = True
            return Status(500, f"cannot serve {secret}")
        return f"<think>{secret}</think><action>look at {secret}</action>"


def curate(server, folder, *more):
    return skillos(
        *("curate", "--profile", "endpoint", "--repo", folder / "repo", "--run", folder / "run", *SMALL),
        *(f"model.url={server.url}", "model.model=base", "model.key=PLANTED_KEY", *more),
    )


def assert_nowhere(secret, folder, *texts):
    """The key is in no file of the folder and in none of the texts."""
    found = [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert not found
    assert all(secret not in text for text in texts)


def test_a_run_curates_over_http_and_its_key_is_nowhere(place, monkeypatch):
    monkeypatch.setenv("PLANTED_KEY", KEY)
    with StandIn(key=KEY) as server:
        server.answer = Echo()
        done = curate(server, place, f"model.tokenizer={POCKET}")
        assert done.returncode == 0, done.stdout + done.stderr
    printed = [skillos(*command, place / "run") for command in (("status",), ("events", "--json"), ("verify",))]
    assert_nowhere(KEY, place, done.stdout, done.stderr, *(each.stdout + each.stderr for each in printed))
    with Run.open(place / "run") as run:
        made, scored = (
            [stored.event for stored in run.events(kinds=[kind])] for kind in ("curation_made", "rollout_scored")
        )
    assert [call.verdict for call in made[0].calls] == ["valid"]
    assert made[0].repo_tokens > 0 and scored[0].rewards.r_comp is not None
    assert "…" in made[0].repo["find-mugs"]
    assert "0 differences" in printed[2].stdout


def test_a_key_of_the_keyring_is_sent_and_a_wrong_one_ends_the_run(place, monkeypatch):
    (place / "file_keyring.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class FileKeyring(KeyringBackend):\n"
        "    priority = 1\n"
        "    def get_password(self, service, name):\n"
        "        return open(__file__.replace('.py', f'.{service}.{name}')).read()\n"
        "    def set_password(self, service, name, password): ...\n"
    )
    stored = place / "file_keyring.skillos-tui.PLANTED_KEY"
    stored.write_text(KEY)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "file_keyring.FileKeyring")
    with StandIn() as server:
        server.on("/v1/chat/completions", Status(401, f"Incorrect API key: Bearer {KEY}"))
        done = curate(server, place)
        assert server.asked, done.stdout + done.stderr
        assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert done.returncode != 0
    assert "the key called PLANTED_KEY is wrong" in done.stderr and "Incorrect API key" in done.stderr
    stored.unlink()
    assert_nowhere(KEY, place, done.stdout, done.stderr)


def test_without_a_tokenizer_short_skills_are_not_measured_and_the_run_says_so(place):
    with StandIn() as server:
        server.answer = lambda asked: insert(SKILL.format("")) if asked.body.get("tools") else "<action>look</action>"
        done = curate(server, place, "model.key=")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "model.tokenizer is not set" in done.stdout + done.stderr
    with Run.open(place / "run") as run:
        made, scored = (
            [stored.event for stored in run.events(kinds=[kind])] for kind in ("curation_made", "rollout_scored")
        )
    assert made[0].repo_tokens is None
    assert scored[0].rewards.r_comp is None and scored[0].rewards.r is None and scored[0].rewards.r_fc == 1


def test_train_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match="token ids and takes adapters"):
        check(load_profile("endpoint", job="train"), "train")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.url=server:8000", "expected an address"),
        ("model.url=http://server:port/v1", "cannot be used"),
        ("model.url=http://server/v1/chat/completions", "leave out /chat/completions"),
        ("model.key=zx9plantedkey", "never the key itself"),
        ('model.body="[1]"', "JSON object"),
        ('model.body={"messages": []}', "cannot set messages"),
        ("model.api_version=2024-10-21", "deployment"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_the_run(setting, message):
    with pytest.raises(ConfigError, match=message) as raised:
        check(load_profile("endpoint", [setting], job="curate"), "curate")
    assert "zx9plantedkey" not in str(raised.value)


def test_no_command_but_the_engine_imports_the_client():
    done = skillos(
        "config",
        "--profile",
        "endpoint",
        first="import atexit, sys\natexit.register(lambda: print('modules', *sys.modules))",
    )
    assert done.returncode == 0
    assert not {"openai", "keyring", "torch", "httpx2"} & set(done.stdout.rpartition("modules")[2].split())
