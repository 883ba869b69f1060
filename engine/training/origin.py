"""What a checkpoint was made from, in its file `checkpoint.json`, and whether it fits the model that it is to be put on.

    origin = origin_of(config)                       # of a run, before its first step
    write(folder, origin, step=7)
    refusal(folder, config)                          # a sentence that names both bases, "" where they are the same

A base is known by a fingerprint of its weight files: a digest of their sizes and of samples from all over them, so that it
takes milliseconds for files of any size. Checkpoints of older versions have no `checkpoint.json`; they are checked by the
shapes of their tensors. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from engine.config import Config, to_toml
from engine.core.errors import ConfigError
from engine.models.adapters import CONFIG, is_full, is_trained, weights_in
from engine.models.catalogue.store import sha256_of
from engine.models.reading import json_object, shapes_in
from engine.system.plan.shapes import UnknownShape, folder_of, shape_of

FILE = "checkpoint.json"
CHECKED = (".pt", ".pth")
"""Files of torch: archives with a checksum of each member."""
FORMAT = 1
"""The version of the checkpoint's layout: adapter, optimiser and trainer state, and this file."""
SAMPLES, SAMPLE_BYTES, HEAD_BYTES = 64, 4096, 65536
WEIGHT_FILES = ("*.safetensors", "*.bin", "*.gguf")
PEFT_PREFIX = "base_model.model."


class Base(msgspec.Struct, frozen=True):
    """A base model: its name in the settings, the fingerprint of its files ("" where they are not here), and its shape (None
    where that is not known)."""

    name: str
    fingerprint: str = ""
    layers: int | None = None
    hidden: int | None = None
    vocabulary: int | None = None

    def __str__(self) -> str:
        known = [f"files {self.fingerprint[:12]}" if self.fingerprint else ""]
        if self.hidden:
            known.append(f"{self.layers} layers, hidden size {self.hidden}, vocabulary {self.vocabulary}")
        about = ", ".join(filter(None, known))
        return f"{self.name} ({about})" if about else self.name


class Origin(msgspec.Struct, frozen=True):
    """What a checkpoint was made from. `settings` is the SHA-256 of the run's whole configuration as TOML. With all weights
    trained (`method`), rank and alpha are 0. `files` has the SHA-256 of each file that has no checksum in itself;
    checkpoints of older versions have none."""

    base: Base
    rank: int
    alpha: int
    settings: str
    format: int = FORMAT
    step: int = 0
    method: str = "lora"
    files: dict[str, str] = {}


def origin_of(config: Config) -> Origin:
    """The origin of the checkpoints of a run with these settings."""
    training = config.training
    settings = hashlib.sha256(to_toml(config).encode()).hexdigest()
    rank, alpha = (training.lora_rank, training.lora_alpha) if training.method == "lora" else (0, 0)
    return Origin(base_of(config), rank, alpha, settings, method=training.method)


def base_of(config: Config) -> Base:
    """The curator's base by its settings and files."""
    weights = str(getattr(config.model_of("curator"), "weights", ""))
    if not weights:
        return Base(str(getattr(config.model_of("curator"), "model", "")) or "a model behind an API")
    try:
        shape = shape_of(weights)
    except UnknownShape:
        return Base(weights, fingerprint(weights))
    return Base(weights, fingerprint(weights), shape.layers, shape.hidden, shape.vocabulary)


def fingerprint(weights: str) -> str:
    """A digest of the files of `weights`; "" where they are not on this machine, or cannot be read."""
    try:
        files = list(_files(weights))
        return _digest(files) if files else ""
    except (OSError, ConfigError):
        return ""


def write(folder: Path, origin: Origin, step: int) -> None:
    """Write the origin of the checkpoint in `folder`, whose other files are complete. Raises `OSError`."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix not in CHECKED]
    digests = {path.name: sha256_of(path) for path in files if path.name != FILE}
    data = msgspec.json.encode(msgspec.structs.replace(origin, step=step, files=digests))
    (folder / FILE).write_bytes(msgspec.json.format(data))


def pass_on(checkpoint: Path, folder: Path) -> None:
    """Write the origin of `checkpoint` to the folder of what was exported from it, which has other files. Raises `OSError`,
    and `ConfigError` as `read` does."""
    if (origin := read(checkpoint)) is not None:
        data = msgspec.json.encode(msgspec.structs.replace(origin, files={}))
        (folder / FILE).write_bytes(msgspec.json.format(data))


def read(checkpoint: Path) -> Origin | None:
    """The origin of a checkpoint; None for one of an older version. Raises `ConfigError` for a file that cannot be read, and
    for a newer format, whose fields may mean something else."""
    file = checkpoint / FILE
    if not file.exists():
        return None
    try:
        data = json_object(file)
        version = data.get("format")
        if isinstance(version, int) and version != FORMAT:
            raise ConfigError(
                f"{checkpoint} cannot be used: its format is version {version}, and this program reads version {FORMAT}: "
                "upgrade skillos-tui, or use another checkpoint"
            )
        return msgspec.convert(data, Origin)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {' '.join(str(error).split())}; use another checkpoint") from error


def altered(checkpoint: Path) -> str:
    """Which file of a checkpoint is not as it was written; "" where all are, or that was not recorded. Raises `OSError`.

    A checkpoint of another format is for `refusal`."""
    try:
        origin = read(checkpoint)
    except ConfigError:
        return ""
    for name, digest in (origin.files if origin is not None else {}).items():
        path = checkpoint / Path(name).name
        if not path.is_file():
            return f"{checkpoint} lacks {path.name}"
        if sha256_of(path) != digest:
            return f"{path} is not what was written: its SHA-256 differs from that in {FILE}"
    return ""


def refusal(checkpoint: Path, config: Config, *, trains: bool = False) -> str:
    """Why a checkpoint cannot be put on the curator's model of `config`; "" where it can. `trains`: it is to be trained on,
    so that its method, and rank and alpha of an adapter, must be those of the settings, too."""
    try:
        origin = read(checkpoint)
    except ConfigError as error:
        return str(error)
    now = base_of(config)
    if origin is not None and (differs := _differs(origin.base, now)):
        return (
            f"{checkpoint} was trained on another base: on {origin.base}, and the curator's model is {now}; they have "
            f"another {differs}. Set model.weights to its base, or use another checkpoint"
        )
    if why := _misfit(checkpoint, now.name):
        return f"{checkpoint} does not fit the curator's model {now}: {why}. Use the base that it was trained on"
    return _other_adapter(checkpoint, config) if trains else ""


def _differs(one: Base, other: Base) -> str:
    """In what two bases differ for certain; "" where nothing is known to differ."""
    for name in ("hidden", "layers", "vocabulary"):
        before, now = getattr(one, name), getattr(other, name)
        if before is not None and now is not None and before != now:
            return "shape"
    both = one.fingerprint and other.fingerprint
    return "content of their files" if both and one.fingerprint != other.fingerprint else ""


def _other_adapter(checkpoint: Path, config: Config) -> str:
    """Why training cannot continue with the method, rank and alpha of the settings."""
    method = "full" if is_full(checkpoint) else "lora"
    if is_trained(checkpoint) and method != config.training.method:
        return (
            f"{checkpoint} was trained with training.method={method}, and the settings say {config.training.method}: set "
            f"training.method={method} in the run's config.toml, or begin a new run"
        )
    try:
        adapter = json_object(checkpoint / CONFIG)
    except (OSError, ValueError):
        return ""  # no adapter, or a damaged one, which is reported elsewhere
    for name, key, wanted in (
        ("training.lora_rank", "r", config.training.lora_rank),
        ("training.lora_alpha", "lora_alpha", config.training.lora_alpha),
    ):
        if isinstance(there := adapter.get(key), int) and there != wanted:
            return (
                f"{checkpoint} has an adapter of {name}={there}, and the settings say {name}={wanted}: set {name}={there} "
                "in the run's config.toml, or begin a new run"
            )
    return ""


def _misfit(checkpoint: Path, weights: str) -> str:
    """The first trained tensor that does not fit the base; "" where all fit, or the shapes are not known."""
    try:
        adapter = shapes_in(weights_in(checkpoint))
        folder = folder_of(weights)
        base: dict[str, tuple[int, ...]] = {}
        for path in folder.glob("*.safetensors") if folder is not None else ():
            base |= shapes_in(path)
    except (OSError, ValueError, ConfigError):
        return ""
    if is_full(checkpoint):
        return _other_shape(adapter, base)
    sides = {"lora_A": (1, 1, "inputs"), "lora_B": (0, 0, "outputs")}
    found = False
    missing = ""
    for name, shape in adapter.items():
        module, _, side = name.removeprefix(PEFT_PREFIX).removesuffix(".weight").rpartition(".")
        if side not in sides or len(shape) != 2:
            continue
        own, its, what = sides[side]
        linear = base.get(f"{module}.weight")
        if linear is None or len(linear) != 2:
            missing = missing or module
            continue
        found = True
        if shape[own] != linear[its]:
            return f"its {module} has {shape[own]} {what}, and the model's has {linear[its]}"
    return f"it has weights for {missing}, which the model does not have" if found and missing else ""


def _other_shape(saved: Mapping[str, tuple[int, ...]], base: Mapping[str, tuple[int, ...]]) -> str:
    """Where all weights of a model do not fit the base; "" where all fit, or the base has other names for its tensors."""
    for name in saved.keys() & base.keys():
        if saved[name] != base[name]:
            return f"its {name} has the shape {[*saved[name]]}, and the model's has {[*base[name]]}"
    missing = sorted(saved.keys() - base.keys())
    known = len(missing) < len(saved)
    return f"it has weights for {missing[0]}, which the model does not have" if missing and known else ""


def _files(weights: str) -> Iterator[Path]:
    """The files that hold the numbers of a model, in a fixed order."""
    path = Path(weights)
    if path.is_file():
        yield path
        return
    folder = folder_of(weights)
    for pattern in WEIGHT_FILES if folder is not None else ():
        if found := sorted(folder.glob(pattern)) if folder else []:
            yield from found
            return


def _digest(files: list[Path]) -> str:
    """BLAKE2 of each file's size, its beginning (the header with names and shapes), and samples at even distances."""
    digest = hashlib.blake2b(digest_size=16)
    for path in files:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "little"))
        with path.open("rb") as file:
            digest.update(file.read(HEAD_BYTES))
            for number in range(1, SAMPLES + 1):
                file.seek(max(0, size * number // SAMPLES - SAMPLE_BYTES))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()
