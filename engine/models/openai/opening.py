"""Opening the backend `openai`: `await open_models(config.model, Opening(report=print))`."""

from __future__ import annotations

import asyncio

import msgspec

from engine.core.errors import ConfigError
from engine.core.events import Notice
from engine.models.base import Models, Opened, Opening
from engine.models.limits import Gateway
from engine.models.openai.client import open_connection
from engine.models.openai.settings import OpenAIModelSettings
from engine.models.remote.fields import Extras
from engine.models.remote.keys import Secrets, read_key
from engine.models.remote.listing import Listed
from engine.models.remote.model import RemoteModel, Served, Server, not_served
from engine.models.remote.probing import patiently, probe
from engine.models.remote.tokens import load_tokenizer
from engine.models.remote.wire import HttpClient

NO_TOKENIZER = (
    "model.tokenizer is not set, so the tokens of skills are not counted and the reward for short skills is not measured: "
    "set it to a folder with tokenizer.json, or to the model's name on the Hugging Face hub"
)


async def open_models(settings: OpenAIModelSettings, opening: Opening) -> Opened:
    """The models of a server, after a few short requests that find out what it takes.

    Raises `ConfigError` for settings, a key or a model that are wrong, and `ModelUnavailable` where it cannot be reached.
    """
    opening.report(f"the server {settings.url}")
    key = await asyncio.to_thread(read_key, settings.key)
    tokenizer = await asyncio.to_thread(load_tokenizer, settings.tokenizer) if settings.tokenizer else None
    client = HttpClient(open_connection(settings, key), Secrets([key]))
    own = msgspec.json.decode(settings.body) if settings.body else {}
    extras = Extras(opening.emit, settings.url, own)
    gateway = Gateway(settings.url, settings, opening.holds, lambda: _alive(server))
    server = Server(
        settings.url, client, gateway, extras, tokenizer=tokenizer, key=settings.key, context=settings.context
    )
    try:
        return await _opened(server, settings, opening)
    except BaseException:
        await server.close()
        raise


async def _opened(server: Server, settings: OpenAIModelSettings, opening: Opening) -> Opened:
    listed = await patiently(server.models, server.name) if not settings.api_version else None
    chosen = _chosen(settings, listed)
    server.context = settings.context or chosen.context
    served = Served(chosen.name)
    names = [model.name for model in listed or ()]
    found = await probe(server, served, names, curates="curator" in opening.roles)
    served = Served(chosen.name, aliases=found.aliases)
    opening.emit(Notice("info", found.sentence()))
    if server.tokenizer is None:
        opening.emit(Notice("warning", NO_TOKENIZER))
    executor, curator, judge = (RemoteModel(role, lambda: served, server) for role in ("executor", "curator", "judge"))
    return Opened(Models(executor, curator, judge, server.tokenizer), close=server.close)


def _chosen(settings: OpenAIModelSettings, listed: list[Listed] | None) -> Listed:
    """The model of the settings, as the server lists it. Raises `ConfigError`."""
    name, known = settings.model, {model.name: model for model in listed or ()}
    if name in known:
        return known[name]
    bases = [model for model in known.values() if not model.parent]
    if not name:
        if len(bases) == 1:
            return bases[0]
        has = f"it has: {', '.join(list(known)[:20])}" if known else "it has no list of its models"
        raise ConfigError(f"model.model is the name of a model of the server {settings.url}; {has}")
    if known and not settings.api_version and f"models/{name}" not in known:
        raise ConfigError(not_served(name, settings.url, list(known)))
    return Listed(name)


async def _alive(server: Server) -> None:
    """A request that costs nothing. Raises `Retryable` where it is not answered."""
    await server.models()
