"""The tokenizer of a model on a server, loaded without torch.

tokenizer = load_tokenizer("Qwen/Qwen3-8B")       # a folder with tokenizer.json, or a name on the hub
tokenizer.count(text); tokenizer.text_of(ids, ended=True)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.core.errors import ConfigError
from engine.models.base import Message, WrongCompletion
from engine.models.control import FAMILIES, Control
from engine.models.reading import json_object
from engine.models.remote.settings import RemoteSettings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.json"
ENDS = ("tokenizer_config.json", "generation_config.json", "config.json")
"""The files that may name the tokens that end an answer."""
PADDING = 4096
"""A model may have so many more embeddings than its tokenizer has tokens; their ids are of no text."""


class RemoteTokenizer:
    """A `Tokenizer` that also makes the text of token ids. `ends` are the ids that end an answer; `control`
    are the tokens that no message may have."""

    def __init__(self, tokenizer: Tokenizer, ends: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        special = {number: token for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        self._ends = ends | set(special)
        self._most = tokenizer.get_vocab_size() + PADDING
        self.control = Control(token.content for token in special.values()) if special else FAMILIES

    def count(self, text: str) -> int:
        """How many tokens `text` has; special tokens are not added."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each token by itself."""
        return [str(self._tokenizer.decode([number], skip_special_tokens=False)) for number in ids]

    def chat(self, messages: Sequence[Message]) -> int:
        """How many tokens the texts of a chat have; those that a chat template adds are not known."""
        return sum(self.count(message.content) for message in messages)

    def text_of(self, ids: Sequence[int], *, ended: bool) -> str:
        """The text of a completion's ids, without the token that ended it; other special tokens stay.

        Raises `WrongCompletion` for an id that no model of this tokenizer has.
        """
        if (wrong := next((number for number in ids if not 0 <= number < self._most), None)) is not None:
            raise WrongCompletion(f"the token id {wrong}, which the model's tokenizer does not have")
        if ended and ids and ids[-1] in self._ends:
            ids = ids[:-1]
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))


def load_tokenizer(source: str, setting: str = "model.tokenizer") -> RemoteTokenizer:
    """The tokenizer of a folder, or of a name on the hub (its cache first). Raises `ConfigError`."""
    from tokenizers import Tokenizer

    try:
        path = _file(source, FILE)
        if path is None:
            raise ConfigError(
                f"{setting}={source} has no {FILE}: name a folder, or a model on the Hugging Face hub, that has one"
            )
        tokenizer = Tokenizer.from_file(str(path))
        ends = _ends(source, tokenizer)
    except ConfigError:
        raise
    except Exception as error:  # tokenizers raises plain exceptions for a file that it cannot read
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{setting}={source} cannot be loaded: {first}") from error
    return RemoteTokenizer(tokenizer, ends)


def load_texts(settings: RemoteSettings) -> RemoteTokenizer:
    """The tokenizer that the settings name. Raises `ConfigError` where they name none, or it cannot be loaded."""
    if not settings.tokenizer:
        raise ConfigError("model.tokenizer is not set, so tokens cannot be counted again")
    return load_tokenizer(settings.tokenizer)


def _file(source: str, name: str) -> Path | None:
    """Where a file of the model is; None where it has none."""
    if Path(source).is_dir():
        path = Path(source, name)
        return path if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(hf_hub_download(source, name))
    except EntryNotFoundError:
        return None


def _ends(source: str, tokenizer: Tokenizer) -> frozenset[int]:
    """The ids that end an answer, by whichever file names them."""
    found: list[Any] = []
    for name in ENDS:
        path = _file(source, name)
        values = json_object(path) if path is not None else {}
        named = values.get("eos_token")
        token = named.get("content") if isinstance(named, dict) else named
        found.append(tokenizer.token_to_id(token) if isinstance(token, str) else None)
        number = values.get("eos_token_id")
        found += number if isinstance(number, list) else [number]
    return frozenset(number for number in found if isinstance(number, int))
