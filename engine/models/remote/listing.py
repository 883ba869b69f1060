"""The list of models that a server has: `read_models(body)[0].context`."""

from __future__ import annotations

import msgspec

from engine.core.text import printable
from engine.models.limits.errors import Retryable
from engine.models.remote.replies import shown


class Listed(msgspec.Struct, frozen=True):
    """A model of the list. `context` is how many tokens a prompt and its answer may have together, 0 where it says nothing;
    `parent` is the base of an adapter."""

    name: str
    context: int = 0
    parent: str = ""


class _Meta(msgspec.Struct):
    n_ctx: int | None = None
    n_ctx_train: int | None = None


class _Card(msgspec.Struct):
    id: str
    max_model_len: int | None = None
    context_length: int | None = None
    parent: str | None = None
    meta: _Meta | None = None


class _Cards(msgspec.Struct):
    data: list[_Card]


def read_models(body: bytes) -> list[Listed]:
    """The models of a list, in its order. Raises `Retryable` for what is no list."""
    try:
        cards = msgspec.json.decode(body, type=_Cards).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Retryable(f"its list of models cannot be read ({error}): {shown(body)}") from error
    return [Listed(printable(card.id, 200), _context(card), card.parent or "") for card in cards]


def _context(card: _Card) -> int:
    meta = card.meta or _Meta()
    return max(0, card.max_model_len or card.context_length or meta.n_ctx or 0)
