"""What a run could not use is refused in a sentence before anything of it is created, in the shell and in the workbench."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli import main
from engine.config import ConfigError, load_profile
from engine.models.local.files import check_model, weights_path
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.models.local.weights import load_base, put_adapter
from engine.runs.directory import Run
from engine.system.preflight import absolute, check
from skillos_tui.client import client
from skillos_tui.client.messages import RunCreated, StartRefused, StartRun
from skillos_tui.client.start import Flight
from tests.runs.engines import worker
from tests.training.adapters import small_adapter

POCKET = Path(weights_path("pocket"))


@pytest.fixture
def model(tmp_path):
    """A folder with the files of the pocket model."""
    return Path(shutil.copytree(POCKET, tmp_path / "model"))


def refused(*settings, kind="train"):
    with pytest.raises(ConfigError) as raised:
        check(load_profile("pocket", list(settings)), kind)
    return str(raised.value)


# What a kind of run cannot use


@pytest.mark.parametrize(
    "setting", ["curator.temperature=0", "curator.top_p=0.9", "curator.top_k=20", "curator.min_p=0.1"]
)
def test_only_a_train_run_needs_the_curators_whole_distribution(setting):
    message = refused(setting)
    assert message.startswith(setting) and "curate run may" in message
    check(load_profile("pocket", [setting]), "curate")


@pytest.mark.parametrize("profile", ["pocket"])
@pytest.mark.parametrize("kind", ["train", "curate"])
def test_a_shipped_profile_passes(profile, kind):
    check(load_profile(profile), kind)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["curator.prompts=pokket"], r"curator.prompts: there are no prompts called 'pokket' (did you mean pocket?)"),
        (["executor.prompts=nowhere"], "executor.prompts: there are no prompts called 'nowhere'; there are: pocket"),
        (["executor.max_tokens=4096"], "executor.max_tokens=4096 leaves no room for a prompt in model.context=4096"),
        (["environment.kind=alfworld", "training.evaluate_every=0"], "by --games PATH"),
        (["environment.kind=alfworld", "environment.path=/no/games"], "held-out groups must not be of the games"),
        (
            ["environment.kind=alfworld", "environment.path=/no/games", "training.evaluate_every=0"],
            "there are no games at /no/games",
        ),
        (
            ["executor.decoding=generate", 'executor.stop=["</action>"]'],
            "executor.stop has '</action>', which is part of every answer in environment.kind=household",
        ),
        (["model.device=nowhere"], "model.device=nowhere cannot be used: expected cpu, cuda"),
        (["model.device=cuda:x"], "model.device=cuda:x cannot be used: expected cpu, cuda"),
    ],
)
def test_what_would_only_fail_later_is_reported_now(settings, message):
    assert message in refused(*settings)


@pytest.mark.parametrize("made", ["", "checkpoints", "checkpoints/step-0001"])
def test_an_adapter_that_is_none_is_reported_for_the_run_that_uses_it(tmp_path, made):
    (tmp_path / "run" / made).mkdir(parents=True)
    setting = f'curate.adapter="{tmp_path / "run"}"'
    assert "is neither a checkpoint nor a train run that has one" in refused(setting, kind="curate")
    check(load_profile("pocket", [setting]), "train")
    (tmp_path / "run" / "checkpoints" / "step-0001").mkdir(parents=True, exist_ok=True)
    (tmp_path / "run" / "checkpoints" / "step-0001" / "adapter_config.json").write_text("{}")
    assert "has no checkpoint that can be used" in refused(setting, kind="curate")
    small_adapter(tmp_path / "run" / "checkpoints" / "step-0001")
    check(load_profile("pocket", [setting]), "curate")


def test_a_step_without_bounds_is_refused_at_once():
    with pytest.raises(ConfigError, match="a step would have 4000000000 samples"):
        check(load_profile("pocket", ["training.groups=100000000"]), "train")


# The model's files


def without(name):
    return lambda folder: (folder / name).unlink()


def edited(name, **changes):
    def edit(folder):
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**found, **changes}))

    return edit


def written(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def indexed(folder):
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}')


SPOILT = {
    "no config": (without("config.json"), "it has no config.json"),
    "no weights": (without("model.safetensors"), "it has no weights"),
    "no tokenizer": (without("tokenizer.json"), "it has no tokenizer"),
    "no template": (without("chat_template.jinja"), "no chat template"),
    "a config of nothing": (written("config.json", b"{}"), "names no kind of model"),
    "a config that is no JSON": (written("config.json", b"<html>"), "config.json is not JSON"),
    "a config that is no object": (written("config.json", b"[1]"), "config.json is not a JSON object"),
    "a tokenizer that is no JSON": (written("tokenizer.json", b"{"), "tokenizer.json is not JSON"),
    "weights cut short": (cut, "model.safetensors is not whole"),
    "a pointer of git-lfs": (
        written("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"),
        "not whole",
    ),
    "empty weights": (written("model.safetensors", b""), "not whole"),
    "a missing shard": (indexed, "model-00001-of-00002.safetensors is missing"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILT.values(), ids=SPOILT)
def test_a_folder_that_is_no_model_is_reported_before_and_by_the_engine_in_the_same_words(model, spoil, message):
    check_model(LocalModelSettings(weights=str(model)))
    spoil(model)
    settings = LocalModelSettings(weights=str(model))
    with pytest.raises(ConfigError) as before:
        check_model(settings)
    assert str(before.value).startswith(f"model.weights={model} cannot be loaded: ") and message in str(before.value)
    for load in (load_tokenizer, load_base):
        with pytest.raises(ConfigError) as at_load:
            load(settings)
        assert str(at_load.value) == str(before.value)


def test_a_template_may_stand_in_the_tokenizers_configuration(model):
    template = (model / "chat_template.jinja").read_text()
    (model / "chat_template.jinja").unlink()
    edited("tokenizer_config.json", chat_template=template)(model)
    check_model(LocalModelSettings(weights=str(model)))
    assert load_tokenizer(LocalModelSettings(weights=str(model))).chat_template == template


def test_a_template_that_fails_is_reported_when_it_is_loaded(model):
    (model / "chat_template.jinja").write_text("{% for %}")
    with pytest.raises(ConfigError, match="its tokenizer's chat template fails"):
        load_tokenizer(LocalModelSettings(weights=str(model)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("{place}", "it has no config.json"),
        ("{place}/letter.txt", "is neither a folder nor a .gguf file"),
        ("{place}/nowhere", "there is no folder {place}/nowhere"),
        ("~/no-such-folder", "there is no folder"),
        ("~nobody-of-that-name/x", "~nobody-of-that-name has no home folder"),
        ("./nowhere/at/all", "there is no folder"),
        ("", "it is empty"),
    ],
)
def test_a_path_without_a_model_is_reported(tmp_path, weights, message):
    (tmp_path / "letter.txt").write_text("dear")
    assert message.format(place=tmp_path) in refused(f'model.weights="{weights.format(place=tmp_path)}"')


def test_a_name_of_the_hub_is_reported_where_the_hub_is_switched_off(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    message = refused("model.weights=nobody/no-such-model")
    assert "the hub is switched off" in message and "expected pocket, a folder with a model" in message


def test_a_name_of_the_hub_is_reported_where_the_hub_cannot_be_reached(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    message = refused("model.weights=nobody/no-such-model")
    assert "no folder has this name, and the hub cannot be reached" in message


def test_paths_are_made_absolute_since_the_engine_works_elsewhere(model, monkeypatch):
    monkeypatch.chdir(model.parent)
    settings = ["model.weights=model", "environment.kind=alfworld", "environment.path=games", "curate.adapter=run"]
    config = absolute(load_profile("pocket", settings))
    here = model.parent
    assert (config.model.weights, config.environment.path) == (str(model), str(here / "games"))
    assert config.curate.adapter == str(here / "run")
    assert absolute(load_profile("pocket", ["model.weights=org/name"])).model.weights == "org/name"
    assert absolute(load_profile("pocket")) == load_profile("pocket")


# Nothing is created


@pytest.mark.parametrize(
    "setting", ["curator.temperature=0", "model.weights={place}", "model.weights=nobody/such/model", "training.stepz=1"]
)
def test_the_shell_says_so_in_one_line_and_creates_nothing(tmp_path, monkeypatch, capsys, setting):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    place = tmp_path / "place"
    place.mkdir()
    for where in (["--run", str(tmp_path / "run")], []):
        code = main(["train", "--profile", "pocket", *where, "--set", setting.format(place=place)])
        printed = capsys.readouterr()
        assert code == 1 and printed.out == ""
        assert printed.err.startswith("skillos-engine: ") and printed.err.count("\n") == 1
        assert setting.partition("=")[0] in printed.err
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


class Screen:
    """What the client tells an app."""

    def __init__(self):
        self.message = []

    def post_message(self, message):
        self.message.append(message)


def test_the_workbench_says_so_and_creates_nothing(tmp_path):
    screen = Screen()
    works = client.Client(screen, tmp_path / "runs")
    works._start(StartRun("train", "pocket", ("curator.temperature=0",)), Flight())
    assert [type(message) for message in screen.message] == [StartRefused]
    assert screen.message[0].field == "settings" and screen.message[0].why.startswith("curator.temperature=0")
    assert not [message for message in screen.message if isinstance(message, RunCreated)]
    assert not (tmp_path / "runs").exists()


def test_the_check_brings_no_heavy_library_into_the_workbenchs_process():
    code = (
        "import sys; import skillos_tui.client.client; from engine.system.preflight import check\n"
        "from engine.config import load_profile\n"
        "check(load_profile('pocket'), 'train')\n"
        "try: check(load_profile('pocket', ['model.weights=/no/where']), 'train')\n"
        "except Exception as error: print(error)\n"
        "print([name for name in ('torch', 'transformers', 'trl', 'peft', 'huggingface_hub') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    message, loaded = done.stdout.splitlines()
    assert message.startswith("model.weights=/no/where cannot be loaded") and loaded == "[]"


def test_a_run_may_be_started_with_a_model_in_a_relative_folder(model, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments = ["--profile", "pocket", "--run", "run", "--detach", "--set", "model.weights=model"]
    main(["train", *arguments], worker=worker("fail"))
    with Run.open(tmp_path / "run") as run:
        assert run.config.model.weights == str(model)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("{}", "describes no LoRA adapter (peft_type is None)"),
        ("[]", "adapter_config.json is not a JSON object"),
        ("garbage", "adapter_config.json is not JSON"),
        ('{"peft_type": "NOPE"}', "describes no LoRA adapter (peft_type is 'NOPE')"),
        ('{"peft_type": "LORA"}', "it has no adapter_model.safetensors"),
    ],
)
def test_a_folder_that_holds_no_whole_adapter_is_refused_by_the_check_and_by_the_load(tmp_path, settings, why):
    (tmp_path / "adapter_config.json").write_text(settings)
    config = load_profile("pocket", [f'curate.adapter="{tmp_path}"'])
    with pytest.raises(ConfigError) as refused:
        check(config, "curate")
    assert str(refused.value).startswith(f"the adapter {tmp_path} cannot be loaded: ")
    assert str(refused.value).endswith(why)
    with pytest.raises(ConfigError) as loaded:
        put_adapter(load_base(config.model), tmp_path)
    assert str(loaded.value) == str(refused.value)


def test_an_adapter_that_was_cut_short_is_refused(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{")
    with pytest.raises(ConfigError, match=r"adapter_model\.safetensors is not whole"):
        check(load_profile("pocket", [f'curate.adapter="{tmp_path}"']), "curate")


# A limit that this machine cannot keep


def test_a_headroom_that_the_machine_never_has_is_refused():
    why = refused("limits.headroom_gib=9000", kind="curate")
    assert "limits.headroom_gib=9000 is too much for this machine: a run goes on when 13500 GiB are available" in why
    check(load_profile("pocket", ["limits.headroom_gib=0.1"]), "curate")
