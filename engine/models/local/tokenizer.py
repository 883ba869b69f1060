"""Loading the tokenizer of the local backend, where possible without torch, which takes 300 MB and seconds.

    tokenizer = load_tokenizer(config.model)

What cannot be loaded raises `ConfigError` with one sentence, also for what transformers raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from engine.core.errors import ConfigError
from engine.models.local.files import NO_TEMPLATE, check_model, source_of, unloadable
from engine.models.local.settings import LocalModelSettings
from engine.models.reading import json_object

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LOADING_ERRORS = (
    OSError, ValueError, RuntimeError, AssertionError, SafetensorError, ImportError, LookupError, TypeError, AttributeError,
    StrictDataclassError,
)  # fmt: skip
"""What transformers and torch raise for files that they cannot use; `ImportError` where a library for them is missing."""
SAID = "hello, chat template"
"""What a chat template must put into a prompt when the user says it."""
GENERIC = "TokenizersBackend"
"""The class of transformers that is nothing but the file tokenizer.json. Its import needs no torch."""


def load_tokenizer(settings: LocalModelSettings) -> PreTrainedTokenizerBase:
    """The tokenizer of the model. Raises `ConfigError` when it cannot be had, or has no chat template that works."""
    with translated_errors(settings):
        tokenizer = _load(*source_of(settings.weights))
    if tokenizer.eos_token_id is None:
        raise unloadable(settings, "its tokenizer has no token that ends an answer (eos_token)")
    if not tokenizer.chat_template:
        raise unloadable(settings, NO_TEMPLATE)
    try:
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": SAID}], add_generation_prompt=True, tokenize=False
        )
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        raise unloadable(settings, f"its tokenizer's chat template fails: {first_line(error)}") from error
    if SAID not in str(prompt):
        raise unloadable(settings, "its tokenizer's chat template leaves out what the user says")
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _load(weights: str, options: Mapping[str, str]) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, of a hub name or of a GGUF file, as `AutoTokenizer` gives it."""
    config = Path(weights) / "tokenizer_config.json"
    if config.is_file() and json_object(config).get("tokenizer_class") == GENERIC:
        from transformers import PreTrainedTokenizerFast

        generic: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(weights)
        return generic
    from transformers import AutoTokenizer

    found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(weights, trust_remote_code=False, **options)
    return found


@contextmanager
def translated_errors(settings: LocalModelSettings, what: str = "") -> Iterator[None]:
    """Check the files of the model, and raise `ConfigError` with one sentence for errors of transformers and torch."""
    check_model(settings)
    try:
        yield
    except LOADING_ERRORS as error:
        if what:
            raise ConfigError(f"{what}: {first_line(error)}") from error
        raise unloadable(settings, first_line(error)) from error


def first_line(error: Exception) -> str:
    """The first line of an error's message that says something, with its type where it does not, as a `KeyError`'s."""
    first, *rest = str(error).strip().split("\n")
    line = f"{first} {rest[0].strip()}" if first.endswith(":") and rest else first
    return f"{type(error).__name__}: {line}" if isinstance(error, LookupError | AttributeError) or not line else line
