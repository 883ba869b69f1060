"""The model backends that `model.kind` can name: `BACKENDS.load("local").settings`. Cheap to import.

    KIND = ModelBackend(name="maze", settings=MazeModelSettings, opens="maze.model:open_models")

    async def open_models(settings: MazeModelSettings, opening: Opening) -> Opened: ...

The function that `opens` names is imported only by a process that asks the models. It awaits what takes long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.core.errors import ConfigError
from engine.core.parts import PartKind, Settings, kind_of
from engine.core.registry import Registry, resolve, resolve_heavy

if TYPE_CHECKING:
    from engine.models.base import Opened, Opening, Tokenizer  # it imports asyncio, which takes 20 ms


def unbounded(settings: Any) -> int | None:
    """The context of a backend that does not say how long it is."""
    return None


def _anything(settings: Any, rank: int) -> None:
    """Every setting and every rank can be trained."""


class ModelBackend(PartKind, frozen=True, kw_only=True):
    """A model backend. `opens` is "module:attribute" of the coroutine function that opens its models.

    `scores`: its models are `Scorer`s. `chooses`: they are `Chooser`s. `trains`: it takes the adapter of a curator, it opens
    a `TrainableBase` and an `AdapterSink`, and its completions have token ids. `judges`: it opens a model for the judge.
    `trains_all`: it takes a curator of which all weights are trained, too. `check_training(settings, rank)` raises
    `ConfigError` where these settings, or adapters of this rank, cannot be trained. `context(settings)` is the most tokens
    of a prompt and its answer together; None is unknown. `vocabulary` is "module:attribute" of a function of the settings
    that loads the tokenizer of transformers; "" where there is none. A server has a chat template of its own, so its backend
    has `texts` instead: a function of the settings that loads the `Tokenizer` of texts alone.
    """

    opens: str
    scores: bool = False
    chooses: bool = False
    trains: bool = False
    trains_all: bool = False
    judges: bool = False
    check_training: Callable[[Any, int], None] = _anything
    context: Callable[[Any], int | None] = unbounded
    vocabulary: str = ""
    texts: str = ""


DEFAULT = "local"
BACKENDS = Registry(
    "model backend",
    "skillos.models",
    ModelBackend,
    {
        "local": "engine.models.local.kind:KIND",
        "openai": "engine.models.openai.kind:KIND",
        "anyllm": "engine.models.anyllm.kind:KIND",
        "vllm": "engine.models.vllm.kind:KIND",
    },
)
SAME = "same"
OTHERS = Registry("model backend", BACKENDS.group, ModelBackend, {SAME: "engine.models.same:KIND", **BACKENDS.shipped})
"""The backends of a role that may have a model of its own; `same` is the one of [model]."""


async def open_models(settings: Settings, opening: Opening) -> Opened:
    """The models of the backend that `settings` are of. Raises `ConfigError` where they cannot be loaded."""
    opened: Opened = await resolve_heavy(BACKENDS.load(kind_of(settings)).opens)(settings, opening)
    return opened


def load_vocabulary(settings: Settings) -> Any:
    """The tokenizer of transformers that the models of a backend use. Raises `ConfigError` where it cannot be loaded."""
    backend = BACKENDS.load(kind_of(settings))
    if not backend.vocabulary:
        raise ConfigError(f"the model backend {backend.name} has no tokenizer, so tokens cannot be counted again")
    return resolve(backend.vocabulary)(settings)


def load_texts(settings: Settings) -> Tokenizer | None:
    """The tokenizer of texts alone, of a backend whose server makes the prompts; None where the backend makes them. Raises
    `ConfigError` where it cannot be loaded."""
    backend = BACKENDS.load(kind_of(settings))
    if backend.vocabulary or not backend.texts:
        return None
    tokenizer: Tokenizer = resolve(backend.texts)(settings)
    return tokenizer
