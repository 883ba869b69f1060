"""Opening the models of a server, whatever makes the requests.

    opened = await open_remote(settings, opening, address, connect)      # connect(key) -> Connection

A few short requests find out which models there are and what the server takes (`probing`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from engine.core.errors import ConfigError
from engine.core.events import Notice
from engine.models.base import Models, Opened, Opening
from engine.models.limits import Gateway
from engine.models.remote.errors import Moved
from engine.models.remote.fields import Extras
from engine.models.remote.keys import Secrets, check_key_name, read_key
from engine.models.remote.listing import Listed
from engine.models.remote.model import RemoteModel, Served, Server, not_served
from engine.models.remote.probing import patiently, probe, within
from engine.models.remote.settings import RemoteSettings
from engine.models.remote.tokens import load_tokenizer
from engine.models.remote.wire import Connection, HttpClient

LIST_SECONDS = 30.0
"""How long a server may take to list its models."""
NO_TOKENIZER = (
    "model.tokenizer is not set, so the tokens of skills are not counted and the reward for short skills is not measured: "
    "set it to a folder with tokenizer.json, or to the model's name on the Hugging Face hub"
)


def check_remote(settings: RemoteSettings) -> None:
    """Raises `ConfigError` for the name of a key, or fields of a request, that cannot be."""
    check_key_name(settings.key)
    try:
        fields = msgspec.json.decode(settings.body) if settings.body else {}
    except msgspec.DecodeError as error:
        raise ConfigError(f"model.body is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ConfigError('model.body is a JSON object, such as {"reasoning_effort": "low"}')
    if ours := sorted({"model", "messages", "tools", "stream", "n"} & set(fields)):
        raise ConfigError(f"model.body cannot set {', '.join(ours)}")


async def open_remote(
    settings: RemoteSettings,
    opening: Opening,
    address: str,
    connect: Callable[[str | None], Connection],
    *,
    lists: bool = True,
) -> Opened:
    """The models of the server at `address`. `lists`: it has a list of its models.

    Raises `ConfigError` for settings, a key or a model that are wrong, and `ModelUnavailable` where it cannot be reached.
    """
    opening.report(f"the server {address}")
    section = opening.section
    key = await asyncio.to_thread(read_key, settings.key, f"{section}.key")
    source, setting = settings.tokenizer, f"{section}.tokenizer"
    tokenizer = await asyncio.to_thread(load_tokenizer, source, setting) if source else None
    client = HttpClient(connect(key), Secrets([key]))
    extras = Extras(opening.emit, address, msgspec.json.decode(settings.body) if settings.body else {})

    async def alive() -> None:
        await server.models()

    gateway = Gateway(address, settings, opening.holds, alive)
    server = Server(
        address,
        client,
        gateway,
        extras,
        tokenizer=tokenizer,
        key=settings.key,
        context=settings.context,
        section=section,
    )
    try:
        listed = await _listed(settings, server) if lists else None
        return await _opened(settings, server, _chosen(settings, server, listed), listed or [], opening)
    except BaseException:
        await server.close()
        raise


async def _opened(
    settings: RemoteSettings, server: Server, chosen: Listed, listed: list[Listed], opening: Opening
) -> Opened:
    server.context = server.context or chosen.context
    names = [model.name for model in listed]
    curates, served = "curator" in opening.roles, Served(chosen.name)
    found = await probe(server, served, names, curates=curates, seconds=settings.answer_seconds)
    served = Served(chosen.name, aliases=found.aliases)
    opening.emit(Notice("info", found.sentence()))
    if server.tokenizer is None and "curator" in opening.roles:
        opening.emit(Notice("warning", NO_TOKENIZER))
    executor, curator, judge = (RemoteModel(role, lambda: served, server) for role in ("executor", "curator", "judge"))
    return Opened(Models(executor, curator, judge, server.tokenizer), close=server.close)


async def _listed(settings: RemoteSettings, server: Server) -> list[Listed] | None:
    """The server's list of its models; None where it has none, and none is needed. Raises `ConfigError`."""
    try:
        return await patiently(lambda: within(LIST_SECONDS, server.models(), server), server)
    except Moved:
        if not settings.model:
            raise
        return None  # the address of the chats may be another one


def _chosen(settings: RemoteSettings, server: Server, listed: list[Listed] | None) -> Listed:
    """The model of the settings, as the server lists it. Raises `ConfigError`."""
    name, known = settings.model, {model.name: model for model in listed or ()}
    if name in known:
        return known[name]
    bases = [model for model in known.values() if not model.parent]
    if not name:
        if len(bases) == 1:
            return bases[0]
        none = f"it has no list of its models ({server.section}.url usually ends in /v1)"
        has = f"it has: {', '.join(list(known)[:20])}" if known else none
        raise ConfigError(f"{server.section}.model is the name of a model of the server {server.name}; {has}")
    if known and f"models/{name}" not in known:
        raise ConfigError(not_served(name, server, list(known)))
    return Listed(name)
