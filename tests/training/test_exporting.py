"""A checkpoint as adapter, merged model and GGUF: each answers alike, says what it is, and appears whole or not at all."""

import hashlib
import json
import shutil
from types import SimpleNamespace

import pytest

from engine.config import load_profile, to_toml
from engine.core.errors import ConfigError
from engine.core.events import HeldOutMeasured
from engine.models.base import Message, Opening, Sampling
from engine.models.local.opening import open_models
from engine.models.local.settings import LocalModelSettings
from engine.runs.directory import Run
from engine.training import exporting
from engine.training.exporting import ExportError, export
from engine.training.exporting.gguf_file import NotWritable
from engine.training.selection import chosen
from tests.models.architectures import make as make_model
from tests.training.adapters import checkpoint_of

CHAT = [Message("user", "Get the mug.")]


def run_on(folder, weights="pocket", **adapter):
    """A run on a base whose only checkpoint is of step 3."""
    settings = [f"model.weights={weights}", "model.context=256"]
    run = Run.create(folder, kind="train", config_text=to_toml(load_profile("pocket", settings)))
    checkpoint_of(run, 3, **adapter)
    run.append(HeldOutMeasured(0, 4, 0.25, 0.1, 0, 1.0), HeldOutMeasured(3, 4, 0.5, 0.1, 1, 1.0))
    return run


async def answer(weights, adapter=None):
    opened = await open_models(LocalModelSettings(weights=str(weights), context=256), Opening(adapter=adapter))
    model = opened.models.curator if adapter else opened.models.executor
    return await model.complete(CHAT, Sampling(max_tokens=12, seed=2))


@pytest.mark.parametrize(
    ("weights", "adapter"),
    [("pocket", {}), ("llama", {"inputs": 32, "outputs": 32}), ("qwen2", {"inputs": 32, "outputs": 32})],
)
async def test_adapter_merged_model_and_gguf_answer_alike(tmp_path, weights, adapter):
    base = weights if weights == "pocket" else make_model(weights, tmp_path)
    with run_on(tmp_path / "run", base, **adapter) as run:
        found = chosen(str(run.path))
        made = export(run, found, tmp_path / "adapter")
        both = export(run, found, tmp_path / "model", merge=True, gguf=True)
    assert set(made.files) == {"adapter_config.json", "adapter_model.safetensors", "checkpoint.json", "README.md"}
    (tmp_path / "alone").mkdir()
    for name in both.files:
        if name.endswith((".gguf", "tokenizer.json", "tokenizer_config.json", ".jinja")):
            shutil.copy(tmp_path / "model" / name, tmp_path / "alone" / name)
    plain = await answer(base)
    merged = await answer(tmp_path / "model")
    assert merged.tokens.logprobs != pytest.approx(plain.tokens.logprobs, abs=1e-4)
    for other in (await answer(base, tmp_path / "adapter"), await answer(tmp_path / "alone")):
        assert other.tokens.completion_ids == merged.tokens.completion_ids
        assert other.tokens.logprobs == pytest.approx(merged.tokens.logprobs, abs=1e-4)
    assert chosen(str(tmp_path / "adapter")).path == tmp_path / "adapter"
    assert "tokenizer.json" in both.files  # a GGUF file of pocket is read with it
    assert len(both.notes) == 1 and "other programs split text differently" in both.notes[0]


def test_the_card_says_what_it_is_what_it_was_made_from_and_what_it_scored(tmp_path):
    with run_on(tmp_path / "run") as run:
        export(run, chosen(f"{run.path}@3"), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    digest = hashlib.sha256((tmp_path / "out" / "adapter_model.safetensors").read_bytes()).hexdigest()
    fingerprint = json.loads((tmp_path / "out" / "checkpoint.json").read_text())["base"]["fingerprint"]
    for part in (
        "| base | `pocket` |",
        fingerprint,
        "| 3 (this one) | 4 | 0.500 | 0.304 to 0.696 | 1 |",
        "| 0 (untrained) | 4 | 0.250 |",
        "`learning_rate = 0.003`",
        "environment `household`",
        digest,
        "peft ",
    ):
        assert part in card
    assert "{{" not in card and "{%" not in card


@pytest.mark.parametrize("given", [{}, {"merge": True}])
def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path, monkeypatch, given):
    monkeypatch.setattr(exporting.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with run_on(tmp_path / "run") as run, pytest.raises(ExportError, match="are free there"):
        export(run, chosen(str(run.path)), tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with run_on(tmp_path / "run") as run, pytest.raises(ExportError, match="exists already"):
        export(run, chosen(str(run.path)), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_an_architecture_that_gguf_cannot_take_is_refused_and_leaves_nothing(tmp_path):
    base = make_model("phi3", tmp_path)
    with run_on(tmp_path / "run", base, inputs=32, outputs=32, module="o_proj") as run:
        with pytest.raises(NotWritable, match="the architecture phi3 cannot be written as GGUF here"):
            export(run, chosen(str(run.path)), tmp_path / "out", gguf=True)
        assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_a_base_without_files_gives_its_adapter_and_no_model(tmp_path):
    with run_on(tmp_path / "run", "nobody/such-model") as run:
        with pytest.raises(ExportError, match="the base nobody/such-model has no files on this machine"):
            export(run, chosen(str(run.path)), tmp_path / "out", merge=True)
        export(run, chosen(str(run.path)), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["base_model_name_or_path"] == (
        "nobody/such-model"
    )


def test_a_damaged_checkpoint_is_not_exported(tmp_path):
    with run_on(tmp_path / "run", value=float("inf")) as run, pytest.raises(ConfigError, match="not finite"):
        export(run, chosen(f"{run.path}@3"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
