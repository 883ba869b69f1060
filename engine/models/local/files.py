"""Whether `model.weights` can be loaded, from the names and headers of its files: in milliseconds, without torch.

    check_model(config.model)            # raises ConfigError with one sentence, as the engine's own load does

A folder needs a config.json, weights, a tokenizer, and a chat template. A GGUF file has all of these in it; it may be named
by itself or by its folder. A hub name is looked up in the local cache, then on the hub.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from engine.core.errors import ConfigError
from engine.models.catalogue.store import check_here, path_of
from engine.models.local.settings import LocalModelSettings
from engine.models.reading import is_whole, json_object

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
HUB_SECONDS = 5
DEVICE = re.compile(r"cpu|mps|(cuda|xpu)(:\d+)?")
GPU_FILES = ("nvidia*", "kfd", "dxg", "nvhost-gpu", "nvgpu", "nvmap")
"""Names in /dev of the GPUs that torch's cuda can use, NVIDIA's or AMD's."""
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model")
TEMPLATES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates")
NO_TEMPLATE = "its tokenizer has no chat template, so it cannot answer a chat"
GGUF_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
POSITIONS = ("max_position_embeddings", "n_positions")
"""Where a config.json has how many tokens the model can read at once."""
OWN_SCALE = ("default", "llama3", "longrope")
"""Kinds of scaled positions whose numbers in a config.json are those after the scaling."""
EXPECTED = (
    "expected pocket, a folder with a model, a .gguf file, a name that skillos-engine models list shows, or the name of a "
    "model on the Hugging Face hub that can be reached"
)


def check_model(settings: LocalModelSettings) -> None:
    """Raises `ConfigError` that says why the model cannot be loaded, or not be put on its device."""
    if fault := _fault_of_device(settings.device):
        raise ConfigError(f"model.device={settings.device} cannot be used: {fault}")
    check_here(settings.weights)
    if fault := _fault_of(settings.weights):
        raise unloadable(settings, fault)


def check_length(settings: LocalModelSettings) -> int | None:
    """`check_context` by the config.json of a model in a folder; None where there is none."""
    file = Path(weights_path(settings.weights)) / "config.json"
    if file.is_file() and not _gguf(file.parent):
        return check_context(settings, json_object(file))
    return settings.context or None


def unloadable(settings: LocalModelSettings, fault: str) -> ConfigError:
    """The error for weights that cannot be loaded."""
    return ConfigError(f"model.weights={settings.weights} cannot be loaded: {fault}; {EXPECTED}")


def check_context(settings: LocalModelSettings, config: Mapping[str, Any]) -> int | None:
    """The most tokens of a prompt and its answer together: `model.context`, or what the model of a config.json can read;
    None where neither says. Raises `ConfigError` where `model.context` is more than the model can read."""
    positions = _positions(config)
    if positions is not None and settings.context > positions:
        raise ConfigError(
            f"model.context={settings.context} is more than the {positions} tokens that the model "
            f"{settings.weights} can read: set model.context={positions} or less, or 0 for all of them"
        )
    return settings.context or positions


def _positions(config: Mapping[str, Any]) -> int | None:
    """How many tokens a model can read at once; None where its configuration does not say, or has no limit."""
    inner = config.get("text_config")
    config = {**config, **inner} if isinstance(inner, dict) else config
    found = next((size for name in POSITIONS if isinstance(size := config.get(name), int) and size > 0), None)
    scaled = config.get("rope_scaling") or config.get("rope_parameters")
    if found is None or not isinstance(scaled, dict):
        return found
    factor, kind = scaled.get("factor"), scaled.get("rope_type", scaled.get("type", "default"))
    if not isinstance(factor, int | float) or kind in OWN_SCALE:
        return found
    original = scaled.get("original_max_position_embeddings")
    return max(found, int((original if isinstance(original, int) else found) * factor))


def source_of(weights: str) -> tuple[str, dict[str, str]]:
    """What `from_pretrained` is given for `weights`: the folder or hub name, and `gguf_file` where it is a GGUF file."""
    path = weights_path(weights)
    file = _gguf(Path(path))
    return (str(file.parent), {"gguf_file": file.name}) if file else (path, {})


def _gguf(path: Path) -> Path | None:
    """The GGUF file that `path` is, or that is the only model in the folder `path`."""
    if path.is_file() and path.suffix == ".gguf":
        return path
    if not path.is_dir() or any(path.glob("*.safetensors")) or any(path.glob("*.bin")):
        return None
    files = sorted(path.glob("*.gguf"))
    return files[0] if len(files) == 1 else None


def weights_path(weights: str) -> str:
    """Where `weights` are: the shipped pocket model, one of the catalogue, a folder, or a hub name as it is."""
    if weights == "pocket":
        return str(resources.files("engine") / "models" / "pocket")
    return str(path_of(weights) or weights)


def _fault_of_device(device: str) -> str:
    if not DEVICE.fullmatch(device):
        return "expected cpu, cuda, cuda and a number such as cuda:1, mps or xpu"
    if device == "mps" and sys.platform != "darwin":
        return "mps is a device of Apple's machines only"
    if device.startswith("cuda") and sys.platform == "linux":
        folder = Path("/dev")
        if not any(True for pattern in GPU_FILES for _ in folder.glob(pattern)):
            return "this machine shows no GPU"
    return ""


def _fault_of(weights: str) -> str:
    if not weights.strip():
        return "it is empty"
    path = Path(weights_path(weights))
    if file := _gguf(path):
        return _fault_of_gguf(file)
    if path.is_dir():
        return _fault_of_folder(path)
    if path.exists() or path.is_symlink():
        return f"{path} is neither a folder nor a .gguf file"
    if HUB_NAME.fullmatch(weights):
        return _fault_on_hub(weights)
    return f"there is no {'file' if weights.endswith('.gguf') else 'folder'} {Path(weights)}"


def _fault_of_gguf(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            start = opened.read(4)
    except OSError as error:
        return f"{file} cannot be read: {error.strerror or error}"
    if start != b"GGUF":
        return f"{file.name} is not a GGUF file (interrupted, or a pointer of git-lfs)"
    return f"{file.name} is one part of a model; merge its parts into one file" if GGUF_PART.search(file.name) else ""


def _fault_of_folder(folder: Path) -> str:
    try:
        names = {path.name for path in folder.iterdir()}
        if not any(name.endswith((".safetensors", ".bin")) for name in names):
            files = sorted(name for name in names if name.endswith(".gguf"))
            if files:  # one alone would have been taken
                return f"it has {len(files)} GGUF files: name one of them, such as {folder / files[0]}"
        if fault := _fault_of_names(names):
            return fault
        config = json_object(folder / "config.json")
        if "model_type" not in config and "architectures" not in config:
            return "its config.json names no kind of model"
        for path in _weights(folder):
            if not path.is_file():
                return f"{path.name} is missing"
            if path.suffix == ".safetensors" and not is_whole(path):
                return f"{path.name} is not whole (interrupted, or a pointer of git-lfs)"
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if name in names:
                json_object(folder / name)
        if not names & set(TEMPLATES) and not json_object(folder / "tokenizer_config.json").get("chat_template"):
            return NO_TEMPLATE
    except OSError as error:
        return f"{error.filename or folder} cannot be read: {error.strerror or error}"
    except ValueError as error:
        return str(error)
    return ""


def _fault_of_names(names: Collection[str]) -> str:
    """What is missing among the files of a model."""
    if "config.json" not in names:
        return "it has no config.json"
    if not any(name.endswith((".safetensors", ".bin")) for name in names):
        return "it has no weights (*.safetensors)"
    if not any(name in names for name in TOKENIZERS):
        return f"it has no tokenizer ({TOKENIZERS[0]})"
    if not any(name in names for name in (*TEMPLATES, "tokenizer_config.json")):
        return NO_TEMPLATE
    return ""


def _weights(folder: Path) -> Iterator[Path]:
    """The files that hold the weights: those that an index names, or all."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = json_object(index).get("weight_map")
        if not isinstance(shards, dict):
            raise ValueError(f"{index.name} names no weights")
        yield from (folder / str(name) for name in sorted(set(map(str, shards.values()))))
    else:
        yield from folder.glob("*.safetensors")


def _fault_on_hub(name: str) -> str:
    """What is missing of a model in the local cache, or on the hub."""
    from huggingface_hub import constants, get_token, try_to_load_from_cache

    cached = try_to_load_from_cache(name, "config.json")
    if isinstance(cached, str) and not _fault_of_folder(Path(cached).parent):
        return ""
    if constants.HF_HUB_OFFLINE:
        return "no folder has this name, and the hub is switched off (HF_HUB_OFFLINE)"
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{constants.ENDPOINT}/api/models/{name}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=HUB_SECONDS) as answer:
            files = {entry["rfilename"] for entry in json.load(answer)["siblings"]}
    except urllib.error.HTTPError as error:
        return f"no folder has this name, and the hub has no such model for you (it answers {error.code})"
    except OSError as error:
        return f"no folder has this name, and the hub cannot be reached ({getattr(error, 'reason', error)})"
    except (ValueError, LookupError, TypeError):
        return "no folder has this name, and what the hub answers cannot be read"
    return _fault_of_names(files)
