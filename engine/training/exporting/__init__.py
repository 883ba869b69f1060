"""The adapter of a checkpoint, or the whole model, as a folder for others: with a card that says what it is.

    made = export(run, chosen(str(run.path)), folder, merge=True, gguf=False)       # raises `ExportError`
    made.files, made.notes

The folder appears complete or not at all. What it needs of the disk is computed before anything is loaded.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from safetensors import SafetensorError

from engine.config import Config
from engine.core.errors import ConfigError, SkillosError
from engine.core.files import publish
from engine.core.parts import kind_of
from engine.core.text import size
from engine.models.adapters import CONFIG, WEIGHTS, is_full, weights_in
from engine.models.catalogue.store import sha256_of
from engine.models.local.settings import LocalModelSettings
from engine.models.reading import json_object
from engine.runs.directory import Run
from engine.system.plan.shapes import UnknownShape, folder_of, shape_of
from engine.training.checkpoints import fault_of
from engine.training.exporting.card import CARD, card
from engine.training.origin import base_of, pass_on, refusal
from engine.training.selection import Chosen

VOCABULARY = (
    "tokenizer*.json", "tokenizer.model", "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json",
    "chat_template*", "additional_chat_templates",
)  # fmt: skip
"""Files of a model's folder that are its tokenizer."""
GGUF_NAME = "model.gguf"
ROOM = 1.1
"""How much more room is asked for than the weights take: tokenizer, card, and the file system's own."""

Report = Callable[[str], None]


class ExportError(SkillosError):
    """A checkpoint that cannot be exported. The message gives the reason."""


class Exported(msgspec.Struct, frozen=True):
    """What was written: the folder, its files with their bytes, the step, and what the user should know of it."""

    folder: str
    step: int
    files: dict[str, int]
    notes: list[str]


def export(
    run: Run,
    found: Chosen,
    target: Path,
    *,
    merge: bool = False,
    gguf: bool = False,
    report: Report = lambda what: None,
) -> Exported:
    """Write the checkpoint `found` of `run` to the folder `target`, which is absent or empty: its adapter, or with `merge`
    the model with the adapter in it, and with `gguf` that model as a GGUF file. Where all weights were trained, the model is
    what is written in place of an adapter. `report` is called before what takes long.

    Raises `ExportError`, and `ConfigError` for a base that cannot be loaded.
    """
    if found.step is None:
        raise ExportError(f"{found.path} is no checkpoint of a run: name a train run, or RUN@STEP")
    config = run.config
    if fault := fault_of(found.path):
        raise ExportError(f"the checkpoint of step {found.step} cannot be exported: {fault}")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ExportError(f"{target} exists already; give another folder")
    full = is_full(found.path)
    merge = merge or (full and not gguf)
    if merge or gguf:
        _check_base(config, found, gguf=gguf)
    _check_room(config, found, target, models=merge + gguf)
    draft = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    notes: list[str] = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        if merge or gguf:
            notes += _write_model(config, found.path, draft, merge=merge, gguf=gguf, report=report)
        else:
            _write_adapter(config, found.path, draft)
        pass_on(found.path, draft)
        files = {path.name: path.stat().st_size for path in sorted(draft.iterdir()) if path.is_file()}
        report("hashes and card")
        hashes = {name: sha256_of(draft / name) for name in files}
        text = card(run, config, found.step, hashes, notes, merged=merge, gguf=gguf, full=full)
        (draft / CARD).write_text(text, encoding="utf-8")
        publish(draft, target)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error} ({error.filename})") from error
    except SafetensorError as error:  # what its writer raises for a full disk
        raise ExportError(f"{target} cannot be written: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Exported(str(target), found.step, {**files, CARD: (target / CARD).stat().st_size}, notes)


def _check_base(config: Config, found: Chosen, *, gguf: bool) -> None:
    """Raises `ExportError` where the base has no files here, is not the one that the checkpoint was trained on, or, with
    `gguf`, is of an architecture that is not written."""
    base = base_of(config)
    try:
        here = bool(base.name) and (Path(base.name).is_file() or folder_of(base.name) is not None)
    except ConfigError as error:
        raise ExportError(str(error)) from error
    if not here:
        advice = "" if is_full(found.path) else "export the adapter alone (without --merge and --gguf), or "
        raise ExportError(
            f"the base {base.name} has no files on this machine, so no model can be made of it and the checkpoint: {advice}"
            "download the base first"
        )
    if why := refusal(found.path, config):
        raise ExportError(why)
    folder = None if Path(base.name).is_file() else folder_of(base.name)
    if gguf and folder is not None and (folder / "config.json").is_file():
        from engine.training.exporting.gguf_file import check_architecture

        check_architecture(str(json_object(folder / "config.json").get("model_type")))


def _check_room(config: Config, found: Chosen, target: Path, *, models: int) -> None:
    """Raises `ExportError` where the disk has no room for the weights."""
    needed = float(weights_in(found.path).stat().st_size)
    if models:
        needed = models * _model_bytes(config)
    folder = next(path for path in (target.absolute(), *target.absolute().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if free < needed * ROOM:
        raise ExportError(
            f"{target} needs about {size(round(needed * ROOM))}, and {size(free)} are free there: free some space, or give "
            "a folder on another disk"
        )


def _model_bytes(config: Config) -> float:
    """Bytes of the whole model in the type of its numbers: by its shape, or else by its files."""
    base = base_of(config)
    settings = _local(config)
    number = 2 if settings.dtype == "bfloat16" else 4
    try:
        return float(shape_of(base.name).weight_bytes(number))
    except UnknownShape:
        path = Path(base.name)
        folder = path if path.is_file() else folder_of(base.name)
        files = [folder] if folder is not None and folder.is_file() else list((folder or path).glob("*.safetensors"))
        return float(sum(file.stat().st_size for file in files)) * number / 2


def _local(config: Config) -> LocalModelSettings:
    """The settings by which the trainer's base is loaded here, on the CPU."""
    settings = config.model_of("curator")
    dtype = getattr(settings, "trainer_dtype", getattr(settings, "dtype", "float32"))
    weights = str(getattr(settings, "weights", ""))
    return LocalModelSettings(weights=weights, dtype="bfloat16" if dtype == "bfloat16" else "float32")


def _write_adapter(config: Config, checkpoint: Path, folder: Path) -> None:
    """The adapter's two files, with the base's name as the settings have it."""
    shutil.copyfile(checkpoint / WEIGHTS, folder / WEIGHTS)
    about = json_object(checkpoint / CONFIG) | {"base_model_name_or_path": base_of(config).name}
    (folder / CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(about)))


def _write_model(
    config: Config, checkpoint: Path, folder: Path, *, merge: bool, gguf: bool, report: Report
) -> list[str]:
    """The model with the adapter in it, and its tokenizer. Imports torch. Notes for the user."""
    settings = _local(config)
    if kind_of(config.model_of("curator")) not in ("local", "vllm"):
        raise ExportError(f"model.kind={kind_of(config.model_of('curator'))} has no files that could be merged")
    report("PyTorch and the base")
    from transformers.utils import logging

    from engine.models.local.tokenizer import load_tokenizer
    from engine.models.local.weights import load_base, put_adapter, put_all
    from engine.training.exporting.gguf_file import write

    transformers_logging: Any = logging
    transformers_logging.disable_progress_bar()
    tokenizer = load_tokenizer(settings)
    base = load_base(settings)
    report("the weights of the checkpoint")
    notes: list[str] = []
    model: Any = base
    if not is_full(checkpoint):
        model = put_adapter(base, checkpoint).merge_and_unload()
    else:
        put_all(base, checkpoint)
        if settings.dtype != "float32":
            notes.append(
                f"the weights were trained in float32, and are rounded to {settings.dtype} here, as the base has them"
            )
    if gguf:
        report("the GGUF file")
        notes += write(model, tokenizer, folder / GGUF_NAME, name=f"{settings.weights.rpartition('/')[2]}-curator")
    if merge:
        report("the model")
        model.save_pretrained(folder)
    _write_tokenizer(settings, tokenizer, folder)
    return notes


def _write_tokenizer(settings: LocalModelSettings, tokenizer: Any, folder: Path) -> None:
    """The files of the tokenizer: those of the base's folder as they are, or else as transformers writes them."""
    source = None if Path(settings.weights).is_file() else folder_of(settings.weights)
    files = [path for pattern in VOCABULARY for path in (source.glob(pattern) if source is not None else ())]
    if not files:
        tokenizer.save_pretrained(folder)
    for path in files:
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        else:
            shutil.copyfile(path, folder / path.name)
