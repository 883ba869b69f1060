"""Opening the vLLM backend: `await open_models(config.model, Opening(lora_rank=8, report=print))`.

The server is started, or one that runs is examined; where a trainer will publish adapters, its own base is loaded beside it,
and the server must show that it answers as that base does.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from engine.core.errors import ConfigError
from engine.core.events import Notice, ServerMeasured
from engine.models.adapters import CONFIG, check_adapter
from engine.models.base import Models, Opened, Opening
from engine.models.limits import Gateway, Retryable
from engine.models.openai.client import open_connection
from engine.models.openai.settings import OpenAIModelSettings
from engine.models.reading import json_object
from engine.models.remote.fields import Extras
from engine.models.remote.keys import Secrets, read_key
from engine.models.remote.model import RemoteModel, Served, Server
from engine.models.remote.probing import probe
from engine.models.remote.tokens import load_tokenizer
from engine.models.remote.wire import HttpClient
from engine.models.vllm.adapters import Adapters
from engine.models.vllm.api import LOAD, UNLOAD, Card
from engine.models.vllm.command import BASE, rank_limit
from engine.models.vllm.curator import Curator
from engine.models.vllm.kind import check_training, trained
from engine.models.vllm.metrics import Watch
from engine.models.vllm.server import OtherServer, OwnServer
from engine.models.vllm.settings import VllmModelSettings

TEXTS = (
    "Put the mug into the sink.",
    '<tool_call>\n{"name": "insert_skill", "arguments": {}}\n</tool_call>',
    "<think>\n…ß→日本\n",
)
"""What both tokenizers are given."""


async def open_models(settings: VllmModelSettings, opening: Opening) -> Opened:
    """The models of a vLLM server. Raises `ConfigError`, `ModelUnavailable` and `NotPublished`, each with what to change."""
    async with AsyncExitStack() as stack:
        opened = await _open(settings, opening, stack)
        closing = stack.pop_all()
        return msgspec.structs.replace(opened, close=closing.aclose)
    raise AssertionError("the block returns")


async def _open(settings: VllmModelSettings, opening: Opening, stack: AsyncExitStack) -> Opened:
    """The models; what is to be closed at the end is given to `stack`."""
    rank = _rank(settings, opening)
    folder = opening.folder or Path(tempfile.mkdtemp(prefix="skillos-vllm-"))
    opening.report(f"the weights {settings.weights}")
    weights = await asyncio.to_thread(weights_folder, settings.weights)
    key = await asyncio.to_thread(read_key, settings.key)
    server = _server(settings, msgspec.structs.replace(opening, lora_rank=rank), weights, folder, key)
    stack.push_async_callback(server.stop)
    reference = None
    if opening.lora_rank:
        starting = asyncio.create_task(server.start())
        stack.push_async_callback(_cancelled, starting)
        from engine.models.vllm import loading

        reference = await asyncio.to_thread(loading.load_reference, trained(settings), opening.report)
        await starting
    else:
        await server.start()
    base = await _examined(server, settings, weights, adapters=bool(rank))
    if reference is not None:
        await _check_tokenizer(server, base.id, lambda text: list(reference.ids(text)))
    mark = "" if isinstance(server, OwnServer) else f"-{os.getpid():x}{os.urandom(2).hex()}"
    adapters = Adapters(server, base=base.id, reference=reference, emit=opening.emit, mark=mark)
    stack.push_async_callback(adapters.close)
    chats = await _chats(server, settings, opening, weights, base, key, stack)
    if reference is not None:
        opening.report("an adapter that tests the vLLM server")
        await adapters.check(folder, rank)
    if opening.adapter is not None:
        opening.report(f"the adapter {opening.adapter.name}")
        await adapters.put(opening.adapter)
    watched = Watch(
        server, settings, opening, _measured(chats, opening), lambda: chats.gateway.working + server.api.pending
    )
    watch = asyncio.create_task(watched.run(), name="server metrics")
    stack.push_async_callback(_cancelled, watch)
    plain = Served(base.id, aliases=frozenset({weights, settings.weights}))
    executor, judge = (RemoteModel(role, lambda: plain, chats) for role in ("executor", "judge"))
    if opening.folder is None:  # until here a message may name the log in it
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
    assert chats.tokenizer is not None
    models = Models(executor, Curator(adapters, chats), judge, chats.tokenizer)
    return Opened(models, sink=adapters if reference else None, base=reference)


def _rank(settings: VllmModelSettings, opening: Opening) -> int:
    """The largest rank of the adapters that the server will get; 0: none. Raises `ConfigError`."""
    ranks = [opening.lora_rank]
    if opening.adapter is not None:
        check_adapter(opening.adapter)
        rank = json_object(opening.adapter / CONFIG).get("r")
        ranks.append(rank if isinstance(rank, int) else 0)
    if opening.lora_rank:
        check_training(settings, opening.lora_rank)
    if max(ranks):
        rank_limit(max(ranks))
    return max(ranks)


def _server(
    settings: VllmModelSettings, opening: Opening, weights: str, folder: Path, key: str | None
) -> OwnServer | OtherServer:
    if settings.url:
        return OtherServer(settings.url.rstrip("/").removesuffix("/v1"), key or "", opening.holds)
    name = "-".join(["vllm", *(sorted(opening.roles) if "curator" not in opening.roles else [])])
    return OwnServer(settings, opening, weights, folder=folder, name=name)


def weights_folder(weights: str) -> str:
    """The folder of the weights; those on the hub are fetched, so that server and trainer have the same files. Raises
    `ConfigError`."""
    from engine.models.local.files import weights_path

    path = weights_path(weights)
    if Path(path).is_dir():
        return path
    if Path(path).is_file():
        raise ConfigError(f"model.weights={weights} is one file, and vLLM takes a folder as transformers writes it")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return str(snapshot_download(weights, ignore_patterns=["*.bin", "*.pth", "*.gguf", "original/*"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"model.weights={weights} cannot be fetched from the Hugging Face hub: {first}") from error


async def _examined(
    server: OwnServer | OtherServer, settings: VllmModelSettings, weights: str, *, adapters: bool
) -> Card:
    """The base that the server lists. Raises `ConfigError` for a server without it, its context, or adapters at run time."""
    cards = await server.api.models()
    bases = {card.id: card for card in cards if not card.parent}
    wanted = settings.name or (BASE if isinstance(server, OwnServer) else "")
    base = bases.get(wanted) or (None if wanted else next(iter(bases.values()), None))
    if base is None:
        raise ConfigError(
            f"the server at {server.url} has no model {wanted!r}; it has: {', '.join(bases) or 'none'}; set model.name"
        )
    if base.max_model_len and base.max_model_len < settings.context:
        raise ConfigError(
            f"the server at {server.url} takes {base.max_model_len} tokens of a prompt and its answer together, and "
            f"model.context={settings.context}: lower that, or start the server with a larger --max-model-len"
        )
    if adapters and not {LOAD, UNLOAD} <= await server.api.paths():
        raise ConfigError(
            f"the server at {server.url} cannot load adapters while it runs: start it with --enable-lora and the "
            "environment variable VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
        )
    return base


async def _check_tokenizer(server: OwnServer | OtherServer, base: str, ids: Callable[[str], list[int]]) -> None:
    """Raises `ConfigError` where the server's tokens are not the trainer's."""
    for text in TEXTS:
        served, own = await server.api.tokens(base, text), ids(text)
        if served != own:
            raise ConfigError(
                f"the server at {server.url} has another tokenizer than model.weights: {text!r} is {served[:8]} there and "
                f"{own[:8]} here; serve the model that is trained"
            )


async def _chats(
    server: OwnServer | OtherServer,
    settings: VllmModelSettings,
    opening: Opening,
    weights: str,
    base: Card,
    key: str | None,
    stack: AsyncExitStack,
) -> Server:
    """The requests of chats to the server, after a few short ones that find out what it takes."""
    tokenizer = await asyncio.to_thread(load_tokenizer, weights, "model.weights")
    remote = OpenAIModelSettings(
        url=f"{server.url}/v1", model=base.id, concurrency=settings.concurrency, key=settings.key
    )

    async def alive() -> None:
        if fault := await server.api.fault():
            raise Retryable(fault)

    chats = Server(
        server.url,
        HttpClient(open_connection(remote, key), Secrets([key])),
        Gateway(server.url, settings, opening.holds, alive),
        Extras(opening.emit, server.url, {}),
        tokenizer=tokenizer,
        key=settings.key,
        context=settings.context or base.max_model_len or 0,
        section=opening.section,
    )
    stack.push_async_callback(chats.close)
    curates = "curator" in opening.roles
    found = await probe(chats, Served(base.id), [base.id], curates=curates, seconds=settings.answer_seconds)
    opening.emit(Notice("info", found.sentence()))
    if opening.lora_rank and not (found.ids and found.logprobs):
        raise ConfigError(
            f"the server at {server.url} gives no token ids or no log-probabilities, which training needs: use vLLM 0.10 or "
            "newer"
        )
    chats.needs_ids = bool(opening.lora_rank)
    return chats


def _measured(chats: Server, opening: Opening) -> Callable[[ServerMeasured], None]:
    """What is done with each measurement: the gateway adapts to it, and it is logged."""

    def take(event: ServerMeasured) -> None:
        chats.gateway.measured(event)
        opening.emit(event)

    return take


async def _cancelled(task: asyncio.Task[None]) -> None:
    """End a task; what it raised has been raised where it was awaited."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
